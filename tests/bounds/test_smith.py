"""Smith's rule finds the bounds of hand-made curves where the curves were bent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrcycles.bounds import select
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves
from tests.bounds.hand_made import (
    BEFORE,
    HALF_WINDOW,
    HILL,
    TRAINING,
    curves,
    decades,
    select_bounds,
)


def test_base_lr_is_where_a_tenth_of_the_climb_is_done_and_max_lr_where_it_ends():
    bounds = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING)
    assert decades(bounds.base_lr, 10**-3.8) < 0.06
    assert decades(bounds.max_lr, 10**-2) < HALF_WINDOW
    for key in ("base_lr", "max_lr"):
        assert bounds.interval[key]["spread_decades"] < 0.15
        assert bounds.interval[key]["low"] <= getattr(bounds, key) <= bounds.interval[key]["high"]


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01, 0.02])
def test_the_bounds_hardly_move_with_the_noise_of_the_accuracy(noise):
    bounds = select_bounds(curves(HILL, noise=noise), initial_accuracy=BEFORE, **TRAINING)
    assert decades(bounds.base_lr, 10**-3.8) < 0.15
    assert decades(bounds.max_lr, 10**-2) < 1.2 * HALF_WINDOW


def test_a_rest_half_way_up_is_not_taken_for_the_top():
    stairs = ([-5, -4.5, -4, -3, -2, -1, 0], [0.1, 0.1, 0.5, 0.5, 0.9, 0.9, 0.1])
    bounds = select_bounds(curves(stairs), initial_accuracy=BEFORE, **TRAINING)
    assert decades(bounds.max_lr, 10**-2) < HALF_WINDOW


def test_accuracy_that_becomes_ragged_ends_the_range_though_it_still_rises():
    slow = ([-5, -4, -2.5, 0], [0.1, 0.1, 0.85, 0.95])
    table = curves(slow, noise=0.0005)
    late = table["lr"] > 10**-1.5
    table.loc[late, "accuracy"] += 0.03 * np.random.default_rng(9).normal(size=late.sum())
    bounds = select_bounds(table, initial_accuracy=BEFORE, **TRAINING)
    assert decades(bounds.max_lr, 10**-1.5) < 2 * HALF_WINDOW
    assert "ragged" in " ".join(bounds.reasons)


def test_a_sharp_fall_at_the_end_gives_a_rate_below_the_one_of_the_best_accuracy():
    peak = ([-5, -4, -0.3, 0], [0.1, 0.1, 0.9, 0.3])
    bounds = select_bounds(curves(peak), initial_accuracy=BEFORE, **TRAINING)
    assert 10**-0.3 / 3 < bounds.max_lr < 10**-0.3
    assert "99 % of its climb" in " ".join(bounds.reasons)


@pytest.mark.parametrize("count", [21, 51, 201])
def test_max_lr_does_not_follow_the_number_of_the_measurements(count):
    slower = ([-5, -4.5, -3.5, -2, -1, 0], [0.1, 0.1, 0.8, 0.9, 0.9, 0.1])
    bounds = select_bounds(curves(slower, count=count), initial_accuracy=BEFORE, **TRAINING)
    assert decades(bounds.max_lr, 10**-2.15) < 0.1


@pytest.mark.parametrize("last", [math.nan, math.inf])
def test_a_loss_that_ends_above_its_start_gives_the_rate_of_the_highest_accuracy(last):
    table = curves(([-5, -4, -1], [0.1, 0.1, 0.9]))
    table.loc[table["step"] == table["step"].max(), ["loss", "accuracy"]] = last, math.nan
    bounds = select_bounds(table, initial_accuracy=BEFORE, **TRAINING)
    assert decades(bounds.max_lr, 10**-1) < HALF_WINDOW
    assert "rose above its start" in " ".join(bounds.reasons)


def test_accuracy_at_chance_long_after_the_fall_changes_nothing():
    long = ([-5, -4, -2, -1, 0, 2], [0.1, 0.1, 0.9, 0.9, 0.1, 0.1])
    bounds = select_bounds(curves(long, count=141), initial_accuracy=BEFORE, **TRAINING)
    assert decades(bounds.base_lr, 10**-3.8) < 0.06
    assert decades(bounds.max_lr, 10**-2) < HALF_WINDOW * 1.4


def test_a_curve_that_still_rises_has_no_end_and_the_message_names_what_to_change():
    rising = curves(([-5, -4, -1], [0.1, 0.1, 0.9]))
    with pytest.raises(
        InputError,
        match=r"no end .* 5 of 5 seeds .* 1e-05 to 0\.1\..*Raise max_lr to 1, or choose rule c",
    ):
        select_bounds(rising, initial_accuracy=BEFORE, **TRAINING)


def test_a_curve_without_an_end_at_any_useful_rate_is_not_told_to_go_on():
    rising = curves(([-5, -4, 3], [0.1, 0.1, 0.9]))
    with pytest.raises(
        InputError, match=r"no end .* still rose at 1e\+03\. Choose rule calibrated"
    ):
        select_bounds(rising, initial_accuracy=BEFORE, **TRAINING)


def test_a_curve_that_rises_at_once_has_no_start_and_the_message_names_what_to_change():
    late = curves(([-3, -2, -1, 0], [0.5, 0.9, 0.9, 0.1]))
    with pytest.raises(InputError, match=r"no start .*already risen.*Lower min_lr to 0\.0001\."):
        select_bounds(late, initial_accuracy=BEFORE, **TRAINING)
    with pytest.raises(InputError, match=r"no start .*already risen.*Set ramp to exponential"):
        select.select_bounds(Curves(late, ramp="linear"), rule="smith")


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_network_that_never_learns_has_no_start(noise):
    flat = curves(([-5, 0], [0.1, 0.1]), noise=noise)
    with pytest.raises(
        InputError, match=r"never rose by more than its noise.*Raise max_lr to 10, "
    ):
        select_bounds(flat, initial_accuracy=BEFORE, **TRAINING)


def test_a_sweep_that_stops_at_once_has_no_start():
    table = curves(HILL)
    table = table[table["step"] <= 4].assign(loss=math.nan, accuracy=math.nan)
    with pytest.raises(InputError, match="only 0 held-out accuracies were measured"):
        select_bounds(table, initial_accuracy=BEFORE, **TRAINING)


def test_a_flat_beginning_replaces_the_accuracy_before_the_first_step():
    bounds = select_bounds(curves(HILL), **TRAINING)
    assert decades(bounds.base_lr, 10**-3.8) < 0.06
