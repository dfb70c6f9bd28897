"""Tests the list of Keras's optimizers: it is whole, and its reasons to refuse some are true."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.errors import InputError
from lrcycles.schedules.optimizers import (
    OPTIMIZERS,
    UNUSABLE,
    WRAPPERS,
    class_named,
    need_optimizer,
    unused_rates,
)

START = [[1.0, -2.0], [3.0, 0.5]]


def weights_after(optimizer, rates, gradients):
    variable = keras.Variable(START)
    optimizer.build([variable])
    path = [np.array(START)]
    for rate, gradient in zip(rates, gradients, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.full((2, 2), gradient)], [variable])
        path.append(variable.numpy())
    return np.array(path)


def test_every_optimizer_of_keras_is_listed_once():
    public = [
        name
        for name, kind in inspect.getmembers(keras.optimizers, inspect.isclass)
        if issubclass(kind, keras.optimizers.Optimizer) and name != "Optimizer"
    ]
    assert sorted([*OPTIMIZERS, *UNUSABLE, *WRAPPERS]) == sorted(public)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twice_the_rate_makes_twice_the_first_step(name):
    kind = getattr(keras.optimizers, name)
    once, twice = (np.diff(weights_after(kind(), [rate], [0.7]), axis=0) for rate in (0.1, 0.2))
    assert np.all(once != 0)
    assert_allclose(twice, 2 * once, rtol=2e-3)


def test_ftrl_multiplies_its_weights_with_the_rate_although_there_is_no_gradient():
    path = weights_after(keras.optimizers.Ftrl(), [0.1, 0.1, 0.3], [1, 1, 0])
    assert_allclose(path[3], 3 * path[2], rtol=1e-5)


def test_schedule_free_adamw_leaves_weights_that_are_not_their_mean():
    optimizer = keras.optimizers.ScheduleFreeAdamW(beta_1=0.9)
    path = weights_after(optimizer, [1.0] * 3, [1, -2, 1])
    ahead = optimizer._momentums[0].numpy()
    mean = (path[3] - 0.1 * ahead) / 0.9  # Defazio et al. 2024: y = 0.1 z + 0.9 x
    assert np.abs(path[3] - mean).min() > 1e-3


@pytest.mark.parametrize(
    ("typed", "named"),
    [("ADAM_W", "AdamW"), ("rms_prop", "RMSprop"), ("Schedule-free adamw", "ScheduleFreeAdamW")],
)
def test_a_name_is_found_in_any_spelling(typed, named):
    assert class_named(typed) == named


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ftrl", r"follow a schedule .*Received: Ftrl, which .*\. Use adagrad instead\.$"),
        ("multi_optimizer", "Received: multi_optimizer, which needs another optimizer"),
        ("sdg", r"must be one of adam, sgd, .* Received: sdg\. Choose one"),
    ],
)
def test_a_name_that_no_configuration_may_have_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        need_optimizer("optimizer.name", name)


def test_adafactor_moves_no_further_at_rates_above_its_limit():
    at_limit, above = (
        weights_after(keras.optimizers.Adafactor(relative_step=False), [0.1] * 4 + [last], [1] * 5)
        for last in (1 / np.sqrt(5), 100.0)
    )
    assert_allclose(above, at_limit)
    assert "from update 5 on, at a rate of 1e+02" in unused_rates("Adafactor", [0.1] * 4 + [100])
    assert "from update 101 on" in unused_rates("Adafactor", [0.2], updates=100)
    assert unused_rates("Adafactor", [0.1] * 4) is None
    assert unused_rates("Adam", [100]) is None
