"""Finds the rates at which the loss of a sweep is lowest: where learning shows, and where it ends.

The range test widens its range until this shows, and rule `calibrated` reads the bounds from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import explosion_index, noise, running_median
from lrcycles.range_tests.sweep import RECENT_STEPS

SHORTEST = 20  # losses
HALF_WINDOW = 0.03  # half the window of the running median, as a share of the curve
DEPTH = 0.2  # the basin reaches so far above the lowest loss, as a share of the fall


@dataclass(frozen=True)
class Basin:
    """The rates around the lowest smoothed loss. The arrays have one entry per window.

    Attributes:
        exponent: log10 of the rate in the middle of each window.
        smooth: the running median of the loss.
        level: the highest loss in the basin.
        first: the index of the first window in the basin; 0 where learning began before the sweep.
        last: the index of the last window in the basin.
        exploded: the step at which the loss explodes; the number of losses if it never does.
        open_above: the loss neither leaves the basin nor ends above its start.
    """

    exponent: Array
    smooth: Array
    level: float
    first: int
    last: int
    exploded: int
    open_above: bool


def find_basin(curve: SeedCurve) -> Basin | str:
    """Return the basin of the loss, or a clause on why the loss has none."""
    if len(curve.loss) < SHORTEST:
        return f"{len(curve.loss)} losses are too few, at least {SHORTEST} are needed"
    half = max(2, round(HALF_WINDOW * len(curve.lr)))
    exploded = explosion_index(curve.loss)
    usable = np.isfinite(curve.loss) & (np.arange(len(curve.loss)) < exploded)
    loss = np.where(usable, curve.loss, np.inf)
    smooth = running_median(loss, half)
    # The first tenth of the decades. The first tenth of a linear ramp's steps may hold the whole
    # fall of the loss.
    early = np.searchsorted(curve.lr, curve.lr[0] * (curve.lr[-1] / curve.lr[0]) ** 0.1)
    before = float(np.median(loss[: max(10, early)]))
    lowest = int(np.argmin(smooth))
    fall = before - float(smooth[lowest])
    # The median of m normal values has 1.25 times the standard deviation of their mean.
    spread = 1.25 * noise(loss[usable]) / math.sqrt(2 * half + 1)
    if not fall > 3 * spread:
        return f"the loss never fell by more than its noise, from {before:.3g}"
    level = smooth[lowest] + DEPTH * fall
    first, last = _around(smooth, lowest, level)
    stays = last == len(smooth) - 1 and exploded == len(loss)
    return Basin(
        exponent=np.log10(curve.lr[half : len(curve.lr) - half]),
        smooth=smooth,
        level=level,
        first=first,
        last=last,
        exploded=exploded,
        open_above=stays and not ends_above_start(curve.loss),
    )


def ends_above_start(loss: Array) -> bool:
    """Return whether the last ten losses have a mean above the mean of the first ten.

    The difference must exceed the noise and a tenth of the first mean. `sweep.should_stop` demands
    more, a factor: a finished sweep whose loss has risen at all has passed the rates at which the
    model learns.
    """
    if not np.isfinite(loss).all():
        return True
    if len(loss) < 2 * RECENT_STEPS:
        return False
    first, last = loss[:RECENT_STEPS].mean(), loss[-RECENT_STEPS:].mean()
    by_chance = 3 * noise(loss) * math.sqrt(2 / RECENT_STEPS)
    return bool(last > first + max(by_chance, 0.1 * abs(first)))


def _around(smooth: Array, lowest: int, level: float) -> tuple[int, int]:
    """Return the first and last index around `lowest` between which no loss exceeds `level`."""
    above = np.flatnonzero(smooth > level)
    left, right = above[above < lowest], above[above > lowest]
    first = int(left[-1]) + 1 if len(left) else 0
    return first, int(right[0]) - 1 if len(right) else len(smooth) - 1
