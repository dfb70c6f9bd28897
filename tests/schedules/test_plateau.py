"""Tests that a plateau reduces the rate when, and only when, Keras's own callback does."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from lrcycles.errors import InputError
from lrcycles.schedules.plateau import PlateauRule, PlateauState, lr_after, plateau
from lrcycles.schedules.table import rate_table


def rates_of_keras(rule, history, *, lr=1.0):
    """The rates after each epoch, by Keras's callback on an optimizer with a float for its rate."""
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        factor=rule.factor,
        patience=rule.patience,
        mode=rule.mode,
        min_delta=rule.min_delta,
        cooldown=rule.cooldown,
        min_lr=rule.min_lr,
    )
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=lr)))
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(history):
        callback.on_epoch_end(epoch, {"val_loss": value})
        rates.append(callback.model.optimizer.learning_rate)
    return rates


def rates_of_ours(rule, history):
    state, rates = PlateauState(lr=1.0), []
    for value in history:
        state = plateau(state, value, rule)
        rates.append(state.lr)
    return rates


def test_two_hundred_random_histories_give_the_rates_of_keras():
    rng = np.random.default_rng(0)
    reductions = 0
    for _ in range(200):
        rule = PlateauRule(
            factor=rng.uniform(0.1, 0.9),
            patience=int(rng.integers(0, 5)),
            min_delta=rng.choice([0.0, 1e-4, 0.05]),
            cooldown=int(rng.integers(0, 4)),
            min_lr=rng.choice([0.0, 1e-3, 0.3]),
            mode=rng.choice(["min", "max"]),
        )
        history = rng.normal(size=30).cumsum() * 0.1 + rng.normal(size=30)
        history[1:][rng.random(29) < 0.03] = np.nan
        rates = rates_of_ours(rule, history)
        assert rates == pytest.approx(rates_of_keras(rule, history), rel=1e-12)
        reductions += len(set(rates)) - 1
    assert reductions > 300


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_rate_after_any_number_of_epochs_is_bit_for_bit_the_one_of_keras(patience):
    generator = np.random.default_rng(patience)
    losses = 1 / np.arange(1, 13) + generator.normal(0, 0.05, 12)
    losses[5] = losses[:5].min() - 5e-5  # an improvement that is too small to count
    rule = PlateauRule(factor=0.2, patience=patience)
    rates = [
        lr_after(losses[:n], base_lr=0.1, factor=0.2, patience_epochs=patience)
        for n in range(1, 13)
    ]
    assert rates == rates_of_keras(rule, losses, lr=0.1)
    assert len(set(rates)) > 1


def test_the_rate_is_the_one_that_keras_sets_in_an_optimizer():
    losses = [0.5, 0.6, 0.6, 0.6, 0.6]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    callback = keras.callbacks.ReduceLROnPlateau(factor=0.2, patience=2)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
    rate = lr_after(losses, base_lr=0.1, factor=0.2, patience_epochs=2)
    assert rate == pytest.approx(float(model.optimizer.learning_rate))
    assert rate == pytest.approx(0.1 * 0.2**2)


def test_before_the_first_epoch_the_rate_is_base_lr():
    assert lr_after([], base_lr=0.5, factor=0.1, patience_epochs=2) == 0.5
    settings = {"base_lr": 0.5, "factor": 0.1, "patience_epochs": 2}
    assert rate_table("reduce_on_plateau", total_steps=4, **settings).tolist() == [0.5] * 4


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_first_value_of_nan_is_never_the_best_as_it_is_for_keras(mode):
    rule = PlateauRule(factor=0.5, patience=2, mode=mode)
    better = np.arange(6.0) * (-1 if mode == "min" else 1)
    history = [np.nan, *better]
    assert rates_of_ours(rule, history) == [1.0] * 7
    assert rates_of_keras(rule, history)[-1] < 0.2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_but_values_that_are_not_finite_is_a_plateau(value):
    rule = PlateauRule(factor=0.5, patience=2)
    assert rates_of_ours(rule, [value] * 4) == [1.0, 0.5, 0.5, 0.25]


def test_a_run_that_is_restored_from_its_state_goes_on_as_if_it_had_never_stopped():
    rule = PlateauRule(factor=0.5, patience=2, cooldown=1)
    history = [0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4, 0.6, 0.6]
    straight = resumed = PlateauState(lr=1.0)
    for value in history:
        straight = plateau(straight, value, rule)
        resumed = plateau(PlateauState(**json.loads(json.dumps(asdict(resumed)))), value, rule)
    assert resumed == straight
    assert straight.lr < 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 1.0}, "factor must be below 1"),
        ({"factor": 0.0}, "factor must be above 0"),
        ({"patience": -1}, "patience must be a whole number of at least 0"),
        ({"mode": "auto"}, "mode must be min or max. Received: 'auto'"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        PlateauRule(**settings)


def test_a_table_of_a_rule_that_cannot_work_is_refused():
    with pytest.raises(InputError, match="factor must be below 1"):
        rate_table("reduce_on_plateau", total_steps=4, base_lr=0.5, factor=1.0, patience_epochs=2)
