"""Reduces the rate when a metric stops improving.

This is the one policy with state: it decides between epochs, from the values measured so far. Its
state is a plain value. Keep it in a checkpoint with `dataclasses.asdict(state)` and restore it with
`PlateauState(**saved)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lrcycles.errors import InputError
from lrcycles.schedules.limits import check_settings, need_count


@dataclass(frozen=True)
class PlateauRule:
    """How long to wait for an improvement, and what to do then.

    The settings are those of Keras's ReduceLROnPlateau.

    Args:
        factor: the rate is multiplied by this.
        patience: epochs in a row without improvement before the rate is reduced.
        min_delta: a smaller improvement does not count.
        cooldown: epochs after a reduction that do not count.
        min_lr: the rate never falls below this.
        mode: min for a loss, max for an accuracy.
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0
    mode: Literal["min", "max"] = "min"

    def __post_init__(self) -> None:
        check_settings(factor=self.factor, min_lr=self.min_lr or None)
        need_count("patience", self.patience, least=0)
        need_count("cooldown", self.cooldown, least=0)
        if self.factor == 1:
            raise InputError("factor must be below 1. Received: 1. Set factor=0.1, for example.")
        if self.mode not in ("min", "max"):
            raise InputError(
                f"mode must be min or max. Received: {self.mode!r}. Set mode='min' for a loss."
            )


@dataclass(frozen=True)
class PlateauState:
    """The rate of the next epoch, and what the rule remembers."""

    lr: float
    best: float | None = None
    wait_epochs: int = 0
    cooldown_epochs: int = 0


def plateau(state: PlateauState, value: float, rule: PlateauRule) -> PlateauState:
    """Return the state after an epoch that measured `value`.

    The rates are those of Keras's ReduceLROnPlateau, with one exception: a first value that is not
    finite is not the best value so far. Keras keeps a first NaN as the best value; no later value
    improves on NaN, so Keras reduces the rate to the end.

    >>> rule = PlateauRule(factor=0.5, patience=2)
    >>> state = PlateauState(lr=1.0)
    >>> for loss in (0.3, 0.3, 0.3, 0.3):
    ...     state = plateau(state, loss, rule)
    ...     print(state.lr)
    1.0
    1.0
    0.5
    0.5
    """
    cooldown = max(0, state.cooldown_epochs - 1)
    sign = 1 if rule.mode == "min" else -1
    if state.best is None:
        improved = math.isfinite(value)
    else:
        improved = sign * value < sign * state.best - rule.min_delta
    if improved:
        return replace(state, best=value, wait_epochs=0, cooldown_epochs=cooldown)
    if cooldown > 0:
        return replace(state, cooldown_epochs=cooldown)
    wait = state.wait_epochs + 1
    if wait < rule.patience or state.lr <= rule.min_lr:
        return replace(state, wait_epochs=wait, cooldown_epochs=0)
    lowered = max(state.lr * rule.factor, rule.min_lr)
    return replace(state, lr=lowered, wait_epochs=0, cooldown_epochs=rule.cooldown)


def lr_after(
    losses: Sequence[float], *, base_lr: float, factor: float, patience_epochs: int
) -> float:
    """Return the rate of the next epoch after epochs with these validation losses.

    >>> lr_after([3.0, 2.0, 2.0, 2.5], base_lr=8.0, factor=0.5, patience_epochs=2)
    4.0
    """
    rule = PlateauRule(factor=factor, patience=patience_epochs)
    state = PlateauState(lr=base_lr)
    for loss in losses:
        state = plateau(state, loss, rule)
    return state.lr
