"""Tests the formula of each schedule against other packages and other constructions."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from benchmarks import schedule_references as references
from lrcycles.schedules import rates
from lrcycles.schedules.ramps import exponential_ramp, linear_ramp
from lrcycles.schedules.rates import (
    constant,
    cosine,
    exp_range,
    exp_range_bounds,
    hann,
    inverse_time,
    linear_decay,
    one_cycle,
    sgdr,
    step_decay,
    triangular,
    triangular2,
    welch,
)
from lrcycles.schedules.warmup import linear_warmup, warmup_stable_decay

FROM_SRC = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
WINDOWS = [triangular, welch, hann]


def as_rate_of_ours(source, s):
    """The function and settings by which this library promises the rate of a reference."""
    if source == "torch_cyclic":
        gamma = {"gamma": s["gamma"]} if s["mode"] == "exp_range" else {}
        bounds = {"base_lr": s["base_lr"], "max_lr": s["max_lr"]}
        return getattr(rates, s["mode"]), {
            **bounds, "step_size": s["up"], "fall_size": s["down"], **gamma
        }  # fmt: skip
    if source == "torch_restarts":
        cycles = {"first_cycle_steps": s["first"], "cycle_factor": s["factor"]}
        return sgdr, {"max_lr": s["max_lr"], "base_lr": s["base_lr"], **cycles}
    if source.endswith("_warmup"):
        return after_a_warmup(s)
    if source == "torch_one_cycle":
        return one_cycle, torch_phases(s)
    top, total = s["max_lr"], s["total_steps"]
    if s["kind"] in ("linear", "cosine"):
        decay = {"linear": linear_decay, "cosine": cosine}[s["kind"]]
        return decay, {"max_lr": top, "base_lr": top * s["low"], "total_steps": total}
    if s["kind"] == "step_decay":
        return step_decay, {"base_lr": top, "factor": s["low"], "every_steps": total // 5}
    rise = int(s["rise"] * total)
    bounds = {"base_lr": top / s["div"], "max_lr": top, "final_lr": top / s["div"] / s["final_div"]}
    if s["kind"] == "one_cycle_cosine":
        phases = {"rise_steps": rise, "fall_steps": total - rise, "shape": "cosine"}
    else:
        end = int(s["fall_end"] * total)
        phases = {
            "rise_steps": rise, "fall_steps": end - rise, "annihilation_steps": total - end
        }  # fmt: skip
    return one_cycle, {**bounds, **phases}


def after_a_warmup(s):
    """The schedule of a setting with `warmup`, and its settings."""
    top, low = s["max_lr"], s["max_lr"] * s["low"]
    run = {"max_lr": top, "total_steps": s["total_steps"]}
    ended = {**run, "base_lr": low}
    stable = {**ended, "decay_steps": s["decay"]}
    schedule, settings = {
        "constant": (constant, {"base_lr": top}),
        "linear": (linear_decay, ended),
        "linear_to_0": (linear_decay, run),
        "cosine": (cosine, ended),
        "warmup_cosine": (cosine, ended),
        "cosine_to_0": (cosine, run),
        "restarts": (
            sgdr,
            {
                "max_lr": top,
                "base_lr": low,
                "first_cycle_steps": s["first"],
                "cycle_factor": s["factor"],
            },
        ),
        "step_decay": (
            step_decay,
            {"base_lr": top, "factor": s["low"], "every_steps": s["first"]},
        ),
        "triangular": (triangular, {"base_lr": low, "max_lr": top, "step_size": s["first"]}),
        "inverse_sqrt": (inverse_time, {"base_lr": top, "gamma": 1 / s["first"], "power": 0.5}),
        "stable": (warmup_stable_decay, stable),
        "stable_sqrt": (warmup_stable_decay, {**stable, "shape": "1-sqrt"}),
    }[s["kind"]]
    return partial(linear_warmup, schedule=schedule, warmup_steps=s["warmup"]), settings


def torch_phases(s):
    """OneCycleLR's settings in the words of `one_cycle`, as its docstring says."""
    rise = s["share"] * s["total_steps"] - 1
    rest = s["total_steps"] - 1 - rise
    phases = {"fall_steps": rest, "annihilation_steps": 0}
    if s["three_phase"]:
        phases = {"fall_steps": rise, "annihilation_steps": rest - rise}
    low = s["max_lr"] / s["div"]
    return {
        "base_lr": low,
        "max_lr": s["max_lr"],
        "final_lr": low / s["final_div"],
        "rise_steps": rise,
        "shape": s["shape"],
        **phases,
    }


