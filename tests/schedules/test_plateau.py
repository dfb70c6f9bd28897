"""Does the rate fall when, and only when, Keras's own rule lets it?"""

from __future__ import annotations

import doctest
import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from lrcycles.errors import InputError
from lrcycles.schedules import plateau as plateaus
from lrcycles.schedules.plateau import PlateauRule, PlateauState, plateau


def rates_of_keras(rule, history):
    import keras

    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        factor=rule.factor,
        patience=rule.patience,
        mode=rule.mode,
        min_delta=rule.min_delta,
        cooldown=rule.cooldown,
        min_lr=rule.min_lr,
    )
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1.0)))
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(history):
        callback.on_epoch_end(epoch, {"val_loss": value})
        rates.append(callback.model.optimizer.learning_rate)
    return rates


def falling(rule, history):
    state, rates = PlateauState(lr=1.0), []
    for value in history:
        state = plateau(state, value, rule)
        rates.append(state.lr)
    return rates


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(plateaus) == (0, 3)


def test_two_hundred_random_histories_give_the_rates_of_keras():
    rng = np.random.default_rng(0)
    falls = 0
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
        rates = falling(rule, history)
        assert rates == pytest.approx(rates_of_keras(rule, history), rel=1e-12)
        falls += len(set(rates)) - 1
    assert falls > 300


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_first_value_of_nan_is_never_the_best_as_it_is_for_keras(mode):
    rule = PlateauRule(factor=0.5, patience=2, mode=mode)
    better = np.arange(6.0) * (-1 if mode == "min" else 1)
    history = [np.nan, *better]
    assert falling(rule, history) == [1.0] * 7
    assert rates_of_keras(rule, history)[-1] < 0.2


def test_nothing_but_nan_is_a_plateau():
    rule = PlateauRule(factor=0.5, patience=2)
    assert falling(rule, [np.nan] * 4) == [1.0, 0.5, 0.5, 0.25]


def test_a_run_goes_on_from_its_state_as_if_it_had_never_stopped():
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
        ({"factor": 1.0}, "need factor < 1"),
        ({"factor": 0.0}, "need 0 < factor <= 1"),
        ({"patience": -1}, "need patience to be a whole number >= 0"),
        ({"mode": "auto"}, "need mode to be min or max, got mode='auto'"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        PlateauRule(**settings)
