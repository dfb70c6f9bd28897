"""Tests that optimizers follow the schedules, in compiled steps and after loading."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from benchmarks import schedule_references as references
from lrcycles.errors import InputError
from lrcycles.schedules import keras_schedules, rates
from lrcycles.schedules.keras_base import CycleWarning
from lrcycles.schedules.keras_schedules import (
    SGDR,
    Constant,
    Cosine,
    ExpRange,
    ExpRangeBounds,
    Hann,
    InverseTime,
    LinearDecay,
    OneCycle,
    StepDecay,
    Triangular,
    Triangular2,
    WarmupStableDecay,
    Welch,
)
from lrcycles.schedules.rates import default_gamma
from lrcycles.schedules.table import rate_table

BOUNDS = {"base_lr": 0.001, "max_lr": 0.006, "step_size": 4}
UNUSED = ("cycles", "steps_per_update", "warmup_steps")  # in a test of single rates
ONE_CYCLE = {"base_lr": 0.01, "max_lr": 0.1, "final_lr": 1e-6, "rise_steps": 8, "fall_steps": 8}
EACH = [
    Constant(base_lr=0.5),
    Triangular(**BOUNDS),
    Triangular(**BOUNDS, fall_size=9, cycles=3),
    Triangular2(**BOUNDS),
    ExpRange(**BOUNDS, gamma=0.99),
    ExpRangeBounds(**BOUNDS, gamma=0.99),
    Welch(**BOUNDS),
    Hann(**BOUNDS),
    LinearDecay(max_lr=0.1, total_steps=40),
    Cosine(max_lr=0.1, total_steps=40, base_lr=0.01),
    SGDR(max_lr=0.1, first_cycle_steps=5),
    SGDR(max_lr=0.1, first_cycle_steps=5, cycle_factor=2),
    OneCycle(**ONE_CYCLE, annihilation_steps=5),
    OneCycle(**ONE_CYCLE, shape="cosine"),
    StepDecay(base_lr=0.1, factor=0.5, every_steps=7),
    InverseTime(base_lr=0.1, gamma=1e-4, power=0.75),
    WarmupStableDecay(max_lr=0.1, total_steps=30, decay_steps=20, shape="1-sqrt", warmup_steps=4),
    Hann(**BOUNDS, fall_size=2, cycles=2, warmup_steps=5),
]
each = pytest.mark.parametrize("schedule", EACH, ids=lambda s: type(s).__name__)


def small_model(optimizer, **compile):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", **compile)
    return model


def images(n=64):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 4)).astype("float32"), rng.normal(size=(n, 1)).astype("float32")


def bounds(**given):
    usual = {"base_lr": 0.001, "max_lr": 0.006, "cycles": 3, "step_size": None}
    return SimpleNamespace(**usual | {"steps_per_epoch": 100} | given)


def rates_of(schedule, steps):
    """The rates at an array of steps, by the pure function."""
    settings = schedule.get_config()
    del settings["steps_per_update"]
    warmup = settings.pop("warmup_steps")
    if "total_steps" in settings:
        settings["total_steps"] -= warmup
    line = np.interp(steps, [-1, warmup], [0, 1])
    steps = np.maximum(steps - warmup, 0)
    if cycles := settings.pop("cycles", None):
        steps = np.minimum(steps, cycles * (settings["step_size"] + settings["fall_size"]))
    return line * type(schedule).rate(steps, **settings)


@each
def test_a_schedule_comes_back_equal_from_its_config_and_from_keras(schedule):
    assert type(schedule).from_config(schedule.get_config()) == schedule
    saved = keras.optimizers.schedules.serialize(schedule)
    assert saved["registered_name"] == f"lrcycles>{type(schedule).__name__}"
    assert keras.optimizers.schedules.deserialize(saved) == schedule


@each
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_a_compiled_schedule_draws_the_rates_of_the_pure_function(schedule, dtype):
    steps = np.arange(0, 36, 7)
    drawn = tf.function(schedule)(tf.constant(steps, dtype))
    assert drawn.dtype == "float32"
    assert drawn.shape == (6,)
    assert_allclose(drawn, rates_of(schedule, steps), rtol=1e-6)
    assert schedule(tf.constant(3, dtype)).shape == ()


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_a_rate_at_ten_million_steps_is_right_to_a_millionth(dtype):
    total, late = 10_000_400, 10_000_000 + np.array([0, 1, 99, 123, 300])
    long = [
        Triangular(base_lr=0.001, max_lr=0.006, step_size=2000),
        Triangular(base_lr=0.001, max_lr=0.006, step_size=700, fall_size=1500),
        ExpRange(base_lr=0.001, max_lr=0.006, step_size=2000, gamma=0.9999999),
        Cosine(max_lr=0.1, total_steps=total),
        SGDR(max_lr=0.1, first_cycle_steps=1000, cycle_factor=3),
        OneCycle(base_lr=0.1, max_lr=1.0, final_lr=1e-7, rise_steps=3e6, fall_steps=7e6,
                 annihilation_steps=350),
    ]  # fmt: skip
    for schedule in long:
        settings = schedule.get_config()
        exact = type(schedule).rate(late, **{k: v for k, v in settings.items() if k not in UNUSED})
        drawn = schedule(tf.constant(late, dtype))
        assert_allclose(drawn, exact, rtol=1e-6, err_msg=type(schedule).__name__)


def test_a_tensor_of_whole_steps_takes_cycles_of_fractions_of_a_step():
    settings = {"base_lr": 0.1, "max_lr": 1.0, "step_size": 2.5}
    drawn = rates.triangular(tf.range(11, dtype="int64"), **settings)
    assert_allclose(drawn, rates.triangular(np.arange(11), **settings))


def test_a_hundred_of_pytorchs_settings_give_its_rates_in_32_bits():
    settings = references.settings("torch_cyclic")[:100]
    kinds = {"triangular": Triangular, "triangular2": Triangular2, "exp_range": ExpRange}
    drawn = []
    for s in settings:
        gamma = {"gamma": s["gamma"]} if s["mode"] == "exp_range" else {}
        ends = {"base_lr": s["base_lr"], "max_lr": s["max_lr"]}
        schedule = kinds[s["mode"]](**ends, step_size=s["up"], fall_size=s["down"], **gamma)
        drawn.append(float(schedule(s["step"])))
    assert_allclose(drawn, references.read_rates("torch_cyclic")[:100], rtol=1e-6)


@each
def test_a_rate_after_a_warm_up_is_drawn_from_its_first_step(schedule):
    warmed = replace(schedule, warmup_steps=6)
    steps = np.arange(36)
    assert_allclose(warmed(steps), rates_of(warmed, steps), rtol=1e-6)
    accumulating = replace(warmed, steps_per_update=3)
    assert_array_equal(accumulating(3 * steps + 2), warmed(steps))


def test_a_cosine_after_a_warm_up_is_keras_own_cosine_decay():
    # Keras counts the steps of the decay without the warm-up.
    own = keras.optimizers.schedules.CosineDecay(
        0.8 / 11, decay_steps=40, alpha=0.25, warmup_target=0.8, warmup_steps=10
    )
    ours = Cosine(max_lr=0.8, base_lr=0.2, total_steps=50, warmup_steps=10)
    assert_allclose(ours(np.arange(60)), [own(step) for step in range(60)], rtol=1e-6)


def test_inverse_time_with_power_1_is_keras_own_inverse_time_decay():
    own = keras.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.01)
    ours = InverseTime(base_lr=0.1, gamma=0.01)
    steps = tf.range(100)
    assert_allclose(ours(steps), own(steps), rtol=1e-6)


def one_weight(schedule, **compile):
    """A model with one weight and a loss of slope 1: each step lowers the weight by the rate."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(schedule), loss=lambda _, predicted: predicted, **compile)
    model.layers[0].set_weights([np.zeros((1, 1))])
    return model


