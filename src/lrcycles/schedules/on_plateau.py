"""How does a rate fall when validation stops improving?

The one schedule that is no function of the step: it is a function of the validation losses so far,
decided between epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrcycles.schedules.rates import Rates, Steps, constant

MIN_DELTA = 1e-4  # Keras's and PyTorch's: an improvement by less counts as none


def reduce_on_plateau(
    step: Steps,
    *,
    base_lr: float,
    factor: float,  # noqa: ARG001
    patience_epochs: int,  # noqa: ARG001
) -> Rates:
    """Hold `base_lr`: what the rate is at every step until an epoch's loss decides otherwise."""
    return constant(step, base_lr=base_lr)


def lr_after(
    losses: Sequence[float], *, base_lr: float, factor: float, patience_epochs: int
) -> float:
    """Give the rate of the next epoch after epochs that ended with these validation losses.

    It is multiplied by `factor` whenever `patience_epochs` in a row brought no loss lower by
    MIN_DELTA than the lowest before: as Keras's ReduceLROnPlateau without cooldown.

    >>> lr_after([3.0, 2.0, 2.0, 2.5], base_lr=8.0, factor=0.5, patience_epochs=2)
    4.0
    """
    lr, lowest, waited = base_lr, math.inf, 0
    for loss in losses:
        if loss < lowest - MIN_DELTA:
            lowest, waited = loss, 0
            continue
        waited += 1
        if waited >= patience_epochs:
            lr, waited = lr * factor, 0
    return lr
