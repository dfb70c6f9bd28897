"""Builds the network and the optimizer that a configuration names."""

from __future__ import annotations

import importlib
import inspect
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.errors import InputError, defined_at, reason
from lrcycles.schedules.optimizers import need_optimizer

if TYPE_CHECKING:
    import keras

SMALLEST_IMAGE = 13  # pixels that Caffe's LeNet needs: 13 - 4 = 9, pooled 5, and 5 - 4 = 1


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
    (n, height, width, channels) and returns probabilities of shape (n, classes). For images of less
    than 13 pixels, the convolutions pad their input.
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
    # Without padding, nothing of a small image is left for the second convolution.
    padding = "same" if min(shape[:2]) < SMALLEST_IMAGE else "valid"
    convolutions: list[keras.Layer] = []
    for n in filters:
        convolutions += [
            layers.Conv2D(n, kernel_size, padding=padding, **shared),
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

    name, arguments = model["function"], dict(model["arguments"])
    build_model = builder(name)
    place = f"{name} ({defined_at(build_model)})"
    try:
        inspect.signature(build_model).bind(tuple(input_shape), classes, **arguments)
    except TypeError as error:
        raise InputError(
            f"{place} must accept input_shape, classes and model.arguments={arguments}. "
            f"Received: {error}. Correct the function or model.arguments."
        ) from error
    try:
        built = build_model(tuple(input_shape), classes, **arguments)
        if isinstance(built, keras.Model):
            shape: Any = _output_shape(built, input_shape)
        else:
            shape = f"an object of type {type(built).__name__}"
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise InputError(
            f"{name} must return a model that takes images of shape {tuple(input_shape)}. "
            f"Received: {reason(error)}. Correct the function, or model.arguments={arguments}."
        ) from error
    if shape != (None, classes):
        raise InputError(
            f"{place} must return a keras.Model with outputs of shape (None, {classes}). "
            f"Received: {shape}. Correct the function."
        )
    return built


def builder(name: str) -> Any:
    """Import the function of a "module:function".

    Raises:
        InputError: the module cannot be imported, or has no such function.
    """
    module, _, function = name.partition(":")
    try:
        named = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # the user's file may raise anything
        raise InputError(
            "model.function must name a function that can be imported. "
            f"Received: {name}, with {reason(error)}. Correct the name or the file."
        ) from error
    if not callable(named):
        raise InputError(
            f"model.function must name a function. Received: {name}, an object of type "
            f"{type(named).__name__}. Name a function that returns a model."
        )
    return named


def _output_shape(model: keras.Model, input_shape: Sequence[int]) -> Any:
    """Return the shape of the outputs; call a model that does not know it, which builds it."""
    try:
        return tuple(model.output_shape)
    except (AttributeError, ValueError):  # a subclass of keras.Model, or Sequential without Input
        outputs = model(np.zeros((1, *input_shape), np.float32), training=False)
        return (None, *outputs.shape[1:]) if hasattr(outputs, "shape") else type(outputs).__name__


def check_probabilities(model: keras.Model, *, input_shape: Sequence[int]) -> None:
    """Refuse a network that ends in logits: its loss and all results would be wrong.

    Raises:
        InputError: the network does not take the images, or the outputs for a batch are negative or
            do not sum to 1.
    """
    batch = np.random.default_rng(0).random((8, *input_shape), dtype=np.float32)
    try:
        outputs = np.asarray(model(batch, training=False), np.float32)
    except (Exception, SystemExit) as error:  # Keras and the user's classes may raise anything
        raise InputError(
            f"The model must take images of shape {tuple(input_shape)}. Received: {reason(error)}. "
            "Correct keras.Input and the first layers."
        ) from error
    if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=0.02):
        raise InputError(
            "The outputs of the model must be probabilities. Received: outputs that sum to "
            f"{outputs.sum(axis=1)[0]:.3g}. End the model with a softmax."
        )


def check_saving(model: keras.Model, *, input_shape: Sequence[int]) -> None:
    """Refuse a network that Keras cannot save and load, before it is trained.

    Raises:
        InputError: the network does not come back from its file.
    """
    import keras

    batch = np.random.default_rng(0).random((8, *input_shape), dtype=np.float32)
    kind = f"{type(model).__module__}.{type(model).__name__}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            loaded = keras.models.load_model(path, compile=False)
        before, after = (np.asarray(each(batch, training=False)) for each in (model, loaded))
        failure = "" if np.allclose(before, after, atol=1e-3) else "other outputs after loading"
    except (Exception, SystemExit) as error:  # Keras and the user's classes may raise anything
        failure = reason(error)
    if failure:
        raise InputError(
            f"Keras must be able to save and load the network ({kind}). Received: {failure}. "
            "Give each class of your own @keras.saving.register_keras_serializable(), an __init__ "
            "that takes **kwargs, and a get_config(), as in docs/pipeline.md; use no Lambda layer; "
            "or set train.save_models=none and leave out the arms that continue another."
        )


def build_optimizer(
    optimizer: Mapping[str, Any], *, momentum: Any = None
) -> keras.optimizers.Optimizer:
    """Build a Keras optimizer.

    Args:
        optimizer: name and arguments, and layer_rates if the layers differ in rate.
        momentum: returns the momentum of each step, if the momentum cycles.

    Raises:
        InputError: the optimizer cannot follow a schedule, Keras refuses an argument, or the
            optimizer has no momentum.
    """
    import keras

    name, arguments = optimizer["name"], dict(optimizer["arguments"])
    kind = need_optimizer("optimizer.name", name)
    layer_rates = optimizer.get("layer_rates")
    try:
        built = getattr(keras.optimizers, kind)(**arguments)
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
