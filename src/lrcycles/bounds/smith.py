"""The rule `smith`: bounds from where held-out accuracy starts to rise and where its rise ends."""

from __future__ import annotations

import math

import numpy as np

from lrcycles.bounds.seed_bounds import SeedBounds
from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import residuals, scaled_mad
from lrcycles.range_tests.sweep import RECENT_STEPS

START, TOP = 0.1, 0.99  # shares of the climb
FEWEST_MEASUREMENTS = 7
FIRST_MEASUREMENTS = 5  # or a tenth of all, if these are more
NEIGHBOURS_DECADES = math.log10(2)  # the standard deviation of the weights that smooth the curve
GRID_DECADES = 0.01


def smith(curve: SeedCurve) -> SeedBounds:
    """Read one seed's bounds from its held-out accuracy.

    Smith sets base_lr where accuracy starts to increase, and max_lr where the increase slows,
    becomes ragged or turns into a decrease. Here this means:

    1. The smoothed accuracy at a rate is the value of a straight line over log10(rate), fitted to
       all accuracies. The weights are a normal curve whose standard deviation is a factor of two in
       the rate. So a ragged curve becomes a slower one.
    2. The climb is the difference between the highest smoothed accuracy and the accuracy before the
       first step. It must exceed 3 times the noise.
    3. base_lr is the first rate from which accuracy stays above the accuracy before the first step
       by 3 times the noise of the first measurements and by a tenth of the climb. The tenth is
       not from Smith: while the weights hardly change, a fixed batch gives almost the same accuracy
       and the noise is almost 0, so one more correct image would count as a rise.
    4. max_lr is the first rate at which the smoothed accuracy has made 99 % of the climb. The curve
       must show the end of the climb: the sweep goes on to twice this rate or more, or the loss
       ends above its start.

    Source: Smith 2017, sec. 3.3. How stable max_lr is: docs/study-range-test.
    """
    seed = curve.seed
    measured = np.isfinite(curve.metric)
    lr, accuracy = curve.lr[measured], curve.metric[measured]
    if len(lr) < FEWEST_MEASUREMENTS:
        return SeedBounds.none(
            seed, f"only {len(lr)} held-out accuracies were measured before the sweep ended"
        )
    before = float(accuracy[0] if curve.initial_metric is None else curve.initial_metric)
    rates, smooth = _smoothed(lr, accuracy)
    distances = residuals(accuracy)
    climb = float(smooth.max()) - before
    if climb <= 3 * scaled_mad(distances):
        return SeedBounds.none(
            seed,
            f"accuracy never rose by more than its noise (from {before:.3g} to {smooth.max():.3g} "
            "at most)",
        )
    first = max(FIRST_MEASUREMENTS, round(len(lr) / 10))
    level = before + max(3 * scaled_mad(distances[:first]), START * climb)
    below = np.flatnonzero(accuracy[lr <= rates[smooth.argmax()]] <= level)
    # Without an accuracy from before the first step, some measurements must lie below the level.
    if len(below) < (first if curve.initial_metric is None else 1):
        risen = f"accuracy had already risen at the first rates ({accuracy[0]:.3g} at {lr[0]:.3g})"
        return SeedBounds.none(seed, risen, learns_at_first_rate=True)
    base_lr = float(lr[below[-1] + 1])
    began = f"accuracy stayed above {level:.3g} from {base_lr:.3g} on ({before:.3g} before)"
    reached = (rates > base_lr) & (smooth >= before + TOP * climb)
    max_lr = float(rates[reached.argmax()])
    start, end = curve.loss[:RECENT_STEPS].mean(), curve.loss[-RECENT_STEPS:].mean()
    # A mean that is not finite counts as higher. Any loss above the start means that training broke
    # down, since accuracy had risen: `sweep.should_stop` and `noise.explosion_index` ask for more.
    broke_down = not end <= start
    if not reached.any() or (math.log10(lr[-1] / max_lr) < NEIGHBOURS_DECADES and not broke_down):
        return SeedBounds(seed, base_lr, None, began, f"accuracy still rose at {lr[-1]:.3g}")
    ended = f"at {max_lr:.3g} accuracy had made {100 * TOP:.0f} % of its climb to {smooth.max():.3g}"
    if broke_down:
        ended += f", before the loss rose above its start ({start:.3g} at first, {end:.3g} at the end)"
    return SeedBounds(seed, base_lr, max_lr, began, ended)


def _smoothed(lr: Array, accuracy: Array) -> tuple[Array, Array]:
    """Return rates at equal distances on the logarithmic scale, and the smoothed accuracy there."""
    exponent = np.log10(lr)
    count = 1 + max(1, round((exponent[-1] - exponent[0]) / GRID_DECADES))
    grid = np.linspace(exponent[0], exponent[-1], count)
    smooth = np.array([_line_at(exponent - middle, accuracy) for middle in grid])
    return 10**grid, smooth


def _line_at(distances: Array, accuracy: Array) -> float:
    """Return the value at distance 0 of the line that fits the accuracies around it best."""
    weights = np.exp(-0.5 * (distances / NEIGHBOURS_DECADES) ** 2)
    offset, mean = np.average(distances, weights=weights), np.average(accuracy, weights=weights)
    spread = np.average((distances - offset) ** 2, weights=weights)
    if not spread:
        return float(mean)
    slope = np.average((distances - offset) * (accuracy - mean), weights=weights) / spread
    return float(mean - slope * offset)
