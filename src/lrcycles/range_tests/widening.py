"""Is the range of a sweep wide enough to show where learning begins and where it ends?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import noise, running_median
from lrcycles.range_tests.sweep import RECENT_STEPS, Range, diverged

FEWEST_MEASUREMENTS = 8  # with fewer, noise cannot be told from movement
BEGUN = 0.1  # of the climb: from there on learning is under way
LEFT = 0.1  # of the loss's fall: so far above its least it has left it
RESTING = 0.02  # of the climb: a tenth of the curve that rises less has come to rest


@dataclass(frozen=True)
class Missing:
    """Which ends of a range a curve does not show, and why; None where it shows the end."""

    start: str | None = None
    end: str | None = None


def missing_ends(curve: SeedCurve, *, steps: int, stop_factor: float) -> Missing:
    """Say whether learning had begun at the lowest rates, and whether it had no end at the highest.

    The metric climbs if its best mean of a tenth of the measurements exceeds the one before the
    first update by 3 standard deviations of their noise. No start: all of the first twentieth lie
    beyond the noise and a tenth of that climb. An end: the loss diverged or ends above where it
    began; or it left its least by a tenth of its fall, and the metric does not rise any more.
    That both rest is no end: it does not say which rate is too high.

    Args:
        steps: of the whole range, more than the curve has if it stopped.
    """
    stopped = len(curve.loss) < steps or _blew_up(curve, stop_factor)
    values = curve.metric[np.isfinite(curve.metric)]
    # A sweep that dies young without having learned began too high.
    died_young = Missing(start=f"it diverged at its first rates, at {curve.lr[-1]:.3g}")
    young = stopped and len(curve.loss) <= steps / 4
    if len(values) < FEWEST_MEASUREMENTS:
        return died_young if young else Missing()

    before = float(values[0] if curve.initial_metric is None else curve.initial_metric)
    width = max(3, round(len(values) / 10))
    means = sliding_window_view(values, width).mean(axis=1)
    spread = noise(values)
    climb = float(means.max()) - before
    climbs = climb > max(3 * spread, 1e-9 * abs(before))  # a mean rounds, even of equal numbers
    if young and not climbs:
        return died_young

    level = before + max(3 * spread, BEGUN * climb)
    start = end = None
    if climbs and values[: max(2, round(len(values) / 20))].min() > level:
        start = f"learning had begun at the lowest rate, {curve.lr[0]:.3g}"
    if stopped:
        return Missing(start)
    if not climbs:
        fell = means[-1] < means.max() - 3 * spread
        return Missing(start, None if fell else f"nothing was learned up to {curve.lr[-1]:.3g}")
    # Before learning begins a fixed batch answers almost alike: its noise there says nothing.
    below = np.flatnonzero(values[: int(means.argmax()) + 1] <= level)
    climbing = values[below[-1] if len(below) else 0 :]
    if len(climbing) >= FEWEST_MEASUREMENTS:
        spread = max(spread, noise(climbing))
    fell = means[-1] < means.max() - max(3 * spread, RESTING * climb)
    rose = float(means[-1] - means[-1 - width])
    if not fell and rose > max(2 * spread * math.sqrt(2 / width), RESTING * climb):
        end = f"learning was still under way at {curve.lr[-1]:.3g}"
    elif _still_least(curve.loss):
        end = f"the loss was still among its least at {curve.lr[-1]:.3g}"
    return Missing(start, end)


def _blew_up(curve: SeedCurve, stop_factor: float) -> bool:
    """Whether the training loss ends beyond its noise above where it began."""
    if diverged(curve.loss, stop_factor):
        return True
    if len(curve.loss) < 2 * RECENT_STEPS:
        return False
    first, last = curve.loss[:RECENT_STEPS].mean(), curve.loss[-RECENT_STEPS:].mean()
    by_chance = 3 * noise(curve.loss) * math.sqrt(2 / RECENT_STEPS)
    return bool(last > first + max(by_chance, 0.1 * abs(first)))


def _still_least(loss: Array) -> bool:
    """Whether no running median after the least one exceeds it by a tenth of the loss's fall."""
    half = max(2, round(0.03 * len(loss)))
    if len(loss) < 2 * RECENT_STEPS:
        return False
    medians = running_median(loss, half)
    lowest = int(np.argmin(medians))
    fall = float(np.median(loss[:RECENT_STEPS])) - medians[lowest]
    return bool(fall > 0 and (medians[lowest:] <= medians[lowest] + LEFT * fall).all())


def most_miss(curves: Sequence[SeedCurve], *, steps: int, stop_factor: float) -> Missing:
    """Say which ends more than half of the curves do not show, in the words of the first."""
    found = [missing_ends(curve, steps=steps, stop_factor=stop_factor) for curve in curves]

    def majority(side: str) -> str | None:
        reasons = [
            f"{reason} (seed {curve.seed})"
            for curve, missing in zip(curves, found, strict=True)
            if (reason := getattr(missing, side)) is not None
        ]
        return reasons[0] if 2 * len(reasons) > len(curves) else None

    return Missing(majority("start"), majority("end"))


def sweep_and_widen(
    span: Range,
    sweeps: Callable[[Range], Iterable[SeedCurve]],
    *,
    extensions: int,
    stop_factor: float,
) -> tuple[Range, list[SeedCurve], list[str]]:
    """Sweep every seed, over a wider range where the curves show no start or no end.

    All seeds end up with the same rates. Curves are judged as they come, so that, where `sweeps`
    gives them one by one, a range that is too narrow costs one sweep.

    Args:
        sweeps: gives one curve a seed over the range it is handed.
        extensions: how often the range may be widened, by a decade at each side that needs it.

    Returns:
        The last range, its curves, and what a reader must know about it.
    """
    notes: list[str] = []
    while True:
        curves: list[SeedCurve] = []
        missing = Missing()
        for curve in sweeps(span):
            curves.append(curve)
            missing = most_miss(curves, steps=span.steps, stop_factor=stop_factor)
            if extensions and missing != Missing():
                break
        if missing == Missing():
            return span, curves, notes
        if not extensions:
            return span, curves, [*notes, *_left_missing(span, missing)]
        extensions -= 1
        wider = span.lowered() if missing.start else span
        wider = wider.raised() if missing.end else wider
        why = ", ".join(filter(None, (missing.start, missing.end)))
        notes.append(f"the range was widened from {span} to {wider}: {why}")
        span = wider


def _left_missing(span: Range, missing: Missing) -> list[str]:
    found = []
    if missing.start:
        found.append(f"no start shows over {span}: {missing.start}; lower min_lr")
    if missing.end:
        found.append(f"no end shows over {span}: {missing.end}; raise max_lr")
    return found
