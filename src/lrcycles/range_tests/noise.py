"""Estimates the noise of a measured curve, removes it, and finds where a loss explodes."""

from __future__ import annotations

import math

import numpy as np

from lrcycles.range_tests.curves import Array


def residuals(values: Array) -> Array:
    """Return each inner point's distance from the mean of its two neighbours.

    The distances are scaled so that their standard deviation is the noise of one point.
    """
    return (values[1:-1] - (values[:-2] + values[2:]) / 2) / math.sqrt(1.5)


def scaled_mad(distances: Array) -> float:
    """Return the median absolute distance, scaled to a normal distribution's standard deviation.

    The result is 0 where there are no distances.
    """
    return 1.4826 * float(np.median(np.abs(distances))) if len(distances) else 0.0


def noise(values: Array) -> float:
    """Estimate the standard deviation of one measurement, apart from the curve's slow trend."""
    return scaled_mad(residuals(values))


def running_median(values: Array, half: int) -> Array:
    """Return the medians of all whole windows of 2 * `half` + 1 points.

    The result has 2 * `half` points fewer than `values`. There are no windows over repeated edge
    values: in them a single last point would count for half of the window. The median of a window
    with NaN is NaN.
    """
    from scipy.ndimage import median_filter  # lazily: `import lrcycles` stays fast

    width = 2 * half + 1
    numbers = np.where(np.isnan(values), np.inf, values)
    medians = median_filter(numbers, width, mode="nearest")[half : len(values) - half]
    nans = np.concatenate([[0], np.cumsum(np.isnan(values))])
    return np.asarray(np.where(nans[width:] > nans[:-width], np.nan, medians))


def explosion_index(loss: Array) -> int:
    """Return the index from which the loss has exploded for good; `len(loss)` if it never does.

    An exploded loss is not finite, or exceeds all of the first ten losses by more than ten times
    their noise, and no later loss is below that level again.

    The rules `calibrated` and `thirds` use this to find the rate at which training breaks down.
    A sweep that stops early has only a few exploded losses, too few for a running median.
    `sweep.should_stop` compares means instead, because it decides while the sweep runs. The
    status "diverged" of a cell is about a training: its loss was not finite.
    """
    start = loss[:10][np.isfinite(loss[:10])]
    if not len(start):
        return 0
    fine = np.flatnonzero(loss <= start.max() + 10 * noise(start))  # False for nan
    return int(fine[-1]) + 1
