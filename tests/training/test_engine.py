"""Checks the engine on all that a Keras network and optimizer can contain, on 1,200 digits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrcycles
from lrcycles import models
from lrcycles.data.image_sets import ImageSet, read_sets
from lrcycles.errors import InputError
from lrcycles.training import chain, tensorflow_engine
from lrcycles.training.engine import Engine
from lrcycles.training.feeding import Resident, Streamed, Windows, epoch_order
from lrcycles.training.records import step_settings
from tests.training.cases import CELL
from tests.training.networks import everything

WEIGHTS = [1.0, 4.0, 0.5, 1.0, 1.0, 2.0, 1.0, 0.0, 1.0, 1.0]
PLAIN = replace(
    CELL,
    model={"function": "tests.training.networks:everything", "arguments": {"dropout": 0.0}},
    compile="graph",
)


@pytest.fixture(scope="module")
def images(digits: Path) -> ImageSet:
    return read_sets(digits, training_set="split").train


def trained(cell: Any, images: ImageSet, *, momenta: Any = None) -> tuple[keras.Model, np.ndarray]:
    """Train 24 steps at rate 0.05; the network and its losses."""
    train = Resident(images, tensorflow_engine.put)
    engine = Engine(cell, input_shape=images.shape)
    engine.reset([cell.seed])
    order = chain.orders([cell], 0, train)
    rates = np.full((1, 24), 0.05, np.float32)
    losses = engine.run(train, order, rates, momenta)
    return engine.trained(0), losses[0]


def by_keras(images: ImageSet, optimizer: Any, **settings: Any) -> keras.Model:
    """Make the same steps with Keras's own train_on_batch."""
    keras.utils.set_random_seed(CELL.seed)
    model = everything((8, 8), 10, dropout=0.0)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    x = images.scaled()
    for batch in np.random.default_rng([CELL.seed, 0]).permutation(1200).reshape(24, 50):
        model.train_on_batch(x[batch], images.labels[batch], **settings)
    return model


def assert_same_weights(one: keras.Model, other: keras.Model) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert_allclose(a, b, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    ("network", "arguments", "shape"),
    [
        ("mlp", {"units": [5], "batch_norm": True}, (8, 8)),
        ("lenet", {}, (28, 28)),
    ],
)
def test_our_networks_start_as_keras_would_seed_them(network, arguments, shape):
    described = {"function": f"lrcycles.models:{network}", "arguments": arguments}
    engine = Engine(replace(CELL, model=described), input_shape=shape)
    engine.reset([7])
    engine.reset([3])
    keras.utils.set_random_seed(3)
    expected = models.build(described, input_shape=shape, classes=CELL.classes)
    for ours, theirs in zip(engine.model.variables, expected.variables, strict=True):
        assert_array_equal(ours, theirs)


def test_penalties_batch_norm_and_class_weights_count_as_in_keras(images):
    sgd = {"name": "sgd", "arguments": {"momentum": 0.9}}
    cell = replace(PLAIN, optimizer=sgd, class_weights=WEIGHTS)
    ours, _ = trained(cell, images)
    plain = keras.optimizers.SGD(0.05, momentum=0.9)
    theirs = by_keras(images, plain, class_weight=dict(enumerate(WEIGHTS)))
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_cycled_momentum_is_that_of_the_public_schedule(images, name):
    cell = replace(
        PLAIN,
        optimizer={"name": name, "arguments": {}},
        schedule={"name": "triangular", "base_lr": 0.01, "max_lr": 0.1, "cycles": 2},
        momentum={"base_momentum": 0.8, "max_momentum": 0.95},
    )
    _, momenta = step_settings([cell], 24)
    ours, _ = trained(cell, images, momenta=momenta)
    triangular = lrcycles.Triangular(base_lr=0.01, max_lr=0.1, step_size=6, cycles=2)
    cycled = lrcycles.CyclicMomentum(schedule=triangular, base_momentum=0.8, max_momentum=0.95)
    plain = keras.optimizers.get({"class_name": name, "config": {"learning_rate": 0.05}})
    assert_same_weights(ours, by_keras(images, lrcycles.controlled(plain, momentum=cycled)))


def test_momentum_is_highest_where_the_rate_is_lowest():
    triangular2 = {"name": "triangular2", "base_lr": 0.01, "max_lr": 0.1, "cycles": 2}
    cell = replace(CELL, schedule=triangular2, momentum={"base_momentum": 0.8, "max_momentum": 0.9})
    _, momenta = step_settings([cell], 8)
    assert_allclose(momenta, [[0.9, 0.85, 0.8, 0.85, 0.9, 0.875, 0.85, 0.875]], rtol=1e-6)


