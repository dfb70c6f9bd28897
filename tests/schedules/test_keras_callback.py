"""Tests that the tutorial's code runs, at the rates of PyTorch for the same cycles."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks import schedule_references as references
from lrcycles.errors import InputError
from lrcycles.schedules import rates
from lrcycles.schedules.keras_base import CycleWarning
from lrcycles.schedules.keras_callback import CyclicLR
from lrcycles.schedules.keras_schedules import Triangular

# Runs of a few batches hold no cycles that Smith would advise.
pytestmark = pytest.mark.filterwarnings("ignore::lrcycles.schedules.keras_base.CycleWarning")


def one_weight(learning_rate=1.0, **compile):
    """A model whose loss has the slope 1: each batch moves its weight by the rate."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    sgd = keras.optimizers.SGD(learning_rate)
    model.compile(sgd, loss=lambda _, predicted: predicted, **compile)
    return model


def train(clr, *, batches=20, model=None):
    """Train so many batches; give how far each of them moved the weight."""
    model = model or one_weight()
    weights = [0.0]
    model.layers[0].set_weights([np.zeros((1, 1))])
    seen = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: weights.append(model.get_weights()[0].item())
    )
    ones = np.ones((batches, 1), "float32")
    model.fit(ones, ones, batch_size=1, shuffle=False, verbose=0, callbacks=[seen, clr])
    return -np.diff(weights)


