"""Do estimates and their intervals agree with simulation, counting and another library?"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from lrcycles.errors import InputError
from lrcycles.evidence.arms import summarise
from lrcycles.evidence.paired import (
    chance_better,
    compare_pairs,
    half_width,
    wilson_interval,
)

SCATTERED = [-0.4, 0.3, 0.2, -0.1, -0.3, 0.25, 0.1, -0.35]


def two_way(rng, seeds=12, images=400, seed_sd=0.05, image_sd=0.2, rest_sd=0.5):
    """Differences by seed and image: a part of each seed, one of each image, and the rest."""
    by_image = (
        rng.normal(0, seed_sd, (seeds, 1))
        + rng.normal(0, image_sd, images)
        + rng.normal(0, rest_sd, (seeds, images))
    )
    return compare_pairs((100 * by_image.mean(axis=1)).tolist(), by_image)


def test_the_two_variances_are_those_that_seeds_and_images_were_drawn_with():
    rng = np.random.default_rng(0)
    drawn = [two_way(rng) for _ in range(300)]
    # Other images move the mean of 400 images by 0.2 / 20; other seeds move 12 means of a seed.
    assert np.mean([one.images_variance for one in drawn]) == pytest.approx(100**2 * 1e-4, rel=0.05)
    of_seeds = 100**2 * (0.05**2 + 0.5**2 / 400) / 12
    assert np.mean([one.seeds_variance for one in drawn]) == pytest.approx(of_seeds, rel=0.1)
    assert np.var([one.mean for one in drawn]) == pytest.approx(1 + of_seeds, rel=0.2)


def test_the_combined_interval_covers_the_truth_where_the_interval_of_seeds_does_not():
    rng = np.random.default_rng(1)
    drawn = [two_way(rng, seeds=8, images=100, image_sd=0.5) for _ in range(600)]
    combined = np.mean([low < 0 < high for low, high in (one.interval() for one in drawn)])
    seeds_alone = np.mean([abs(one.mean) < one.halves()[0] for one in drawn])
    assert 0.93 < combined < 0.97
    assert seeds_alone < 0.8


def test_the_images_variance_is_the_mean_covariance_between_pairs_of_seeds():
    by_image = np.random.default_rng(2).integers(-1, 2, (5, 60))
    by_image[:, :20] = 1
    covariance = np.cov(by_image)
    mean = (covariance.sum() - np.trace(covariance)) / 20
    found = compare_pairs((100 * by_image.mean(axis=1)).tolist(), by_image)
    assert found.images_variance == pytest.approx(100**2 * mean / 60)


def test_images_that_differ_at_random_add_no_negative_variance():
    by_image = np.array([[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1]])
    found = compare_pairs([0.0, 0.0, 1.0], by_image)
    assert found.images_variance == 0


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.987])
def test_without_images_the_interval_is_that_of_students_t(confidence):
    low, high = DescrStatsW(SCATTERED).tconfint_mean(1 - confidence)
    assert_allclose(compare_pairs(SCATTERED).interval(confidence), (low, high))


def test_p_is_where_the_interval_starts_to_contain_zero():
    by_image = np.random.default_rng(3).integers(-2, 2, (8, 50))
    found = compare_pairs((100 * by_image.mean(axis=1)).tolist(), by_image)
    assert found.images_variance > 0
    assert max(found.interval(1 - found.p), key=lambda end: -abs(end)) == pytest.approx(0, abs=1e-9)
    assert compare_pairs(SCATTERED).p == pytest.approx(stats.ttest_1samp(SCATTERED, 0).pvalue)


def test_two_variances_are_added_as_welch_adds_them():
    rng = np.random.default_rng(4)
    one, other = rng.normal(0, 1, 5), rng.normal(0, 3, 9)
    interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    parts = [(values.var(ddof=1) / len(values), len(values) - 1) for values in (one, other)]
    assert half_width(0.95, parts) == pytest.approx((interval.high - interval.low) / 2)


def test_the_median_and_the_median_of_all_pairwise_means_stand_beside_the_mean():
    found = compare_pairs([0.0, 1.0, 2.0, 9.0])
    # Means of pairs: 0, .5, 1, 4.5, 1, 1.5, 5, 2, 5.5, 9; their median is (1.5 + 2) / 2.
    assert (found.mean, found.median, found.hodges_lehmann) == (3.0, 1.5, 1.75)
    assert found.robust_disagrees == 1.5


@pytest.mark.parametrize("differences", [[0.1], [0.1, 0.3], [0.1 + 0.2, 0.3, 0.3]])
def test_few_or_equal_differences_have_no_interval(differences):
    found = compare_pairs(differences)
    assert found.interval() is None
    assert found.halves() == (None, None)
    assert found.p == 1


@pytest.mark.parametrize("differences", [[], [0.1, float("nan")]])
def test_differences_that_are_none_or_not_finite_are_refused(differences):
    with pytest.raises(InputError, match="Differences must be finite"):
        compare_pairs(differences)


def test_the_chance_counts_pairs_and_half_of_the_ties():
    found = chance_better([-1.0, -2.0, 0.0, 3.0])
    assert found.percent == 62.5
    assert 0 < found.low < 50 < 75 < found.high < 100
    assert chance_better([-1.0] * 6).high == pytest.approx(100)


def test_the_interval_of_the_chance_covers_it_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = [
        (found := chance_better(list(generator.normal(-0.5, 1, 30)))).low < 69.146 < found.high
        for _ in range(400)
    ]
    assert 0.92 < np.mean(covered) < 0.98  # P(N(-0.5, 1) < 0) = 0.69146


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


def test_equal_values_and_pairs_of_values_have_no_interval():
    for values in ([1.1] * 4, [1.0, 2.0], [1.0], []):
        found = summarise(values)
        assert (found.low, found.high) == (None, None), values
    assert summarise([1.1] * 4).sd == 0.0
    assert summarise([1.0, 2.0]).sd is None
    low, mean, high = (getattr(summarise([1.0, 2.0, 3.0]), key) for key in ("low", "mean", "high"))
    assert (high - mean, mean - low) == pytest.approx([4.3027 / 3**0.5] * 2, rel=1e-4)  # t, 2 df
