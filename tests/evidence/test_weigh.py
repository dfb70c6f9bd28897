"""Do the numbers and verdicts of the evidence follow from the planted artifacts?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from lrcycles.config.schema import Reference
from lrcycles.errors import InputError
from lrcycles.evidence.arms import summarise
from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.costs import repayment, schedule_costs
from lrcycles.evidence.gather import gather
from lrcycles.evidence.ingredients import break_down
from lrcycles.evidence.paired import Outcome
from lrcycles.evidence.reference import reference_rows
from lrcycles.evidence.weigh import Evidence
from tests import report_inputs
from tests.report_inputs import BASELINE_ERRORS, tutorial_arms, write_artifacts

EPOCH = report_inputs.STEPS_PER_EPOCH * report_inputs.SECONDS_PER_STEP[200]
RANGE_TEST = report_inputs.RANGE_TEST_SECONDS


def evidence_of(folder: Path, arms: Any, against: Any = None, **report: Any) -> Evidence:
    artifacts = write_artifacts(folder, arms, fit=bool(report))
    return gather(artifacts, replace(report_inputs.REPORT, **report), against)


def compared(evidence: Evidence, quantity: Quantity = Quantity.ERROR) -> Comparison:
    return evidence.comparisons["clr", "baseline", quantity]


def only(arms: Any, *names: str) -> Any:
    return {name: arms[name] for name in names}


def pair(**more: Any) -> Any:
    return only(tutorial_arms(**more), "baseline", "clr")


def attributed(folder: Path) -> Evidence:
    return evidence_of(folder, report_inputs.attribution_arms(), waterfall=report_inputs.WATERFALL)


def mean_time(evidence: Evidence, name: str) -> float | None:
    return summarise(time.seconds for time in evidence.reached[name].values()).mean


def test_an_arm_better_in_every_seed_is_better_with_its_interval(tmp_path):
    arms = tutorial_arms(gain=0.2)
    planted = np.array([arms["clr"]["errors"][s] - arms["baseline"]["errors"][s] for s in range(8)])
    half = 2.3646242515927844 * planted.std(ddof=1) / np.sqrt(8)  # t(0.975, 7), from a table
    comparison = compared(evidence_of(tmp_path, arms))
    assert comparison.outcome == Outcome.BETTER
    assert_allclose(comparison.paired.mean, planted.mean())
    assert_allclose(comparison.paired.interval95, [planted.mean() - half, planted.mean() + half])
    assert comparison.paired.p == pytest.approx(2 / 2**8)


@pytest.mark.parametrize(("gain", "outcome"), [(0, "equivalent"), (-0.2, "worse")])
def test_identical_arms_are_equivalent_and_a_planted_loss_is_worse(tmp_path, gain, outcome):
    assert compared(evidence_of(tmp_path, pair(gain=gain))).outcome == outcome


def test_five_seeds_decide_nothing(tmp_path):
    assert compared(evidence_of(tmp_path, pair(seeds=5))).outcome == Outcome.UNDECIDED


def test_time_counts_the_steps_to_the_target_and_charges_the_range_test(tmp_path):
    arms = pair()
    arms["baseline"]["reach"], arms["clr"]["reach"] = 8, 3
    evidence = evidence_of(tmp_path, arms)
    assert mean_time(evidence, "baseline") == pytest.approx(8 * EPOCH)
    assert mean_time(evidence, "clr") == pytest.approx(3 * EPOCH + RANGE_TEST)
    comparison = compared(evidence, Quantity.TIME)
    assert comparison.paired.mean == pytest.approx(RANGE_TEST - 5 * EPOCH)
    assert comparison.outcome == Outcome.WORSE


def test_an_arm_is_not_later_than_a_rival_that_never_arrives(tmp_path):
    """Half of the baseline's seeds miss its median at the end; clr arrives, but later than that."""
    arms = pair()
    arms["clr"]["reach"] = 7
    evidence = evidence_of(tmp_path, arms)
    censored = {
        name: sum(time.censored for time in times.values())
        for name, times in evidence.reached.items()
    }
    assert censored == {"baseline": 4, "clr": 0}
    assert compared(evidence, Quantity.TIME).outcome == Outcome.UNDECIDED


