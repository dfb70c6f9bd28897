"""Which max_lr does the loss of a range test point to, corrected for how fast the rate rose?

The loss is least somewhat above the rates at which a whole training does best, or below: a sweep
that hurries is past a rate before its harm shows, one that takes its time has learned before it
gets there; and momentum delays harm as well. So the rate of the least loss is multiplied by two
corrections, which were fitted on one half of the tasks of a study and judged on the other
(docs/study-bounds): to the square root of the steps that the sweep spends on a decade of rates, and
to a power of what a velocity forgets at each step. Only the loss is read, raw as it was recorded:
no held-out measurements are needed, and the curves of any tool will do.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.curve_reading import Reading
from lrcycles.curves import Array, SeedCurve

RATIO = 40  # max_lr / base_lr: better than 4 in the study, and 400 was no better
NEUTRAL_STEPS_PER_DECADE = 12.6  # at which the least loss itself is the rate to cycle up to
MOMENTUM_POWER = 0.6

SHORTEST = 20  # losses
HALF_WINDOW = 0.03  # of the curve, on each side of a running median
BASIN = 0.1  # of the fall: how far above the least loss the basin around it reaches


def calibrated(curve: SeedCurve) -> Reading:
    """Read one seed's curve: max_lr from the centre of the loss's basin, base_lr a fortieth of it.

    No answer where the loss never falls beyond its noise, or is least where the sweep begins or
    ends.
    """

    def none(why: str) -> Reading:
        return Reading(curve.seed, None, None, why, why)

    if len(curve.lr) < SHORTEST:
        return none(f"{len(curve.lr)} losses do not tell fall from noise, {SHORTEST} are needed")
    half = max(2, round(HALF_WINDOW * len(curve.lr)))
    finite = np.where(np.isfinite(curve.loss), curve.loss, np.inf)
    # Whole windows only: with edge values repeated, a lone last loss would weigh half a window.
    middle = np.median(sliding_window_view(finite, 2 * half + 1), axis=1)
    exponent = np.log10(curve.lr[half : len(curve.lr) - half])
    before = float(np.median(finite[: len(finite) // 10]))
    lowest = int(np.argmin(middle))
    fall = before - float(middle[lowest])
    if not fall > 3 * _noise_of_median(finite, half):
        return none(f"the loss never fell beyond its noise ({before:.3g} before)")
    first, last = _basin(middle, lowest, middle[lowest] + BASIN * fall)
    if first == 0:
        return none(f"the fall had begun at the first rate, {curve.lr[0]:.3g}")
    if last == len(middle) - 1 and np.isfinite(curve.loss).all():
        end = f"the loss is still among its least at the last rate, {curve.lr[-1]:.3g}"
        return Reading(curve.seed, 10 ** exponent[first] / RATIO, None, "the loss fell", end)
    depth = middle[lowest] + BASIN * fall - middle[first : last + 1]
    centre = 10 ** float(np.average(exponent[first : last + 1], weights=depth))
    pace = _steps_per_decade(curve.lr, centre)
    factor = math.sqrt(pace / NEUTRAL_STEPS_PER_DECADE) * (1 - curve.momentum) ** MOMENTUM_POWER
    max_lr = factor * centre
    return Reading(
        curve.seed,
        max_lr / RATIO,
        max_lr,
        f"base_lr is a fortieth of {max_lr:.3g}",
        f"the loss was least around {centre:.3g}, times {factor:.2g} for {pace:.0f} steps a decade"
        + (f" and momentum {curve.momentum:g}" if curve.momentum else ""),
    )


def _basin(middle: Array, lowest: int, level: float) -> tuple[int, int]:
    """First and last place around the least loss from which the loss does not leave the basin."""
    above = np.flatnonzero(middle > level)
    left, right = above[above < lowest], above[above > lowest]
    first = int(left[-1]) + 1 if len(left) else 0
    return first, int(right[0]) - 1 if len(right) else len(middle) - 1


def _noise_of_median(loss: Array, half: int) -> float:
    """The sd of a running median, from how far points lie from the middle of their neighbours."""
    finite = loss[np.isfinite(loss)]
    distance = np.abs(finite[1:-1] - (finite[:-2] + finite[2:]) / 2) / math.sqrt(1.5)
    # The median of m normal values has 1.25 times the sd of their mean.
    return 1.25 * 1.4826 * float(np.median(distance)) / math.sqrt(2 * half + 1)


def _steps_per_decade(lr: Array, at: float) -> float:
    """Steps that the sweep spends on a factor of ten around a rate, whatever its ramp."""
    step = int(np.clip(np.searchsorted(lr, at), 1, len(lr) - 1))
    return 1 / math.log10(lr[step] / lr[step - 1])
