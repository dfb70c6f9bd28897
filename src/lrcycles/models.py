"""Which network is trained?"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrcycles.errors import InputError

if TYPE_CHECKING:
    import keras


def mlp(
    input_shape: Sequence[int],
    classes: int,
    *,
    units: Sequence[int],
    kernel_initializer: str = "random_normal",
) -> keras.Model:
    """The tutorial's network: ReLU layers of `units`, then a softmax over the classes.

    Takes batches of shape (n, *input_shape), gives probabilities of shape (n, classes).
    """
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(tuple(input_shape)),
            layers.Reshape((math.prod(input_shape),)),
            *(
                layers.Dense(n, activation="relu", kernel_initializer=kernel_initializer)
                for n in units
            ),
            # float32 whatever the policy: a softmax in half precision loses the small ones.
            layers.Dense(
                classes,
                activation="softmax",
                kernel_initializer=kernel_initializer,
                dtype="float32",
            ),
        ]
    )


def build(model: Mapping[str, Any], *, input_shape: Sequence[int], classes: int) -> keras.Model:
    """Call the "module:function" of `model` with its arguments.

    Raises:
        InputError: the function is missing, or refuses its arguments, or gives another shape.
    """
    name, arguments = model["function"], model["arguments"]
    module, _, function = name.partition(":")
    try:
        builder = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"need model.function to name a function, got {name!r}: {error}") from None
    try:
        built: keras.Model = builder(tuple(input_shape), classes, **arguments)
    except TypeError as error:
        raise InputError(f"{name} refused model.arguments={dict(arguments)}: {error}") from error
    if tuple(built.output_shape) != (None, classes):
        raise InputError(
            f"need a model that gives probabilities of shape (None, {classes}), "
            f"got {built.output_shape} from {name}"
        )
    return built
