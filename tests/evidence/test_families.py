"""Do families decide what their rules say: looks, Holm, max-T, images, failures, margin?"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lrcycles.evidence import families
from lrcycles.evidence.families import (
    LATER_LEVELS,
    LOOKS,
    Family,
    Outcome,
    Reason,
    decide,
    look_level,
    next_look,
)
from lrcycles.evidence.paired import compare_pairs
from lrcycles.evidence.sign_flips import sign_flip_p, signed_ranks


def compared(units, family=Family.PRIMARY, by_image=None, **more):
    """Make a comparison of whole images among 10,000."""
    differences = [unit / 100 for unit in units]
    return families.Tested(
        **{
            "family": family,
            "seeds": len(units),
            "units": dict(enumerate(units)),
            "estimate": compare_pairs(differences, by_image),
            "margin": 0.05,
            **more,
        }
    )


def drawn(mean, n=16, seed=0, sd=10):
    return np.rint(np.random.default_rng(seed).normal(mean, sd, n)).astype(int).tolist()


def only(one):
    return decide({"": one})[""]


def units_with_p(below, above=0.0, n=16):
    """Find units whose exact p lies between two levels."""
    for seed in range(2000):
        units = drawn(-6, n, seed)
        if above < sign_flip_p(units) <= below and compare_pairs(units).p < below:
            return units
    raise AssertionError("no such units")


@pytest.mark.parametrize("seeds", [1, 2, 6, 7, 9, 10, 30, 63, 200])
def test_other_numbers_of_seeds_give_no_verdict(seeds):
    verdict = only(compared([-20, -21] * seeds, seeds=seeds))
    assert (verdict.outcome, verdict.reason) == (Outcome.NO_VERDICT, Reason.SEEDS)


def test_eight_equal_signs_decide_at_the_first_look_and_seven_of_eight_do_not():
    clear = [-20, -22, -19, -25, -18, -21, -24, -23]
    assert only(compared(clear)).outcome == Outcome.BETTER
    assert only(compared([-unit for unit in clear])).outcome == Outcome.WORSE
    assert only(compared([*clear[1:], 20])).outcome == Outcome.UNDECIDED
    assert only(compared([*clear[1:], 0])).reason == Reason.CHANCE


def test_the_looks_double_and_end():
    assert [next_look(seeds) for seeds in (3, 8, 9, 64, 128)] == [8, 16, 16, 128, None]
    assert all(later == 2 * look for look, later in pairwise(LOOKS))


@pytest.mark.parametrize("share", LATER_LEVELS)
def test_the_levels_of_all_looks_add_up_to_no_less_than_they_spend(share):
    # Looks are correlated: the levels may sum to more than the share, each must stay below it.
    levels = [look_level(seeds, share) for seeds in LOOKS]
    assert max(levels) < 0.05 / share < sum(levels)


def test_holm_gives_each_place_the_level_of_the_comparisons_that_are_left():
    pair = {"a": compared(drawn(-12)), "b": compared(units_with_p(0.013, 0.0053))}
    verdicts = decide(pair)
    assert [verdicts[key].level for key in "ab"] == [0.0053, 0.013]
    assert all(one.outcome.is_better for one in verdicts.values())


def test_holm_decides_as_another_library_where_all_levels_are_parts_of_one(monkeypatch):
    monkeypatch.setattr(
        "lrcycles.evidence.families.LATER_LEVELS", {k: 0.05 / k for k in range(1, 5)}
    )
    for seed in range(20):
        family = {k: compared(drawn(-3 - k, seed=10 * seed + k), margin=None) for k in range(4)}
        p = [sign_flip_p(list(one.units.values())) for one in family.values()]
        rejected = multipletests(p, 0.05, method="holm")[0]
        if any(abs(one.estimate.p - p[k]) > 0.3 * p[k] for k, one in family.items()):
            continue  # the interval may decide otherwise there
        found = [one.outcome != Outcome.UNDECIDED for one in decide(family).values()]
        assert found == rejected.tolist()


def test_a_comparison_that_is_absent_or_waits_for_seeds_keeps_its_share():
    between = compared(units_with_p(0.013, 0.0053))
    assert only(between).outcome.is_better
    assert decide({"": between}, absent_primary=1)[""].outcome == Outcome.UNDECIDED
    waiting = compared(drawn(-12, 10))
    assert decide({"": between, "ten seeds": waiting})[""].outcome == Outcome.UNDECIDED
    unknown = compared(drawn(-12), images_known=False)
    verdicts = decide({"": between, "images": unknown})
    assert verdicts[""].outcome == Outcome.UNDECIDED
    assert verdicts["images"].reason == Reason.IMAGES_UNKNOWN


def test_what_nothing_can_decide_leaves_its_family():
    between = compared(units_with_p(0.013, 0.0053))
    same = compared(drawn(0), same=True)
    empty = compared([0] * 16, estimate=None, failed=(16, 16))
    verdicts = decide({"": between, "same": same, "empty": empty})
    assert verdicts[""].outcome.is_better
    assert verdicts["same"].reason == Reason.SAME
    assert verdicts["empty"].reason == Reason.EMPTY


def large_images(mean, n=16):
    """Differences of equal sign in all seeds, made by a handful of images that all seeds share."""
    by_image = np.zeros((n, 10_000), int)
    by_image[:, :40] = -1
    by_image[:, 40 : 40 + 40 + mean] = 1
    by_image[np.arange(n), 200 + np.arange(n)] = np.where(np.arange(n) % 2, 1, -1)
    units = by_image.sum(axis=1).tolist()
    return compared(units, by_image=by_image)


def test_images_that_all_seeds_share_can_leave_a_certain_difference_open():
    one = large_images(-8)
    assert sign_flip_p(list(one.units.values())) == 2.0**-15
    verdict = only(one)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, Reason.INTERVAL)


def test_a_comparison_that_its_images_leave_open_hands_no_share_on():
    between = compared(units_with_p(0.013, 0.0053))
    verdicts = decide({"images": large_images(-8), "": between})
    assert {key: one.level for key, one in verdicts.items()} == {"images": 0.0053, "": 0.0053}
    assert verdicts["images"].reason == Reason.INTERVAL
    assert verdicts[""].outcome == Outcome.UNDECIDED  # alone it would be better


@pytest.mark.parametrize(("mean", "outcome"), [(-8, Outcome.BETTER), (-4, Outcome.SLIGHTLY_BETTER)])
def test_the_mean_against_the_margin_says_whether_a_difference_matters(mean, outcome):
    assert only(compared([mean - 1, mean + 1] * 8)).outcome == outcome


def test_equivalent_needs_two_one_sided_tests_at_the_level_of_the_look():
    units = [-2, 2, 1, -1] * 8
    one = compared(units)
    level = look_level(32)
    below = stats.ttest_1samp([unit / 100 for unit in units], 0.05, alternative="less").pvalue
    assert below <= level
    assert only(one).outcome == Outcome.EQUIVALENT
    wide = compared([9 * unit for unit in units])
    assert stats.ttest_1samp(list(wide.units.values()), 5, alternative="less").pvalue > level
    assert only(wide).outcome == Outcome.UNDECIDED
    # The same seeds, with images that differ: the margin is not excluded any more.
    by_image = np.zeros((32, 10_000), int)
    by_image[:, :30], by_image[:, 30:60] = 1, -1
    by_image[np.arange(32), 100 + np.arange(32)] = units
    assert only(compared(by_image.sum(axis=1).tolist(), by_image=by_image)).reason == Reason.CHANCE


def failing(differences, signs, **more):
    """Make a comparison of which the last pairs have failed runs: 1 is the arm's."""
    return families.Tested(
        family=Family.PRIMARY,
        seeds=len(differences) + len(signs),
        units=dict(enumerate(signed_ranks(differences, signs))),
        estimate=compare_pairs(differences) if differences else None,
        failed=(signs.count(1), signs.count(-1)),
        lone_failures=(signs.count(1), signs.count(-1)),
        margin=0.05,
        **more,
    )


