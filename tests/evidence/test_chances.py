"""Are the chance of being better and the time to an error those that counting gives?"""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.errors import InputError
from lrcycles.evidence import chances
from lrcycles.evidence.chances import chance_better, time_to_reach


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(chances) == (0, 2)


def test_the_chance_counts_pairs_and_half_of_the_ties():
    found = chance_better([-1.0, -2.0, 0.0, 3.0])
    assert found.percent == 62.5
    assert 0 < found.low < 50 < 75 < found.high < 100
    assert chance_better([-1.0] * 6).high == pytest.approx(100)


def test_the_interval_of_the_chance_covers_it_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = [
        (found := chance_better(list(generator.normal(-0.5, 1, 30)))).low < 69.146 < found.high
        for _ in range(2000)
    ]
    assert 0.93 < np.mean(covered) < 0.97  # P(N(-.5, 1) < 0) = .69146


def test_no_pairs_have_no_chance():
    with pytest.raises(InputError, match="at least one pair"):
        chance_better([])


def test_without_censoring_the_median_is_the_samples():
    found = time_to_reach([500, 100, 300, 200, 400], [False] * 5)
    assert (found.median_steps, found.reached, found.runs) == (300, 5, 5)


def test_a_run_that_never_reached_counts_for_as_long_as_it_was_seen():
    # By hand: 8 runs; at 100 one of 8 reaches, 7/8; at 200 one is lost; at 300 two of 6 reach,
    # 7/8 * 4/6 = .583; at 400 one of 4 reaches, .4375, which is the first at or below a half.
    steps = [100, 200, 300, 300, 400, 500, 500, 500]
    censored = [False, True, False, False, False, True, True, True]
    found = time_to_reach(steps, censored)
    assert (found.median_steps, found.reached) == (400, 4)
    assert found.low_steps is not None
    assert found.low_steps < 400


def test_the_median_is_where_half_of_the_runs_have_reached():
    assert time_to_reach([100, 200, 300, 300], [False, False, True, True]).median_steps == 200
    assert time_to_reach([300, 300, 300, 400], [False, False, True, True]).median_steps == 300


def test_what_fewer_than_half_the_runs_reached_has_no_median():
    assert time_to_reach([100, 900, 900], [False, True, True]).median_steps is None
    assert time_to_reach([900, 900], [True, True]).median_steps is None


def test_where_most_runs_reach_in_the_same_step_the_interval_is_that_step():
    # 8, 21 and 1 of 30: 22 of 30 are left before 1,925 (exact interval 54 to 88 %), 1 after it.
    steps = [1650] * 8 + [1925] * 21 + [2750]
    found = time_to_reach(steps, [False] * 30)
    assert (found.low_steps, found.median_steps, found.high_steps) == (1925, 1925, 1925)


def test_the_interval_of_the_median_covers_it_as_often_as_it_says():
    generator = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        times = generator.exponential(1000, 30)
        limit = generator.uniform(500, 3000, 30)
        found = time_to_reach(list(np.minimum(times, limit)), list(times > limit))
        low = -np.inf if found.low_steps is None else found.low_steps
        high = np.inf if found.high_steps is None else found.high_steps
        inside.append(low <= 1000 * np.log(2) <= high)
    assert_allclose(np.mean(inside), 0.95, atol=0.03)
