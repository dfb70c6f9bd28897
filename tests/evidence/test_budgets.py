"""Is the shortest training whose end meets a target found, and are schedules compared by it?"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from scipy import stats

from lrcycles.cells.result import ScheduleResult
from lrcycles.evidence.budgets import (
    PeakSearch,
    Plan,
    compare_budgets,
    compare_widths,
    find_plans,
    reaching,
)
from lrcycles.evidence.families import Outcome, Reason
from studies.verdicts.trainings import CELL, make_arm

LENGTHS = (1, 3, 10)


def plan(name, epochs, failed=()):
    """Make a schedule of which each seed ends at 1 % from the given length on, before at 20 %."""
    arms = {}
    for length in LENGTHS:
        mistakes = np.zeros((len(epochs), 100), bool)
        for row, needed in zip(mistakes, epochs, strict=True):
            row[: 1 if length >= needed else 20] = True
        settings = replace(CELL, epochs=length, schedule=ScheduleResult(name=name))
        arm = make_arm(f"{name}_{length}", mistakes, settings=settings)
        arms[length] = (
            arm if length > 1 else make_arm(arm.name, mistakes, settings=settings, failed=failed)
        )
    return Plan(name, arms)


def test_the_shortest_length_that_ends_at_the_target_counts():
    found = plan("a", [1, 3, 3, 10, inf, inf])
    assert list(found.epochs_to_target(1.0).values()) == [1, 3, 3, 10, None, None]
    summary = reaching(found, 1.0)
    assert (summary.seeds, summary.reached, summary.median_epochs) == (6, 4, 6.5)
    assert summary.by_epochs == {1: 1, 3: 3, 10: 4}
    assert reaching(plan("a", [1, inf]), 1.0).median_epochs is None


def test_a_failed_run_does_not_reach_the_target():
    found = plan("a", [1, 1, 1], failed=[True])
    assert list(found.epochs_to_target(1.0).values()) == [3, 1, 1]


def test_plans_are_arms_that_differ_in_their_length():
    arms = [*plan("a", [1, 3]).arms.values(), *plan("b", [1, 3]).arms.values()]
    alone = make_arm("c", np.zeros((2, 10), bool), settings=replace(CELL, batch_size=7))
    found = find_plans([*reversed(arms), alone])
    assert {one.name: list(one.arms) for one in found} == {name: [1, 3, 10] for name in "ab"}


def test_plans_of_one_schedule_have_names_of_their_own():
    cycles = {count: ScheduleResult(name="a", cycles=count) for count in (3, 5)}
    settings = [{"schedule": cycles[3]}, {"schedule": cycles[5]}]
    settings += [{"schedule": ScheduleResult(name="b"), "batch_size": size} for size in (100, 400)]
    settings += [{"schedule": ScheduleResult(name="c"), "optimizer": {"name": n}} for n in "xy"]
    settings += [{"schedule": ScheduleResult(name="d")}]
    arms = [
        make_arm(
            f"{place}_{epochs}",
            np.zeros((8, 10), bool),
            settings=replace(CELL, **own, epochs=epochs),
        )
        for place, own in enumerate(settings)
        for epochs in (1, 3)
    ]
    plans = find_plans(arms)
    names = ["a, cycles 3", "a, cycles 5", "b, batch size 100", "b, batch size 400"]
    assert [one.name for one in plans] == [*names, "c (4_1)", "c (5_1)", "d"]
    compared = compare_budgets(plans, "d", 1.0)
    assert [key[0] for key in compared] == [one.name for one in plans[:-1]]


def test_a_warm_up_in_proportion_to_the_length_tells_plans_apart():
    arms = [
        make_arm(
            f"{share}_{epochs}",
            np.zeros((8, 10), bool),
            settings=replace(
                CELL,
                schedule=ScheduleResult(name="a", warmup_steps=share * epochs or None),
                epochs=epochs,
            ),
        )
        for share in (0, 5)
        for epochs in (1, 3)
    ]
    plans = {one.name: [arm.name for arm in one.arms.values()] for one in find_plans(arms)}
    assert plans == {"a, warm-up no": ["0_1", "0_3"], "a, warm-up yes": ["5_1", "5_3"]}


def test_the_sooner_schedule_is_better_as_wilcoxons_test_says():
    slow, fast = [10] * 10 + [3] * 6, [3] * 12 + [1, 3, 3, 10]
    ((key, found),) = compare_budgets([plan("a", fast), plan("b", slow)], "b", 1.0).items()
    assert key[:2] == ("a", "b")
    differences = np.subtract(fast, slow)
    assert list(found.differences.values()) == differences.tolist()
    moved = differences[differences != 0]
    signs = np.array(np.meshgrid(*[[1, -1]] * len(moved))).reshape(len(moved), -1)
    ranks = stats.rankdata(np.abs(moved))
    listed = (np.abs(ranks @ signs) >= abs((ranks * np.sign(moved)).sum())).mean()
    assert found.verdict.p == pytest.approx(listed)
    assert found.outcome == Outcome.BETTER


@pytest.mark.parametrize(
    ("own", "theirs", "outcome"),
    [
        ([inf] * 16, [3] * 16, Outcome.WORSE),
        ([3] * 16, [inf] * 16, Outcome.BETTER),
        ([inf] * 16, [inf] * 16, Outcome.NOT_COMPARABLE),
        ([3] * 16, [3] * 16, Outcome.NOT_COMPARABLE),
        ([1] * 15 + [inf], [10] * 16, Outcome.UNDECIDED),  # sooner, but reaches less often
    ],
)
def test_a_seed_that_never_arrives_is_the_slowest(own, theirs, outcome):
    (found,) = compare_budgets([plan("a", own), plan("b", theirs)], "b", 1.0).values()
    assert found.outcome == outcome
    assert found.margin is None


def test_without_the_opponent_nothing_is_compared():
    assert compare_budgets([plan("a", [1] * 8)], "b", 1.0) == {}
    twelve = compare_budgets([plan("a", [1] * 12), plan("b", [3] * 12)], "b", 1.0)
    assert [one.verdict.reason for one in twelve.values()] == [Reason.SEEDS]


def test_nearly_as_good_peaks_are_counted_around_the_chosen_one():
    means = {1: 2.2, 2: 2.0, 4: 2.1, 8: 3.0, 16: 2.15}
    search = PeakSearch("clr", 2, means, {})
    # 2.2 is a tenth above 2, and 16 lies beyond a worse one.
    low, high = search.good_peaks()
    assert low == pytest.approx(1)
    between = np.interp(np.log(2.2), np.log([2.1, 3.0]), np.log([4, 8]))
    assert high == pytest.approx(np.exp(between))
    assert not search.at_end
    faultless = PeakSearch("clr", 2, {1: 3.0, 2: 0.0, 4: 3.0}, {}).good_peaks()
    assert faultless == pytest.approx((2, 2), rel=0.02)


def test_widths_of_good_peaks_are_compared_with_an_interval_over_seeds():
    steep = {1: [4.0] * 8, 2: [2.0] * 8, 4: [4.0] * 8}
    flat = {1: [8**0.5] * 8, 2: [2.0] * 8, 4: [8**0.5] * 8}  # half the slope on both sides
    first, second = (
        PeakSearch("a", 2, {peak: own[0] for peak, own in errors.items()}, errors)
        for errors in (flat, steep)
    )
    widths = [np.log(high / low) for low, high in (first.good_peaks(), second.good_peaks())]
    ratio, interval = compare_widths(first, second)
    assert ratio == pytest.approx(widths[0] / widths[1]) == pytest.approx(2)
    assert interval == pytest.approx((2, 2))
    noise = np.random.default_rng(0).normal(0, 0.05, (3, 8))
    noisy = {peak: list(own + row) for (peak, own), row in zip(steep.items(), noise, strict=True)}
    means = {peak: float(np.mean(own)) for peak, own in noisy.items()}
    ratio, (low, high) = compare_widths(first, PeakSearch("b", 2, means, noisy))

    def without(seed):
        left = {peak: np.delete(own, seed).mean() for peak, own in noisy.items()}
        ends = PeakSearch("b", 2, left, {}).good_peaks()
        return np.log(widths[0] / np.log(ends[1] / ends[0]))

    pseudo = [8 * np.log(ratio) - 7 * without(seed) for seed in range(8)]
    half = stats.t.ppf(0.975, 7) * stats.sem(pseudo)
    assert np.log([low, high]) == pytest.approx([np.log(ratio) - half, np.log(ratio) + half])
    assert compare_widths(first, PeakSearch("c", 2, means, {**noisy, 4: noisy[4][1:]})) is None
