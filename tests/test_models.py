"""Tests the networks and optimizers that a configuration names."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from lrcycles import models
from lrcycles.errors import InputError

MLP = {"function": "lrcycles.models:mlp", "arguments": {"units": [16]}}


def logits(input_shape, classes):
    layers = keras.layers
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), layers.Dense(classes)])


def no_model(input_shape, classes):
    return [input_shape, classes]


def broken(input_shape, classes):
    raise RuntimeError(f"no network for {input_shape}, {classes}")


def build(function: str, **arguments):
    model = {"function": function, "arguments": arguments}
    return models.build(model, input_shape=(4, 3), classes=5)


def test_lenet_is_caffes_with_its_decay_in_the_gradient_of_every_variable():
    settings = {"function": "lrcycles.models:lenet", "arguments": {"weight_decay": 5e-4}}
    built = models.build(settings, input_shape=(28, 28), classes=10)
    assert built.count_params() == 520 + 25_050 + 400_500 + 5_010
    sums = sum(float((np.asarray(weight) ** 2).sum()) for weight in built.trainable_variables)
    penalties = sum(float(penalty) for penalty in built.losses)
    assert len(built.losses) == 8
    assert penalties == pytest.approx(5e-4 / 2 * sums, rel=1e-5)
    kernel = np.asarray(built.layers[-2].kernel)
    assert abs(kernel).max() == pytest.approx((3 / 800) ** 0.5, rel=1e-3)  # Caffe's xavier


def test_the_default_is_the_tutorials_network():
    built = models.build(
        {"function": "lrcycles.models:mlp", "arguments": {"units": [784]}},
        input_shape=(28, 28),
        classes=10,
    )
    assert built.count_params() == 784 * 784 + 784 + 784 * 10 + 10
    assert [layer.activation.__name__ for layer in built.layers[1:]] == ["relu", "softmax"]
    kernel = np.asarray(built.layers[1].kernel)
    assert abs(kernel.std() - 0.05) < 0.001  # Keras's "normal"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("lrcycles.models:nope", {}, r"model\.function must name a function"),
        ("nowhere:build", {}, "No module named 'nowhere'"),
        ("lrcycles.models:mlp", {"unit": [4]}, "unexpected keyword argument 'unit'"),
        ("tests.test_models:broken", {}, "RuntimeError: no network for"),
        (
            "tests.test_models:no_model",
            {},
            r"must return a keras\.Model .* Received: \[\(4, 3\), 5\]",
        ),
    ],
)
def test_a_function_that_returns_no_network_is_named(function, arguments, message):
    with pytest.raises(InputError, match=message):
        build(function, **arguments)


def test_a_network_that_ends_in_logits_is_refused_and_a_softmax_is_not():
    with pytest.raises(InputError, match=r"must be probabilities\. Received: outputs that sum to"):
        models.check_probabilities(build("tests.test_models:logits"), input_shape=(4, 3))
    models.check_probabilities(build("lrcycles.models:mlp", units=[4]), input_shape=(4, 3))


@pytest.mark.parametrize(
    ("name", "arguments"), [("adam", {"betta_1": 0.9}), ("sgd", {"momentum": 5})]
)
def test_what_keras_refuses_of_an_optimizer_is_one_line(name, arguments):
    with pytest.raises(
        InputError, match=f"optimizer.arguments of {name}.* Received: .*{next(iter(arguments))}"
    ):
        models.build_optimizer({"name": name, "arguments": arguments})


def test_a_rate_of_a_layer_that_is_no_number_keeps_its_own_remedy():
    negative = {"name": "adam", "arguments": {}, "layer_rates": {"dense": -1}}
    with pytest.raises(InputError, match=r"^layer_rates must be finite .* Set 0 or more\.$"):
        models.build_optimizer(negative)
