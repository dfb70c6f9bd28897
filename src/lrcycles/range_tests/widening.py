"""Widens the range of a sweep until its curves show where learning begins and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.range_tests.basin import Missing, NoBasin, ends_above_start, find_basin
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.noise import noise
from lrcycles.range_tests.sweep import Range, should_stop

FEWEST_MEASUREMENTS = 8  # with fewer, noise looks like a trend
BEGUN = 0.1  # learning has begun once the metric has climbed by this share of its whole climb
RESTING = 0.02  # the metric rests if it rises by less than this share of its climb


@dataclass(frozen=True)
class MissingEnds:
    """Why a curve does not show the start or the end of learning; None where it shows it.

    Attributes:
        start: a lower rate may show where learning starts.
        end: a higher rate may show where learning ends.
        either: a wider range does not show more, but `remedy` may help.
    """

    start: str | None = None
    end: str | None = None
    either: str | None = None
    remedy: str | None = None


def missing_ends(
    curve: SeedCurve, *, steps: int, stop_factor: float, ramp: str = "exponential"
) -> MissingEnds:
    """Decide whether one seed's curve shows the start and the end of learning.

    The loss decides by its basin, as for rule `calibrated`: where nothing is missing, this rule
    finds both bounds. The metric may miss an end that the loss shows; rule `smith` needs the
    metric's.

    Args:
        steps: of the whole range; the curve of a sweep that stopped early has fewer.
    """
    stopped = len(curve.loss) < steps or should_stop(curve.loss, stop_factor)
    by_loss = _missing_by_loss(curve, steps, stopped, ramp)
    by_metric = _missing_by_metric(curve, steps, stopped)
    return replace(
        by_loss, start=by_metric.start or by_loss.start, end=by_metric.end or by_loss.end
    )


def _missing_by_loss(curve: SeedCurve, steps: int, stopped: bool, ramp: str) -> MissingEnds:
    basin, last = find_basin(curve), f"{curve.lr[-1]:.3g}"
    if isinstance(basin, NoBasin):
        if stopped and len(curve.loss) <= steps / 4:
            return MissingEnds(start=f"the sweep stopped in its first quarter, at {last}")
        if basin.falls is None:
            return MissingEnds(either=basin.reason, remedy="Raise steps.")
        if basin.missing == Missing.LOWER and ramp == "linear":
            return MissingEnds(either=basin.reason, remedy="Set ramp to exponential.")
        if basin.missing == Missing.LOWER:
            return MissingEnds(start=basin.reason)
        if stopped or ends_above_start(curve.loss):
            remedy = "Raise steps, or start from weights that are not trained yet."
            return MissingEnds(either=basin.reason, remedy=remedy)
        return MissingEnds(end=f"the model learned nothing at rates up to {last}")
    start = None
    if basin.first == 0 and ramp == "linear":  # where a lower min_lr doubles the steps
        fell = "the loss fell during the first steps of a linear ramp"
        return MissingEnds(either=fell, remedy="Set ramp to exponential.")
    if basin.first == 0:
        start = f"the model already learned at the lowest rate, {curve.lr[0]:.3g}"
    if not basin.open_above:
        return MissingEnds(start)
    if stopped:
        near = f"the loss was still near its minimum when the sweep stopped, at {last}"
        return MissingEnds(start, either=near, remedy="Raise stop_factor.")
    return MissingEnds(start, f"the loss was still near its minimum at the highest rate, {last}")


def _missing_by_metric(curve: SeedCurve, steps: int, stopped: bool) -> MissingEnds:
    """Decide by the held-out metric.

    1. The metric climbs if the highest mean of a tenth of its measurements exceeds the value
       before the first update by 3 standard deviations of the noise.
    2. The start is missing if all of the first twentieth of the measurements exceed the value
       before the first update by 3 standard deviations and by a tenth of the climb. It is also
       missing if the sweep stopped in its first quarter and the metric had not climbed.
    3. The end is missing if the metric neither climbs nor falls, or if it still rises at the
       highest rate. It shows if the sweep stopped early, or if the last losses exceed the first
       ones.
    """
    values = curve.metric[np.isfinite(curve.metric)]
    began_too_high = MissingEnds(f"the sweep stopped in its first quarter, at {curve.lr[-1]:.3g}")
    stopped = stopped or ends_above_start(curve.loss)
    early = stopped and len(curve.loss) <= steps / 4
    if len(values) < FEWEST_MEASUREMENTS:
        return began_too_high if early else MissingEnds()

    before = float(values[0] if curve.initial_metric is None else curve.initial_metric)
    width = max(3, round(len(values) / 10))
    means = sliding_window_view(values, width).mean(axis=1)
    spread = noise(values)
    climb = float(means.max()) - before
    # The second term allows for rounding in the mean of equal numbers.
    climbs = climb > max(3 * spread, 1e-9 * abs(before))
    if early and not climbs:
        return began_too_high

    level = before + max(3 * spread, BEGUN * climb)
    start = end = None
    if climbs and values[: max(2, round(len(values) / 20))].min() > level:
        start = f"the model already learned at the lowest rate, {curve.lr[0]:.3g}"
    if stopped:
        return MissingEnds(start)
    if not climbs:
        if means[-1] >= means.max() - 3 * spread:
            end = f"the model learned nothing at rates up to {curve.lr[-1]:.3g}"
        return MissingEnds(start, end)
    # The noise is measured where the model learns. Before that, the fixed held-out batch gives
    # almost the same metric at each step.
    below = np.flatnonzero(values[: int(means.argmax()) + 1] <= level)
    climbing = values[below[-1] if len(below) else 0 :]
    if len(climbing) >= FEWEST_MEASUREMENTS:
        spread = max(spread, noise(climbing))
    fell = means[-1] < means.max() - max(3 * spread, RESTING * climb)
    rose = float(means[-1] - means[-1 - width])
    if not fell and rose > max(2 * spread * math.sqrt(2 / width), RESTING * climb):
        end = f"the model was still improving at the highest rate, {curve.lr[-1]:.3g}"
    return MissingEnds(start, end)


def sweep_and_widen(
    span: Range,
    sweeps: Callable[[Range], Iterable[SeedCurve]],
    *,
    widen: int,
    stop_factor: float,
    affordable: Callable[[Range], bool] = lambda _: True,
) -> tuple[Range, list[SeedCurve], list[str]]:
    """Sweep every seed, and again over a wider range until most curves show both ends of learning.

    All seeds have the same rates in the end. Each curve is judged as soon as it is measured, so a
    range that is too narrow may cost only one sweep.

    Args:
        sweeps: returns one curve per seed over the range that it is given.
        widen: how often the range may be widened, by a decade at each end that is missing.
        affordable: whether a wider range may be swept.

    Returns:
        The last range, its curves, and notes on each widening and on what is still missing.
    """
    notes: list[str] = []

    def wider_than(span: Range, missing: MissingEnds) -> Range | None:
        if not widen or not (missing.start or missing.end):
            return None
        wider = span.lowered() if missing.start else span
        wider = wider.raised() if missing.end else wider
        return wider if affordable(wider) else None

    while True:
        curves: list[SeedCurve] = []
        judged: dict[int, MissingEnds] = {}
        for curve in sweeps(span):
            curves.append(curve)
            judged[curve.seed] = missing_ends(
                curve, steps=span.steps, stop_factor=stop_factor, ramp=span.ramp
            )
            missing = missing_in_most(judged)
            if (wider := wider_than(span, missing)) is not None:
                break
        else:
            missing = missing_for_bounds(judged)
            wider = wider_than(span, missing)
        if wider is None:
            return span, curves, notes + _notes_on_missing(span, missing)
        widen -= 1
        why = " and ".join(filter(None, (missing.start, missing.end)))
        notes.append(f"The range {span} was widened to {wider}, because {why}.")
        span = wider


def missing_in_most(judged: Mapping[int, MissingEnds]) -> MissingEnds:
    """Return the ends that more than half of the curves so far miss.

    Args:
        judged: by seed. The reason is that of the first seed.
    """

    def majority(side: str) -> str | None:
        reasons = _reasons(judged, side)
        return reasons[0] if 2 * len(reasons) > len(judged) else None

    return MissingEnds(majority("start"), majority("end"))


def missing_for_bounds(judged: Mapping[int, MissingEnds]) -> MissingEnds:
    """Return the ends that any curve misses, if not more than half of all show both ends.

    With fewer whole curves `select_bounds` gives no bounds.
    """
    if 2 * sum(missing == MissingEnds() for missing in judged.values()) > len(judged):
        return MissingEnds()
    start, end, either = (
        next(iter(_reasons(judged, side)), None) for side in ("start", "end", "either")
    )
    remedies = (missing.remedy for missing in judged.values())
    return MissingEnds(start, end, either, next(filter(None, remedies), None))


def _reasons(judged: Mapping[int, MissingEnds], side: str) -> list[str]:
    reasons = {seed: getattr(missing, side) for seed, missing in judged.items()}
    return [f"{reason} (seed {seed})" for seed, reason in reasons.items() if reason is not None]


def _notes_on_missing(span: Range, missing: MissingEnds) -> list[str]:
    notes = []
    if missing.start:
        also = " and double steps" if span.ramp == "linear" else ""
        notes.append(
            f"The range {span} does not show where learning starts, because {missing.start}. "
            f"Lower min_lr to {span.lowered().min_lr:.3g}{also}."
        )
    if missing.end:
        notes.append(
            f"The range {span} does not show where learning ends, because {missing.end}. "
            f"Raise max_lr to {span.raised().max_lr:.3g}."
        )
    if missing.either:
        notes.append(
            f"The range {span} does not show both ends of learning, because {missing.either}. "
            f"{missing.remedy}"
        )
    return notes
