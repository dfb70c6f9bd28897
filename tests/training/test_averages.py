"""Averages of the weights: their values, their scores, and that training does not notice them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.cells.cell import Cell
from lrcycles.cells.result import read_result
from lrcycles.data.image_sets import ImageSet, read_sets
from lrcycles.errors import InputError
from lrcycles.training import chain
from lrcycles.training.averages.weights import ema_shares
from lrcycles.training.records import begin_course
from tests.training.cases import CELL, WILD
from tests.training.interrupted import content, train

DECAY, CHECKPOINTS = 0.9, 2
BOTH = {"ema": {"decay": DECAY}, "last": {"checkpoints": CHECKPOINTS}}
AVERAGED = replace(CELL, averages=BOTH, epochs=3, compile="graph")
BARE = replace(AVERAGED, averages=None)
NORMALISED = replace(
    AVERAGED,
    arm="normalised",
    model={"function": "tests.training.networks:everything", "arguments": {"dropout": 0.0}},
)
NAMES = ("ema", "last")


@pytest.fixture(scope="module")
def sets(digits: Path) -> Any:
    return read_sets(digits, training_set="split")


@pytest.fixture(scope="module")
def store(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells with averages, and one that differs in nothing but that it has none."""
    folder = tmp_path_factory.mktemp("store")
    train([AVERAGED, BARE, NORMALISED, replace(WILD, averages=BOTH)], digits, folder)
    return folder


def network(store: Path, cell: Cell, name: str = "") -> keras.Model:
    return keras.models.load_model(store / cell.key / f"model{name}.keras")


def weights_after_every_step(cell: Cell, data: Path) -> list[list[np.ndarray]]:
    """Train step by step, without averages, and copy the trainable weights after each step."""
    train_set, _, _ = chain.laid_out(cell, data)
    order = chain.orders([cell], 0, train_set)
    engine, _ = chain.compiled(cell, train_set, order)
    engine.reset([cell.seed])
    rates = begin_course([cell], 1, order.shape[1]).rates
    kept = []
    for epoch in range(cell.epochs):
        order = chain.orders([cell], epoch, train_set)
        for step in range(order.shape[1]):
            engine.run(train_set, order, rates, start=step, stop=step + 1)
            kept.append([np.float64(v.numpy()) for v in engine.trained(0).trainable_variables])
        rates = rates[:, order.shape[1] :]
    return kept


def expected_averages(kept: Sequence[Sequence[np.ndarray]], epochs: int) -> dict[str, list[Any]]:
    """Average in NumPy, from the definitions."""
    factors = DECAY ** np.arange(len(kept))[::-1]
    length = len(kept) // epochs
    ends = kept[length - 1 :: length][-CHECKPOINTS:]
    return {
        "ema": [np.average(each, axis=0, weights=factors) for each in zip(*kept, strict=True)],
        "last": [np.mean(each, axis=0) for each in zip(*ends, strict=True)],
    }


def test_averages_are_those_of_the_weights_after_every_step(store, digits):
    kept = weights_after_every_step(BARE, digits)
    for name, expected in expected_averages(kept, AVERAGED.epochs).items():
        averaged = network(store, AVERAGED, f"_{name}").trainable_variables
        for ours, theirs in zip(averaged, expected, strict=True):
            assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_long_average_is_keras_s_own_moving_average(sets, tmp_path, digits):
    """Keras's average begins at the weights after the first step, which 72 steps leave behind."""
    keras.utils.set_random_seed(CELL.seed)
    layers, start = keras.layers, "random_normal"
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Flatten(),
            layers.Dense(8, "relu", kernel_initializer=start),
            layers.Dense(10, "softmax", kernel_initializer=start),
        ]
    )
    optimizer = keras.optimizers.Adam(0.005, use_ema=True, ema_momentum=DECAY)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    x, y = sets.train.scaled(), sets.train.labels
    for epoch in range(AVERAGED.epochs):
        for batch in np.random.default_rng([0, epoch]).permutation(1200).reshape(24, 50):
            model.train_on_batch(x[batch], y[batch])
    optimizer.finalize_variable_values(model.trainable_variables)
    cell = replace(AVERAGED, schedule={"name": "constant", "base_lr": 0.005})
    train([cell], digits, tmp_path)
    for ours, theirs in zip(
        network(tmp_path, cell, "_ema").get_weights(), model.get_weights(), strict=True
    ):
        assert_allclose(ours, theirs, atol=2e-3)


