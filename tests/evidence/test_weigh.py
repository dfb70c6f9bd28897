"""Is every pair of a pipeline in its family, and do its figures follow from the artifacts?"""

from __future__ import annotations

import json
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from lrcycles.cells.result import ScheduleResult
from lrcycles.config.schema import Reference
from lrcycles.errors import InputError
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.costs import range_test_price, schedule_costs
from lrcycles.evidence.families import Family, Outcome, Reason
from lrcycles.evidence.gather import gather
from lrcycles.evidence.reference import reference_rows
from lrcycles.evidence.weigh import Evidence
from tests import report_inputs
from tests.cell_results import cell_result
from tests.report_inputs import BASELINE_ERRORS, tutorial_arms, write_artifacts

EPOCH = report_inputs.STEPS_PER_EPOCH * report_inputs.SECONDS_PER_STEP[200]


def evidence_of(folder: Path, arms: Any, against: Any = None, **report: Any) -> Evidence:
    artifacts = write_artifacts(folder, arms, fit=bool(report))
    return gather(artifacts, replace(report_inputs.REPORT, **report), against)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory) -> Evidence:
    return evidence_of(tmp_path_factory.mktemp("tutorial"), tutorial_arms(), target_percent=None)


def test_the_declared_pairs_are_primary_and_the_replay_has_no_family(tutorial):
    families = {(one.arm, one.against): one.family for one in tutorial.comparisons.values()}
    assert families == {
        ("clr", "baseline"): Family.PRIMARY,
        ("clr", "linear_decay"): Family.PRIMARY,
        ("linear_decay", "baseline"): Family.SCHEDULES,
        ("published", "published_baseline"): Family.NONE,
    }
    assert tutorial.absent_primary == []


def test_eight_seeds_of_a_planted_gain_are_better_with_the_interval_of_both_variances(tutorial):
    one = tutorial.error("clr", "baseline")
    assert (one.outcome, one.verdict.p, one.verdict.level) == (Outcome.BETTER, 2 / 2**8, 0.0079)
    wrong = [
        np.array([tutorial.arms[name].mistakes[seed] for seed in range(8)]).astype(float)
        for name in ("clr", "baseline")
    ]
    by_image = 100 * (wrong[0] - wrong[1])
    covariance = np.cov(by_image)[np.triu_indices(8, 1)].mean()
    seeds, images = stats.sem(by_image.mean(axis=1)) ** 2, covariance / 10_000
    freedom = (seeds + images) ** 2 / (seeds**2 / 7 + images**2 / 9_999)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(seeds + images)
    mean = by_image.mean()
    assert_allclose(one.estimate.interval(), (mean - half, mean + half), rtol=1e-4)


def test_other_constant_rates_have_an_interval_and_no_verdict(tmp_path):
    evidence = evidence_of(tmp_path, report_inputs.schedule_arms())
    one = evidence.error("rate_01", "baseline")
    assert (one.role, one.verdict.reason) == (Role.SENSITIVITY, Reason.NO_FAMILY)
    assert one.estimate.interval()[0] > 0
    welch = evidence.error("welch", "linear_decay")
    assert (welch.role, welch.family) == (Role.CONTROL, Family.SCHEDULES)


def test_a_declared_comparison_that_was_not_trained_counts_in_the_level(tmp_path):
    arms = {name: arm for name, arm in tutorial_arms(seeds=16).items() if name != "linear_decay"}
    evidence = evidence_of(tmp_path, arms)
    assert evidence.absent_primary == [("clr", "linear_decay")]
    assert evidence.error("clr", "baseline").verdict.level == 0.0053


def test_an_arm_is_compared_with_those_it_is_set_against(tmp_path):
    against = {"welch": ["clr", "rate_01"]}
    evidence = evidence_of(tmp_path, report_inputs.schedule_arms(), against)
    pairs = [(one.arm, one.against) for one in evidence.pairs if one.arm == "welch"]
    assert pairs == [("welch", "clr"), ("welch", "rate_01")]


def test_a_papers_row_differs_where_welchs_interval_excludes_zero(tmp_path):
    printed = np.array([-1.0, -1.0, 1.0, 1.0])
    row = Reference(1.7, 0.05, 4)
    evidence = evidence_of(
        tmp_path,
        tutorial_arms(),
        reference={"baseline": row, "clr": replace(row, runs=2), "absent": row},
    )
    sample = 1.7 + 0.05 * printed / printed.std(ddof=1)
    expected = stats.ttest_ind(BASELINE_ERRORS, sample, equal_var=False).confidence_interval()
    found, few, absent = reference_rows(evidence)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.differs == (not expected.low <= 0 <= expected.high)
    assert (few.interval, few.differs) == (None, None)  # two printed runs have no spread
    assert absent.ours is None


