"""Are the times to an error those that counting gives?"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.cells.result import EpochResult
from lrcycles.errors import InputError
from lrcycles.evidence.times import time_to_reach, time_to_target


def epochs(*errors: float) -> list[EpochResult]:
    return [
        EpochResult(epoch=i, step=100 * i, validation_loss=0.0, validation_error_percent=error)
        for i, error in enumerate(errors, start=1)
    ]


def test_the_target_is_reached_at_the_first_epoch_that_is_as_good():
    found = time_to_target(epochs(5, 3, 4, 2), 3, seconds_per_step=0.5, extra_seconds=7)
    assert (found.seconds, found.steps, found.censored) == (107, 200, False)


def test_a_run_that_never_reaches_the_target_counts_with_its_full_length():
    found = time_to_target(epochs(5, 4), 3, seconds_per_step=0.5, extra_seconds=7)
    assert (found.seconds, found.steps, found.censored) == (107, 200, True)


def test_a_run_without_any_epoch_has_no_time():
    with pytest.raises(InputError, match="history must hold at least one epoch"):
        time_to_target([], 3, seconds_per_step=1)


def test_without_censoring_the_median_is_the_samples():
    found = time_to_reach([500, 100, 300, 200, 400], [False] * 5)
    assert (found.median_steps, found.reached, found.runs) == (300, 5, 5)


def test_a_run_that_never_reached_counts_for_as_long_as_it_was_seen():
    # By hand: 8 runs; at 100 one of 8 reaches, 7/8; at 200 one is lost; at 300 two of 6 reach,
    # 7/8 * 4/6 = 0.583; at 400 one of 4 reaches, 0.4375, which is the first at or below a half.
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
