"""Writes the Keras code that trains with an advised schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrcycles.advising.choices import Choice
from lrcycles.schedules.optimizers import class_named


@dataclass(frozen=True)
class Fit:
    """How the user trains: what the code must say besides the schedule.

    Attributes:
        data: the arguments of `fit` before its length.
        length: the arguments of `fit` that decide its length.
        compile: the lines that give the schedule to the model.
    """

    data: str
    length: str
    compile: Sequence[str]

    def code(self, choice: Choice) -> str:
        """Return code that runs where model and data have the names that `advise` gives them."""
        names_keras = any("keras." in line for line in self.compile)
        lines = [
            *(["import keras"] if names_keras else []),
            "import lrcycles",
            "",
            f"schedule = {choice.code()}",
            *self.compile,
            f"model.fit({self.data}, {self.length})",
        ]
        return "\n".join(lines)


def data_arguments(
    y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None, batch_size: int | None
) -> str:
    """Return the arguments of `fit` that name the data, as they were given to `advise`."""
    arguments = ["x"]
    if y is not None:
        arguments.append("y")
    if sample_weight is not None:
        arguments.append("sample_weight=sample_weight")
    if class_weight is not None:
        arguments.append(f"class_weight={dict(class_weight)!r}")
    if batch_size is not None:
        arguments.append(f"batch_size={batch_size}")
    return ", ".join(arguments)


def length_arguments(
    epochs: int | None, total_steps: int, given_per_epoch: int | None, steps_per_epoch: int | None
) -> str:
    """Return the arguments of `fit` for a training of `total_steps` mini-batches or a little more.

    Args:
        given_per_epoch: the steps_per_epoch that the user gave.
        steps_per_epoch: the number that is known anyway.

    >>> length_arguments(None, 250, None, 100)
    'epochs=3'
    """
    if epochs is None and steps_per_epoch is None:
        return f"epochs=1, steps_per_epoch={total_steps}"
    count = epochs or -(-total_steps // (steps_per_epoch or 1))
    return f"epochs={count}" + (f", steps_per_epoch={given_per_epoch}" if given_per_epoch else "")


def counter(optimizer: Any) -> Any:
    """Return the variable that counts the mini-batches of an optimizer.

    The public `iterations` is no variable where gradients are accumulated.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def compile_lines(model: Any, optimizer: Any, loss: Any) -> list[str]:
    """Return the lines that give the schedule to the model.

    Args:
        optimizer: the one that `advise` got in place of the compiled one; None for none.
        loss: of a model that is not compiled.
    """
    if optimizer is None and model.optimizer is None:
        return [
            "# Give `schedule` to the optimizers of your train step, as their learning_rate. Of",
            "# several optimizers, each keeps the ratio of its rate: see advice.reasons.",
        ]
    if optimizer is None:
        lines = ["model.optimizer.learning_rate = schedule"]
        if int(np.asarray(counter(model.optimizer))):
            inner = ".inner_optimizer" if hasattr(model.optimizer, "inner_optimizer") else ""
            start = "  # the schedule starts at step 0"
            lines.append(f"model.optimizer{inner}._iterations.assign(0){start}")
        if model.train_function is not None:
            lines.append("model.train_function = None  # the compiled one has the old rate")
        return lines
    named = "model.loss" if model.compiled else repr(loss) if isinstance(loss, str) else "loss"
    if isinstance(optimizer, str):
        import keras  # lazily: code is also read where nothing is trained

        # Keras itself finds not all of its classes by name.
        name = class_named(optimizer) or type(keras.optimizers.get(optimizer)).__name__
        return [f"model.compile(keras.optimizers.{name}(schedule), loss={named})"]
    return ["optimizer.learning_rate = schedule", f"model.compile(optimizer, loss={named})"]
