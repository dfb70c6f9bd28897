"""Which network is trained?"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.errors import InputError

if TYPE_CHECKING:
    import keras


def mlp(
    input_shape: Sequence[int],
    classes: int,
    *,
    units: Sequence[int],
    kernel_initializer: str = "random_normal",
    batch_norm: bool = False,
) -> keras.Model:
    """The tutorial's network: ReLU layers of `units`, then a softmax over the classes.

    Takes batches of shape (n, *input_shape), gives probabilities of shape (n, classes).

    Args:
        batch_norm: normalise over the batch between each layer's sum and its ReLU.
    """
    import keras

    layers = keras.layers
    hidden: list[keras.Layer] = []
    for n in units:
        if batch_norm:
            hidden += [
                layers.Dense(n, use_bias=False, kernel_initializer=kernel_initializer),
                layers.BatchNormalization(),
                layers.ReLU(),
            ]
        else:
            hidden.append(layers.Dense(n, activation="relu", kernel_initializer=kernel_initializer))
    return keras.Sequential(
        [
            keras.Input(tuple(input_shape)),
            layers.Reshape((math.prod(input_shape),)),
            *hidden,
            _softmax(classes, kernel_initializer=kernel_initializer),
        ]
    )


def lenet(
    input_shape: Sequence[int],
    classes: int,
    *,
    filters: Sequence[int] = (20, 50),
    kernel_size: int = 5,
    units: int = 500,
    kernel_initializer: str = "lecun_uniform",
    weight_decay: float = 0.0,
) -> keras.Model:
    """Caffe's LeNet: convolution and 2 x 2 max pool twice, no ReLU there, then one ReLU layer.

    Takes batches of shape (n, height, width) or (n, height, width, channels), gives probabilities
    of shape (n, classes). Source: Smith 2018, sec. 4.2, after Caffe's lenet_train_test.prototxt.

    Args:
        kernel_initializer: Keras's lecun_uniform is what Caffe calls xavier.
        weight_decay: as in Caffe part of the gradient, so that momentum carries it; of biases too.
    """
    import keras

    layers = keras.layers
    penalty = keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    shared = {
        "kernel_initializer": kernel_initializer,
        "kernel_regularizer": penalty,
        "bias_regularizer": penalty,
    }
    shape = tuple(input_shape) if len(input_shape) == 3 else (*input_shape, 1)
    convolutions: list[keras.Layer] = []
    for n in filters:
        convolutions += [
            layers.Conv2D(n, kernel_size, **shared),
            layers.MaxPooling2D(2, padding="same"),
        ]
    return keras.Sequential(
        [
            keras.Input(tuple(input_shape)),
            layers.Reshape(shape),
            *convolutions,
            layers.Flatten(),
            layers.Dense(units, activation="relu", **shared),
            _softmax(classes, **shared),
        ]
    )


def _softmax(classes: int, **settings: Any) -> keras.Layer:
    """The last layer, in float32 whatever the policy: half precision loses small probabilities."""
    import keras

    return keras.layers.Dense(classes, activation="softmax", dtype="float32", **settings)


def build(model: Mapping[str, Any], *, input_shape: Sequence[int], classes: int) -> keras.Model:
    """Call the "module:function" of `model` with its arguments.

    Raises:
        InputError: the function is missing or fails, or gives no model of the right shapes.
    """
    import keras

    name, arguments = model["function"], model["arguments"]
    module, _, function = name.partition(":")
    try:
        builder = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"need model.function to name a function, got {name!r}: {error}"
        ) from error
    try:
        built = builder(tuple(input_shape), classes, **arguments)
    except Exception as error:  # the user's code: whatever it raises is theirs to read
        raise InputError(
            f"{name} failed with model.arguments={dict(arguments)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(built, keras.Model) or tuple(built.output_shape) != (None, classes):
        raise InputError(
            f"need a keras.Model that gives probabilities of shape (None, {classes}), "
            f"got {getattr(built, 'output_shape', built)} from {name}"
        )
    return built


def check_probabilities(model: keras.Model, *, input_shape: Sequence[int]) -> None:
    """Refuse a network that ends in logits: its loss and every number after it would be wrong.

    Raises:
        InputError: the outputs of a batch are negative or don't sum to 1.
    """
    batch = np.random.default_rng(0).random((8, *input_shape), dtype=np.float32)
    outputs = np.asarray(model(batch, training=False), np.float32)
    if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=0.02):
        raise InputError(
            f"need a model whose outputs are probabilities, got rows that sum to "
            f"{outputs.sum(axis=1)[0]:.3g}: end it with a softmax"
        )


def build_optimizer(
    optimizer: Mapping[str, Any], *, momentum: Any = None
) -> keras.optimizers.Optimizer:
    """The Keras optimizer of that name, with its arguments.

    Args:
        optimizer: name, arguments and, if layers have rates of their own, layer_rates.
        momentum: gives the momentum of each step, if that is no constant.

    Raises:
        InputError: Keras refuses an argument, or the optimizer has no momentum.
    """
    import keras

    name, arguments = optimizer["name"], dict(optimizer["arguments"])
    layer_rates = optimizer.get("layer_rates")
    try:
        built = keras.optimizers.get({"class_name": name, "config": arguments})
        if layer_rates or momentum:
            from lrcycles.schedules.keras_optimizers import controlled

            built = controlled(built, layer_rates=layer_rates, momentum=momentum)
        return built
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras refuses optimizer {name} with optimizer.arguments={arguments}: {error}"
        ) from error
