"""Where, on one seed's range-test curve, does accuracy start to rise, and where does that end?

Smith's words (2017, sec. 3.3): base_lr where accuracy starts to rise, max_lr where it slows,
becomes ragged or falls. Made operational here, on accuracy against a fixed held-out batch:

- the climb is the way from the accuracy before the first step to the best mean of m measurements
  in a row, m being a tenth of the curve's measurements;
- base_lr: the first rate from which accuracy stays above its start by 3 s0 and by a tenth of the
  climb. The tenth is ours: a fixed batch answers alike while the weights hardly move, so s0 is
  almost nothing and 3 s0 alone would call one more correct image a rise;
- max_lr: the earliest sign of an end once nine tenths of the climb are done, so that a rest
  half-way up is not taken for the top. Each sign must last, since one window of noise is cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.range_tests.curves import Array, SeedCurve
from lrcycles.range_tests.noise import residuals, scaled_mad

START, TOP = 0.1, 0.9  # of the climb
SHORTEST_WINDOW = 5  # measurements
RECENT_STEPS = 10  # over which the loss is averaged, as the range test's own stop does


@dataclass(frozen=True)
class Reading:
    """What one seed's curve says; a bound that does not show is None, its reason says why."""

    seed: int
    base_lr: float | None
    max_lr: float | None
    start: str
    end: str


def smith(curve: SeedCurve) -> Reading:
    """Read one seed's curve by Smith's rule, as the head of this file spells it out."""
    seed, initial_accuracy = curve.seed, curve.initial_metric
    measured = np.isfinite(curve.metric)
    lr, accuracy = curve.lr[measured], curve.metric[measured]
    m = max(SHORTEST_WINDOW, round(len(lr) / 10))
    if len(lr) < m + 2:
        few = f"only {len(lr)} held-out accuracies were measured before the sweep ended"
        return Reading(seed, None, None, few, few)
    before = float(accuracy[0] if initial_accuracy is None else initial_accuracy)
    means = sliding_window_view(accuracy, m).mean(axis=1)
    distances = residuals(accuracy)
    climb = float(means.max()) - before
    if climb <= 3 * scaled_mad(distances):
        flat = (
            f"accuracy never rose beyond its noise ({before:.3g} before, {means.max():.3g} at best)"
        )
        return Reading(seed, None, None, flat, flat)

    level = before + max(3 * scaled_mad(distances[:m]), START * climb)
    below = np.flatnonzero(accuracy[: means.argmax() + 1] <= level)
    # Without the accuracy before the first step, m measurements must show where it was.
    if len(below) < (m if initial_accuracy is None else 1):
        early = f"accuracy had begun to rise at the first rates ({accuracy[0]:.3g} at {lr[0]:.3g})"
        return Reading(seed, None, None, early, early)
    start = int(below[-1]) + 1
    began = f"from {lr[start]:.3g} on accuracy stayed above {level:.3g} ({before:.3g} before)"

    top = [int(k) for k in np.flatnonzero(means >= before + TOP * climb) if k > start]
    # A floor: hand-made or saturated curves have no noise at all.
    climbing = _Climb(accuracy, distances, means, m, start, top, floor=climb / 1000)
    signs = [_stops_rising(climbing), _becomes_ragged(climbing), _falls(climbing)]
    signs.append(_blows_up(climbing, curve.loss))
    ends = sorted((index, words) for index, words in filter(None, signs) if index > start)
    if not ends:
        return Reading(seed, float(lr[start]), None, began, f"accuracy has no end at {lr[-1]:.3g}")
    index, words = ends[0]
    return Reading(seed, float(lr[start]), float(lr[index]), began, f"at {lr[index]:.3g} {words}")


@dataclass(frozen=True)
class _Climb:
    """One curve from where its accuracy started to rise; indices count measurements."""

    accuracy: Array
    residuals: Array  # residuals[i] belongs to measurement i + 1
    means: Array  # means[k] is over the m measurements from k on
    m: int
    start: int
    top: list[int]  # windows with nine tenths of the climb behind them
    floor: float

    def noise(self, stop: int) -> float:
        """Root mean square of the residuals from the start of the rise up to `stop`."""
        part = self.residuals[self.start : stop]
        return max(self.floor, float(np.sqrt(np.mean(part**2)))) if len(part) else self.floor


Sign = tuple[int, str] | None


def _stops_rising(c: _Climb) -> Sign:
    """At m windows in a row the fitted slope does not exceed twice its own standard error."""
    offsets = np.arange(c.m) - (c.m - 1) / 2
    slopes = sliding_window_view(c.accuracy, c.m) @ offsets / (offsets @ offsets)
    for k in c.top:
        error = c.noise(k + c.m) / math.sqrt(offsets @ offsets)
        if k + c.m <= len(slopes) and np.all(slopes[k : k + c.m] <= 2 * error):
            return k, (
                f"accuracy stopped rising: {c.m} times in a row its slope over {c.m} measurements "
                f"was at most twice its standard error (first {slopes[k]:+.2g}, {error:.2g})"
            )
    return None


def _becomes_ragged(c: _Climb) -> Sign:
    """At m windows in a row the residuals spread twice as wide as before, beyond doubt."""
    from scipy.stats import chi2

    # m residuals know their spread only to a factor; neighbours share points, so half of them
    # count. The lower 95 % limit must exceed twice the earlier value.
    known = math.sqrt((c.m / 2) / chi2.ppf(0.95, c.m / 2))
    spreads = np.sqrt(np.mean(sliding_window_view(c.residuals, c.m) ** 2, axis=1))
    for k in c.top:
        earlier = c.noise(k)
        if (
            k - c.start >= c.m
            and k + c.m <= len(spreads)
            and np.all(spreads[k : k + c.m] * known > 2 * earlier)
        ):
            return k, (
                f"accuracy became ragged: its residuals spread {spreads[k]:.2g}, "
                f"{earlier:.2g} before"
            )
    return None


def _falls(c: _Climb) -> Sign:
    """The mean of m measurements falls more than 3 s below its best: the rate of that best."""
    best = np.maximum.accumulate(c.means)
    for k in c.top:
        noise = c.noise(k + c.m)
        if c.means[k] < best[k] - 3 * noise:
            where = int(np.argmax(c.means[: k + 1])) + c.m // 2
            return where, (
                f"accuracy was at its best, {best[k]:.3g}, before it fell to {c.means[k]:.3g} "
                f"(noise {noise:.2g})"
            )
    return None


def _blows_up(c: _Climb, loss: Array) -> Sign:
    """The sweep ended with its loss above where it began: the rate of the best accuracy."""
    first, last = loss[:RECENT_STEPS].mean(), loss[-RECENT_STEPS:].mean()
    if last <= first:
        return None
    return int(np.argmax(c.means)) + c.m // 2, (
        f"accuracy was at its best, {c.means.max():.3g}, before the loss blew up "
        f"({first:.3g} at first, {last:.3g} in the end)"
    )
