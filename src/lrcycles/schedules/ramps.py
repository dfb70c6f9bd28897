"""Computes the learning rates of a range test, which rise once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lrcycles.errors import InputError
from lrcycles.schedules.limits import need_count, need_order, need_positive
from lrcycles.schedules.rates import Rates, Steps


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


RAMPS: Mapping[str, Callable[..., Rates]] = MappingProxyType(
    {"linear": linear_ramp, "exponential": exponential_ramp}
)


def ramp_table(name: str, *, min_lr: float, max_lr: float, steps: int) -> NDArray[np.float32]:
    """Tabulate the rates of a range test: `steps` updates from `min_lr` to `max_lr`.

    Raises:
        InputError: the ramp is unknown, the bounds are out of order, or there are fewer than two
            steps.

    >>> ramp_table("exponential", min_lr=1, max_lr=4, steps=3).tolist()
    [1.0, 2.0, 4.0]
    """
    if not isinstance(name, str) or name not in RAMPS:
        listed = ", ".join(sorted(RAMPS))
        raise InputError(f"The ramp must be one of {listed}. Received: {name!r}. Choose one.")
    need_positive("min_lr", min_lr)
    need_order("min_lr", min_lr, max_lr)
    need_count("steps", steps, least=2)
    drawn = RAMPS[name](np.arange(steps), min_lr=min_lr, max_lr=max_lr, steps=steps)
    return np.asarray(drawn, dtype=np.float32)
