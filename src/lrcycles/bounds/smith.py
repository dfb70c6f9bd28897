"""The rule `smith`: bounds from where held-out accuracy starts to rise and where its rise ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.bounds.seed_bounds import SeedBounds
from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import residuals, scaled_mad
from lrcycles.range_tests.sweep import RECENT_STEPS

START, TOP = 0.1, 0.9  # shares of the climb
SHORTEST_WINDOW = 5  # measurements


def smith(curve: SeedCurve) -> SeedBounds:
    """Read one seed's bounds from its held-out accuracy.

    Smith sets base_lr where accuracy starts to increase, and max_lr where the increase slows,
    becomes ragged or turns into a decrease. Here this means, with a window of m measurements, a
    tenth of the curve's (at least 5):

    1. The climb is the difference between the highest mean of m measurements in a row and the
       accuracy before the first step. It must exceed 3 times the noise.
    2. base_lr is the first rate from which accuracy stays above the accuracy before the first step
       by 3 times the noise of the first m measurements and by a tenth of the climb. The tenth is
       not from Smith: while the weights hardly change, a fixed batch gives almost the same accuracy
       and the noise is almost 0, so one more correct image would count as a rise.
    3. The end is searched from where a mean of m measurements has reached nine tenths of the climb,
       so that a rest half-way up is not taken for the end.
    4. max_lr is the lowest rate with one of four signs of an end: accuracy stops rising, accuracy
       becomes ragged, accuracy falls, or the loss ends above its start. The first two must last for
       m windows in a row, because single windows are often noise.

    Source: Smith 2017, sec. 3.3.
    """
    seed = curve.seed
    measured = np.isfinite(curve.metric)
    lr, accuracy = curve.lr[measured], curve.metric[measured]
    m = max(SHORTEST_WINDOW, round(len(lr) / 10))
    if len(lr) < m + 2:
        return SeedBounds.none(
            seed, f"only {len(lr)} held-out accuracies were measured before the sweep ended"
        )
    before = float(accuracy[0] if curve.initial_metric is None else curve.initial_metric)
    means = sliding_window_view(accuracy, m).mean(axis=1)
    distances = residuals(accuracy)
    climb = float(means.max()) - before
    if climb <= 3 * scaled_mad(distances):
        return SeedBounds.none(
            seed,
            f"accuracy never rose by more than its noise (from {before:.3g} to {means.max():.3g} "
            "at most)",
        )

    level = before + max(3 * scaled_mad(distances[:m]), START * climb)
    below = np.flatnonzero(accuracy[: means.argmax() + 1] <= level)
    # Without an accuracy from before the first step, m measurements must lie below the level.
    if len(below) < (m if curve.initial_metric is None else 1):
        risen = f"accuracy had already risen at the first rates ({accuracy[0]:.3g} at {lr[0]:.3g})"
        return SeedBounds.none(seed, risen, learns_at_first_rate=True)
    start = int(below[-1]) + 1
    base_lr = float(lr[start])
    began = f"accuracy stayed above {level:.3g} from {base_lr:.3g} on ({before:.3g} before)"

    top = [int(k) for k in np.flatnonzero(means >= before + TOP * climb) if k > start]
    # A floor for the noise, because hand-made and saturated curves have none.
    climbing = _Climb(accuracy, distances, means, m, start, top, floor=climb / 1000)
    signs = [_stops_rising(climbing), _becomes_ragged(climbing), _falls(climbing)]
    signs.append(_loss_ends_above_start(climbing, curve.loss))
    ends = sorted((index, reason) for index, reason in filter(None, signs) if index > start)
    if not ends:
        return SeedBounds(seed, base_lr, None, began, f"accuracy still rose at {lr[-1]:.3g}")
    index, reason = ends[0]
    return SeedBounds(seed, base_lr, float(lr[index]), began, f"at {lr[index]:.3g} {reason}")


@dataclass(frozen=True)
class _Climb:
    """A curve from where its accuracy starts to rise; indices count measurements."""

    accuracy: Array
    residuals: Array  # residuals[i] belongs to measurement i + 1
    means: Array  # means[k] is the mean of the m measurements from k on
    m: int
    start: int
    top: list[int]  # windows whose mean has reached nine tenths of the climb
    floor: float

    def noise(self, stop: int) -> float:
        """Return the root mean square of the residuals from the start of the rise to `stop`."""
        part = self.residuals[self.start : stop]
        return max(self.floor, float(np.sqrt(np.mean(part**2)))) if len(part) else self.floor


Sign = tuple[int, str] | None  # the index of the measurement, and what happens there


def _stops_rising(c: _Climb) -> Sign:
    """Find m windows in a row in which the fitted slope is at most twice its standard error."""
    offsets = np.arange(c.m) - (c.m - 1) / 2
    slopes = sliding_window_view(c.accuracy, c.m) @ offsets / (offsets @ offsets)
    for k in c.top:
        error = c.noise(k + c.m) / math.sqrt(offsets @ offsets)
        if k + c.m <= len(slopes) and np.all(slopes[k : k + c.m] <= 2 * error):
            return k, (
                f"accuracy stopped rising: {c.m} times in a row, its slope over {c.m} measurements "
                f"was at most twice its standard error (first slope {slopes[k]:+.2g}, standard "
                f"error {error:.2g})"
            )
    return None


def _becomes_ragged(c: _Climb) -> Sign:
    """Find m windows in a row in which the residuals are surely twice as large as before."""
    from scipy.stats import chi2

    # The standard deviation of m residuals is uncertain. Its lower 95 % limit must exceed twice
    # the earlier value. Neighbouring residuals share points, so they count as m / 2.
    lower_limit = math.sqrt((c.m / 2) / chi2.ppf(0.95, c.m / 2))
    spreads = np.sqrt(np.mean(sliding_window_view(c.residuals, c.m) ** 2, axis=1))
    for k in c.top:
        earlier = c.noise(k)
        if (
            k - c.start >= c.m
            and k + c.m <= len(spreads)
            and np.all(spreads[k : k + c.m] * lower_limit > 2 * earlier)
        ):
            return k, (
                f"accuracy became ragged: the standard deviation of its residuals rose from "
                f"{earlier:.2g} to {spreads[k]:.2g}"
            )
    return None


def _falls(c: _Climb) -> Sign:
    """Find a mean of m measurements more than 3 standard deviations below the highest so far.

    The sign is at the highest mean.
    """
    best = np.maximum.accumulate(c.means)
    for k in c.top:
        noise = c.noise(k + c.m)
        if c.means[k] < best[k] - 3 * noise:
            where = int(np.argmax(c.means[: k + 1])) + c.m // 2
            return where, (
                f"accuracy was highest, {best[k]:.3g}, before it fell to {c.means[k]:.3g} "
                f"(noise {noise:.2g})"
            )
    return None


def _loss_ends_above_start(c: _Climb, loss: Array) -> Sign:
    """Return the place of the highest accuracy if the last losses exceed the first ones.

    The mean of the last ten losses of the sweep is compared with the mean of the first ten. A mean
    that is not finite counts as higher. This is a milder test than `sweep.should_stop`, which
    demands a factor, and than `noise.explosion_index`, which asks for losses far above the noise:
    here accuracy has already risen, so any loss above the start means that training broke down.
    """
    first, last = loss[:RECENT_STEPS].mean(), loss[-RECENT_STEPS:].mean()
    if last <= first:
        return None
    return int(np.argmax(c.means)) + c.m // 2, (
        f"accuracy was highest, {c.means.max():.3g}, before the loss rose above its start "
        f"({first:.3g} at first, {last:.3g} at the end)"
    )