def test_a_layer_with_rate_zero_stays_and_the_others_move(images):
    frozen = {"name": "adam", "arguments": {}, "layer_rates": {"wide": 0.0}}
    network, _ = trained(replace(PLAIN, optimizer=frozen), images)
    keras.utils.set_random_seed(CELL.seed)
    fresh = everything((8, 8), 10, dropout=0.0)
    assert_array_equal(network.get_layer("wide").kernel, fresh.get_layer("wide").kernel)
    assert not np.array_equal(network.get_layer("last").kernel, fresh.get_layer("last").kernel)


def test_a_rate_for_a_layer_that_is_not_there_names_those_that_are(images):
    wrong = {"name": "adam", "arguments": {}, "layer_rates": {"conv": 0.1}}
    with pytest.raises(InputError, match=r"'conv'.*wide"):
        trained(replace(PLAIN, optimizer=wrong), images)


def test_dropout_changes_from_step_to_step_and_repeats_with_the_seed(images):
    cell = replace(PLAIN, model={**PLAIN.model, "arguments": {"dropout": 0.5}})
    first, again = (trained(cell, images)[1] for _ in range(2))
    assert_array_equal(first, again)
    assert not np.allclose(first, trained(PLAIN, images)[1])


WINDOWS = Windows(steps=5, block=7)


@pytest.mark.parametrize("compiled", ["graph", "xla"])
def test_streamed_images_train_to_the_same_bits_as_resident_ones(images, compiled):
    cell = replace(PLAIN, compile=compiled)
    engine = Engine(cell, input_shape=images.shape)
    rates = np.linspace(0.001, 0.1, 24, dtype=np.float32)[None]
    found = []
    for kind in (Resident, Streamed):
        train = kind(images, tensorflow_engine.put, windows=WINDOWS)
        order = chain.orders([cell], 0, train)
        engine.reset([0])
        losses = engine.run(train, order, rates)
        found.append([losses, *engine.trained(0).get_weights(), *engine.evaluate(train)])
    for resident, streamed in zip(*found, strict=True):
        assert_array_equal(resident, streamed)


def test_steps_made_in_chunks_are_the_steps_made_at_once(images):
    engine = Engine(PLAIN, input_shape=images.shape)
    train = Streamed(images, tensorflow_engine.put, windows=WINDOWS)
    order = chain.orders([PLAIN], 0, train)
    rates = np.full((1, 24), 0.05, np.float32)
    engine.reset([0])
    whole = engine.run(train, order, rates)
    engine.reset([0])
    cuts = [0, 3, 5, 6, 14, 24]
    parts = [
        engine.run(train, order, rates, start=start, stop=stop) for start, stop in pairwise(cuts)
    ]
    assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_a_window_is_read_once_for_all_the_chunks_in_it(images, monkeypatch):
    train = Streamed(images, tensorflow_engine.put, windows=WINDOWS)
    order = chain.orders([PLAIN], 0, train)
    reads = []
    read = ImageSet.read
    monkeypatch.setattr(
        ImageSet, "read", lambda s, index: reads.append(len(index)) or read(s, index)
    )
    for start in range(0, 10, 2):
        steps = [part.stop - part.start for part in train.parts(order, start, start + 2)]
        assert sum(steps) == 2
    assert reads == [250, 250]


def test_an_epoch_in_windows_shows_every_image_once_and_reads_in_blocks():
    order = epoch_order(3, 1, 1203, 50, Windows(steps=4, block=10))
    assert order.shape == (24, 50)
    assert len(np.unique(order)) == 1200
    for window in order.reshape(6, 200):
        assert len(np.unique(window // 10)) <= 200 // 10 + 2  # whole blocks, and two cut ones
        assert not np.array_equal(window, np.sort(window))
    assert not np.array_equal(order, epoch_order(3, 2, 1203, 50, Windows(steps=4, block=10)))


def test_windows_hold_as_many_images_as_memory_allows_and_a_batch_at_least():
    small = Windows.of(batch_size=200, image_bytes=784)
    assert 30e6 < small.steps * 200 * 784 < 40e6
    assert Windows.of(batch_size=64, image_bytes=10**8) == Windows(steps=1, block=1)
