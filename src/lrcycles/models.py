"""Builds the network and the optimizer that a configuration names."""

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
    """Build the tutorial's network: ReLU layers of `units`, then a softmax over the classes.

    The network takes batches of shape (n, *input_shape) and returns probabilities of shape
    (n, classes).

    Args:
        batch_norm: normalise over the batch before each ReLU.
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
    """Build Caffe's LeNet: twice a convolution with 2 x 2 max pooling, then one ReLU layer.

    The convolutions have no ReLU. The network takes batches of shape (n, height, width) or
    (n, height, width, channels) and returns probabilities of shape (n, classes).
    Source: Smith 2018, sec. 4.2; Caffe's lenet_train_test.prototxt.

    Args:
        kernel_initializer: Keras's lecun_uniform is Caffe's xavier.
        weight_decay: of kernels and biases. As in Caffe it is part of the gradient, so that
            momentum applies to it.
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
    """Build the last layer, always in float32: half precision loses small probabilities."""
    import keras

    return keras.layers.Dense(classes, activation="softmax", dtype="float32", **settings)


def build(model: Mapping[str, Any], *, input_shape: Sequence[int], classes: int) -> keras.Model:
    """Call the "module:function" of `model` with its arguments.

    Raises:
        InputError: the function is missing or fails, or returns no model of the right shapes.
    """
    import keras

    name, arguments = model["function"], model["arguments"]
    module, _, function = name.partition(":")
    try:
        builder = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(
            "model.function must name a function that can be imported. "
            f"Received: {name!r}, with the error: {error}. Correct the name."
        ) from error
    try:
        built = builder(tuple(input_shape), classes, **arguments)
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"{name} must return a model. Received: {type(error).__name__}: {error}, with "
            f"model.arguments={dict(arguments)}. Correct the function or its arguments."
        ) from error
    if not isinstance(built, keras.Model) or tuple(built.output_shape) != (None, classes):
        raise InputError(
            f"{name} must return a keras.Model with outputs of shape (None, {classes}). "
            f"Received: {getattr(built, 'output_shape', built)}. Correct the function."
        )
    return built


def check_probabilities(model: keras.Model, *, input_shape: Sequence[int]) -> None:
    """Refuse a network that ends in logits: its loss and all results would be wrong.

    Raises:
        InputError: the outputs for a batch are negative or do not sum to 1.
    """
    batch = np.random.default_rng(0).random((8, *input_shape), dtype=np.float32)
    outputs = np.asarray(model(batch, training=False), np.float32)
    if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=0.02):
        raise InputError(
            "The outputs of the model must be probabilities. Received: outputs that sum to "
            f"{outputs.sum(axis=1)[0]:.3g}. End the model with a softmax."
        )


def build_optimizer(
    optimizer: Mapping[str, Any], *, momentum: Any = None
) -> keras.optimizers.Optimizer:
    """Build a Keras optimizer.

    Args:
        optimizer: name and arguments, and layer_rates if the layers differ in rate.
        momentum: returns the momentum of each step, if the momentum cycles.

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
    except InputError:  # it has its own remedy
        raise
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras must accept optimizer.arguments of {name}. Received: {arguments}, with the "
            f"error: {str(error).rstrip('.')}. Correct the arguments."
        ) from error