def test_a_sign_that_censored_runs_hide_leaves_a_range_of_means(tmp_path):
    """Where the baseline arrives, at its last step, clr never does, and the reverse."""
    arms = pair()
    late = [
        seed for seed, error in enumerate(BASELINE_ERRORS) if error < np.median(BASELINE_ERRORS)
    ]
    arms["clr"]["errors"] = {seed: 2.5 if seed in late else 1.5 for seed in range(8)}
    arms["clr"]["reach"] = {seed: None if seed in late else 1 for seed in range(8)}
    comparison = compared(evidence_of(tmp_path, arms), Quantity.TIME)
    early, whole = EPOCH + RANGE_TEST, 10 * EPOCH
    longest = whole + RANGE_TEST
    assert comparison.outcome == Outcome.UNDECIDED
    assert comparison.possible_means == (
        pytest.approx(((longest - whole) + (early - longest)) / 2),
        pytest.approx(((longest - whole) + (early - whole)) / 2),
    )


def test_a_difference_to_runs_that_never_arrive_is_a_limit(tmp_path):
    assert compared(evidence_of(tmp_path, pair()), Quantity.TIME).is_limit


def test_runs_that_never_arrive_on_either_side_decide_nothing(tmp_path):
    arms = pair(gain=-2.0)
    arms["clr"] |= {"uses_bounds": False, "reach": None}
    comparison = compared(evidence_of(tmp_path, arms), Quantity.TIME)
    assert comparison.outcome == Outcome.UNDECIDED
    assert comparison.possible_means == (0, 0)


def test_diverged_runs_are_left_out_of_means_and_pairs(tmp_path):
    arms = pair()
    arms["clr"]["errors"][3] = None
    evidence = evidence_of(tmp_path, arms)
    kept = [error for seed, error in arms["clr"]["errors"].items() if seed != 3]
    assert evidence.arms["clr"].diverged == [3]
    assert summarise(evidence.arms["clr"].values(Quantity.ERROR).values()).mean == pytest.approx(
        np.mean(kept)
    )
    assert compared(evidence).paired.n == 7


def test_arms_of_unequal_seeds_are_paired_by_the_seeds_in_common(tmp_path):
    arms = pair()
    del arms["clr"]["errors"][0], arms["baseline"]["errors"][7]
    assert compared(evidence_of(tmp_path, arms)).paired.n == 6


def test_controls_on_the_split_are_compared_with_the_baseline_and_pay_for_what_they_continue(
    tmp_path,
):
    arms = pair()
    arms["first"] = {"errors": arms["baseline"]["errors"]}
    arms["continued"] = {
        "errors": arms["clr"]["errors"],
        "schedule": "triangular",
        "reach": 1,
        "continues": "first",
    }
    evidence = evidence_of(tmp_path, arms)
    roles = {(one.arm, one.against): one.role for one in evidence.comparisons.values()}
    assert roles == {
        ("clr", "baseline"): Role.CANDIDATE,
        ("first", "baseline"): Role.CONTROL,
        ("continued", "baseline"): Role.CONTROL,
    }
    spent = RANGE_TEST + 10 * EPOCH  # the arm that it continues
    assert mean_time(evidence, "continued") == pytest.approx(EPOCH + spent)


def test_the_range_test_is_charged_once_to_a_chain_of_arms(tmp_path):
    arms = pair(seeds=2)
    arms["first"] = {**arms["clr"], "group": "controls"}
    arms["second"] = {**arms["first"], "continues": "first"}
    arms["last"] = {"errors": arms["baseline"]["errors"], "continues": "second"}
    assert evidence_of(tmp_path, arms).extra_seconds == {
        "baseline": 0,
        "clr": RANGE_TEST,
        "first": RANGE_TEST,
        "second": pytest.approx(RANGE_TEST + 10 * EPOCH),
        "last": pytest.approx(RANGE_TEST + 20 * EPOCH),
    }


def test_only_an_arm_that_asked_for_the_bounds_pays_for_them(tmp_path):
    arms = pair(seeds=2)
    arms["clr"]["uses_bounds"] = False  # literals, which happen to equal the bounds
    arms["steady"] = {"errors": arms["baseline"]["errors"], "uses_bounds": True}
    extra = evidence_of(tmp_path, arms).extra_seconds
    assert extra == {"baseline": 0, "clr": 0, "steady": RANGE_TEST}


