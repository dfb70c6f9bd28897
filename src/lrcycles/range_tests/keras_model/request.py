"""Checks what the user asks of the data of a range test, and what the model needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from lrcycles.errors import InputError
from lrcycles.schedules.limits import need_count


@dataclass(frozen=True)
class Request:
    """What the user asks of the data, and what the model needs.

    Attributes:
        fixed_size: the only batch size that the model takes; None if it takes any.
        needed: mini-batches that the range test reads at least.
    """

    batch_size: int | None
    heldout: Any
    heldout_samples: int | None
    fixed_size: int | None
    needed: int

    def __post_init__(self) -> None:
        for name in ("batch_size", "heldout_samples"):
            if (value := getattr(self, name)) is not None:
                need_count(name, value)
        if self.heldout is not None and self.heldout_samples is not None:
            raise InputError(
                "Only one of heldout and heldout_samples may be given. "
                f"Received: heldout and heldout_samples={self.heldout_samples}. Leave one out."
            )
        fixed, size, apart = self.fixed_size, self.batch_size, self.heldout_samples
        if fixed and size not in (None, fixed):
            raise InputError(
                f"batch_size must be {fixed}, the only size that the model takes. "
                f"Received: batch_size={size}. Set batch_size={fixed}."
            )
        if fixed and apart and apart % fixed:
            raise InputError(
                f"heldout_samples must be a multiple of {fixed}, the only batch size that the "
                f"model takes. Received: heldout_samples={apart}. Set heldout_samples={fixed}."
            )


def fixed_batch_size(model: Any, batch_size: int | None) -> int | None:
    """Return the only batch size that a model takes; None if it takes any."""
    if not isinstance(model, keras.Model):
        return None
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    fixed = next((tensor.shape[0] for tensor in inputs if tensor.shape[0]), None)
    stateful = any(getattr(layer, "stateful", False) for layer in model._flatten_layers())
    return fixed or (batch_size if stateful else None)


def need_batches(x: Any) -> None:
    """Refuse what is neither arrays nor an iterable of batches."""
    listed = isinstance(x, list | tuple | dict | str) and not _yields_batches(x)
    if listed or not hasattr(x, "__iter__"):
        remedy = "Pass what it returns" if callable(x) else "Convert x to a NumPy array"
        raise InputError(
            f"x must be arrays, a dataset or a generator of batches. Received: {kind(x)}. {remedy}."
        )


def _yields_batches(x: Any) -> bool:
    """Return whether a list holds batches, and not numbers or text."""
    leaves = [] if isinstance(x, dict | str) else keras.tree.flatten(x)
    return bool(leaves) and not any(isinstance(leaf, int | float | str) for leaf in leaves)


def kind(value: Any) -> str:
    """Name the type of a value, with the types of the items of a list or dict.

    >>> kind([1, 2.0]), kind([])
    ('list of float and int', 'empty list')
    """
    name = type(value).__name__
    if not isinstance(value, list | tuple | dict):
        return name
    items = value.values() if isinstance(value, dict) else value
    kinds = sorted({type(item).__name__ for item in items})
    return f"{name} of {' and '.join(kinds)}" if kinds else f"empty {name}"
