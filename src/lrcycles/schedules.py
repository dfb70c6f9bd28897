"""Which learning rate belongs to a step?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcycles.errors import InputError

# A step is a number, an array or a tensor of any backend; the rate is of the same kind.
Steps = Any
Rates = Any


def constant(step: Steps, *, base_lr: float) -> Rates:
    """Stay at `base_lr`.

    >>> constant(7, base_lr=0.5)
    0.5
    """
    # True division turns integer steps into floats on every backend, and keeps their shape.
    return base_lr + 0 * (step / 1)


def triangular(step: Steps, *, base_lr: float, max_lr: float, step_size: float) -> Rates:
    """Rise from `base_lr` to `max_lr` in `step_size` steps, fall back in as many, repeat.

    Arithmetic only, so `step` may be a number, an array or a tensor.
    Source: Smith 2017, sec. 3.1.

    >>> [triangular(s, base_lr=1.0, max_lr=3.0, step_size=2) for s in range(6)]
    [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    """
    phase = (step / step_size) % 2  # 0 at a trough, 1 at a peak
    return base_lr + (max_lr - base_lr) * (1 - abs(phase - 1))


def linear_ramp(step: Steps, *, min_lr: float, max_lr: float, steps: int) -> Rates:
    """Rise by equal amounts from `min_lr` at step 0 to `max_lr` at step `steps` - 1.

    Source: Smith 2017, sec. 3.3.

    >>> [linear_ramp(s, min_lr=1.0, max_lr=3.0, steps=5) for s in range(5)]
    [1.0, 1.5, 2.0, 2.5, 3.0]
    """
    return min_lr + (max_lr - min_lr) * (step / (steps - 1))


def exponential_ramp(step: Steps, *, min_lr: float, max_lr: float, steps: int) -> Rates:
    """Rise by equal factors from `min_lr` at step 0 to `max_lr` at step `steps` - 1.

    >>> [exponential_ramp(s, min_lr=1.0, max_lr=16.0, steps=5) for s in range(5)]
    [1.0, 2.0, 4.0, 8.0, 16.0]
    """
    return min_lr * (max_lr / min_lr) ** (step / (steps - 1))


SCHEDULES: Mapping[str, Callable[..., Rates]] = MappingProxyType(
    {"constant": constant, "triangular": triangular}
)
RAMPS: Mapping[str, Callable[..., Rates]] = MappingProxyType(
    {"linear": linear_ramp, "exponential": exponential_ramp}
)


def cycle_step_size(total_steps: int, cycles: int) -> int:
    """Give the half-cycle, in steps, of `cycles` whole cycles within `total_steps`.

    Raises:
        InputError: the run is too short for a rise and a fall of one step per cycle.

    >>> cycle_step_size(2750, 3)
    458
    """
    _need_count("cycles", cycles)
    if total_steps < 2 * cycles:
        raise InputError(
            f"need total_steps >= 2 * cycles, got total_steps={total_steps}, cycles={cycles}: "
            "raise train.epochs, or lower train.cycles or train.batch_size"
        )
    return total_steps // (2 * cycles)


def rate_table(
    name: str,
    *,
    total_steps: int,
    base_lr: float,
    max_lr: float | None = None,
    step_size: int | None = None,
    cycles: int | None = None,
) -> NDArray[np.float32]:
    """Tabulate the rate of updates 0 to `total_steps` - 1 under the schedule `name`.

    Args:
        step_size: half a cycle in steps; the schedule runs for as long as there are steps.
        cycles: instead of `step_size`: so many whole cycles; the few steps left over stay at
            `base_lr`.

    Raises:
        InputError: an unknown name, a bound out of order, settings the schedule does not take.

    >>> rate_table("triangular", total_steps=5, base_lr=1, max_lr=3, cycles=1).tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0]
    """
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule {name!r}: need one of {', '.join(sorted(SCHEDULES))}")
    schedule = SCHEDULES[name]
    _need_count("total_steps", total_steps)
    _need_rate("base_lr", base_lr)
    steps = np.arange(total_steps)
    if name == "constant":
        given = {"max_lr": max_lr, "step_size": step_size, "cycles": cycles}
        if extra := [f"{key}={value}" for key, value in given.items() if value is not None]:
            raise InputError(
                f"schedule constant takes base_lr alone, got {', '.join(extra)}: leave them out"
            )
        return np.asarray(schedule(steps, base_lr=base_lr), dtype=np.float32)
    if max_lr is None:
        raise InputError(f"schedule {name} needs max_lr, got none: give 0 < base_lr < max_lr")
    _need_order("base_lr", base_lr, max_lr)
    if (step_size is None) == (cycles is None):
        raise InputError(
            f"schedule {name} needs either cycles or step_size, "
            f"got cycles={cycles}, step_size={step_size}: give one of them"
        )
    if cycles is not None:
        step_size = cycle_step_size(total_steps, cycles)
        # A whole cycle ends at base_lr: holding the step there holds the rate there.
        steps = np.minimum(steps, 2 * cycles * step_size)
    assert step_size is not None
    _need_count("step_size", step_size)
    rates = schedule(steps, base_lr=base_lr, max_lr=max_lr, step_size=step_size)
    return np.asarray(rates, dtype=np.float32)


def ramp_table(name: str, *, min_lr: float, max_lr: float, steps: int) -> NDArray[np.float32]:
    """Tabulate the rates of a range test: `steps` updates from `min_lr` to `max_lr`.

    Raises:
        InputError: an unknown ramp, bounds out of order, fewer than two steps.

    >>> ramp_table("exponential", min_lr=1, max_lr=4, steps=3).tolist()
    [1.0, 2.0, 4.0]
    """
    if name not in RAMPS:
        raise InputError(f"unknown ramp {name!r}: need one of {', '.join(sorted(RAMPS))}")
    _need_order("min_lr", min_lr, max_lr)
    _need_count("steps", steps, least=2)
    rates = RAMPS[name](np.arange(steps), min_lr=min_lr, max_lr=max_lr, steps=steps)
    return np.asarray(rates, dtype=np.float32)


def _need_count(name: str, value: int, *, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"need {name} to be a whole number >= {least}, got {name}={value}")


def _need_rate(name: str, value: float) -> None:
    if not math.isfinite(value) or value < np.finfo(np.float32).tiny:
        raise InputError(f"need {name} to be a positive finite number, got {name}={value}")


def _need_order(low_name: str, low: float, max_lr: float) -> None:
    _need_rate(low_name, low)
    _need_rate("max_lr", max_lr)
    if low >= max_lr:
        raise InputError(f"need 0 < {low_name} < max_lr, got {low_name}={low}, max_lr={max_lr}")
