"""The rule `calibrated`: max_lr from the loss alone, corrected for the pace of the sweep."""

from __future__ import annotations

import math

import numpy as np

from lrcycles.bounds.seed_bounds import SeedBounds
from lrcycles.range_tests.basin import Missing, NoBasin, find_basin
from lrcycles.range_tests.curves import Array, SeedCurve

RATIO = 40  # max_lr / base_lr; the study found 40 better than 4
TOWARDS_EXPLOSION = 0.2  # share of the way from the basin's centre to the rate of the explosion
NEUTRAL_STEPS_PER_DECADE = 78  # a sweep at this pace needs no correction
PACE_POWER, MOMENTUM_POWER = 0.6, 0.2


def calibrated(curve: SeedCurve) -> SeedBounds:
    """Read one seed's bounds from its mini-batch losses.

    1. Smooth the losses with a running median over 6 % of the curve.
    2. The basin holds the rates around the lowest smoothed loss at which the loss is at most a
       fifth of its fall above the lowest. Its centre is the mean of log10(rate) in the basin,
       weighted by depth.
    3. The limit is the rate at which the loss explodes (`noise.explosion_index`), or the last rate
       of the sweep if it never does.
    4. Go a fifth of the way from the centre to the limit, on the logarithmic scale.
    5. Multiply by (steps per decade / 78)^0.6. In a fast sweep the rate has risen further before
       its harm shows, and in a slow one the model has learned before the rate gets there.
    6. Multiply by (1 - momentum)^0.2, because momentum also delays the harm.
    7. max_lr is the result, but never above the limit if the loss exploded. base_lr is max_lr / 40.

    There are no bounds if the smoothed loss never falls by more than 3 times its own noise, or if
    it is in the basin already at the first rate. There is no max_lr if it is in the basin at the
    last rate, has not exploded and does not end above its start. `range_tests.basin` decides this
    for the range test too, which then widens its range.

    The weights and powers were fitted on fourteen tasks and judged on seven others.

    Source: docs/study-bounds.
    """
    seed, basin = curve.seed, find_basin(curve)
    if isinstance(basin, NoBasin):
        return SeedBounds.none(seed, basin.reason, basin.missing)
    if basin.first == 0:
        begun = f"the loss was already in its basin at the first rate, {curve.lr[0]:.3g}"
        return SeedBounds.none(seed, begun, Missing.LOWER)
    inside = slice(basin.first, basin.last + 1)
    if basin.open_above:
        left = 10 ** basin.exponent[basin.first]
        return SeedBounds(
            seed,
            base_lr=left / RATIO,
            max_lr=None,
            base_lr_reason=f"base_lr is 1/{RATIO} of {left:.3g}, the first rate in the basin",
            max_lr_reason=f"the loss was still in its basin at the last rate, {curve.lr[-1]:.3g}",
        )
    depth = basin.level - basin.smooth[inside]
    centre = 10 ** float(np.average(basin.exponent[inside], weights=depth))
    return _corrected(curve, centre, basin.exploded)


def _corrected(curve: SeedCurve, centre: float, exploded: int) -> SeedBounds:
    """Return the bounds for the basin's centre and the index at which the loss explodes."""
    limit = float(curve.lr[min(exploded, len(curve.lr) - 1)])
    between = centre ** (1 - TOWARDS_EXPLOSION) * limit**TOWARDS_EXPLOSION
    pace = _steps_per_decade(curve.lr, centre)
    factor = (pace / NEUTRAL_STEPS_PER_DECADE) ** PACE_POWER
    factor *= (1 - curve.momentum) ** MOMENTUM_POWER
    max_lr = factor * between
    end = "the explosion of the loss" if exploded < len(curve.lr) else "the last rate"
    reason = (
        f"{between:.3g} is a fifth of the way from the basin's centre ({centre:.3g}) to {end} "
        f"({limit:.3g}), and max_lr is {factor:.2g} times this rate, because the sweep has "
        f"{pace:.0f} steps per decade"
    )
    if curve.momentum:
        reason += f" and momentum {curve.momentum:g}"
    if exploded < len(curve.lr) and max_lr > limit:
        max_lr = limit
        reason = f"the loss explodes at {limit:.3g}, and cycles must not go beyond this rate"
    derived = f"base_lr is max_lr / {RATIO}"
    return SeedBounds(curve.seed, max_lr / RATIO, max_lr, derived, reason)


def _steps_per_decade(lr: Array, at: float) -> float:
    """Return in how many steps the rate grows tenfold around the rate `at`, on any ramp."""
    step = int(np.clip(np.searchsorted(lr, at), 1, len(lr) - 1))
    return 1 / math.log10(lr[step] / lr[step - 1])