def test_an_arm_that_fails_more_often_is_not_better():
    clear = [-0.3 - k / 100 for k in range(31)]
    assert only(failing(clear, [-1])).outcome == Outcome.BETTER
    verdict = only(failing(clear, [1]))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, Reason.FAILS_MORE)
    worse = [-one for one in clear]
    assert only(failing(worse, [1])).outcome == Outcome.WORSE
    assert only(failing(worse, [-1])).reason == Reason.FAILS_MORE


def test_arms_that_differ_in_nothing_but_failures_are_judged_by_them():
    level = [0.01, -0.01, 0.02, -0.02] * 4
    assert stats.binomtest(16, 16).pvalue < look_level(32)
    assert only(failing(level, [1] * 16)).outcome == Outcome.WORSE
    assert only(failing(level, [-1] * 16)).outcome == Outcome.BETTER
    assert only(failing([], [1] * 16)).outcome == Outcome.WORSE  # no run of the arm trained
    assert only(failing(level, [1] * 8 + [-1] * 8)).outcome == Outcome.UNDECIDED


def test_a_time_needs_no_images_and_a_family_of_times_shares_its_level():
    units = units_with_p(0.013, 0.009)
    one = compared(units, Family.TIME, estimate=None, margin=None)
    assert only(one).outcome == Outcome.BETTER
    others = {k: compared(drawn(0, seed=k), Family.TIME, margin=None) for k in range(12)}
    assert decide({"": one, **others})[""].outcome == Outcome.UNDECIDED


def test_comparisons_without_a_family_have_no_verdict():
    verdict = only(compared(drawn(-30), Family.NONE))
    assert (verdict.outcome, verdict.reason) == (Outcome.NO_VERDICT, Reason.NO_FAMILY)


def test_families_do_not_share_their_five_percent():
    between = compared(units_with_p(0.013, 0.0053))
    others = {k: compared(drawn(0, seed=k), Family.SCHEDULES) for k in range(12)}
    assert decide({"": between, **others})[""].outcome.is_better
