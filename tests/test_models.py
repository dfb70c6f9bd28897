"""Tests the networks and optimizers that a configuration names."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from lrcycles import models
from lrcycles.errors import InputError

ROOT = Path(__file__).parents[1]
MLP = {"function": "lrcycles.models:mlp", "arguments": {"units": [16]}}


def logits(input_shape, classes):
    layers = keras.layers
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), layers.Dense(classes)])


def no_model(input_shape, classes):
    return [input_shape, classes]


def broken(input_shape, classes):
    raise RuntimeError(f"no network for {input_shape}, {classes}")


def leaving(_input_shape, _classes):
    sys.exit("bye")


def refused_by_keras(_input_shape, classes):
    return keras.layers.Dense(classes - 5)


def of_one_argument(input_shape):
    return logits(input_shape, 5)


def with_too_many_outputs(input_shape, classes):
    return logits(input_shape, classes + 1)


def without_input(_input_shape, classes):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)])


no_function = 5


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


HERE = r"tests/test_models\.py:\d+"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("lrcycles.models:nope", r"model\.function must name a function .* no attribute 'nope'"),
        ("nowhere:build", "No module named 'nowhere'"),
        ("tests.test_models:no_function", r"Received: .*, an object of type "),
        ("tests.test_models:broken", rf"RuntimeError: no .* \({HERE}, in broken: raise RuntimeErr"),
        ("tests.test_models:leaving", rf"SystemExit: bye \({HERE}, in leaving: sys\.exit"),
        ("tests.test_models:refused_by_keras", rf"units=0 \({HERE}, in refused_by_keras: return "),
        ("tests.test_models:of_one_argument", rf"\({HERE}\) must accept input_shape, classes and"),
        ("tests.test_models:with_too_many_outputs", rf"\({HERE}\) .* Received: \(None, 6\)\."),
        ("tests.test_models:no_model", rf"\({HERE}\) must return a keras\.Model .* type list\."),
    ],
)
def test_a_function_that_returns_no_network_is_named_with_its_line(function, message):
    with pytest.raises(InputError, match=message) as caught:
        build(function)
    assert "\n" not in str(caught.value)


def test_an_argument_that_the_function_does_not_take_is_named():
    with pytest.raises(InputError, match="unexpected keyword argument 'unit'"):
        build("lrcycles.models:mlp", units=[4], unit=4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import nothing_of_this_name\n", r"py:1, in <module>: import nothing_of_this_name\)"),
        ("raise SystemExit('bye')\n", r"SystemExit: bye \(.*py:1, in <module>: raise"),
        ("def build(x:\n", r"SyntaxError: .*py:1: def build\(x:\)"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_line(
    content, message, tmp_path, monkeypatch
):
    (tmp_path / "their_own_file.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=message):
        build("their_own_file:build")


def test_a_network_without_input_is_built_for_the_images():
    assert build("tests.test_models:without_input").count_params() == 12 * 5 + 5


def test_every_network_of_conf_fits_the_images_of_every_data_set():
    networks = {
        path.stem: yaml.safe_load(path.read_text())
        for path in (ROOT / "conf/model").glob("*.yaml")
        if path.stem != "mlp_16"  # as mlp, with other units
    }
    shapes = {
        tuple(values["image_shape"])
        for path in (ROOT / "conf/data").glob("*.yaml")
        if "image_shape" in (values := yaml.safe_load(path.read_text()))
    }
    assert len(shapes) >= 3
    for network in networks.values():
        for shape in shapes:
            built = models.build(network, input_shape=shape, classes=7)
            assert tuple(built.output_shape) == (None, 7)


def test_a_network_for_other_images_is_refused():
    layers = keras.layers
    other = keras.Sequential(
        [keras.Input((4, 3, 1)), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(5)]
    )
    with pytest.raises(
        InputError, match=r"must take images of shape \(5, 3\).* Received: ValueErr"
    ):
        models.check_probabilities(other, input_shape=(5, 3))


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
