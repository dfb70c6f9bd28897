"""Tests the warm-up before any schedule, and warm-up-stable-decay, by hand-made lines."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrcycles
from lrcycles.errors import InputError
from lrcycles.schedules.rates import constant, cosine, sgdr, step_decay, triangular
from lrcycles.schedules.table import SCHEDULES, rate_table
from lrcycles.schedules.warmup import linear_warmup, warmup_stable_decay

NEEDED = {"max_lr": 3.0, "gamma": 0.01, "factor": 0.5, "patience_epochs": 1}
MOMENTA = {"base_momentum": 0.8, "max_momentum": 0.95}


def run_of(name):
    """The settings that a schedule needs, with whole cycles where it repeats."""
    row = SCHEDULES[name]
    settings = {key: NEEDED[key] for key in row.needs} | ({"cycles": 2} if row.repeats else {})
    return {"name": name, "base_lr": 1.0, **settings}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_table_rises_along_a_line_and_then_is_the_table_of_the_steps_left(name):
    rest = rate_table(total_steps=41, **run_of(name))
    drawn = rate_table(total_steps=50, warmup_steps=9, **run_of(name))
    assert_allclose(drawn[:9], np.linspace(0, rest[0], 11)[1:-1], rtol=1e-6)
    assert_array_equal(drawn[9:], rest)
    assert_array_equal(rate_table(total_steps=41, warmup_steps=0, **run_of(name)), rest)


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        (constant, {"base_lr": 0.1}),
        (triangular, {"base_lr": 0.1, "max_lr": 0.7, "step_size": 7}),
        (cosine, {"max_lr": 0.7, "total_steps": 30}),
        (sgdr, {"max_lr": 0.7, "first_cycle_steps": 3, "cycle_factor": 2}),
        (step_decay, {"base_lr": 0.7, "factor": 0.3, "every_steps": 7}),
    ],
)
def test_a_warm_up_of_0_steps_changes_no_bit(schedule, settings):
    for steps in np.arange(40), np.arange(40, dtype=np.float32), 7:
        drawn = linear_warmup(steps, schedule, warmup_steps=0, **settings)
        assert_array_equal(drawn, schedule(steps, **settings))


def test_total_steps_includes_the_warm_up():
    drawn = linear_warmup(np.arange(10, 101), cosine, max_lr=2.0, total_steps=100, warmup_steps=10)
    assert_allclose(drawn[[0, 45, 90]], [2, 1, 0], atol=1e-15)


def test_the_stable_rate_lies_between_two_straight_lines():
    run = {"max_lr": 2.0, "total_steps": 60, "decay_steps": 20, "base_lr": 0.5, "warmup_steps": 9}
    lines = [np.linspace(0, 2, 11)[1:], np.full(30, 2.0), np.linspace(2, 0.5, 21), [0.5] * 9]
    assert_allclose(warmup_stable_decay(np.arange(70), **run), np.concatenate(lines))
    assert warmup_stable_decay(65, **run) == 0.5
    table = rate_table("warmup_stable_decay", **run)
    assert_allclose(table, np.concatenate(lines)[:60], rtol=1e-6)


def test_the_1_sqrt_fall_leaves_1_minus_the_root_of_its_share():
    run = {"max_lr": 2.0, "total_steps": 60, "decay_steps": 16, "shape": "1-sqrt"}
    drawn = warmup_stable_decay(np.array([0, 44, 45, 48, 53, 60]), **run)
    assert_allclose(drawn, [2, 2, 2 - 2 / 4, 2 - 2 * 2 / 4, 2 - 2 * 3 / 4, 0], atol=1e-15)


def test_the_last_rate_of_a_long_1_sqrt_fall_keeps_its_digits_in_32_bits():
    steps = 10_000_000
    last = warmup_stable_decay(
        np.array([steps - 1], np.float32),
        max_lr=1.0,
        total_steps=steps,
        decay_steps=steps,
        shape="1-sqrt",
    )
    exact = 1 - (1 - Decimal(1) / steps).sqrt()
    assert last.dtype == np.float32
    assert_allclose(last, [float(exact)], rtol=1e-6)


def test_a_fifth_of_the_steps_after_the_warm_up_is_the_default_fall():
    table = rate_table("warmup_stable_decay", total_steps=60, base_lr=0, max_lr=1, warmup_steps=10)
    assert np.flatnonzero(table == 1).tolist() == list(range(10, 51))
    assert table[51] == np.float32(0.9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"warmup_steps": 60},
            r"must be below total_steps\. Received: warmup_steps=60, total",
        ),
        ({"warmup_steps": -1}, "warmup_steps must be a whole number of at least 0. Received: -1"),
        ({"warmup_steps": None}, "warmup_steps must be a whole number .* Received: None"),
        ({"warmup_steps": 0.5}, r"warmup_steps must be a whole number .* Received: 0\.5"),
        (
            {"decay_steps": 61},
            r"must be at most total_steps - warmup_steps\. .* decay_steps=61,",
        ),
        ({"decay_steps": 50, "warmup_steps": 11}, "total_steps=60, warmup_steps=11. Lower decay_s"),
        ({"decay_steps": 0}, "decay_steps must be a whole number of at least 1. Received: 0"),
        ({"shape": "sqrt"}, "shape must be linear or 1-sqrt. Received: 'sqrt'. Set one of them"),
    ],
)
@pytest.mark.parametrize("make", [rate_table, lrcycles.WarmupStableDecay])
def test_phases_that_do_not_fit_are_refused(make, settings, message):
    named = {"name": "warmup_stable_decay"} if make is rate_table else {}
    run = {"base_lr": 0.0, "max_lr": 1.0, "total_steps": 60, "decay_steps": 12}
    with pytest.raises(InputError, match=message):
        make(**named, **run | settings)


def test_cycles_that_do_not_fit_after_the_warm_up_are_refused():
    with pytest.raises(
        InputError, match=r"2 \* cycles after the warm-up of 17 steps\. Received: total_steps=20, c"
    ):
        rate_table("hann", total_steps=20, base_lr=1, max_lr=2, cycles=2, warmup_steps=17)


def test_a_shape_belongs_to_its_schedule():
    rising = {"total_steps": 21, "base_lr": 1, "max_lr": 3, "step_size": 10, "final_lr": 0.5}
    drawn = rate_table("one_cycle", shape="cosine", **rising)
    assert_allclose(drawn[:11], 1 + 2 * (1 - np.cos(np.linspace(0, np.pi, 11))) / 2, rtol=1e-6)
    with pytest.raises(InputError, match=r"shape must be linear or cosine\. Received: '1-sqrt'"):
        rate_table("one_cycle", shape="1-sqrt", **rising)
    with pytest.raises(InputError, match="Schedule cosine takes no shape"):
        rate_table("cosine", total_steps=9, base_lr=0, max_lr=1, shape="linear")


@pytest.mark.parametrize(
    "schedule",
    [
        lrcycles.Triangular(base_lr=0.1, max_lr=1.0, step_size=2, warmup_steps=3),
        lrcycles.OneCycle(
            base_lr=0.1, max_lr=1.0, final_lr=0.01, rise_steps=2, fall_steps=2, warmup_steps=3
        ),
    ],
)
def test_a_cycled_momentum_waits_at_its_highest_until_the_warm_up_is_over(schedule):
    drawn = lrcycles.CyclicMomentum(schedule=schedule, **MOMENTA)(np.arange(8))
    assert_allclose(drawn, [0.95, 0.95, 0.95, 0.95, 0.875, 0.8, 0.875, 0.95], rtol=1e-6)