def test_the_lines_of_the_tutorial_run():
    x, y = np.zeros((64, 16), "float32"), np.eye(10, dtype="float32")[np.arange(64) % 10]
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(10, activation="softmax")])
    clr = CyclicLR(mode="triangular")
    model.compile(
        loss="categorical_crossentropy",
        optimizer=keras.optimizers.Adam(0.1),
        metrics=["accuracy"],
    )
    with pytest.warns(CycleWarning, match="never turns: step_size=2000 is longer than .* 8 steps"):
        model.fit(x, y, validation_data=(x, y), epochs=2, batch_size=16, verbose=0, callbacks=[clr])
    assert clr.history["iterations"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert clr.history.keys() == {"lr", "iterations", "loss", "accuracy"}
    assert_allclose(clr.history["lr"], 0.001 + 0.0000025 * np.arange(8), rtol=1e-6)
    assert (clr.clr_iterations, clr.trn_iterations) == (8, 8)


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
def test_each_batch_moves_the_weight_by_the_rate_of_the_pure_function(mode):
    gamma = 0.9 if mode == "exp_range" else 1.0
    clr = CyclicLR(base_lr=0.1, max_lr=1.0, step_size=4, mode=mode, gamma=gamma)
    extra = {"gamma": gamma} if mode == "exp_range" else {}
    expected = getattr(rates, mode)(np.arange(20), base_lr=0.1, max_lr=1.0, step_size=4, **extra)
    assert_allclose(train(clr), expected, rtol=1e-5)
    assert_allclose(clr.history["lr"], expected, rtol=1e-6)


def test_at_any_batch_it_sets_the_rate_that_pytorchs_cyclic_lr_sets():
    alike = [
        (s, rate)
        for s, rate in zip(
            references.settings("torch_cyclic"), references.read_rates("torch_cyclic"), strict=True
        )
        if s["step"] <= s["up"]  # where a fall of another length does not show
    ]
    assert len(alike) > 500
    for s, rate in alike:
        clr = CyclicLR(s["base_lr"], s["max_lr"], s["up"], mode=s["mode"], gamma=s["gamma"])
        clr.clr_iterations = s["step"]
        assert clr.clr() == pytest.approx(rate, rel=1e-6)


def test_a_scale_function_of_cycles_or_of_iterations_takes_the_place_of_the_mode():
    settings = {"base_lr": 1.0, "max_lr": 3.0, "step_size": 2}
    by_cycle = CyclicLR(**settings, scale_fn=lambda cycle: 1 / cycle)
    assert_allclose(train(by_cycle, batches=9), [1, 2, 3, 2, 1, 1.5, 2, 1.5, 1])
    by_batch = CyclicLR(**settings, scale_fn=lambda n: n / 2, scale_mode="iterations")
    assert_allclose(train(by_batch, batches=5), [1, 1.5, 3, 2.5, 1])


def fit(clr, *, epochs, steps=4):
    ones = np.ones((steps, 1), "float32")
    one_weight().fit(ones, ones, batch_size=1, epochs=epochs, verbose=0, callbacks=[clr])


@pytest.mark.parametrize(
    ("settings", "epochs", "warning"),
    [
        ({"step_size": 12.0}, 6, "The run has 1 cycle; Smith advises 3 or more"),
        ({"step_size": 8}, 14, "The run ends 50 % into a cycle.* multiple of 16 steps"),
        ({"step_size": 4}, 6, "Half a cycle is 1 epoch; Smith advises 2 to 10"),
        ({"step_size": 8, "mode": "exp_range", "gamma": 0.7}, 12, "exp_range keeps 24 %"),
    ],
)
def test_cycles_that_make_no_sense_are_warned_of_when_training_begins(settings, epochs, warning):
    with pytest.warns(CycleWarning, match=warning):
        fit(CyclicLR(**settings), epochs=epochs)


def test_triangular2_that_is_gone_within_an_epoch_is_refused_when_training_begins():
    with pytest.raises(
        InputError, match=r"triangular2 must keep 0\.1 %.*12 epochs with step_size 40"
    ):
        fit(CyclicLR(step_size=0.9, mode="triangular2"), epochs=1, steps=20)


@pytest.mark.filterwarnings("error::lrcycles.schedules.keras_base.CycleWarning")
def test_three_whole_cycles_pass_without_a_warning_in_any_number_of_fits():
    clr = CyclicLR(step_size=8.0, mode="triangular2")
    fit(clr, epochs=12)
    fit(clr, epochs=4)  # the fourth cycle


@pytest.mark.filterwarnings("error::lrcycles.schedules.keras_base.CycleWarning")
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_loop_without_fit_and_data_of_unknown_length_are_not_checked():
    clr, model = CyclicLR(), one_weight()
    keras.callbacks.CallbackList([clr], model=model).on_train_begin()
    batches = ((np.ones((1, 1)), np.ones((1, 1))) for _ in range(3))
    model.fit(batches, shuffle=False, verbose=0, callbacks=[clr])
    assert clr.clr_iterations == 3


def test_a_second_fit_goes_on_where_the_first_one_stopped_and_reset_begins_anew():
    clr, model = CyclicLR(1.0, 3.0, 2), one_weight()
    assert_allclose(train(clr, batches=3, model=model), [1, 2, 3])
    assert_allclose(train(clr, batches=2, model=model), [2, 1])
    clr._reset(new_max_lr=5.0)
    assert_allclose(train(clr, batches=3, model=model), [1, 3, 5])
    assert (clr.clr_iterations, clr.trn_iterations, len(clr.history["lr"])) == (3, 8, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CyclicLR(mode="triangle"), "mode must be .* Received: 'triangle'"),
        (lambda: CyclicLR(scale_mode="epochs"), "scale_mode must be .* Received: 'epochs'"),
        (lambda: CyclicLR(base_lr=0.1), r"base_lr must be below max_lr\. Received: base_lr=0\.1"),
        (lambda: CyclicLR(step_size=0), "step_size must be .* Received: 0"),
        (lambda: CyclicLR(mode="exp_range", gamma=1.1), r"gamma must be .* Received: 1\.1"),
        (
            lambda: train(CyclicLR(), model=one_weight(steps_per_execution=5)),
            r"steps_per_execution must be 1: .* Received: 5.*lrcycles\.Triangular",
        ),
        (
            lambda: train(
                CyclicLR(), model=one_weight(Triangular(base_lr=0.1, max_lr=1, step_size=4))
            ),
            "Received: an optimizer with a schedule. Leave out",
        ),
        (lambda: train(CyclicLR(), model=one_weight(lambda: 0.1)), "an optimizer with a schedule"),
    ],
)
def test_what_it_cannot_do_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
