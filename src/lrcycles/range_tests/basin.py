"""Finds the rates at which the loss of a sweep is lowest: where learning shows, and where it ends.

The range test widens its range until this shows, and rule `calibrated` reads the bounds from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import explosion_index, noise, running_median
from lrcycles.range_tests.sweep import RECENT_STEPS

SHORTEST = 20  # losses
HALF_WINDOW = 0.03  # half the window of the running median, as a share of the curve
DEPTH = 0.2  # the basin reaches so far above the lowest loss, as a share of the fall
ROUNDING = 1e-6  # of the loss: single precision makes smaller differences


class Missing(StrEnum):
    """Which rates may show what a curve does not show."""

    LOWER = "lower"
    HIGHER = "higher"
    NONE = "none"  # no rates; more steps, or other weights


@dataclass(frozen=True)
class NoBasin:
    """Why the loss has no basin.

    Attributes:
        reason: a clause.
        falls: whether the loss falls anywhere; None where the curve is too short to know.
    """

    reason: str
    missing: Missing
    falls: bool | None = False


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


def find_basin(curve: SeedCurve) -> Basin | NoBasin:
    """Return the basin of the loss, or why the loss has none."""
    if len(curve.loss) < SHORTEST:
        few = f"{len(curve.loss)} losses are too few, at least {SHORTEST} are needed"
        return NoBasin(few, Missing.NONE, falls=None)
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
    one_loss = noise(loss[usable])
    spread = 1.25 * one_loss / math.sqrt(2 * half + 1)
    least = max(3 * spread, ROUNDING * abs(before))
    # The first loss is the one before the first update.
    falls_at_once = bool(loss[0] > smooth[lowest] + max(4 * one_loss, ROUNDING * abs(loss[0])))
    if not fall > least and falls_at_once and math.isfinite(fall):
        begun = f"the loss fell in the first steps only, at {curve.lr[0]:.3g}"
        return NoBasin(begun, Missing.LOWER, falls=True)
    if not fall > least:
        return _without_fall(curve, smooth, before, least)
    level = smooth[lowest] + DEPTH * fall
    first, last = _around(smooth, lowest, level)
    if first == 0 and not falls_at_once:
        return _without_fall(curve, smooth, before, least)
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


def _without_fall(curve: SeedCurve, smooth: Array, before: float, least: float) -> NoBasin:
    """Word what the loss does instead of falling.

    Args:
        smooth: the running median of the loss.
        before: the median of the first losses.
        least: a smaller change of `smooth` is noise.
    """
    finite = np.flatnonzero(np.isfinite(curve.loss))
    if not len(finite) or finite[-1] < SHORTEST:
        where = f"above {curve.lr[finite[-1]]:.3g}" if len(finite) else "at any rate"
        return NoBasin(f"the loss is not finite {where}", Missing.LOWER)
    not_risen = np.flatnonzero(~(smooth > smooth[0] + least))
    if not math.isfinite(before) or not_risen[-1] < len(smooth) // 4:
        rises = "the loss never fell: it rises from the first rates on"
        return NoBasin(rises, Missing.LOWER)
    level = f"the loss never fell by more than its noise, from {before:.3g}"
    if not_risen[-1] < len(smooth) - 1 or ends_above_start(curve.loss):
        return NoBasin(f"{level}, and rose at higher rates", Missing.NONE)
    return NoBasin(level, Missing.HIGHER)


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