def published_triangular(step, base_lr, max_lr, step_size):
    """The formula as the paper prints it, one step at a time."""
    cycle = math.floor(1 + step / (2 * step_size))
    x = abs(step / step_size - 2 * cycle + 1)
    return base_lr + (max_lr - base_lr) * max(0, 1 - x)


@pytest.mark.parametrize("source", references.SOURCES)
def test_thousands_of_random_settings_give_the_rates_of_other_packages(source):
    settings = references.settings(source)
    drawn = []
    for setting in settings:
        schedule, ours = as_rate_of_ours(source, setting)
        drawn.append(schedule(setting["step"], **ours))
    assert len(drawn) >= 2_000
    # Below 1.2e-38 a number of 32 bits has fewer digits.
    assert_allclose(drawn, references.read_rates(source), rtol=1e-6, atol=1e-38)


def test_triangular_draws_straight_lines_between_the_bounds():
    up = np.linspace(0.1, 1.0, 41)
    drawn = triangular(np.arange(81), base_lr=0.1, max_lr=1.0, step_size=40)
    assert_allclose(drawn, np.concatenate([up, up[-2::-1]]))


def test_a_fall_of_its_own_length_is_a_straight_line_too():
    lines = np.concatenate([np.linspace(0.1, 1, 11), np.linspace(1, 0.1, 31)[1:]])
    drawn = triangular(np.arange(41), base_lr=0.1, max_lr=1.0, step_size=10, fall_size=30)
    assert_allclose(drawn, lines)


@pytest.mark.parametrize("step_size", [1, 7, 458, 2000, 2.5])
def test_triangular_agrees_with_the_formula_of_the_paper(step_size):
    expected = [published_triangular(s, 0.001, 0.006, step_size) for s in range(3000)]
    drawn = triangular(np.arange(3000), base_lr=0.001, max_lr=0.006, step_size=step_size)
    assert_allclose(drawn, expected, rtol=1e-9)


def test_welch_is_the_parabola_through_trough_peak_and_trough():
    parabola = np.poly1d(np.polyfit([0, 40, 80], [0.1, 1.0, 0.1], 2))
    steps = np.arange(81)
    assert_allclose(welch(steps, base_lr=0.1, max_lr=1.0, step_size=40), parabola(steps))


def test_hann_is_the_window_of_that_name_in_numpy():
    drawn = hann(np.arange(81), base_lr=0.0, max_lr=1.0, step_size=40)
    assert_allclose(drawn, np.hanning(81), atol=1e-15)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("fall_size", [None, 5, 23])
def test_a_window_keeps_to_its_bounds_reaches_both_and_repeats(window, fall_size):
    steps = np.arange(500)
    settings = {"base_lr": 0.001, "max_lr": 0.006, "step_size": 10, "fall_size": fall_size}
    drawn = window(steps, **settings)
    period = 10 + (fall_size or 10)
    assert_allclose([drawn.min(), drawn.max()], [0.001, 0.006], rtol=1e-12)
    assert_allclose(drawn[period:], drawn[:-period], rtol=1e-12)
    assert np.all(np.diff(drawn[:11]) > 0)
    assert np.all(np.diff(drawn[10 : period + 1]) < 0)


def test_triangular2_halves_its_peak_above_base_lr_every_cycle():
    peaks = triangular2(np.array([5, 15, 25, 35]), base_lr=1.0, max_lr=9.0, step_size=5)
    assert_array_equal(peaks, [9, 5, 3, 2])


def test_exp_range_shrinks_the_peaks_alone_and_the_papers_reading_the_troughs_too():
    steps = np.arange(0, 101, 10)
    settings = {"base_lr": 1.0, "max_lr": 3.0, "step_size": 10, "gamma": 0.99}
    shrunk = np.cumprod(np.full(100, 0.99))[9::10]
    amplitude = exp_range(steps, **settings)
    assert_allclose(amplitude[::2], 1.0)
    assert_allclose(amplitude[1::2], 1 + 2 * shrunk[::2])
    bounds = exp_range_bounds(steps, **settings)
    assert_allclose(bounds[2::2], shrunk[1::2])
    assert_allclose(bounds[1::2], 3 * shrunk[::2])


