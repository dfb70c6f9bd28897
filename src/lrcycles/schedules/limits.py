"""Checks which values the settings of a schedule may have."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any

import numpy as np

from lrcycles.errors import InputError

COUNTS = frozenset(
    {"total_steps", "step_size", "fall_size", "cycles", "epochs", "steps_per_epoch"}
    | {"first_cycle_steps", "cycle_factor", "every_steps", "steps_per_update"}
    | {"patience_epochs", "decay_steps"}
)
POSITIVE = frozenset({"rise_steps", "fall_steps", "power", "min_lr"})
NOT_NEGATIVE = frozenset({"annihilation_steps", "final_lr"})
SHARES = frozenset({"gamma", "factor"})


def check_settings(
    *, base_lr_may_be_0: bool = False, shapes: Collection[str] = (), **settings: Any
) -> None:
    """Refuse a value that its setting cannot have. A setting that is None was not given.

    Args:
        base_lr_may_be_0: the rate falls to base_lr and never rises from it by a factor.
        shapes: the values that `shape` may have.

    Raises:
        InputError: a setting breaks its rule.
    """
    if "warmup_steps" in settings:  # its default is 0 and not None
        need_count("warmup_steps", settings["warmup_steps"], least=0)
    given = {name: value for name, value in settings.items() if value is not None}
    for name, value in given.items():
        if name in COUNTS:
            need_count(name, value)
        elif name in POSITIVE:
            need_positive(name, value)
        elif name in NOT_NEGATIVE and not (is_number(value) and value >= 0):
            raise InputError(
                f"{name} must be a finite number of at least 0. Received: {value!r}. "
                f"Set {name}=0 or more."
            )
        elif name in SHARES and not (is_number(value) and 0 < value <= 1):
            raise InputError(
                f"{name} must be above 0 and at most 1. Received: {value!r}. "
                f"Set {name} to a number in that range."
            )
        elif name == "shape" and value not in shapes:
            raise InputError(
                f"shape must be {' or '.join(shapes)}. Received: {value!r}. Set one of them."
            )
    _check_phases(given)
    if "base_lr" in given and not (base_lr_may_be_0 and given["base_lr"] == 0):
        need_positive("base_lr", given["base_lr"])
    if "max_lr" in given:
        need_order("base_lr", given.get("base_lr", 0.0), given["max_lr"])
    if "final_lr" in given and given["final_lr"] >= given["max_lr"]:
        raise InputError(
            f"final_lr must be below max_lr. Received: final_lr={given['final_lr']}, "
            f"max_lr={given['max_lr']}. Lower final_lr."
        )


def _check_phases(given: Mapping[str, Any]) -> None:
    """Refuse a warm-up or a decay that does not fit into the run."""
    warmup, decay = given.get("warmup_steps", 0), given.get("decay_steps", 0)
    total = given.get("total_steps", math.inf)
    if warmup >= total:
        raise InputError(
            f"warmup_steps must be below total_steps. Received: warmup_steps={warmup}, "
            f"total_steps={total}. Lower warmup_steps or train longer."
        )
    if decay > total - warmup:
        raise InputError(
            "decay_steps must be at most total_steps - warmup_steps. Received: "
            f"decay_steps={decay}, total_steps={total}, warmup_steps={warmup}. Lower "
            "decay_steps or warmup_steps, or train longer."
        )


def run_length(
    epochs: int | None, total_steps: int | None, steps_per_epoch: int | None
) -> int | None:
    """Return the number of steps of a run, or None if its length is not given.

    Raises:
        InputError: both lengths are given, or `epochs` without `steps_per_epoch`.
    """
    check_settings(epochs=epochs, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    if epochs is None:
        return total_steps
    if total_steps is not None:
        raise InputError(
            f"Only one of epochs and total_steps may be given. Received: epochs={epochs}, "
            f"total_steps={total_steps}. Leave one out."
        )
    if steps_per_epoch is None:
        raise InputError(
            f"steps_per_epoch must be known to turn epochs into steps. Received: epochs={epochs}, "
            "steps_per_epoch=None. Give steps_per_epoch, or total_steps instead of epochs."
        )
    return epochs * steps_per_epoch


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number (True and False are not).

    >>> is_number(0.1), is_number("0.1"), is_number(True), is_number(float("nan"))
    (True, False, False, False)
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    return bool(number and math.isfinite(value))


def is_count(value: Any, *, least: int = 1) -> bool:
    """Return whether a value is a whole number (True and False are not) of at least `least`.

    >>> is_count(3), is_count(0), is_count(True), is_count(2.0)
    (True, False, False, False)
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return bool(whole and value >= least)


def need_count(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse a value that is not a whole number of at least `least`."""
    if not is_count(value, least=least):
        raise InputError(
            f"{name} must be a whole number of at least {least}. Received: {value!r}. "
            f"Set {name}={least} or more."
        )


def need_positive(name: str, value: Any) -> None:
    """Refuse a value that is no number, 0 or less, not finite, or too small for 32 bits."""
    if not is_number(value) or value < np.finfo(np.float32).tiny:
        raise InputError(
            f"{name} must be a positive finite number (at least 1.2e-38). Received: {value!r}. "
            f"Set {name} to such a number."
        )


def need_order(low_name: str, low: float, max_lr: float) -> None:
    """Refuse bounds that do not rise. The caller checks that the lower bound is not negative."""
    need_positive("max_lr", max_lr)
    if low >= max_lr:
        raise InputError(
            f"{low_name} must be below max_lr. Received: {low_name}={low}, max_lr={max_lr}. "
            f"Lower {low_name} or raise max_lr."
        )
