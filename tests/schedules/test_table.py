"""Does a run follow its schedule from end to end, and is refused what makes no sense?"""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.errors import InputError
from lrcycles.schedules import table as schedules
from lrcycles.schedules.table import (
    SCHEDULES,
    cycle_step_size,
    default_gamma,
    ramp_table,
    rate_table,
)


def test_the_examples_in_the_docstrings_hold():
    tried = doctest.testmod(schedules)
    assert tried.attempted >= 4
    assert tried.failed == 0


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
    with pytest.raises(InputError, match=r"total_steps=5, cycles=3.*train longer"):
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
        InputError, match=r"^need 0 < base_lr < max_lr, got base_lr=0\.1, max_lr=0\.01$"
    ):
        rate_table("triangular", total_steps=9, base_lr=0.1, max_lr=0.01, cycles=1)


def test_equal_bounds_are_refused():
    with pytest.raises(InputError, match=r"base_lr=0\.1, max_lr=0\.1"):
        rate_table("triangular", total_steps=9, base_lr=0.1, max_lr=0.1, cycles=1)


@pytest.mark.parametrize("bad", [0, -0.1, math.nan, math.inf, 1e-60])
def test_a_rate_that_is_no_positive_finite_number_is_refused(bad):
    with pytest.raises(InputError, match="need base_lr to be a positive finite number"):
        rate_table("constant", total_steps=3, base_lr=bad)


def test_an_unknown_schedule_lists_the_known_ones():
    with pytest.raises(InputError, match=r"unknown schedule 'zigzag'.*constant, cosine"):
        rate_table("zigzag", total_steps=3, base_lr=0.1)


def test_an_unknown_ramp_lists_the_known_ones():
    with pytest.raises(InputError, match=r"unknown ramp 'steep'.*exponential, linear"):
        ramp_table("steep", min_lr=0.1, max_lr=1, steps=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cycles": 1}, "needs max_lr"),
        ({"max_lr": 1.0}, "either cycles or step_size"),
        ({"max_lr": 1.0, "cycles": 1, "step_size": 2}, "either cycles or step_size"),
        ({"max_lr": 1.0, "cycles": 0}, "need cycles to be a whole number >= 1, got cycles=0"),
        ({"max_lr": 1.0, "step_size": 2.5}, r"need step_size .* got step_size=2\.5"),
        ({"max_lr": 1.0, "cycles": 1, "gamma": 0.9}, r"takes no gamma, got gamma=0\.9"),
    ],
)
def test_a_triangle_without_its_settings_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        rate_table("triangular", total_steps=9, base_lr=0.1, **settings)


def test_a_constant_schedule_refuses_settings_it_would_ignore():
    with pytest.raises(InputError, match=r"got max_lr=0\.6"):
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
    with pytest.raises(InputError, match="schedule inverse_time needs gamma, got none"):
        rate_table("inverse_time", total_steps=9, base_lr=0.1)
    with pytest.raises(InputError, match="one_cycle takes no cycles, got cycles=3"):
        rate_table("one_cycle", total_steps=9, base_lr=0.1, max_lr=1, cycles=3)


def test_a_decay_takes_no_cycles():
    with pytest.raises(InputError, match="schedule cosine takes no cycles, got cycles=3"):
        rate_table("cosine", total_steps=100, base_lr=0.1, max_lr=1, cycles=3)


def test_exp_range_leaves_a_tenth_of_the_amplitude_unless_gamma_is_given():
    left = rate_table("exp_range", total_steps=1000, base_lr=1, max_lr=2, step_size=333)[999] - 1
    assert left == pytest.approx(0.1, rel=0.01)
    assert default_gamma(42_000) == pytest.approx(0.99994, abs=1e-5)  # the paper's
    given = rate_table("exp_range", total_steps=9, base_lr=1, max_lr=2, step_size=4, gamma=0.5)
    assert given[4] == pytest.approx(1 + 0.5**4)


@pytest.mark.parametrize("gamma", [0, 1.1, math.nan])
def test_a_gamma_that_grows_or_ends_at_once_is_refused(gamma):
    with pytest.raises(InputError, match="need 0 < gamma <= 1, got gamma="):
        rate_table("exp_range", total_steps=9, base_lr=1, max_lr=2, step_size=4, gamma=gamma)


def test_an_empty_run_is_refused():
    with pytest.raises(InputError, match="got total_steps=0"):
        rate_table("constant", total_steps=0, base_lr=0.1)


def test_a_ramp_needs_two_steps_and_ordered_bounds():
    with pytest.raises(InputError, match="got steps=1"):
        ramp_table("linear", min_lr=0.1, max_lr=1, steps=1)
    with pytest.raises(InputError, match=r"need 0 < min_lr < max_lr, got min_lr=1, max_lr=0\.1"):
        ramp_table("linear", min_lr=1, max_lr=0.1, steps=5)


def test_every_schedule_of_the_table_is_the_function_of_that_name():
    assert {name: f.__name__ for name, f in SCHEDULES.items()} == {n: n for n in SCHEDULES}


def test_a_rate_table_is_drawn_by_the_function_of_its_name(monkeypatch):
    def steps_up(step, *, base_lr, max_lr, step_size):
        return np.where(step < step_size, base_lr, max_lr)

    monkeypatch.setattr(schedules, "SCHEDULES", {**SCHEDULES, "steps_up": steps_up})
    rates = rate_table("steps_up", total_steps=5, base_lr=1, max_lr=3, step_size=2)
    assert_array_equal(rates, [1, 1, 3, 3, 3])
