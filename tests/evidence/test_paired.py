"""Do intervals, p values and verdicts agree with figures worked out another way?"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from lrcycles.errors import InputError
from lrcycles.evidence import paired
from lrcycles.evidence.paired import compare_pairs, judge

BETTER = [-0.3, -0.2, -0.25, -0.31, -0.22, -0.28, -0.24, -0.26]
SCATTERED = [-0.4, 0.3, 0.2, -0.1, -0.3, 0.25, 0.1, -0.35]
TINY = [0.01, -0.01, 0.02, -0.02, 0.005, -0.004, 0.01, -0.012]


def enumerated_p(differences):
    """Share of all sign flips whose mean is at least as far from zero as the one seen."""
    size = np.abs(differences)
    seen = abs(np.mean(differences))
    flips = [np.dot(s, size) / len(size) for s in itertools.product((-1, 1), repeat=len(size))]
    return np.mean(np.abs(flips) >= seen - 1e-12)


def with_moments(n, mean, sd):
    """`n` differences with exactly this mean and standard deviation."""
    values = np.random.default_rng(0).normal(size=n)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)


@pytest.mark.parametrize("n", [2, 3, 6, 8, 11])
def test_the_exact_p_is_the_share_of_all_sign_flips_as_extreme(n):
    differences = np.random.default_rng(n).normal(0.5, 1, n)
    found = compare_pairs(differences)
    assert found.exact
    assert_allclose(found.p, enumerated_p(differences))


def test_ties_and_zeros_among_the_differences_count_as_extreme():
    differences = [-0.1, -0.1, 0.0, 0.1, -0.2, -0.1]
    assert_allclose(compare_pairs(differences).p, enumerated_p(differences))


def test_beyond_sixteen_pairs_p_is_resampled_says_so_and_repeats():
    differences = np.random.default_rng(1).normal(0.4, 1, 17)
    found = compare_pairs(differences)
    assert not found.exact
    assert_allclose(found.p, enumerated_p(differences), atol=0.005)
    assert compare_pairs(differences) == found


@pytest.mark.parametrize("n", [2, 8, 40])
def test_the_intervals_are_those_of_another_library(n):
    differences = np.random.default_rng(n).normal(0.3, 2, n)
    found, other = compare_pairs(differences), DescrStatsW(differences)
    assert_allclose([found.mean, found.sd], [other.mean, math.sqrt(other.var_ddof(1))])
    assert_allclose(found.interval95, other.tconfint_mean(0.05))
    assert_allclose(found.interval90, other.tconfint_mean(0.10))


def test_the_interval_agrees_with_the_table_of_a_textbook():
    # t for 9 degrees of freedom and 95 % is 2.262: 10 +- 2.262 * 2 / sqrt(10).
    found = compare_pairs(with_moments(10, 10, 2))
    assert_allclose(found.interval95, (8.569, 11.431), atol=0.001)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(1.0, 1.0, (1500, 8))
    ends = np.array([paired._t_interval(s, float(s.std(ddof=1)), 0.95) for s in samples])
    covered = np.mean((ends[:, 0] < 1) & (ends[:, 1] > 1))
    assert 0.93 < covered < 0.97  # three and a half standard errors


def test_the_bootstrap_interval_stands_beside_from_thirty_pairs_on():
    differences = np.random.default_rng(0).normal(0.3, 1, 30)
    found = compare_pairs(differences)
    assert compare_pairs(differences[:29]).bca95 is None
    # Symmetric data: both intervals nearly agree.
    assert_allclose(found.bca95, found.interval95, atol=0.1)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (-0.5, 2 / 2**8), (1.91 - 1.64, 2 / 2**8)])
def test_equal_differences_have_no_spread_and_no_warning(value, p):
    found = compare_pairs([value] * 8)
    assert found.sd == 0
    assert found.interval95 == found.interval90 == (found.mean, found.mean)
    assert_allclose([found.mean, found.p], [value, p])


def test_differences_equal_but_for_the_dust_of_subtraction_have_no_spread():
    assert compare_pairs([1.91 - 1.64, 0.27, 3.27 - 3.0]).sd == 0


def test_forty_equal_differences_need_no_bootstrap():
    assert compare_pairs([-0.5] * 40).bca95 is None


def test_one_pair_has_a_mean_and_nothing_else():
    found = compare_pairs([-0.4])
    assert (found.mean, found.sd, found.interval95, found.p) == (-0.4, None, None, 1.0)


@pytest.mark.parametrize("bad", [[], [0.1, math.nan], [0.1, math.inf]])
def test_differences_that_cannot_be_compared_are_refused(bad):
    with pytest.raises(InputError, match="finite, one per pair"):
        compare_pairs(bad)


@pytest.mark.parametrize("margin", [0, -0.1, math.nan, math.inf])
def test_a_margin_must_be_positive(margin):
    with pytest.raises(InputError, match="margin must be above 0"):
        compare_pairs([0.1], margin=margin)


def test_holm_multiplies_the_smallest_p_most():
    # By hand: p 0.0078125, 0.03125 and p3; 3 x 0.0078125, 2 x 0.03125, 1 x p3.
    family = {
        "b": compare_pairs([-1.0] * 6),
        "a": compare_pairs([-1.0] * 8),
        "c": compare_pairs(SCATTERED),
    }
    found = judge(family)
    assert_allclose(found["a"].holm_p, 3 * 2 / 2**8)
    assert_allclose(found["b"].holm_p, 2 * 2 / 2**6)
    assert_allclose(found["c"].holm_p, enumerated_p(SCATTERED))
    assert (found["a"].outcome, found["b"].outcome) == ("better", "undecided")


def test_lower_in_all_pairs_is_better_and_higher_is_worse():
    found = judge({"low": compare_pairs(BETTER)})["low"]
    assert (found.outcome, found.more_seeds) == ("better", None)
    assert judge({"high": compare_pairs(np.negative(BETTER))})["high"].outcome == "worse"


def test_differences_well_inside_the_margin_are_equivalent():
    assert judge({"x": compare_pairs(TINY, margin=0.05)})["x"].outcome == "equivalent"
    assert judge({"x": compare_pairs(TINY)})["x"].outcome == "undecided"
    assert judge({"x": compare_pairs([0.0] * 6, margin=0.05)})["x"].outcome == "equivalent"


def test_a_real_difference_within_the_margin_is_named_as_both():
    found = judge({"x": compare_pairs(np.multiply(BETTER, 0.1), margin=0.05)})["x"]
    assert found.outcome == "better"
    assert found.within_margin


def test_fewer_than_six_pairs_are_always_undecided():
    found = judge({"x": compare_pairs([-1.0, -1.1, -0.9, -1.0, -1.0], margin=0.05)})["x"]
    assert (found.outcome, found.more_seeds) == ("undecided", 1)


def test_one_pair_gives_no_estimate_of_the_seeds_needed():
    found = judge({"x": compare_pairs([-1.0])})["x"]
    assert (found.outcome, found.more_seeds) == ("undecided", None)


@pytest.mark.parametrize(("mean", "margin"), [(0.3, None), (0.02, 0.3)])
def test_more_seeds_decide_four_times_in_five_at_this_mean_and_sd(mean, margin):
    start = compare_pairs(with_moments(8, mean, 0.5), margin=margin)
    n = 8 + judge({"x": start})["x"].more_seeds
    drawn = np.random.default_rng(0).normal(mean, 0.5, (4000, n))
    error = drawn.std(axis=1, ddof=1) / np.sqrt(n)
    decided = abs(drawn.mean(axis=1)) > stats.t.ppf(0.975, n - 1) * error
    if margin is not None:
        decided |= abs(drawn.mean(axis=1)) + stats.t.ppf(0.95, n - 1) * error < margin
    # Two one-sided tests are promised what they surely keep, which is a little more.
    assert 0.77 < decided.mean() < (0.83 if margin is None else 0.9)


def test_a_difference_of_nothing_without_a_margin_is_never_decided_by_more_seeds():
    found = judge({"x": compare_pairs(with_moments(8, 1e-9, 1.0))})["x"]
    assert found.more_seeds is None


def test_a_large_family_asks_for_the_seeds_that_its_p_values_need():
    # Eight pairs give p = 2/256 at best, 0.078 times ten; nine give 2/512, 0.039 times ten.
    family = {str(i): compare_pairs([-1.0 - i / 100] * 8) for i in range(10)}
    found = judge(family)["0"]
    assert (found.outcome, found.more_seeds) == ("undecided", 1)


def test_an_empty_family_has_no_verdicts():
    assert judge({}) == {}
