"""Tests that a range test drives every optimizer of Keras by its rate, or says why it cannot."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.errors import InputError
from lrcycles.range_tests.of_model import range_test
from lrcycles.schedules.optimizers import OPTIMIZERS
from tests.range_tests.small_models import CLASSES, FEW, Loader, clusters, compiled

RATES = np.geomspace(1e-3, 1.0, 3)
X, Y = clusters()
BATCHES = [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 48, 16)]
SETTINGS = {
    **{"steps": 3, "seeds": 1, "widen": 0, "min_lr": 1e-3, "evaluate_every_steps": 3},
    "heldout": (X[48:], Y[48:]),
}


def network():
    """Two layers with an embedding, whose gradient is sparse."""
    keras.utils.set_random_seed(0)
    features = keras.Input((4,))
    tokens = keras.ops.cast(features > 0, "int32")
    words = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(2, 3)(tokens))
    joined = keras.layers.Concatenate()([features, words])
    return keras.Model(features, keras.layers.Dense(CLASSES, activation="softmax")(joined))


def losses_of_keras(optimizer, rates=RATES):
    """Losses of Keras's own steps, with the rate set by hand before each."""
    model = compiled(optimizer, model=network())
    losses = []
    for rate, batch in zip(rates, BATCHES, strict=True):
        optimizer.learning_rate = rate
        losses.append(model.train_on_batch(*batch))
    return [loss for loss, _ in losses]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_sweep_makes_the_steps_of_keras_at_its_rates_and_leaves_no_trace(name):
    model = compiled("sgd", model=network())
    before = model.get_weights()
    curves = range_test(model, Loader(BATCHES), optimizer=name.upper(), **SETTINGS)
    expected = losses_of_keras(getattr(keras.optimizers, name)())
    assert_allclose(curves.table["loss"], expected, rtol=1e-5)
    assert type(model.optimizer) is keras.optimizers.SGD
    for ours, own in zip(model.get_weights(), before, strict=True):
        assert_array_equal(ours, own)


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (keras.optimizers.Ftrl(), "Received: Ftrl, which multiplies all weights"),
        ("schedule_free_adamw", "Received: ScheduleFreeAdamW, whose result is the mean"),
        (
            keras.optimizers.LossScaleOptimizer(keras.optimizers.ScheduleFreeAdamW()),
            "Received: ScheduleFreeAdamW",
        ),
        ("multioptimizer", r"Pass keras\.optimizers\.MultiOptimizer\(\.\.\.\)"),
        ("sdg", "must be one of Keras or its name. Received: 'sdg'"),
    ],
    ids=["Ftrl", "ScheduleFree", "scaled ScheduleFree", "MultiOptimizer", "unknown"],
)
def test_an_optimizer_that_cannot_be_swept_is_refused_with_the_reason(optimizer, reason):
    model = compiled("sgd", model=network())
    own = model.optimizer
    with pytest.raises(InputError, match=reason) as caught:
        range_test(model, X, Y, optimizer=optimizer, **FEW)
    assert "\n" not in str(caught.value)
    assert model.optimizer is own


def by_map():
    inner = {"dense.*": keras.optimizers.SGD(0.2), "embedding.*": keras.optimizers.Adam(0.1)}
    return keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.4), inner)


def by_function():
    """As in Keras's documentation, the optimizers are made when the variables are known."""
    return lambda variable: (
        keras.optimizers.SGD(0.2) if "dense" in variable.path else keras.optimizers.Adam(0.1)
    )


@pytest.mark.parametrize("make", [by_map, by_function])
def test_the_optimizers_inside_of_one_keep_the_ratio_of_their_rates(make):
    model = compiled(keras.optimizers.MultiOptimizer(make()), model=network())
    inside = list(model.optimizer.optimizers)
    curves = range_test(model, Loader(BATCHES), **SETTINGS)
    assert model.optimizer.optimizers == inside
    dense, embedding = keras.optimizers.SGD(), keras.optimizers.Adam()
    alone = network()
    expected = []
    for rate, (x, y) in zip(RATES, BATCHES, strict=True):
        dense.learning_rate, embedding.learning_rate = rate, rate / 2
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, alone(x)))
        variables = alone.trainable_variables
        first, *others = tape.gradient(loss, variables)
        embedding.apply([first], variables[:1])
        dense.apply(others, variables[1:])
        expected.append(float(loss))
    assert_allclose(curves.table["loss"], expected, rtol=1e-5)
    assert any("0.5 times that rate for optimizer (Adam)" in note for note in curves.notes)


def test_an_optimizer_that_a_newer_keras_brings_is_checked_and_named(monkeypatch):
    monkeypatch.delitem(OPTIMIZERS, "Lion")
    curves = range_test(compiled("lion", model=network()), X, Y, **FEW)
    assert "has not been tried with Lion, an optimizer of a newer Keras" in curves.notes[0]


def test_a_note_says_from_where_on_adafactor_limits_its_rate():
    model = compiled(keras.optimizers.Adafactor(), model=network())
    model.optimizer.iterations.assign(20)
    curves = range_test(model, Loader(BATCHES), **SETTINGS)
    assert any("from update 23 on, at a rate of 1." in note for note in curves.notes)
