"""Lists Keras's optimizers: those that follow a schedule of the rate, and why others do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrcycles.errors import InputError

# Class in keras.optimizers -> its argument that a schedule of the momentum sets, or "" without
# momentum. A configuration writes the class in lower case.
OPTIMIZERS = {
    "Adam": "beta_1",
    "SGD": "momentum",
    "RMSprop": "momentum",
    "Adagrad": "",
    "Adadelta": "",
    "Nadam": "beta_1",
    "AdamW": "beta_1",
    "Adamax": "beta_1",
    "Adafactor": "",
    "Lamb": "beta_1",
    "Lion": "beta_1",
    "Muon": "momentum",
}
# Class -> why no schedule and no range test can use it, and what to use instead.
UNUSABLE = {
    "Ftrl": (
        "which multiplies all weights by the ratio of the new to the old rate when the rate "
        "changes, whatever the gradient",
        "adagrad",
    ),
    "ScheduleFreeAdamW": (
        "whose result is the mean of its weights over all steps, which Keras never puts into the "
        "model, so that every evaluation would score other weights",
        "adamw",
    ),
}
LIMITED = "Adafactor"  # replaces rates above 1 / sqrt(updates made), also with relative_step=False
WRAPPERS = ("LossScaleOptimizer", "MultiOptimizer")  # they hold other optimizers


def class_named(name: str) -> str | None:
    """Return the class that a name means, without regard to case and underscores.

    >>> class_named("adam_w"), class_named("RMSProp"), class_named("schedule-free-adamw")
    ('AdamW', 'RMSprop', 'ScheduleFreeAdamW')
    """
    plain = name.lower().translate(str.maketrans("", "", "_- "))
    known = (*OPTIMIZERS, *UNUSABLE, *WRAPPERS)
    return next((each for each in known if each.lower() == plain), None)


def need_usable(argument: str, optimizer_class: str) -> None:
    """Refuse an optimizer that cannot follow a schedule.

    Args:
        argument: the key or argument that names the optimizer, for the error.

    Raises:
        InputError: the optimizer is one of `UNUSABLE`.
    """
    if optimizer_class in UNUSABLE:
        why, instead = UNUSABLE[optimizer_class]
        raise InputError(
            f"{argument} must be an optimizer that can follow a schedule of the learning rate. "
            f"Received: {optimizer_class}, {why}. Use {instead} instead."
        )


def need_optimizer(argument: str, name: str) -> str:
    """Return the class of a name that a configuration may have.

    Raises:
        InputError: it names no optimizer, one that needs others, or one that follows no schedule.
    """
    named = class_named(name)
    if named in OPTIMIZERS:
        return named
    need_usable(argument, named or "")
    received = f"{name}, which needs another optimizer" if named else name
    raise InputError(
        f"{argument} must be one of {', '.join(OPTIMIZERS).lower()}. Received: {received}. "
        "Choose one of them."
    )


def unused_rates(optimizer_class: str | None, rates: ArrayLike, *, updates: int = 0) -> str | None:
    """Say from where on the optimizer replaces rates by a lower one of its own; None if never.

    Args:
        rates: the rate of each update.
        updates: those made before.
    """
    if optimizer_class != LIMITED:
        return None
    planned = np.asarray(rates, float)
    made = updates + np.arange(1, len(planned) + 1)
    above = np.flatnonzero(planned > 1 / np.sqrt(made))
    if not above.size:
        return None
    first = above[0]
    return (
        f"{LIMITED} replaces a rate above 1 / sqrt(updates made) by this limit, also with "
        f"relative_step=False. It does so from update {made[first]:,} on, at a rate of "
        f"{planned[first]:.2g}."
    )
