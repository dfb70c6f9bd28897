"""How noisy is a measured curve, and what is it without the noise?"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.range_tests.curves import Array


def residuals(values: Array) -> Array:
    """Distance of each point from the middle of its neighbours, on the scale of one point's sd."""
    return (values[1:-1] - (values[:-2] + values[2:]) / 2) / math.sqrt(1.5)


def scaled_mad(distances: Array) -> float:
    """Median absolute distance, scaled to the sd of a normal distribution; 0 of nothing."""
    return 1.4826 * float(np.median(np.abs(distances))) if len(distances) else 0.0


def noise(values: Array) -> float:
    """The sd of one measurement, whatever the slow course of the curve."""
    return scaled_mad(residuals(values))


def running_median(values: Array, half: int) -> Array:
    """Medians of whole windows of 2 * `half` + 1 points, so 2 * `half` fewer than there are.

    Whole ones only: with edge values repeated, a lone last point would weigh half a window.
    """
    return np.asarray(np.median(sliding_window_view(values, 2 * half + 1), axis=1))


def lost_from(loss: Array) -> int:
    """The place from which the loss is lost for good; the number of losses where it never is.

    Lost is what is not finite, or stays above the first ten losses by more than ten times their
    noise. A sweep that stops on divergence has few such losses, too few for a running median.
    """
    start = loss[:10][np.isfinite(loss[:10])]
    if not len(start):
        return 0
    fine = np.flatnonzero(loss <= start.max() + 10 * noise(start))  # nan is not
    return int(fine[-1]) + 1