def budgets(seeds: int = 8) -> dict[str, Any]:
    """Plant three lengths: cycles meet 1.8 % after 3 epochs in every seed, the decay after 10."""
    arms = {"baseline": tutorial_arms(seeds=seeds)["baseline"]}
    for name, reached in (("triangular", 3), ("linear_decay", 10)):
        for epochs in (1, 3, 10):
            error = 1.5 if epochs >= reached else 2.5
            arms[f"{name}_{epochs}"] = {
                "errors": dict.fromkeys(range(seeds), error),
                "epochs": epochs,
                "schedule": name,
                "uses_bounds": True,
            }
    return arms


def test_budgets_are_compared_and_a_constant_saving_has_no_interval_to_repay_with(tmp_path):
    evidence = evidence_of(tmp_path, budgets(), target_percent=1.8)
    one = evidence.comparisons["triangular", "linear_decay", Quantity.TIME]
    assert (one.outcome, one.estimate.mean) == (Outcome.BETTER, -7)
    assert {each.plan: each.median_epochs for each in evidence.reaching} == {
        "triangular": 3, "linear_decay": 10
    }  # fmt: skip
    price = range_test_price(evidence, "triangular_10")
    assert price.percent == pytest.approx(100 * report_inputs.RANGE_TEST_SECONDS / (10 * EPOCH))
    assert (price.saved_percent, price.trainings) == (None, None)


@pytest.mark.parametrize(("seconds", "repaid"), [(6.0, True), (6e4, False)])
def test_the_range_test_is_repaid_by_the_ends_of_the_interval_or_never(tmp_path, seconds, repaid):
    arms = budgets()
    arms["triangular_3"]["errors"] |= {0: 2.5, 1: 2.5}  # these two need 10 epochs as well
    artifacts = write_artifacts(tmp_path, arms)
    path = artifacts / "range_test/range_test.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "train_seconds": seconds}))
    evidence = gather(artifacts, replace(report_inputs.REPORT, target_percent=1.8))
    price = range_test_price(evidence, "triangular_10")
    saved = stats.ttest_1samp([0, 0] + [7] * 6, 0).confidence_interval()
    ends = [10 * saved.low, 10 * saved.high]  # percent of ten epochs
    assert price.saved_percent[1] == pytest.approx(ends)
    soonest, latest = (ceil(price.percent / end) for end in reversed(ends))
    assert price.trainings == ((soonest, latest) if repaid else None)


def test_the_cost_of_a_schedule_is_the_median_of_steps_that_alternate(tmp_path):
    (cost, _) = schedule_costs(evidence_of(tmp_path, tutorial_arms(seeds=1), primary={}))
    # The median of 1, 2, ... 10 %; the interval's ends are the second and the ninth of ten.
    assert (cost.batch_size, cost.pairs) == (200, 20)
    assert [cost.percent, cost.low, cost.high] == pytest.approx([5.5, 2, 9])


def test_a_step_costs_what_the_median_run_of_its_kind_took(tmp_path):
    arms = {name: tutorial_arms()[name] for name in ("baseline", "clr")}
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


def test_the_ends_of_cycles_are_given_in_epochs(tutorial):
    ends = tutorial.arms["clr"].cycle_ends_epochs
    assert_allclose(ends, np.array([1, 2, 3]) * 916 / 275)


def test_a_warm_up_is_no_part_of_a_cycle():
    schedule = ScheduleResult(
        name="triangular", base_lr=0.001, max_lr=0.01, step_size=500, warmup_steps=250
    )
    cell = cell_result(schedule=schedule, epochs=10, batch_size=100, images=25_000)
    arm = Arm("warm", "clr", {0: cell}, [])
    assert (arm.turned_share, arm.cut_share) == (4.5, 0.25)
    assert arm.cycle_ends_epochs == [5.0, 9.0]


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
    artifacts = write_artifacts(tmp_path, tutorial_arms(seeds=4))
    (artifacts / "train/clr/clr/3/result.json").unlink()
    with pytest.raises(InputError, match=r"clr/3/result\.json.* `dvc checkout`"):
        gather(artifacts, report_inputs.REPORT)
