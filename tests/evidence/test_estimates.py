"""Do shares and their intervals agree with counting and with another library?"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.stats.proportion import proportion_confint

from lrcycles.errors import InputError
from lrcycles.evidence.estimates import chance_better, wilson_interval


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
    assert 0.93 < np.mean(covered) < 0.97  # P(N(-0.5, 1) < 0) = 0.69146


def test_no_pairs_have_no_chance():
    with pytest.raises(InputError, match="At least one pair"):
        chance_better([])


@pytest.mark.parametrize(("errors", "n"), [(191, 10_000), (0, 50), (50, 50)])
def test_the_wilson_interval_is_that_of_another_library_in_percent(errors, n):
    low, high = proportion_confint(errors, n, method="wilson")
    assert_allclose(wilson_interval(errors, n), (100 * low, 100 * high), atol=1e-9)


def test_more_errors_than_images_are_refused():
    with pytest.raises(InputError, match="errors=3, n=2"):
        wilson_interval(3, 2)
