"""When has a metric stopped improving, so that the rate should fall?

The one policy with state. It is decided between epochs, and its state is a plain value: keep it in
the checkpoint (`dataclasses.asdict`), give it back with `PlateauState(**saved)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from lrcycles.errors import InputError
from lrcycles.schedules.limits import check_settings, need_count


@dataclass(frozen=True)
class PlateauRule:
    """How long to wait, and what to do then; the settings of Keras's ReduceLROnPlateau.

    Args:
        factor: what the rate is multiplied by.
        patience: epochs without improvement before that.
        min_delta: an improvement by less than this is none.
        cooldown: epochs after a fall in which nothing is counted.
        min_lr: the rate never falls below it.
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
            raise InputError("need factor < 1, got factor=1: 0.1 is the usual one")
        if self.mode not in ("min", "max"):
            raise InputError(f"need mode to be min or max, got mode={self.mode!r}")


@dataclass(frozen=True)
class PlateauState:
    """The rate of the next epoch, and what the rule remembers."""

    lr: float
    best: float | None = None
    wait_epochs: int = 0
    cooldown_epochs: int = 0


def plateau(state: PlateauState, value: float, rule: PlateauRule) -> PlateauState:
    """Give the state after an epoch that measured `value`; NaN is never an improvement.

    As Keras's ReduceLROnPlateau does, but for a first value that is NaN: Keras takes it for the
    best, which no later value improves on, and lets the rate fall to the end.

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
        improved = not math.isnan(value)
    else:
        improved = sign * value + rule.min_delta < sign * state.best
    if improved:
        return replace(state, best=value, wait_epochs=0, cooldown_epochs=cooldown)
    if cooldown > 0:
        return replace(state, cooldown_epochs=cooldown)
    wait = state.wait_epochs + 1
    if wait < rule.patience or state.lr <= rule.min_lr:
        return replace(state, wait_epochs=wait, cooldown_epochs=0)
    lowered = max(state.lr * rule.factor, rule.min_lr)
    return replace(state, lr=lowered, wait_epochs=0, cooldown_epochs=rule.cooldown)
