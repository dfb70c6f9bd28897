"""Widens the range of a sweep until its curves show where learning begins and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import noise, running_median
from lrcycles.range_tests.sweep import RECENT_STEPS, Range, should_stop

FEWEST_MEASUREMENTS = 8  # with fewer, noise looks like a trend
BEGUN = 0.1  # learning has begun once the metric has climbed by this share of its whole climb
RISEN = 0.1  # the loss has left its minimum once it is this share of its fall above the minimum
RESTING = 0.02  # the metric rests if it rises by less than this share of its climb


@dataclass(frozen=True)
class MissingEnds:
    """Why a curve does not show the start or the end of learning; None where it shows it."""

    start: str | None = None
    end: str | None = None


def missing_ends(curve: SeedCurve, *, steps: int, stop_factor: float) -> MissingEnds:
    """Decide whether one seed's curve shows the start and the end of learning.

    1. The metric climbs if the highest mean of a tenth of its measurements exceeds the value
       before the first update by 3 standard deviations of the noise.
    2. The start is missing if all of the first twentieth of the measurements exceed the value
       before the first update by 3 standard deviations and by a tenth of the climb. It is also
       missing if the sweep stopped in its first quarter and the metric had not climbed.
    3. The end shows if the sweep stopped early, or if its last losses exceed its first ones beyond
       the noise.
    4. The end also shows if the loss has risen above its minimum by a tenth of its fall and the
       metric no longer rises. A loss and a metric that both rest are no end, because they do not
       show which rate is too high.

    Args:
        steps: of the whole range; the curve of a sweep that stopped early has fewer.
    """
    stopped = len(curve.loss) < steps or _ends_above_start(curve, stop_factor)
    values = curve.metric[np.isfinite(curve.metric)]
    began_too_high = MissingEnds(f"the sweep stopped in its first quarter, at {curve.lr[-1]:.3g}")
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
    elif _ends_near_minimum(curve.loss):
        end = f"the loss was still near its minimum at the highest rate, {curve.lr[-1]:.3g}"
    return MissingEnds(start, end)


def _ends_above_start(curve: SeedCurve, stop_factor: float) -> bool:
    """Return whether the last ten losses have a mean above the mean of the first ten.

    The difference must exceed the noise and a tenth of the first mean. This needs less than
    `should_stop`, which demands the factor `stop_factor`: a finished sweep whose loss has risen at
    all has passed the rates at which the model learns.
    """
    if should_stop(curve.loss, stop_factor):
        return True
    if len(curve.loss) < 2 * RECENT_STEPS:
        return False
    first, last = curve.loss[:RECENT_STEPS].mean(), curve.loss[-RECENT_STEPS:].mean()
    by_chance = 3 * noise(curve.loss) * math.sqrt(2 / RECENT_STEPS)
    return bool(last > first + max(by_chance, 0.1 * abs(first)))


def _ends_near_minimum(loss: Array) -> bool:
    """Return whether the loss stays within a tenth of its fall above its minimum to the end."""
    half = max(2, round(0.03 * len(loss)))
    if len(loss) < 2 * RECENT_STEPS:
        return False
    medians = running_median(loss, half)
    lowest = int(np.argmin(medians))
    fall = float(np.median(loss[:RECENT_STEPS])) - medians[lowest]
    return bool(fall > 0 and (medians[lowest:] <= medians[lowest] + RISEN * fall).all())


def ends_missing_in_most(
    curves: Sequence[SeedCurve], *, steps: int, stop_factor: float
) -> MissingEnds:
    """Return the ends that more than half of the curves miss, with the first curve's reason."""
    ends = [missing_ends(curve, steps=steps, stop_factor=stop_factor) for curve in curves]

    def majority(side: str) -> str | None:
        reasons = [
            f"{reason} (seed {curve.seed})"
            for curve, missing in zip(curves, ends, strict=True)
            if (reason := getattr(missing, side)) is not None
        ]
        return reasons[0] if 2 * len(reasons) > len(curves) else None

    return MissingEnds(majority("start"), majority("end"))


def sweep_and_widen(
    span: Range,
    sweeps: Callable[[Range], Iterable[SeedCurve]],
    *,
    widen: int,
    stop_factor: float,
) -> tuple[Range, list[SeedCurve], list[str]]:
    """Sweep every seed, and again over a wider range while most curves miss the start or the end.

    All seeds have the same rates in the end. Each curve is judged as soon as it is measured, so a
    range that is too narrow may cost only one sweep.

    Args:
        sweeps: returns one curve per seed over the range that it is given.
        widen: how often the range may be widened, by a decade at each end that is missing.

    Returns:
        The last range, its curves, and notes on each widening and on what is still missing.
    """
    notes: list[str] = []
    while True:
        curves: list[SeedCurve] = []
        missing = MissingEnds()
        for curve in sweeps(span):
            curves.append(curve)
            missing = ends_missing_in_most(curves, steps=span.steps, stop_factor=stop_factor)
            if widen and missing != MissingEnds():
                break
        if missing == MissingEnds():
            return span, curves, notes
        if not widen:
            return span, curves, [*notes, *_notes_on_missing(span, missing)]
        widen -= 1
        wider = span.lowered() if missing.start else span
        wider = wider.raised() if missing.end else wider
        why = " and ".join(filter(None, (missing.start, missing.end)))
        notes.append(f"The range {span} was widened to {wider}, because {why}.")
        span = wider


def _notes_on_missing(span: Range, missing: MissingEnds) -> list[str]:
    notes = []
    if missing.start:
        notes.append(
            f"The range {span} does not show where learning starts, because {missing.start}. "
            "Lower min_lr."
        )
    if missing.end:
        notes.append(
            f"The range {span} does not show where learning ends, because {missing.end}. "
            "Raise max_lr."
        )
    return notes