def test_the_range_test_is_repaid_after_as_many_trainings_as_the_interval_gives(tmp_path):
    arms = pair()
    reach = {"baseline": {s: 7 + s % 3 for s in range(8)}, "clr": {s: 3 + s % 4 for s in range(8)}}
    for name, by_seed in reach.items():
        arms[name]["reach"] = by_seed
    evidence = evidence_of(tmp_path, arms)
    repaid = repayment(evidence, compared(evidence, Quantity.TIME))
    alone = [EPOCH * (reach["clr"][s] - reach["baseline"][s]) for s in range(8)]
    low, high = stats.ttest_1samp(alone, 0).confidence_interval()
    assert repaid is not None
    assert repaid.alone.mean == pytest.approx(np.mean(alone))
    assert repaid.trainings == (np.ceil(RANGE_TEST / -low), np.ceil(RANGE_TEST / -high))


def test_a_range_test_that_takes_too_long_is_never_repaid(tmp_path):
    arms = pair()
    arms["baseline"]["reach"], arms["clr"]["reach"] = 8, 3
    artifacts = write_artifacts(tmp_path, arms)
    path = artifacts / "range_test" / "range_test.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "train_seconds": 1e6}))
    evidence = gather(artifacts, report_inputs.REPORT)
    repaid = repayment(evidence, compared(evidence, Quantity.TIME))
    assert repaid is not None
    assert (repaid.trainings, repaid.too_small) == (None, True)


def test_holm_takes_every_verdict_as_one_family(tmp_path):
    family = list(evidence_of(tmp_path, tutorial_arms()).comparisons.values())
    assert len(family) == 3
    smallest = min(one.judged.p for one in family)
    assert min(one.judged.holm_p for one in family) == pytest.approx(3 * smallest)


def test_an_arm_whose_every_run_diverged_is_compared_with_nothing(tmp_path):
    arms = pair(seeds=2)
    arms["clr"]["errors"] = dict.fromkeys(range(2))
    assert evidence_of(tmp_path, arms).comparisons == {}


def test_the_steps_of_a_waterfall_sum_to_the_whole_difference(tmp_path):
    evidence = attributed(tmp_path)
    assert evidence.steps == [
        ("longer", "published_baseline"),
        ("published", "longer"),
        ("clr", "published"),
    ]
    parts = break_down(evidence)
    assert parts is not None
    changes = [one.change.paired.mean for one in parts.ingredients]
    assert sum(changes) == pytest.approx(parts.whole.paired.mean)
    assert [one.share_percent for one in parts.ingredients] == pytest.approx(
        [100 * change / parts.whole.paired.mean for change in changes]
    )
    # 3,000 steps at batch 200 and 300 steps at 2000 take 12 s each, at the planted seconds a step.
    assert parts.seconds == (pytest.approx(12), pytest.approx(12))


def test_a_waterfall_in_the_opposite_order_breaks_nothing_down(tmp_path):
    order = {"published": "x", "published_baseline": "y"}
    assert break_down(evidence_of(tmp_path, tutorial_arms(), waterfall=order)) is None
    assert break_down(evidence_of(tmp_path / "pair", pair())) is None


def test_the_cost_of_a_schedule_is_the_median_of_steps_that_alternate(tmp_path):
    (cost, _) = schedule_costs(attributed(tmp_path))
    # The median of 1, 2, ... 10 %; the interval's ends are the second and the ninth of ten.
    assert (cost.batch_size, cost.pairs) == (200, 20)
    assert [cost.percent, cost.low, cost.high] == pytest.approx([5.5, 2, 9])


def test_constant_rates_are_tuned_at_the_price_of_the_trials(tmp_path):
    evidence = evidence_of(tmp_path, report_inputs.schedule_arms())
    assert evidence.tuned is not None
    assert set(evidence.tuned.chosen.values()) == {"rate_01"}  # it led after its first epochs
    # 2,000 steps of the range test are 2.4 epochs of three rates each: three, two rates dropped.
    assert evidence.extra_seconds["tuned"] == pytest.approx(2 * 3 * EPOCH)
    error = evidence.error("tuned", "baseline")
    assert error is not None
    assert error.paired.mean == pytest.approx(1)
    # The baseline's rate, last after the short trials, leads in the end in every seed.
    assert list(evidence.tuned.at_length.values()) == BASELINE_ERRORS


