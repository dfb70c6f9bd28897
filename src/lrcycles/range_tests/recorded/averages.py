"""Smooths a loss as other tools do when they record it, and undoes that smoothing.

A moving average with known weight and start value can be undone exactly. So every rule can be
applied to a history that some tool has smoothed.
"""

from __future__ import annotations

from array import array
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


def corrected(kept: float = KEPT, *, late: int = 0) -> Average:
    """Return an average that starts at 0 and is divided by the sum of its weights.

    Args:
        late: steps by which the tool's count of the weights is ahead.
    """
    return Average(
        lambda loss: _corrected(loss, kept, late), lambda smooth: _uncorrected(smooth, kept, late)
    )


def from_first(kept: float = KEPT_FROM_FIRST) -> Average:
    """Return an average that starts at the first loss."""
    return Average(lambda loss: _from_first(loss, kept), lambda smooth: _before_first(smooth, kept))


def after_first(kept: float = KEPT, *, late: int = 1) -> Average:
    """Return an average that leaves the first loss as it is and starts at 0 with the second."""
    rest = corrected(kept, late=late)
    return Average(
        lambda loss: np.concatenate([loss[:1], rest.smooth(loss[1:])]),
        lambda smooth: np.concatenate([smooth[:1], rest.undo(smooth[1:])]),
    )


def running_mean(epoch_steps: int) -> Average:
    """Return the mean of the epoch so far, which Keras reports; it starts anew at each epoch."""

    def steps(loss: Array) -> Array:
        return np.asarray(np.arange(len(loss)) % epoch_steps + 1, np.float64)

    def smooth(loss: Array) -> Array:
        epochs = [loss[at : at + epoch_steps] for at in range(0, len(loss), epoch_steps)]
        return np.concatenate([np.cumsum(epoch) for epoch in epochs]) / steps(loss)

    def undo(means: Array) -> Array:
        count = steps(means)
        sums = means * count
        return np.asarray(sums - np.where(count > 1, np.concatenate([[0.0], sums[:-1]]), 0.0))

    return Average(smooth, undo)


def _weights(loss: Array, kept: float, late: int) -> Array:
    steps = np.arange(1 + late, len(loss) + 1 + late, dtype=np.float64)
    return np.asarray(1 - kept**steps, np.float64)


def _corrected(loss: Array, kept: float, late: int) -> Array:
    sums = []
    average = 0.0
    for value in loss.tolist():
        average = kept * average + (1 - kept) * value
        sums.append(average)
    return np.array(sums) / _weights(loss, kept, late)


def _uncorrected(smooth: Array, kept: float, late: int) -> Array:
    sums = smooth * _weights(smooth, kept, late)
    return (sums - kept * np.concatenate([[0.0], sums[:-1]])) / (1 - kept)


def _corrected_single(loss: Array) -> Array:
    # Assigning to an array of floats rounds to single precision, faster than numpy's scalars.
    single = array("f", [KEPT, 0.0, 0.0])
    share = 1.0 - single[0]
    averages = []
    for value in loss.astype(np.float32).tolist():
        single[1] = single[2] - value
        single[2] -= single[1] * share
        averages.append(single[2])
    weights = [1 - KEPT**step for step in range(1, len(loss) + 1)]
    with np.errstate(over="ignore", invalid="ignore"):  # losses may be inf or nan
        return (np.array(averages, np.float32) / np.array(weights, np.float32)).astype(np.float64)


def _from_first(loss: Array, kept: float) -> Array:
    smooth = loss.tolist()
    for step, value in enumerate(smooth[1:], start=1):
        smooth[step] = (1 - kept) * value + kept * smooth[step - 1]
    return np.array(smooth)


def _before_first(smooth: Array, kept: float) -> Array:
    loss = smooth.copy()
    loss[1:] = (smooth[1:] - kept * smooth[:-1]) / (1 - kept)
    return loss


# In float32, as fastai's tensors are: on a flat curve rounding decides where the loss falls.
FASTAI = Average(_corrected_single, corrected().undo)
KTRAIN = corrected()
# One step late, because Lightning counts the optimizer's step before it smooths. The first average
# is half of the first loss, so "4 times the best loss" often means twice the first loss.
LIGHTNING = corrected(late=1)
LR_FINDER = from_first()  # used by torch-lr-finder and ignite
