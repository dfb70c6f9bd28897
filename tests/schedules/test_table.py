"""Tests the rates of whole runs, and that settings which make no sense are refused."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.errors import InputError
from lrcycles.schedules import table as schedules
from lrcycles.schedules.names import ScheduleName, Shape
from lrcycles.schedules.ramps import ramp_table
from lrcycles.schedules.rates import default_gamma
from lrcycles.schedules.table import (
    SCHEDULES,
    ScheduleRow,
    cycle_step_size,
    rate_table,
)


@pytest.mark.parametrize("name", ["linear", "exponential"])
def test_a_ramp_table_runs_from_min_lr_to_max_lr(name):
    rates = ramp_table(name, min_lr=1e-5, max_lr=1.0, steps=400)
    assert rates.dtype == np.float32
    assert rates.shape == (400,)
    assert_allclose(rates[[0, -1]], [1e-5, 1.0], rtol=1e-6)
    assert np.all(np.diff(rates) > 0)


def test_half_a_cycle_is_the_whole_part_of_the_steps_over_twice_the_cycles():
    assert cycle_step_size(2750, 3) == 458
    assert cycle_step_size(6, 3) == 1


def test_a_run_too_short_for_its_cycles_says_what_to_change():
    with pytest.raises(InputError, match=r"total_steps=5, cycles=3.*Train longer"):
        cycle_step_size(5, 3)


def test_whole_cycles_reach_the_peak_once_each_and_end_at_base_lr():
    rates = rate_table("triangular", total_steps=2750, base_lr=0.001, max_lr=0.006, cycles=3)
    assert rates.dtype == np.float32
    assert rates.shape == (2750,)
    peaks = np.flatnonzero(rates == np.float32(0.006))
    assert_array_equal(peaks, [458, 3 * 458, 5 * 458])
    assert_array_equal(rates[6 * 458 :], np.full(2, np.float32(0.001)))


def test_steps_left_over_after_the_last_cycle_stay_at_base_lr():
    rates = rate_table("triangular", total_steps=11, base_lr=1, max_lr=3, cycles=2)
    assert_array_equal(rates, [1, 2, 3, 2, 1, 2, 3, 2, 1, 1, 1])


def test_an_explicit_step_size_longer_than_the_run_never_turns():
    rates = rate_table("triangular", total_steps=300, base_lr=0.001, max_lr=0.006, step_size=2000)
    assert_allclose(rates, 0.001 + 0.0000025 * np.arange(300), rtol=1e-6)


def test_an_explicit_step_size_runs_on_past_the_last_whole_cycle():
    rates = rate_table("triangular", total_steps=7, base_lr=1, max_lr=3, step_size=2)
    assert_array_equal(rates, [1, 2, 3, 2, 1, 2, 3])


def test_a_constant_table_holds_one_rate():
    assert_array_equal(
        rate_table("constant", total_steps=3, base_lr=0.001), np.full(3, 0.001, np.float32)
    )


def test_bounds_in_the_wrong_order_are_named_in_the_error():
    with pytest.raises(
        InputError,
        match=r"^base_lr must be below max_lr\. Received: base_lr=0\.1, max_lr=0\.01\. Lower",
    ):
        rate_table("triangular", total_steps=9, base_lr=0.1, max_lr=0.01, cycles=1)


def test_equal_bounds_are_refused():
    with pytest.raises(InputError, match=r"base_lr=0\.1, max_lr=0\.1"):
        rate_table("triangular", total_steps=9, base_lr=0.1, max_lr=0.1, cycles=1)


@pytest.mark.parametrize("bad", [0, -0.1, math.nan, math.inf, 1e-60])
def test_a_rate_that_is_no_positive_finite_number_is_refused(bad):
    with pytest.raises(InputError, match="base_lr must be a positive finite number"):
        rate_table("constant", total_steps=3, base_lr=bad)


def test_an_unknown_schedule_lists_the_known_ones():
    with pytest.raises(
        InputError, match=r"schedule must be one of constant, cosine.* Received: 'zigzag'"
    ):
        rate_table("zigzag", total_steps=3, base_lr=0.1)


def test_an_unknown_ramp_lists_the_known_ones():
    with pytest.raises(
        InputError, match=r"ramp must be one of exponential, linear. Received: 'steep'"
    ):
        ramp_table("steep", min_lr=0.1, max_lr=1, steps=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cycles": 1}, "triangular must have max_lr. Received: none. Give max_lr a value"),
        ({"max_lr": 1.0}, "either cycles or step_size"),
        ({"max_lr": 1.0, "cycles": 1, "step_size": 2}, "either cycles or step_size"),
        ({"max_lr": 1.0, "cycles": 0}, "cycles must be a whole number of at least 1. Received: 0"),
        ({"max_lr": 1.0, "step_size": 2.5}, r"step_size must be a whole number .* Received: 2\.5"),
        ({"max_lr": 1.0, "cycles": 1, "gamma": 0.9}, r"takes no gamma\. Received: gamma=0\.9"),
    ],
)
def test_a_triangle_without_its_settings_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        rate_table("triangular", total_steps=9, base_lr=0.1, **settings)


def test_a_constant_schedule_refuses_settings_it_would_ignore():
    with pytest.raises(InputError, match=r"Received: max_lr=0\.6"):
        rate_table("constant", total_steps=9, base_lr=0.1, max_lr=0.6)


@pytest.mark.parametrize("name", ["triangular", "triangular2", "exp_range", "welch", "hann"])
def test_every_cyclic_table_fills_the_run_with_whole_cycles_and_then_stays_at_base_lr(name):
    rates = rate_table(name, total_steps=125, base_lr=1, max_lr=3, cycles=3)
    assert_allclose(rates[[0, 40, 80, 120]], 1)
    assert_array_equal(rates[120:], np.full(5, rates[0]))
    assert np.all(np.diff(rates[20:40]) < 0)
    assert np.all(np.diff(rates[40:60]) > 0)


@pytest.mark.parametrize("name", ["linear_decay", "cosine"])
def test_a_decay_table_starts_at_max_lr_and_would_reach_base_lr_after_the_last_step(name):
    rates = rate_table(name, total_steps=100, base_lr=1, max_lr=3)
    assert_allclose(rates[[0, 50]], [3, 2])
    assert np.all(np.diff(rates) < 0)
    assert 1 < rates[-1] < 1.03
    assert rate_table(name, total_steps=100, base_lr=0, max_lr=3)[-1] < 0.04


def test_restarts_fill_the_run_with_whole_cycles_and_then_stay_low():
    rates = rate_table("sgdr", total_steps=125, base_lr=1, max_lr=3, cycles=3)
    assert np.flatnonzero(rates == 3).tolist() == [0, 40, 80]
    assert np.all(np.diff(rates[80:120]) < 0)
    assert_array_equal(rates[120:], np.full(5, rates[119]))
    assert rates[119] < 1.01


def test_one_cycle_leaves_a_tenth_of_the_run_to_end_far_below_its_start():
    rates = rate_table("one_cycle", total_steps=201, base_lr=1, max_lr=3)
    assert_allclose(rates[:91], np.linspace(1, 3, 91), rtol=1e-6)
    assert_allclose(rates[90:181], np.linspace(3, 1, 91), rtol=1e-6)
    assert_allclose(rates[180:], np.linspace(1, 0.001, 21), rtol=1e-4)
    given = rate_table("one_cycle", total_steps=9, base_lr=1, max_lr=3, step_size=2, final_lr=0.5)
    assert_allclose(given, [1, 2, 3, 2, 1, 0.875, 0.75, 0.625, 0.5])


def test_what_a_schedule_needs_is_asked_for():
    with pytest.raises(InputError, match=r"Schedule inverse_time must have gamma\. Received: none"):
        rate_table("inverse_time", total_steps=9, base_lr=0.1)
    with pytest.raises(InputError, match=r"one_cycle takes no cycles\. Received: cycles=3"):
        rate_table("one_cycle", total_steps=9, base_lr=0.1, max_lr=1, cycles=3)


def test_a_decay_takes_no_cycles():
    with pytest.raises(InputError, match=r"Schedule cosine takes no cycles\. Received: cycles=3"):
        rate_table("cosine", total_steps=100, base_lr=0.1, max_lr=1, cycles=3)


def test_exp_range_leaves_a_tenth_of_the_amplitude_unless_gamma_is_given():
    left = rate_table("exp_range", total_steps=1000, base_lr=1, max_lr=2, step_size=333)[999] - 1
    assert left == pytest.approx(0.1, rel=0.01)
    assert default_gamma(42_000) == pytest.approx(0.99994, abs=1e-5)  # the paper's
    given = rate_table("exp_range", total_steps=9, base_lr=1, max_lr=2, step_size=4, gamma=0.5)
    assert given[4] == pytest.approx(1 + 0.5**4)


@pytest.mark.parametrize("gamma", [0, 1.1, math.nan])
def test_a_gamma_that_grows_or_ends_at_once_is_refused(gamma):
    with pytest.raises(InputError, match=r"gamma must be above 0 and at most 1\. Received: "):
        rate_table("exp_range", total_steps=9, base_lr=1, max_lr=2, step_size=4, gamma=gamma)


def test_an_empty_run_is_refused():
    with pytest.raises(
        InputError, match=r"total_steps must be a whole number of at least 1\. Received: 0"
    ):
        rate_table("constant", total_steps=0, base_lr=0.1)


def test_a_ramp_needs_two_steps_and_ordered_bounds():
    with pytest.raises(
        InputError, match=r"steps must be a whole number of at least 2\. Received: 1"
    ):
        ramp_table("linear", min_lr=0.1, max_lr=1, steps=1)
    with pytest.raises(InputError, match=r"min_lr must be below max_lr\. .*min_lr=1, max_lr=0\.1"):
        ramp_table("linear", min_lr=1, max_lr=0.1, steps=5)


NOT_THE_RUNS = {"step", "cycle_factor", "warmup_steps"}  # what no row names
LENGTHS = {"step_size", "total_steps", "first_cycle_steps"} | {
    f"{phase}_steps" for phase in ("rise", "fall", "annihilation")
}


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "reduce_on_plateau"])
def test_a_row_takes_exactly_the_parameters_of_the_function_of_its_name(name):
    row = SCHEDULES[name]
    assert row.rate.__name__ == name
    parameters = inspect.signature(row.rate).parameters
    settings = parameters.keys() - NOT_THE_RUNS - LENGTHS
    assert row.takes - {"step_size", "cycles"} == settings
    lengths = row.lengths(9, 2) if row.lengths else {}
    assert lengths.keys() == parameters.keys() & LENGTHS
    left_out = {key for key, default in row.options.items() if default is None}
    has_default = {key for key, p in parameters.items() if p.default is not inspect.Parameter.empty}
    assert left_out <= has_default
    assert not set(row.needs) & has_default


@pytest.mark.parametrize("name", SCHEDULES)
def test_base_lr_may_be_0_where_the_rate_ends_there(name):
    row = SCHEDULES[name]
    values = {"max_lr": 1.0, "gamma": 0.5, "factor": 0.5, "patience_epochs": 1}
    settings = {key: values[key] for key in row.needs} | ({"cycles": 1} if row.repeats else {})
    run = {"total_steps": 20, "base_lr": 0.0, **settings}
    if name in ("linear_decay", "cosine", "sgdr", "warmup_stable_decay"):
        rates = rate_table(name, **run)
        assert rates[0] == 1
        assert np.all(np.diff(rates[16:]) < 0)
    else:
        with pytest.raises(InputError, match="base_lr must be a positive"):
            rate_table(name, **run)


def steps_up(step, *, base_lr, max_lr, step_size, slack):
    return np.where(step < step_size + slack, base_lr, max_lr)


def test_a_new_schedule_needs_a_function_and_a_row(monkeypatch):
    row = ScheduleRow(
        rate=steps_up,
        lengths=lambda _, step_size: {"step_size": step_size},
        needs=("max_lr", "slack"),
        repeats=True,
    )
    monkeypatch.setattr(schedules, "SCHEDULES", {**SCHEDULES, "steps_up": row})
    rates = rate_table("steps_up", total_steps=5, base_lr=1, max_lr=3, step_size=2, slack=1)
    assert_array_equal(rates, [1, 1, 1, 3, 3])
    with pytest.raises(InputError, match="Schedule steps_up must have slack"):
        rate_table("steps_up", total_steps=5, base_lr=1, max_lr=3, step_size=2)


def test_the_configuration_offers_the_schedules_and_shapes_of_the_table():
    assert [name.value for name in ScheduleName] == list(SCHEDULES)
    assert {shape.value for shape in Shape} == {
        shape for row in SCHEDULES.values() for shape in row.shapes
    }


def test_every_schedule_has_an_arm_and_a_word_in_the_documentation():
    root = Path(__file__).parents[2]
    arms = (root / "conf" / "arm").glob("*.yaml")
    used = {
        schedule
        for path in arms
        for schedule in re.findall(r"^schedule: (\w+)", path.read_text(), flags=re.MULTILINE)
    }
    assert used == set(SCHEDULES)
    words = set(re.findall(r"\w+", (root / "docs" / "pipeline.md").read_text(encoding="utf-8")))
    assert words >= set(SCHEDULES)
