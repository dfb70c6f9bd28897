"""Computes a linear warm-up before any schedule, and the warm-up-stable-decay schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from lrcycles.schedules.rates import Rates, Steps, maths_of

Cooldown = Literal["linear", "1-sqrt"]


def linear_warmup(
    step: Steps, schedule: Callable[..., Rates], *, warmup_steps: int, **settings: Any
) -> Rates:
    """Rise to the first rate of `schedule` in `warmup_steps` steps, then follow `schedule`.

    Step k of the warm-up has (k + 1) / (warmup_steps + 1) of the first rate, as in nanoGPT. So no
    update has a rate of 0, and every step raises the rate by the same amount. optax and PyTorch
    agree for a warm-up from 1 / (warmup_steps + 1) of the first rate
    (`optax.linear_schedule`, `LinearLR`). Hugging Face gives the first update a rate of 0;
    step k here is its step k + 1 for a warm-up and a training that are one step longer.

    Args:
        schedule: a function of the step, such as `linear_decay`. It begins at its step 0 when the
            warm-up ends.
        settings: the settings of `schedule`. `total_steps` includes the warm-up, as in optax and
            Hugging Face; in Keras's CosineDecay it does not.

    >>> import numpy as np
    >>> from lrcycles import constant, linear_decay
    >>> linear_warmup(np.arange(6), constant, warmup_steps=3, base_lr=4.0).tolist()
    [1.0, 2.0, 3.0, 4.0, 4.0, 4.0]
    >>> decay = {"max_lr": 4.0, "total_steps": 7, "warmup_steps": 3}
    >>> linear_warmup(np.arange(8), linear_decay, **decay).tolist()
    [1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    """
    if "total_steps" in settings:
        settings["total_steps"] -= warmup_steps
    held = schedule(after_warmup(step, warmup_steps), **settings)
    return risen(held, step, warmup_steps)


def warmup_stable_decay(
    step: Steps,
    *,
    max_lr: float,
    total_steps: int,
    decay_steps: int,
    base_lr: float = 0.0,
    shape: Cooldown = "linear",
    warmup_steps: int = 0,
) -> Rates:
    """Rise to `max_lr`, stay there, fall to `base_lr` in the last `decay_steps` of `total_steps`.

    The shape "1-sqrt" falls by the square root of the share of the fall that is done: fast at
    first. The warm-up is that of `linear_warmup`.
    Source: Hu et al. 2024 (arXiv 2404.06395); the shapes: Hägele et al. 2024 (arXiv 2405.18392).

    >>> import numpy as np
    >>> run = {"max_lr": 4.0, "total_steps": 8, "decay_steps": 4}
    >>> warmup_stable_decay(np.arange(9), **run, warmup_steps=1).tolist()
    [2.0, 4.0, 4.0, 4.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    >>> warmup_stable_decay(np.arange(9), **run, shape="1-sqrt").round(2).tolist()
    [4.0, 4.0, 4.0, 4.0, 4.0, 2.0, 1.17, 0.54, 0.0]
    """
    maths = maths_of(step)
    left = total_steps - maths.minimum(step, total_steps)
    height = maths.minimum(left / decay_steps, 1.0)
    if shape == "1-sqrt":
        # This is 1 - sqrt(1 - height). Near the end that difference would lose its digits.
        height = height / (1 + maths.sqrt(1 - height))
    return risen(base_lr + (max_lr - base_lr) * height, step, warmup_steps)


def after_warmup(step: Steps, warmup_steps: int) -> Steps:
    """Count the steps from the end of the warm-up; 0 during the warm-up."""
    if not warmup_steps:
        return step
    return maths_of(step).maximum(step, warmup_steps) - warmup_steps


def risen(rate: Rates, step: Steps, warmup_steps: int) -> Rates:
    """Return the part of `rate` that the warm-up has reached at `step`; all of it afterwards."""
    if not warmup_steps:
        return rate
    maths = maths_of(step)
    return maths.multiply(rate, maths.minimum((step + 1) / (warmup_steps + 1), 1.0))
