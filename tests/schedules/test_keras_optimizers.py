"""Tests that momentum cycles as in PyTorch and that each layer has its own rate."""

from __future__ import annotations

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import optimizers
from numpy.testing import assert_allclose, assert_array_equal

from benchmarks import schedule_references as references
from lrcycles.errors import InputError
from lrcycles.schedules.keras_optimizers import controlled
from lrcycles.schedules.keras_schedules import (
    Constant,
    Cosine,
    CyclicMomentum,
    ExpRangeBounds,
    OneCycle,
    Triangular,
)
from lrcycles.schedules.optimizers import OPTIMIZERS

CYCLE = Triangular(base_lr=0.01, max_lr=0.1, step_size=3)
KINDS = [getattr(optimizers, name) for name in OPTIMIZERS]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def small_model(optimizer):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, name="low"), keras.layers.Dense(1, name="top")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, loss="mse")
    return model


def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, 4)).astype("float32"), rng.normal(size=(64, 1)).astype("float32")


def moved(optimizer, *, steps=1):
    """What training adds to the weights: of low kernel, low bias, top kernel, top bias."""
    model = small_model(optimizer)
    variables, (x, y) = model.trainable_variables, images()
    before = model.get_weights()
    for _ in range(steps):  # not compiled, which would take longer than the steps
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        optimizer.apply(tape.gradient(loss, variables), variables)
    return [b - a for a, b in zip(before, model.get_weights(), strict=True)]


def descend(optimizer):
    """The weights of the references' valley after each update, in a compiled step."""
    weights = keras.Variable(references.START, dtype="float32")
    optimizer.build([weights])
    step = tf.function(
        lambda: optimizer.apply([tf.constant(references.CURVATURE) * weights], [weights])
    )
    path = []
    for _ in range(references.UPDATES):
        step()
        path.append(weights.numpy())
    return np.array(path)


def torch_one_cycle():
    own = references.ONE_CYCLE
    low = own["max_lr"] / own["div_factor"]
    rise = own["pct_start"] * own["total_steps"] - 1
    return OneCycle(
        base_lr=low,
        max_lr=own["max_lr"],
        final_lr=low / own["final_div_factor"],
        rise_steps=rise,
        fall_steps=own["total_steps"] - 1 - rise,
        shape="cosine",
    )


@pytest.mark.parametrize("name", ["sgd", "nesterov"])
def test_sgd_follows_pytorchs_while_momentum_cycles(name):
    rate = references.SGD_RATE
    triangle = Triangular(base_lr=rate, max_lr=2 * rate, step_size=references.SGD_STEP_SIZE)
    sgd = optimizers.SGD(rate, momentum=0.5, nesterov=name == "nesterov")
    ours = controlled(sgd, momentum=CyclicMomentum(schedule=triangle, **references.MOMENTUM))
    assert_allclose(descend(ours), references.read_weights(name), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("adam", optimizers.Adam(torch_one_cycle(), epsilon=1e-12)),
        ("adamw", optimizers.AdamW(torch_one_cycle(), epsilon=1e-12, weight_decay=0.1)),
        ("nadam", optimizers.Nadam(torch_one_cycle(), epsilon=1e-12)),
    ],
)
def test_the_adam_family_follows_pytorchs_one_cycle_of_rate_and_beta_1(name, own):
    momentum = CyclicMomentum(schedule=torch_one_cycle(), **references.MOMENTUM)
    path = descend(controlled(own, momentum=momentum))
    assert_allclose(path, references.read_weights(name), rtol=0, atol=2e-5)


def test_rmsprop_reads_its_momentum_from_the_schedule():
    # PyTorch multiplies the velocity by the rate, so its path is no reference: by hand, in 64 bits.
    momentum = CyclicMomentum(schedule=CYCLE)
    weights, square, velocity, path = np.array(references.START), 0.0, 0.0, []
    for step in range(references.UPDATES):
        gradient = np.array(references.CURVATURE) * weights
        square = 0.9 * square + 0.1 * gradient**2
        velocity = float(momentum(step)) * velocity + 0.01 * gradient / np.sqrt(square + 1e-7)
        weights = weights - velocity
        path.append(weights)
    ours = controlled(optimizers.RMSprop(0.01), momentum=momentum)
    assert_allclose(descend(ours), path, rtol=0, atol=2e-5)


