"""The rule `smith`: bounds from where held-out accuracy starts to rise and where its rise ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.bounds.seed_bounds import SeedBounds
from lrcycles.range_tests.basin import Missing
from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import residuals, scaled_mad
from lrcycles.range_tests.sweep import RECENT_STEPS

START, NEARLY, TOP = 0.1, 0.9, 0.99  # shares of the climb
FEWEST_MEASUREMENTS = 7
SHORTEST_WINDOW = 5  # measurements; or a tenth of all, if these are more
NEIGHBOURS_DECADES = math.log10(2)  # the standard deviation of the weights that smooth the curve
GRID_DECADES = 0.01


def smith(curve: SeedCurve) -> SeedBounds:
    """Read one seed's bounds from its held-out accuracy.

    Smith sets base_lr where accuracy starts to increase, and max_lr where the increase slows,
    becomes ragged or turns into a decrease. Here this means:

    1. The smoothed accuracy at a rate is the value of a straight line over log10(rate), fitted to
       all accuracies. The weights are a normal curve whose standard deviation is a factor of two in
       the rate.
    2. The climb is the difference between the highest smoothed accuracy and the accuracy before the
       first step. It must exceed 3 times the noise.
    3. base_lr is the first rate from which accuracy stays above the accuracy before the first step
       by 3 times the noise of the first tenth of the measurements and by a tenth of the climb. The
       last condition is not from Smith: while the weights hardly change, a fixed batch gives almost
       the same accuracy and the noise is almost 0, so one more correct image would count as a rise.
    4. max_lr is the first rate at which the smoothed accuracy has made 99 % of the climb, or 90 %
       of the climb if the noise doubles there. The curve must show the end of the climb: the sweep
       goes on to twice this rate or more, or the loss ends above its start.

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
    if climb <= max(3 * scaled_mad(distances), 1e-9):  # a flat curve climbs by rounding
        return SeedBounds.none(
            seed,
            f"accuracy never rose by more than its noise (from {before:.3g} to {smooth.max():.3g} "
            "at most)",
        )
    window = max(SHORTEST_WINDOW, round(len(lr) / 10))
    level = before + max(3 * scaled_mad(distances[:window]), START * climb)
    below = np.flatnonzero(accuracy[lr <= rates[smooth.argmax()]] <= level)
    # Without an accuracy from before the first step, some measurements must lie below the level.
    if len(below) < (window if curve.initial_metric is None else 1):
        risen = f"accuracy had already risen at the first rates ({accuracy[0]:.3g} at {lr[0]:.3g})"
        return SeedBounds.none(seed, risen, Missing.LOWER)
    start = int(below[-1]) + 1 if len(below) else 0
    if start == len(lr):
        return SeedBounds.none(seed, f"accuracy had not risen at the last rate, {lr[-1]:.3g}")
    base_lr = float(lr[start])
    began = f"accuracy stayed above {level:.3g} from {base_lr:.3g} on ({before:.3g} before)"
    max_lr, ended = _end(
        _Climb(lr, distances, rates, smooth, before, climb, start, window), curve.loss
    )
    return SeedBounds(seed, base_lr, max_lr, began, ended)


@dataclass(frozen=True)
class _Climb:
    """A curve and its climb; `start` and `window` count measurements."""

    lr: Array
    distances: Array  # distances[i] belongs to measurement i + 1
    rates: Array  # of the smoothed accuracy
    smooth: Array
    before: float
    climb: float
    start: int
    window: int

    def reached(self, share: float) -> float:
        """Return the first rate at which so much of the climb is made; inf if there is none."""
        enough = self.smooth >= self.before + share * self.climb
        rates = self.rates[(self.rates > self.lr[self.start]) & enough]
        return float(rates[0]) if len(rates) else math.inf


def _end(c: _Climb, loss: Array) -> tuple[float | None, str]:
    """Return max_lr and the reason for it, or None and why the climb has no end."""
    max_lr = c.reached(TOP)
    reason = (
        f"at {max_lr:.3g} accuracy had made {100 * TOP:.0f} % of its climb to {c.smooth.max():.3g}"
    )
    ragged = _ragged_from(c)
    if ragged is not None and c.lr[ragged] < max_lr:
        max_lr = float(c.lr[ragged])
        reason = f"at {max_lr:.3g} accuracy became ragged"
    first, last = loss[:RECENT_STEPS].mean(), loss[-RECENT_STEPS:].mean()
    # A mean that is not finite counts as higher. Any loss above the start means that training broke
    # down, since accuracy had risen: `sweep.should_stop` and `noise.explosion_index` ask for more.
    if not last <= first:
        reason += (
            f", before the loss rose above its start ({first:.3g} at first, {last:.3g} at the end)"
        )
    elif max_lr > c.lr[-1] / 10**NEIGHBOURS_DECADES and math.isfinite(max_lr):
        return None, f"accuracy still rose at {c.lr[-1]:.3g}"
    return (max_lr, reason) if math.isfinite(max_lr) else (None, "accuracy fell at once")


def _ragged_from(c: _Climb) -> int | None:
    """Find a measurement after most of the climb from which on the noise has surely doubled."""
    from scipy.stats import chi2

    if len(c.distances) < 2 * c.window:
        return None
    # The standard deviation of m residuals is uncertain. Its lower 95 % limit must exceed twice
    # the earlier value. Neighbouring residuals share points, so they count as m / 2. The earlier
    # value has a floor, because hand-made and saturated curves have no noise.
    lower_limit = math.sqrt((c.window / 2) / chi2.ppf(0.95, c.window / 2))
    spreads = np.sqrt(np.mean(sliding_window_view(c.distances, c.window) ** 2, axis=1))
    top = int(np.searchsorted(c.lr, c.reached(NEARLY)))
    for k in range(max(top, c.start + c.window), len(spreads) - c.window + 1):
        earlier = max(c.climb / 1000, float(np.sqrt(np.mean(c.distances[c.start : k] ** 2))))
        if np.all(spreads[k : k + c.window] * lower_limit > 2 * earlier):
            return k
    return None


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
