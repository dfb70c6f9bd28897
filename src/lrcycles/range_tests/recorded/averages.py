"""Smooths a loss as other tools do when they record it, and undoes that smoothing.

A moving average with known weight and start value can be undone exactly. So every rule can be
applied to a history that some tool has smoothed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrcycles.range_tests.curves import Array

KEPT = 0.98  # weight of the previous average, where the average starts at 0 and is corrected
KEPT_FROM_FIRST = 0.95  # weight of the previous average, where it starts at the first loss


@dataclass(frozen=True)
class Average:
    """A way to smooth a loss: `undo(smooth(loss))` equals `loss` up to rounding."""

    smooth: Callable[[Array], Array]
    undo: Callable[[Array], Array]


def _weights(loss: Array, late: int) -> Array:
    steps = np.arange(1 + late, len(loss) + 1 + late, dtype=np.float64)
    return np.asarray(1 - KEPT**steps, np.float64)


def _corrected(loss: Array, *, late: int = 0) -> Array:
    sums = np.empty_like(loss)
    average = 0.0
    for step, value in enumerate(loss):
        average = KEPT * average + (1 - KEPT) * value
        sums[step] = average
    return sums / _weights(loss, late)


def _uncorrected(smooth: Array, *, late: int = 0) -> Array:
    sums = smooth * _weights(smooth, late)
    return (sums - KEPT * np.concatenate([[0.0], sums[:-1]])) / (1 - KEPT)


def _corrected_single(loss: Array) -> Array:
    single = np.float32
    smooth = np.empty_like(loss)
    average, share = single(0), 1.0 - float(single(KEPT))
    for step, value in enumerate(loss.astype(single)):
        average = single(float(average) - float(average - value) * share)
        smooth[step] = average / single(1 - KEPT ** (step + 1))
    return smooth


def _from_first(loss: Array) -> Array:
    smooth = loss.copy()
    for step in range(1, len(loss)):
        smooth[step] = (1 - KEPT_FROM_FIRST) * loss[step] + KEPT_FROM_FIRST * smooth[step - 1]
    return smooth


def _before_first(smooth: Array) -> Array:
    loss = smooth.copy()
    loss[1:] = (smooth[1:] - KEPT_FROM_FIRST * smooth[:-1]) / (1 - KEPT_FROM_FIRST)
    return loss


# In float32, as fastai's tensors are: on a flat curve rounding decides where the loss falls.
FASTAI = Average(_corrected_single, _uncorrected)
KTRAIN = Average(_corrected, _uncorrected)
# One step late, because Lightning counts the optimizer's step before it smooths. The first average
# is half of the first loss, so "4 times the best loss" often means twice the first loss.
LIGHTNING = Average(
    lambda loss: _corrected(loss, late=1), lambda smooth: _uncorrected(smooth, late=1)
)
LR_FINDER = Average(_from_first, _before_first)  # used by torch-lr-finder and ignite