def test_the_start_of_a_short_training_weighs_no_more_than_its_factor():
    weights = np.array([5.0, 1.0, 2.0, 4.0])
    average = 100.0  # the initial weights
    for share, weight in zip(ema_shares(0.99, 4), weights, strict=True):
        average += share * (weight - average)
    assert average == pytest.approx(np.average(weights, weights=0.99 ** np.arange(4)[::-1]))


def test_a_training_does_not_notice_its_averages(store):
    found = [content(store, cell) for cell in (AVERAGED, BARE)]
    assert found[0]["steps"] == found[1]["steps"]
    assert found[0]["weights"][0] == found[1]["weights"][0]  # of model.keras
    names = {"key", "averages"}
    first, second = ({k: v for k, v in each["result"].items() if k not in names} for each in found)
    assert first == second
    files = {path.name for path in (store / BARE.key).iterdir()}
    assert not any("ema" in name or "last" in name for name in files)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_training_with_xla_does_not_notice_its_averages(optimizer, digits, tmp_path):
    cell = replace(AVERAGED, compile="xla", optimizer={"name": optimizer, "arguments": {}})
    bare = replace(cell, averages=None)
    train([cell, bare], digits, tmp_path)
    found = [content(tmp_path, each) for each in (cell, bare)]
    assert found[0]["steps"] == found[1]["steps"]
    assert found[0]["weights"][0] == found[1]["weights"][0]  # of model.keras


def mistakes(model: keras.Model, images: ImageSet) -> np.ndarray:
    return np.asarray(model(images.scaled())).argmax(axis=1) != images.labels


@pytest.mark.parametrize("cell", [AVERAGED, NORMALISED], ids=str)
def test_the_scores_of_an_average_are_those_of_its_network(cell, store, sets):
    result = read_result(store / cell.key / "result.json")
    assert list(result.averages) == list(NAMES)
    for name, average in result.averages.items():
        wrong = mistakes(network(store, cell, f"_{name}"), sets.test)
        kept = np.load(store / cell.key / f"correct_{name}.npy")
        assert_array_equal(~np.unpackbits(kept, count=len(wrong)).astype(bool), wrong)
        assert average.test_error_percent == pytest.approx(100 * wrong.mean())
        validated = mistakes(network(store, cell, f"_{name}"), sets.validation)
        assert average.validation_error_percent == pytest.approx(100 * validated.mean())
        assert average.settings == BOTH[name]
        assert average.test_loss != result.test_loss


def test_batch_normalisation_has_the_statistics_of_the_averaged_weights(store, sets):
    model = network(store, NORMALISED, "_ema")
    (layer,) = (one for one in model.layers if isinstance(one, keras.layers.BatchNormalization))
    before = keras.Sequential([keras.Input((8, 8)), *model.layers[: model.layers.index(layer)]])
    inputs = np.asarray(before(sets.train.scaled()))
    assert_allclose(layer.moving_mean, inputs.mean(axis=0), rtol=1e-4, atol=1e-5)
    # The mean of the variances within batches of 50 lacks the variance between their means.
    assert_allclose(layer.moving_variance, inputs.var(axis=0) * 49 / 50, rtol=0.02)
    trained = network(store, NORMALISED).get_layer(layer.name)
    assert not np.allclose(layer.moving_mean, trained.moving_mean, rtol=1e-3)


def test_statistics_in_a_layer_of_the_user_s_are_refused_before_the_training(digits, tmp_path):
    cell = replace(
        AVERAGED, model={"function": "tests.training.own_networks:mean_seen", "arguments": {}}
    )
    with pytest.raises(InputError, match=r"only BatchNormalization.*Received: .*mean_seen"):
        train([cell], digits, tmp_path)


def test_a_diverged_training_has_averages_without_scores(store):
    cell = replace(WILD, averages=BOTH)
    result = read_result(store / cell.key / "result.json")
    assert {name: one.test_error_percent for name, one in result.averages.items()} == dict.fromkeys(
        NAMES
    )
    assert not list((store / cell.key).glob("correct*"))


def test_more_checkpoints_than_epochs_are_refused(digits, tmp_path):
    cell = replace(AVERAGED, averages={"last": {"checkpoints": 4}})
    with pytest.raises(InputError, match="Received: 4 for 3"):
        train([cell], digits, tmp_path)
