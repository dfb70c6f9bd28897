"""How do other tools smooth a loss as they record it, and what was it before?

A moving average of known share and start can be undone exactly, so that any rule can be applied to
a history that some tool has smoothed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrcycles.range_tests.curves import Array

KEPT = 0.98  # of an average that is corrected for its start at 0, from step to step
KEPT_FROM_FIRST = 0.95  # of one that starts at the first loss


@dataclass(frozen=True)
class Average:
    """A way to smooth: `undo(smooth(loss))` is `loss` again, but for rounding."""

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


# In float32, as its tensors are: on a flat stretch rounding decides what falls.
FASTAI = Average(_corrected_single, _uncorrected)
KTRAIN = Average(_corrected, _uncorrected)
# One step late, since it counts the optimizer's step before it smooths. Its first value is half of
# the first loss, and "4 times the best" often means twice the first loss.
LIGHTNING = Average(
    lambda loss: _corrected(loss, late=1), lambda smooth: _uncorrected(smooth, late=1)
)
LR_FINDER = Average(_from_first, _before_first)  # torch-lr-finder's and ignite's