@each_kind
def test_without_rates_and_momentum_the_weights_are_those_of_keras_bit_for_bit(kind):
    for ours, own in zip(moved(controlled(kind(0.01))), moved(kind(0.01)), strict=True):
        assert_array_equal(ours, own)


@pytest.mark.parametrize(
    "kind",
    [k for k in KINDS if k.__name__ not in ("Adagrad", "Adadelta", "Adafactor")],
    ids=lambda kind: kind.__name__,
)
def test_a_constant_momentum_is_keras_own_momentum(kind):
    kinds_with_velocity = (optimizers.SGD, optimizers.RMSprop, optimizers.Muon)
    name = "momentum" if kind in kinds_with_velocity else "beta_1"
    ours = controlled(kind(0.01), momentum=Constant(base_lr=0.8))
    for a, b in zip(moved(ours, steps=3), moved(kind(0.01, **{name: 0.8}), steps=3), strict=True):
        assert_allclose(a, b, rtol=2e-4, atol=1e-7)


@each_kind
def test_a_rate_of_half_halves_the_first_step_of_its_layer_alone(kind):
    halved = moved(controlled(kind(0.01, weight_decay=0.1), layer_rates={"low": 0.5}))
    whole = moved(kind(0.01, weight_decay=0.1))
    for part, all_of_it, share in zip(halved, whole, [0.5, 0.5, 1, 1], strict=True):
        assert_allclose(part, share * all_of_it, rtol=1e-3, atol=2e-7)


@each_kind
def test_a_rate_of_0_freezes_its_layer_bit_for_bit_under_weight_decay_too(kind):
    own = kind(0.01, weight_decay=0.1, clipnorm=1.0)
    low, low_bias, top, _ = moved(controlled(own, layer_rates={"low": 0}), steps=3)
    assert_array_equal(low, 0)
    assert_array_equal(low_bias, 0)
    assert np.all(top != 0)


def test_a_pattern_with_a_slash_names_variables_and_the_first_match_counts():
    rates = {"top": 1.0, "*/bias": 0.0, "*": 0.5}
    low, low_bias, top, top_bias = moved(controlled(optimizers.SGD(0.1), layer_rates=rates))
    whole = moved(optimizers.SGD(0.1))
    assert_allclose(low, whole[0] / 2, rtol=1e-4, atol=1e-7)
    assert_array_equal(low_bias, 0)
    assert_array_equal(top, whole[2])
    assert_array_equal(top_bias, whole[3])


def test_a_layer_that_is_not_there_is_an_error_that_names_those_that_are():
    with pytest.raises(InputError, match=r"Received: 'dense_\*'\. Choose from .*low, .*top"):
        small_model(controlled(optimizers.SGD(0.1), layer_rates={"dense_*": 0.1})).fit(
            *images(), verbose=0
        )