@pytest.mark.parametrize("schedule", [EACH[k] for k in (2, 11, -2, -1)])
def test_a_compiled_fit_moves_a_weight_by_the_sum_of_the_rates(schedule):
    model, ones = one_weight(schedule), np.ones((12, 1), "float32")
    model.fit(ones, ones, batch_size=1, verbose=0)
    assert_allclose(
        -model.get_weights()[0].item(), rates_of(schedule, np.arange(12)).sum(), rtol=1e-5
    )


def test_a_fit_compiled_by_xla_with_two_steps_per_execution_follows_the_schedule():
    schedule = ExpRange(**BOUNDS, gamma=0.99)
    model = one_weight(schedule, jit_compile=True, steps_per_execution=2)
    ones = np.ones((12, 1), "float32")
    model.fit(ones, ones, batch_size=1, verbose=0)
    assert_allclose(
        -model.get_weights()[0].item(), rates_of(schedule, np.arange(12)).sum(), rtol=1e-5
    )


def test_fit_moves_a_weight_by_exactly_the_rate_of_each_step():
    model = one_weight(Triangular(**BOUNDS))
    weights = []
    seen = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: weights.append(model.get_weights()[0].item())
    )
    ones = np.ones((20, 1), "float32")  # the slope of the loss is 1, so a step is the rate
    model.fit(ones, ones, batch_size=1, epochs=1, verbose=0, shuffle=False, callbacks=[seen])
    moved = -np.diff([0.0, *weights])
    assert_allclose(moved, rate_table("triangular", total_steps=20, **BOUNDS), rtol=2e-4)