def test_an_arm_is_compared_with_those_it_is_set_against(tmp_path):
    against = {"welch": ["clr"], "clr": ["baseline", "tuned"]}
    evidence = evidence_of(tmp_path, report_inputs.schedule_arms(), against)
    pairs = [(one.arm, one.against) for one in evidence.pairs]
    assert ("welch", "clr") in pairs
    assert ("welch", "baseline") not in pairs
    assert [one for one in pairs if one[0] == "clr"] == [("clr", "baseline"), ("clr", "tuned")]


def test_targets_are_the_baselines_errors_after_a_quarter_half_and_all_epochs(tmp_path):
    evidence = evidence_of(tmp_path, pair())
    history = evidence.arms["baseline"].cells[0].history
    assert evidence.targets[:2] == pytest.approx(
        [history[epoch - 1].validation_error_percent for epoch in (3, 5)]
    )
    assert evidence.targets[-1] == evidence.target_percent
    first, *_, final = evidence.reaching["baseline"]
    assert (first.reached, first.median_steps) == (8, 3 * report_inputs.STEPS_PER_EPOCH)
    # Its own median, so half of its runs reach it.
    assert (final.reached, final.median_steps) == (4, 10 * report_inputs.STEPS_PER_EPOCH)


def test_a_papers_row_is_reproduced_within_two_combined_standard_deviations(tmp_path):
    mean, sd = np.mean(BASELINE_ERRORS), np.std(BASELINE_ERRORS, ddof=1)
    for factor, reproduced in ((1.9, True), (2.1, False)):
        paper = Reference(float(mean + factor * np.hypot(sd, 0.05)), 0.05, 4)
        rows = {"baseline": paper, "absent": paper}
        evidence = evidence_of(tmp_path / str(factor), pair(), reference=rows)
        assert [row.reproduced for row in reference_rows(evidence)] == [reproduced, None]


def test_welchs_p_is_that_of_samples_with_those_moments(tmp_path):
    evidence = evidence_of(tmp_path, pair(), reference={"baseline": Reference(1.7, 0.05, 4)})
    printed = np.array([-1.0, -1.0, 1.0, 1.0])
    sample = 1.7 + 0.05 * printed / printed.std(ddof=1)
    expected = stats.ttest_ind(BASELINE_ERRORS, sample, equal_var=False).pvalue
    (row,) = reference_rows(evidence)
    assert row.p == pytest.approx(expected)


def test_a_step_costs_what_the_median_run_of_its_kind_took(tmp_path):
    arms = pair()
    arms["slow"] = {**arms["baseline"], "group": "controls", "seconds_per_step": 0.04}
    seconds = evidence_of(tmp_path, arms).seconds_per_step
    assert seconds == dict.fromkeys(arms, pytest.approx(0.004))  # 16 of 24 runs took that


def test_a_diverged_arm_is_described_by_the_steps_that_were_planned(tmp_path):
    arms = tutorial_arms(seeds=2)
    arms["clr"]["errors"] = dict.fromkeys(range(2))
    clr = evidence_of(tmp_path, arms).arms["clr"]
    assert len(clr.rates) == report_inputs.STEPS_PER_EPOCH
    assert clr.turned_share == pytest.approx(2750 / 458)
    assert clr.total_steps == 2750


def test_the_ends_of_cycles_are_given_in_epochs(tmp_path):
    ends = evidence_of(tmp_path, tutorial_arms(seeds=2)).arms["clr"].cycle_ends_epochs
    assert_allclose(ends, np.array([1, 2, 3]) * 916 / 275)


def test_without_any_arm_the_error_names_the_groups(tmp_path):
    with pytest.raises(InputError, match="none in the groups baseline, clr, controls"):
        evidence_of(tmp_path, {})


@pytest.mark.parametrize("group", ["baseline", "clr", "controls"])
def test_a_group_that_was_not_trained_is_named_with_the_command_that_trains_it(tmp_path, group):
    artifacts = write_artifacts(tmp_path, tutorial_arms(seeds=1))
    (artifacts / "train" / group / "cells.csv").unlink()
    with pytest.raises(InputError, match=rf"artifacts/train/{group}\b.*`dvc repro train@{group}`"):
        gather(artifacts, report_inputs.REPORT)


def test_a_file_of_a_cell_that_is_lost_is_named_with_its_remedy(tmp_path):
    artifacts = write_artifacts(tmp_path, tutorial_arms())
    (artifacts / "train/clr/clr/3/result.json").unlink()
    with pytest.raises(InputError, match=r"clr/3/result\.json.* `dvc checkout`"):
        gather(artifacts, report_inputs.REPORT)