def test_a_run_saved_and_loaded_goes_on_bit_for_bit_with_its_rates_and_momentum(tmp_path):
    def fresh():
        return small_model(
            controlled(
                optimizers.Nadam(CYCLE),
                layer_rates={"low": 0.1},
                momentum=CyclicMomentum(schedule=CYCLE),
            )
        )

    run = {"batch_size": 16, "shuffle": False, "verbose": 0}
    straight = fresh()
    straight.fit(*images(), epochs=4, **run)
    begun = fresh()
    begun.fit(*images(), epochs=2, **run)
    begun.save(tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    resumed.fit(*images(), epochs=2, **run)
    for ours, theirs in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        assert_array_equal(ours, theirs)
    assert resumed.optimizer.beta_1 == pytest.approx(0.95)  # its number, not the last tensor


@pytest.mark.parametrize(
    "settings",
    [{"layer_rates": {"*/bias": 2.0}}, {"momentum": CyclicMomentum(schedule=CYCLE)}],
    ids=["layer_rates", "momentum"],
)
def test_a_model_from_an_h5_file_predicts_as_before_and_can_train(settings, tmp_path):
    saved = small_model(controlled(optimizers.SGD(CYCLE, momentum=0.9), **settings))
    saved.compile(saved.optimizer, loss=keras.losses.MeanSquaredError())  # Keras reads no "mse"
    saved.optimizer.build(saved.trainable_variables)
    saved.save(tmp_path / "model.h5")
    loaded = keras.saving.load_model(tmp_path / "model.h5")
    for ours, theirs in zip(loaded.get_weights(), saved.get_weights(), strict=True):
        assert_array_equal(ours, theirs)
    optimizer, variables = loaded.optimizer, loaded.trainable_variables
    assert optimizer.get_config() == saved.optimizer.get_config()
    optimizer.apply([tf.ones_like(variable.value) for variable in variables], variables)
    assert all(
        np.all(a != b) for a, b in zip(loaded.get_weights(), saved.get_weights(), strict=True)
    )


def test_an_optimizer_is_copied_pickled_and_made_anew_from_its_config():
    momentum = CyclicMomentum(schedule=CYCLE)
    ours = controlled(optimizers.AdamW(CYCLE), layer_rates={"low": 0.1}, momentum=momentum)
    for again in (
        copy.deepcopy(ours),
        pickle.loads(pickle.dumps(ours)),
        type(ours).from_config(ours.get_config()),
        optimizers.deserialize(optimizers.serialize(ours)),
    ):
        assert again.get_config() == ours.get_config()
    assert type(ours).from_config({"learning_rate": 0.1}).get_config()["layer_rates"] == {}
    assert ours.name.startswith("lrcycles")  # stands in Keras's error about an .h5 file


def test_it_works_inside_a_loss_scale_optimizer():
    ours = controlled(
        optimizers.SGD(CYCLE), layer_rates={"low": 0}, momentum=CyclicMomentum(schedule=CYCLE)
    )
    model = small_model(optimizers.LossScaleOptimizer(ours))
    low, _, top, _ = model.get_weights()
    model.fit(*images(), batch_size=32, verbose=0)
    assert_array_equal(model.get_weights()[0], low)
    assert np.all(model.get_weights()[2] != top)


def test_momentum_runs_against_the_rate():
    momentum = CyclicMomentum(schedule=CYCLE, base_momentum=0.8, max_momentum=0.95)
    assert_allclose(momentum(np.arange(7)), [0.95, 0.9, 0.85, 0.8, 0.85, 0.9, 0.95], rtol=1e-6)
    phases = {"rise_steps": 2, "fall_steps": 2, "annihilation_steps": 2}
    one = OneCycle(base_lr=0.1, max_lr=1.0, final_lr=1e-4, **phases)
    against = CyclicMomentum(schedule=one)(np.arange(7))
    assert_allclose(against, [0.95, 0.9, 0.85, 0.9, 0.95, 0.95, 0.95], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: controlled(optimizers.Ftrl(0.1)), "must be one of Adam, .* Received: Ftrl"),
        (
            lambda: controlled(optimizers.LossScaleOptimizer(optimizers.SGD(0.1))),
            "pass the inner optimizer",
        ),
        (
            lambda: controlled(optimizers.Adagrad(0.1), momentum=CyclicMomentum(schedule=CYCLE)),
            "must have momentum. Received: ControlledAdagrad",
        ),
        (
            lambda: controlled(optimizers.SGD(0.1), layer_rates={"low": -1}),
            "finite numbers of at least 0. Received: -1 for 'low'",
        ),
        (
            lambda: controlled(optimizers.SGD(0.1), layer_rates={"low": "a"}),
            "finite numbers of at least 0. Received: 'a' for 'low'",
        ),
        (
            lambda: controlled(optimizers.SGD(0.1), layer_rates=["low"]),
            r"layer_rates must be a dictionary .* Received: \['low'\]",
        ),
        (
            lambda: controlled(optimizers.SGD(0.1), momentum=0.9),
            "momentum must be a schedule. Received: 0.9",
        ),
        (
            lambda: CyclicMomentum(schedule=Cosine(max_lr=1, total_steps=9)),
            "schedule that rises and falls. Received: Cosine",
        ),
        (
            lambda: CyclicMomentum(
                schedule=ExpRangeBounds(base_lr=0.1, max_lr=1, step_size=9, gamma=0.9)
            ),
            "Received: ExpRangeBounds. Use ExpRange",
        ),
        (
            lambda: CyclicMomentum(schedule=CYCLE, base_momentum=0.9, max_momentum=0.8),
            r"Received: base_momentum=0\.9, max_momentum=0\.8",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_once(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_an_optimizer_in_use_is_refused():
    used = optimizers.SGD(0.1)
    moved(used)
    with pytest.raises(InputError, match="must not be in use yet"):
        controlled(used)