def test_a_run_saved_and_loaded_in_mid_cycle_goes_on_bit_for_bit(tmp_path):
    x, y = images()
    run = {"batch_size": 8, "shuffle": False, "verbose": 0}  # 8 steps an epoch
    schedule = Triangular(base_lr=0.001, max_lr=0.006, step_size=8, warmup_steps=4)
    straight = small_model(keras.optimizers.Adam(schedule))
    loss = straight.fit(x, y, epochs=3, **run).history["loss"]

    begun = small_model(keras.optimizers.Adam(schedule))
    begun.fit(x, y, epochs=1, **run)
    begun.save(tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    assert resumed.optimizer.iterations == 8  # the warm-up, and half a rise of 8
    assert resumed.fit(x, y, epochs=2, **run).history["loss"] == loss[1:]
    for ours, theirs in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        assert_array_equal(ours, theirs)
    assert resumed.optimizer.learning_rate == straight.optimizer.learning_rate


RESUME = """
import sys
import keras, lrcycles, numpy as np
lrcycles.register_keras_objects()
folder = sys.argv[1]
model = keras.saving.load_model(f"{folder}/half.keras")
batch = np.load(f"{folder}/batch.npz")
model.train_on_batch(batch["x"], batch["y"])
np.savez(f"{folder}/resumed.npz", *model.get_weights())
"""


@pytest.mark.slow
def test_a_saved_run_goes_on_bit_for_bit_in_another_process(tmp_path):
    x, y = images()
    schedule = WarmupStableDecay(
        max_lr=0.006, total_steps=4, decay_steps=2, shape="1-sqrt", warmup_steps=1
    )
    model = small_model(keras.optimizers.Adam(schedule))
    model.fit(x, y, batch_size=32, epochs=1, shuffle=False, verbose=0)
    model.save(tmp_path / "half.keras")
    np.savez(tmp_path / "batch.npz", x=x, y=y)
    source = str(Path(keras_schedules.__file__).parents[2])
    command = [sys.executable, "-c", RESUME, str(tmp_path)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": source})
    model.train_on_batch(x, y)
    with np.load(tmp_path / "resumed.npz") as resumed:
        for ours, theirs in zip(model.get_weights(), resumed.values(), strict=True):
            assert_array_equal(ours, theirs)


@pytest.mark.parametrize("schedule", [EACH[2], Constant(base_lr=0.5, steps_per_update=2)])
def test_a_graph_of_the_users_own_takes_a_schedule_without_a_warning(schedule):
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = messages.append

    @tf.function
    def rate(step):
        return schedule(step)

    logging.getLogger("tensorflow").addHandler(handler)
    try:
        rate(tf.constant(3))
    finally:
        logging.getLogger("tensorflow").removeHandler(handler)
    assert [record.getMessage() for record in messages] == []


def test_gradient_accumulation_holds_a_rate_for_all_micro_steps_of_an_update():
    schedule = Triangular(**BOUNDS, steps_per_update=4)
    assert_array_equal(schedule(np.arange(32)), Triangular(**BOUNDS)(np.arange(32) // 4))
    x, y = images()
    accumulating = keras.optimizers.SGD(schedule, gradient_accumulation_steps=4)
    model = small_model(accumulating)
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    assert accumulating.iterations == 2
    assert float(accumulating.learning_rate) == np.float32(rates.triangular(2, **BOUNDS))


def test_from_bounds_fills_the_epochs_with_whole_cycles_and_rests_at_base_lr():
    schedule = Triangular.from_bounds(bounds(), epochs=13)
    assert schedule.step_size == 1300 // 6
    table = rate_table("triangular", total_steps=1300, base_lr=0.001, max_lr=0.006, cycles=3)
    assert_allclose(schedule(np.arange(1300)), table, rtol=1e-6)
    assert schedule(10**6) == table[-1]
    assert Triangular.from_bounds(bounds(), total_steps=1300) == schedule


def test_from_bounds_uses_the_step_size_of_bounds_if_the_run_has_no_length():
    assert Triangular.from_bounds(bounds(step_size=250)).step_size == 250


def test_from_bounds_fills_the_same_run_with_as_many_cycles_as_it_is_asked_for():
    schedule = Triangular.from_bounds(bounds(), total_steps=2400, cycles=6)
    assert (schedule.step_size, schedule.cycles) == (200, 6)
    troughs, peaks = np.arange(0, 2401, 400), np.arange(200, 2400, 400)
    assert_allclose(schedule(troughs), [0.001] * 7, rtol=1e-6)
    assert_allclose(schedule(peaks), [0.006] * 6, rtol=1e-6)


def test_from_bounds_leaves_the_steps_after_the_warm_up_to_the_cycles():
    schedule = ExpRange.from_bounds(bounds(), epochs=13, warmup_steps=100)
    table = rate_table(
        "exp_range", total_steps=1300, base_lr=0.001, max_lr=0.006, cycles=3, warmup_steps=100
    )
    assert_allclose(schedule(np.arange(1300)), table, rtol=1e-6)
    once = OneCycle.from_bounds(bounds(), epochs=13, warmup_steps=100)
    whole = OneCycle.from_bounds(bounds(), epochs=12)
    assert_array_equal(once(np.arange(100, 1300)), whole(np.arange(1200)))
    assert_allclose(once([0, 49, 99]), 0.001 * np.array([1, 50, 100]) / 101, rtol=1e-6)


@pytest.mark.parametrize("kind", [Triangular, OneCycle])
def test_from_bounds_refuses_a_warm_up_as_long_as_the_run(kind):
    with pytest.raises(InputError, match=r"warmup_steps must be below .*=1300, total"):
        kind.from_bounds(bounds(), epochs=13, warmup_steps=1300)


def test_from_bounds_warns_of_cycles_that_are_short_after_the_warm_up():
    with pytest.warns(CycleWarning, match=r"is 1\.83 epochs; .* 12 epochs after the warm-up"):
        Triangular.from_bounds(bounds(), epochs=12, warmup_steps=100)


def test_from_bounds_takes_a_fall_of_another_length_out_of_the_cycles():
    schedule = Triangular.from_bounds(bounds(), total_steps=1200, fall_size=300)
    drawn = schedule([0, 100, 400, 500, 900, 1199, 5000])
    expected = [0.001, 0.006, 0.001, 0.006, 0.006, 0.001 + 0.005 / 300, 0.001]
    assert_allclose(drawn, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("known", "length"),
    [({}, {"epochs": 48}), ({}, {"total_steps": 4800}), ({"step_size": 800}, {})],
)
def test_from_bounds_counts_a_run_with_accumulated_gradients_in_updates(known, length):
    # 100 steps an epoch, four of them an update: 48 epochs are 1,200 updates, three cycles of 400.
    schedule = ExpRange.from_bounds(bounds(**known), **length, steps_per_update=4, gamma=1.0)
    assert schedule.step_size == 200
    peaks = 4 * np.array([200, 600, 1000])
    assert_allclose(schedule(peaks), [0.006] * 3, rtol=1e-6)
    default = ExpRange.from_bounds(bounds(**known), **length, steps_per_update=4)
    assert default.gamma == default_gamma(1200)


def test_from_bounds_warns_of_epochs_that_are_counted_in_updates_too():
    # 6 epochs of 100 steps: three cycles, each half of one epoch, whatever makes an update.
    with pytest.warns(CycleWarning, match="Half a cycle is 1 epoch; .* at least 12 epochs"):
        Triangular.from_bounds(bounds(), epochs=6, steps_per_update=4)


def test_one_cycle_from_bounds_counts_a_run_with_accumulated_gradients_in_updates():
    schedule = OneCycle.from_bounds(bounds(), epochs=40, steps_per_update=4)
    steps = 4 * np.array([0, 450, 900, 999])
    assert_allclose(schedule(steps), [0.001, 0.006, 0.001, 1e-6], rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["base_lr", "max_lr", "rise_steps", "fall_steps", "annihilation_steps"]
)
def test_one_cycle_from_bounds_refuses_settings_that_it_derives(name):
    with pytest.raises(
        InputError, match=f"{name} must not be given .* Received: {name}=9. Leave it out"
    ):
        OneCycle.from_bounds(bounds(), epochs=10, **{name: 9})


def test_from_bounds_gives_exp_range_the_gamma_of_the_rate_table():
    schedule = ExpRange.from_bounds(bounds(), epochs=13)
    assert schedule.gamma == default_gamma(1300)
    assert ExpRange.from_bounds(bounds(), epochs=13, gamma=0.999).gamma == 0.999


@pytest.mark.parametrize(
    ("known", "length", "message"),
    [
        (
            {"steps_per_epoch": None},
            {},
            "length of the run must be known. Received: neither .* Give epochs and steps_per_epoch",
        ),
        ({"steps_per_epoch": None}, {"epochs": 3}, r"steps_per_epoch .* epochs=3"),
        (
            {},
            {"epochs": 3, "total_steps": 300},
            "Received: epochs=3, total_steps=300. Leave one out",
        ),
        ({}, {"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({}, {"epochs": 12, "gama": 1}, "Received: gama=1. Choose from cycles, fall_size, steps"),
        ({}, {"epochs": 12, "steps_per_epoch": 0}, "steps_per_epoch must be .* Received: 0"),
        ({}, {"total_steps": 5}, "total_steps must be at least 2"),
        (
            {"step_size": 200},
            {"cycles": 6},
            r"cycles=6, bounds\.step_size=200\. Give epochs, or total_steps",
        ),
        (
            {},
            {"total_steps": 1200, "fall_size": 400},
            "fall_size must be below 400, .*of 3 .*Received: fall_size=400",
        ),
        (
            {},
            {"total_steps": 1200, "max_lr": 1.0},
            r"max_lr must not be given .* Received: max_lr=1\.0\. Leave",
        ),
        (
            {},
            {"total_steps": 1200, "step_size": 9},
            "step_size must not be given .* Received: step_size=9",
        ),
        (
            {},
            {"total_steps": 1200, "cycles": 0},
            "cycles must be a whole number of at least 1. Received: 0",
        ),
        (
            {},
            {"total_steps": 1200, "steps_per_update": 0},
            "steps_per_update must be .* Received: 0",
        ),
    ],
)
def test_from_bounds_names_a_length_or_setting_that_is_missing_or_wrong(known, length, message):
    with pytest.raises(InputError, match=message):
        Triangular.from_bounds(bounds(**known), **length)


def test_cycles_that_make_no_sense_are_warned_of_once():
    with pytest.warns(CycleWarning) as caught:
        Triangular.from_bounds(bounds(cycles=2), epochs=2)
    (warning,) = caught
    assert "The run has 2 cycles" in str(warning.message)
    assert "Half a cycle is 0.5 epochs" in str(warning.message)
    assert warning.filename == __file__


def test_one_cycle_from_bounds_ends_the_run_at_its_final_rate():
    schedule = OneCycle.from_bounds(bounds(), epochs=10)
    assert_allclose(schedule([0, 450, 900, 999]), [0.001, 0.006, 0.001, 1e-6], rtol=1e-6)
    whole = OneCycle.from_bounds(bounds(), epochs=10, annihilation=0, final_lr=0.001)
    assert_allclose(whole([0, 500, 1000]), [0.001, 0.006, 0.001], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Triangular(base_lr=1.0, max_lr=0.1, step_size=4), r"base_lr=1\.0, max_lr=0\.1"),
        (lambda: Welch(base_lr=0.1, max_lr=1.0, step_size=0), "step_size must be .* Received: 0"),
        (lambda: ExpRange(**BOUNDS, gamma=1.5), r"gamma must be .* Received: 1\.5"),
        (lambda: Cosine(max_lr=-1.0, total_steps=9), r"max_lr must be .* Received: -1\.0"),
        (
            lambda: SGDR(max_lr=1.0, first_cycle_steps=9, cycle_factor=1.5),
            "cycle_factor must be .* Received: 1.5",
        ),
        (lambda: OneCycle(**ONE_CYCLE, shape="cos"), "shape must be .* Received: 'cos'"),
        (
            lambda: Constant(base_lr=0.1, steps_per_update=0),
            "steps_per_update must be .* Received: 0",
        ),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_numbers_of_numpy_are_saved_as_plain_ones():
    config = Triangular(base_lr=np.float64(0.1), max_lr=1.0, step_size=np.int64(4)).get_config()
    assert {type(value) for value in config.values()} == {float, int, type(None)}


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", CycleWarning)
        yield
