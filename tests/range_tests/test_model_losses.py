"""A range test of a Keras model measures the losses that the formulas give."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.range_tests.of_model import range_test
from tests.range_tests.small_models import FEW, Loader, compiled, line, linear


def loss_and_gradient(weights, x, y):
    """Of the mean square error of a plane, in NumPy and double precision."""
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(float)
    error = inputs @ weights - y
    return float(np.mean(error**2)), 2 * inputs.T @ error / len(x)


def by_hand(batches, rates, heldout, *, momentum=0.0, accumulated=1):
    """Losses of the batches and of the held-out samples after each update, from the formulas."""
    weights, velocity = np.array([[0.5], [0.5], [0.25]]), 0.0
    losses, heldout_losses = [], [loss_and_gradient(weights, *heldout)[0]]
    for step, rate in enumerate(rates):
        group = batches[step * accumulated : (step + 1) * accumulated]
        parts = [loss_and_gradient(weights, *batch) for batch in group]
        losses.append(np.mean([loss for loss, _ in parts]))
        velocity = momentum * velocity - rate * np.mean([g for _, g in parts], axis=0)
        weights = weights + velocity
        heldout_losses.append(loss_and_gradient(weights, *heldout)[0])
    return losses, heldout_losses


@pytest.mark.parametrize(("momentum", "accumulated"), [(0.0, 1), (0.9, 1), (0.0, 2)])
def test_the_losses_are_those_of_the_formulas(momentum, accumulated):
    x, y = line()
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 48, 8)]
    heldout = x[48:], y[48:]
    steps = 6 // accumulated
    settings = {"gradient_accumulation_steps": accumulated} if accumulated > 1 else {}
    model = linear(momentum, **settings)
    curves = range_test(
        model,
        iter(batches),
        heldout=heldout,
        seeds=1,
        steps=steps,
        min_lr=0.01,
        max_lr=0.32,
        evaluate_every_steps=1,
        widen=0,
    )
    rates = np.geomspace(0.01, 0.32, steps)
    losses, heldout_losses = by_hand(
        batches, rates, heldout, momentum=momentum, accumulated=accumulated
    )
    assert_allclose(curves.table["lr"], rates, rtol=1e-6)
    assert_allclose(curves.table["loss"], losses, rtol=1e-5)
    assert_allclose(curves.table["heldout_loss"], heldout_losses[1:], rtol=1e-5)
    assert_allclose(curves.initial_loss[0], heldout_losses[0], rtol=1e-5)
    assert curves.momentum == momentum


def test_the_loss_is_the_batches_own_also_in_graphs_and_over_several_steps_an_execution():
    x, y = line()
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 48, 16)]
    model = linear()
    model.compile(model.optimizer, loss="mse", steps_per_execution=2)
    curves = range_test(model, iter(batches), heldout=(x, y), seeds=1, steps=3, widen=0)
    losses, _ = by_hand(batches, np.geomspace(1e-5, 1, 3), (x, y))
    assert_allclose(curves.table["loss"], losses, rtol=1e-5)


def test_a_test_in_mid_training_goes_on_from_the_momenta_and_iterations():
    x, y = line()
    rate = 0.05
    model = linear(momentum=0.9)
    model.optimizer.learning_rate = rate
    model.train_on_batch(x[:16], y[:16])
    curves = range_test(
        model, Loader([(x[16:32], y[16:32])]), heldout=(x, y), seeds=1, steps=2, min_lr=rate,
        max_lr=2 * rate, widen=0,
    )  # fmt: skip
    batches = [(x[:16], y[:16]), (x[16:32], y[16:32]), (x[16:32], y[16:32])]
    losses, _ = by_hand(batches, [rate, rate, 2 * rate], (x, y), momentum=0.9)
    assert_allclose(curves.table["loss"], losses[1:], rtol=1e-5)


def test_class_weights_and_sample_weights_weigh_the_training_loss_alike(blobs):
    x, y = blobs
    weights = np.array([1.0, 2.0, 0.5])
    model = compiled()
    by_class = range_test(model, x, y, **FEW, class_weight={0: 1.0, 1: 2.0, 2: 0.5})
    by_sample = range_test(model, x, y, sample_weight=weights[y], **FEW)
    plain = range_test(model, x, y, **FEW)
    assert_allclose(by_class.table["loss"], by_sample.table["loss"], rtol=1e-6)
    assert not np.allclose(by_class.table["loss"], plain.table["loss"], rtol=1e-3)


def test_a_seed_decides_the_batches_and_dropout_and_nothing_else_does(blobs):
    model = compiled("sgd", keras.layers.Dropout(0.5))
    several = {**FEW, "seeds": [3, 4]}
    first = range_test(model, *blobs, **several)
    keras.utils.set_random_seed(99)
    again = range_test(model, *blobs, **several)
    alone = range_test(model, *blobs, **{**FEW, "seeds": [4]})
    losses = {seed: table["loss"].to_numpy() for seed, table in first.table.groupby("seed")}
    assert first.table.equals(again.table)
    assert_array_equal(alone.table["loss"], losses[4])
    assert not np.allclose(losses[3], losses[4])
    assert first.initial_loss[3] == first.initial_loss[4]


def test_fresh_weights_are_drawn_anew_for_each_seed_and_the_same_for_the_same_seed(blobs):
    model = compiled("adam", keras.layers.BatchNormalization())
    settings = {**FEW, "seeds": 2, "fresh_weights": True}
    curves = range_test(model, *blobs, **settings)
    assert curves.initial_loss[0] != curves.initial_loss[1]
    assert range_test(model, *blobs, **settings).initial_loss == curves.initial_loss


class Undescribed(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule as in many notebooks: without get_config."""

    def __call__(self, step):
        return 0.1 / (1.0 + keras.ops.cast(step, "float32"))


def test_a_schedule_without_a_configuration_is_left_alone(blobs):
    schedule = Undescribed()
    model = compiled(keras.optimizers.Adam(schedule))
    assert len(range_test(model, *blobs, **FEW).table) == 3
    assert model.optimizer._learning_rate is schedule


def test_weights_excluded_from_weight_decay_are_excluded_in_the_test():
    x, y = line()
    decaying, spared, plain = linear(weight_decay=5.0), linear(weight_decay=5.0), linear()
    spared.optimizer.exclude_from_weight_decay(var_names=["kernel", "bias"])
    losses = [
        range_test(model, x, y, **FEW).table["heldout_loss"].iloc[-1]
        for model in (decaying, spared, plain)
    ]
    assert losses[1] == losses[2] != losses[0]