@pytest.mark.parametrize("schedule", [exp_range, exp_range_bounds])
def test_exp_range_with_gamma_1_is_triangular(schedule):
    settings = {"base_lr": 0.1, "max_lr": 1.0, "step_size": 7}
    drawn = schedule(np.arange(50), gamma=1.0, **settings)
    assert_allclose(drawn, triangular(np.arange(50), **settings))


@pytest.mark.parametrize("decay", [linear_decay, cosine])
def test_a_decay_falls_all_the_way_once_and_stays(decay):
    drawn = decay(np.arange(60), max_lr=0.1, base_lr=0.01, total_steps=50)
    assert_allclose(drawn[[0, 25, 50]], [0.1, 0.055, 0.01])
    assert np.all(np.diff(drawn[:51]) < 0)
    assert_array_equal(drawn[50:], np.full(10, 0.01))
    assert decay(50, max_lr=0.1, total_steps=50) == 0


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 10])
def test_sgdr_restarts_on_the_step_however_far_the_run(factor):
    begins, length = [0], 7
    while begins[-1] < 10**7 and len(begins) < 1000:
        begins.append(begins[-1] + length)
        length *= factor
    settings = {"max_lr": 1.0, "first_cycle_steps": 7, "cycle_factor": factor}
    assert_array_equal(sgdr(np.array(begins), **settings), np.ones(len(begins)))
    assert np.all(sgdr(np.array(begins[1:]) - 1, **settings) < 0.06)


def test_one_cycle_anneals_from_base_lr_to_final_lr_at_its_end_and_stays():
    settings = {"base_lr": 0.1, "max_lr": 1.0, "final_lr": 1e-6, "rise_steps": 40, "fall_steps": 40}
    drawn = one_cycle(np.arange(120), **settings, annihilation_steps=20)
    assert_allclose(drawn[:41], np.linspace(0.1, 1, 41))
    assert_allclose(drawn[40:81], np.linspace(1, 0.1, 41))
    assert_allclose(drawn[80:101], np.linspace(0.1, 1e-6, 21))
    assert_array_equal(drawn[100:], np.full(20, 1e-6))


def test_inverse_time_is_the_rate_of_caffes_lenet():
    # 0.00594604 stands in the log of Caffe's own MNIST example after 10,000 iterations.
    rate = inverse_time(10_000, base_lr=0.01, gamma=1e-4, power=0.75)
    assert rate == pytest.approx(0.00594604, rel=1e-6)


def test_step_decay_falls_at_its_steps_and_nowhere_else():
    drawn = step_decay(np.arange(30), base_lr=8.0, factor=0.5, every_steps=10)
    assert_array_equal(drawn, np.repeat([8.0, 4.0, 2.0], 10))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_a_schedule_keeps_the_shape_of_its_steps_whatever_their_type(dtype):
    steps = np.arange(6, dtype=dtype).reshape(2, 3)
    assert_allclose(constant(steps, base_lr=0.5), np.full((2, 3), 0.5))
    assert_allclose(triangular(steps, base_lr=1.0, max_lr=3.0, step_size=2), [[1, 2, 3], [2, 1, 2]])
    settings = {"max_lr": 1.0, "first_cycle_steps": 1, "cycle_factor": 2}
    assert_allclose(sgdr(steps, **settings), [[1, 1, 0.5], [1, 0.853553, 0.5]], rtol=1e-6)


def test_steps_of_32_bits_are_as_exact_at_ten_million():
    settings = {"base_lr": 0.001, "max_lr": 0.006, "step_size": 2000}
    steps = 10_000_000 + np.arange(4001)
    late = triangular(steps.astype(np.float32), **settings)
    assert late.dtype == np.float32
    assert_allclose(late, triangular(steps, **settings), rtol=1e-6)


def test_a_linear_ramp_is_evenly_spaced_from_end_to_end():
    drawn = linear_ramp(np.arange(9), min_lr=0.1, max_lr=0.9, steps=9)
    assert_allclose(drawn, np.linspace(0.1, 0.9, 9))


def test_an_exponential_ramp_is_evenly_spaced_in_the_logarithm():
    drawn = exponential_ramp(np.arange(50), min_lr=1e-5, max_lr=1.0, steps=50)
    assert_allclose(drawn, np.geomspace(1e-5, 1.0, 50))


def test_rates_of_numbers_and_arrays_need_no_keras():
    code = (
        "import sys, numpy as np; from lrcycles.schedules.rates import cosine; "
        "cosine(np.arange(9), max_lr=1, total_steps=9); print('keras' in sys.modules)"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, env=FROM_SRC)
    assert printed.strip() == "False"
