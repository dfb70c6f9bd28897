"""Which max_lr does the loss of a range test point to, corrected for how fast the rate rose?

Two rates stand out on the curve: the centre of the basin in which the loss is least, and the rate
at which the loss is lost. max_lr lies between them, a fifth of the way up on the logarithmic scale,
times two corrections: a sweep that hurries is past a rate before its harm shows, one that takes its
time has learned before it gets there; and a velocity delays harm as well. Weights and powers were
fitted on fourteen tasks of a study and judged on seven others (docs/study-bounds). Only the loss is
read, raw as it was recorded: it takes no held-out measurements, and the curves of any tool will do.
"""

from __future__ import annotations

import math

import numpy as np

from lrcycles.bounds.smith import Reading
from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import lost_from, noise, running_median

RATIO = 40  # max_lr / base_lr: better than 4 in the study
TOWARDS_LOSS = 0.2  # of the way from the basin's centre to the rate at which the loss is lost
NEUTRAL_STEPS_PER_DECADE = 78  # a sweep of this pace needs no correction
PACE_POWER, MOMENTUM_POWER = 0.6, 0.2

SHORTEST = 20  # losses
HALF_WINDOW = 0.03  # of the curve, on each side of a running median
BASIN = 0.2  # of the fall: how far above the least loss the basin around it reaches


def calibrated(curve: SeedCurve) -> Reading:
    """Read one seed's curve as the head of this file says; base_lr is a fortieth of max_lr.

    Never above the rate at which the sweep was lost. No answer where the loss never falls beyond
    its noise, had fallen before the sweep, or is still among its least where the sweep ends.
    """

    def none(why: str) -> Reading:
        return Reading(curve.seed, None, None, why, why)

    if len(curve.lr) < SHORTEST:
        return none(f"{len(curve.lr)} losses do not tell fall from noise, {SHORTEST} are needed")
    half = max(2, round(HALF_WINDOW * len(curve.lr)))
    lost = lost_from(curve.loss)
    whole = np.isfinite(curve.loss) & (np.arange(len(curve.loss)) < lost)
    loss = np.where(whole, curve.loss, np.inf)
    middle = running_median(loss, half)
    exponent = np.log10(curve.lr[half : len(curve.lr) - half])
    # A tenth of the decades: of a linear ramp's steps a tenth may hold the whole fall.
    early = np.searchsorted(curve.lr, curve.lr[0] * (curve.lr[-1] / curve.lr[0]) ** 0.1)
    before = float(np.median(loss[: max(10, early)]))
    lowest = int(np.argmin(middle))
    fall = before - float(middle[lowest])
    # The median of m normal values has 1.25 times the sd of their mean.
    doubt = 1.25 * noise(loss[whole]) / math.sqrt(2 * half + 1)
    if not fall > 3 * doubt:
        return none(f"the loss never fell beyond its noise ({before:.3g} before)")
    first, last = _basin(middle, lowest, middle[lowest] + BASIN * fall)
    if first == 0:
        return none(f"the fall had begun at the first rate, {curve.lr[0]:.3g}")
    if last == len(middle) - 1 and lost == len(loss):
        end = f"the loss is still among its least at the last rate, {curve.lr[-1]:.3g}"
        return Reading(curve.seed, 10 ** exponent[first] / RATIO, None, "the loss fell", end)
    depth = middle[lowest] + BASIN * fall - middle[first : last + 1]
    centre = 10 ** float(np.average(exponent[first : last + 1], weights=depth))
    return _between(curve, centre, lost)


def _between(curve: SeedCurve, centre: float, lost: int) -> Reading:
    """Bounds from the basin's centre and the place from which the loss is lost, corrected."""
    limit = float(curve.lr[min(lost, len(curve.lr) - 1)])
    between = centre ** (1 - TOWARDS_LOSS) * limit**TOWARDS_LOSS
    pace = _steps_per_decade(curve.lr, centre)
    factor = (pace / NEUTRAL_STEPS_PER_DECADE) ** PACE_POWER
    factor *= (1 - curve.momentum) ** MOMENTUM_POWER
    max_lr = factor * between
    ends = "is lost" if lost < len(curve.lr) else "was last measured"
    why = (
        f"the loss is least around {centre:.3g} and {ends} at {limit:.3g}: {between:.3g} between "
        f"them, times {factor:.2g} for {pace:.0f} steps a decade"
    )
    if curve.momentum:
        why += f" and momentum {curve.momentum:g}"
    if lost < len(curve.lr) and max_lr > limit:
        max_lr, why = limit, f"at {limit:.3g} the loss is lost, and cycles must not go beyond"
    part = f"base_lr is a fortieth of {max_lr:.3g}"
    return Reading(curve.seed, max_lr / RATIO, max_lr, part, why)


def _basin(middle: Array, lowest: int, level: float) -> tuple[int, int]:
    """First and last place around the least loss from which the loss does not leave the basin."""
    above = np.flatnonzero(middle > level)
    left, right = above[above < lowest], above[above > lowest]
    first = int(left[-1]) + 1 if len(left) else 0
    return first, int(right[0]) - 1 if len(right) else len(middle) - 1


def _steps_per_decade(lr: Array, at: float) -> float:
    """Steps that the sweep spends on a factor of ten around a rate, whatever its ramp."""
    step = int(np.clip(np.searchsorted(lr, at), 1, len(lr) - 1))
    return 1 / math.log10(lr[step] / lr[step - 1])
