"""Are arms compared seed by seed and image by image, and failures ranked?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lrcycles.evidence.comparisons import Pair, Quantity, Role, compare_errors
from lrcycles.evidence.families import Family, Outcome, Reason
from studies.verdicts.trainings import World, draw_arms, first_seeds, make_arm

IMAGES = 1_000


def drawn(name, error, seeds=16, seed=0, **more):
    """Make an arm of trainings that are wrong on each image with the same probability."""
    rng = np.random.default_rng([seed, *name.encode()])
    return make_arm(name, rng.random((seeds, IMAGES)) < error, **more)


def compared(*arms, family=Family.PRIMARY, margin=0.05, **more):
    by_name = {arm.name: arm for arm in arms}
    pairs = [Pair(arm.name, arms[0].name, Role.CONTROL, family) for arm in arms[1:]]
    found = compare_errors(by_name, pairs, margin=margin, **more)
    return [found[arm.name, arms[0].name, Quantity.ERROR] for arm in arms[1:]]


def test_differences_and_both_variances_follow_from_the_mistakes_of_each_image():
    other, arm = drawn("other", 0.3), drawn("arm", 0.2)
    (found,) = compared(other, arm)
    by_image = 100.0 * np.array(
        [arm.mistakes[k].astype(int) - other.mistakes[k] for k in range(16)]
    )
    means = by_image.mean(axis=1)
    assert list(found.differences.values()) == pytest.approx(means.tolist())
    assert found.estimate.mean == pytest.approx(means.mean())
    assert found.estimate.seeds_variance == pytest.approx(stats.sem(means) ** 2)
    covariance = np.cov(by_image)[np.triu_indices(16, 1)].mean()
    assert found.estimate.images_variance == pytest.approx(max(covariance, 0) / IMAGES)
    assert found.outcome == Outcome.BETTER
    assert found.verdict.p == 2.0**-15


def test_a_simulated_test_set_adds_the_variance_that_it_was_drawn_with():
    rng = np.random.default_rng(0)
    pair = [Pair("arm", "other", Role.CONTROL)]
    found = [
        compare_errors(draw_arms(rng, World(images_error=0.05), 8), pair, margin=0.05)
        for _ in range(12)
    ]
    variances = [one.estimate.images_variance for each in found for one in each.values()]
    assert np.mean(variances) == pytest.approx(0.05**2, rel=0.2)


def test_only_common_seeds_are_compared_whatever_their_order():
    one, other = drawn("one", 0.1, seeds=12), drawn("other", 0.2, seeds=8)
    (found,) = compared(other, one)
    assert (found.seeds, found.estimate.n) == (8, 8)
    turned = replace(one, cells=dict(reversed(one.cells.items())))
    assert compared(other, turned)[0].estimate.mean == pytest.approx(found.estimate.mean)


@pytest.mark.parametrize("failing", ["diverges", "guesses"])
def test_failed_runs_rank_worst_and_leave_the_means(failing):
    other = drawn("other", 0.3)
    lost = np.arange(16) < 2
    if failing == "diverges":
        arm = drawn("arm", 0.2, failed=lost)
    else:
        mistakes = np.random.default_rng(1).random((16, IMAGES)) < np.where(lost, 0.9, 0.2)[:, None]
        arm = make_arm("arm", mistakes)
    (found,) = compared(other, arm)
    assert found.failed == (2, 0)
    assert list(found.differences) == list(range(2, 16))
    assert found.estimate.mean == pytest.approx(-10, abs=2)
    # Ranks 1 to 14 say better, 15 and 16 say worse: as Wilcoxon's test of such differences.
    ranks = [-(k + 1.0) for k in range(14)] + [15.0, 16.0]
    assert found.verdict.p == pytest.approx(stats.wilcoxon(ranks, method="exact").pvalue, rel=0.05)
    assert found.outcome == Outcome.UNDECIDED  # it fails more often


def test_an_arm_of_which_every_run_fails_is_worse_and_two_such_arms_are_not_comparable():
    other, lost = drawn("other", 0.2), drawn("lost", 0.2, failed=[True] * 16)
    (found,) = compared(other, lost)
    assert (found.outcome, found.estimate, found.differences) == (Outcome.WORSE, None, {})
    (both,) = compared(replace(lost, name="too"), lost)
    assert both.verdict.reason == Reason.SAME
    (both,) = compared(drawn("too", 0.2, failed=[True] * 16), lost)
    assert (both.outcome, both.verdict.reason) == (Outcome.NOT_COMPARABLE, Reason.EMPTY)


def test_equal_trainings_are_no_comparison_and_leave_the_level_to_others():
    other, arm = drawn("other", 0.3), drawn("arm", 0.2)
    found = compared(other, replace(other, name="copy"), arm)
    assert [one.verdict.reason for one in found] == [Reason.SAME, Reason.NONE]
    assert found[1].verdict.level == 0.013


def test_unknown_mistakes_give_an_interval_of_the_seeds_and_no_verdict():
    other, arm = drawn("other", 0.3), drawn("arm", 0.2)
    (found,) = compared(other, replace(arm, mistakes={}))
    assert (found.outcome, found.verdict.reason) == (Outcome.NO_VERDICT, Reason.IMAGES_UNKNOWN)
    assert found.estimate.images_variance is None
    assert found.estimate.interval() is not None
    elsewhere = {seed: replace(cell, data="other images") for seed, cell in arm.cells.items()}
    (found,) = compared(other, replace(arm, cells=elsewhere))
    assert found.verdict.reason == Reason.IMAGES_UNKNOWN


def test_ten_seeds_give_an_interval_and_no_verdict():
    (found,) = compared(drawn("other", 0.3, seeds=10), drawn("arm", 0.2, seeds=10))
    assert (found.outcome, found.verdict.reason) == (Outcome.NO_VERDICT, Reason.SEEDS)
    assert found.estimate.interval()[1] < 0


def test_a_pair_that_is_named_twice_counts_once_in_whatever_order():
    arms = {name: drawn(name, error) for name, error in (("a", 0.2), ("b", 0.3))}
    pairs = [
        Pair("a", "b", Role.CANDIDATE, Family.PRIMARY),
        Pair("b", "a", Role.CONTROL, Family.SCHEDULES),
        Pair("a", "b", Role.CONTROL, Family.SCHEDULES),
    ]
    assert list(compare_errors(arms, pairs, margin=0.05)) == [("a", "b", Quantity.ERROR)]


def test_a_primary_comparison_without_a_common_seed_counts_as_absent():
    other, arm = drawn("other", 0.3), drawn("arm", 0.2)
    apart = make_arm("apart", np.zeros((16, IMAGES), bool), seeds=range(100, 116))
    by_name = {one.name: one for one in (other, arm, apart)}
    pairs = [Pair(name, "other", Role.CANDIDATE, Family.PRIMARY) for name in ("arm", "apart")]
    (found,) = compare_errors(by_name, pairs, margin=0.05).values()
    assert found.verdict.level == 0.0053


def test_mean_and_median_that_part_by_half_the_margin_are_flagged():
    mistakes = np.zeros((9, IMAGES), bool)
    worse = mistakes.copy()
    worse[0, :300] = True
    (found,) = compared(make_arm("other", mistakes), make_arm("arm", worse))
    assert (found.estimate.median, found.robust_disagrees) == (0, True)
    (found,) = compared(make_arm("other", mistakes), make_arm("arm", mistakes))
    assert not found.robust_disagrees


def test_fewer_seeds_of_the_same_arms_are_an_earlier_look():
    arms = {name: drawn(name, error, seeds=32) for name, error in (("a", 0.2), ("b", 0.22))}
    (found,) = compared(*first_seeds(arms, 8).values())
    assert list(found.differences) == list(range(8))
