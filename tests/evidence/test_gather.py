"""Do the numbers and verdicts of the report follow from the planted artifacts?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from lrcycles.errors import InputError
from lrcycles.evidence.gather import Evidence, gather
from lrcycles.report import answers, evidence_tables, formatting, tables, wording
from lrcycles.report.cautions import cautions
from lrcycles.report.metrics import metrics
from tests import report_inputs
from tests.report_inputs import BASELINE_ERRORS, tutorial_arms, write_artifacts


def _evidence(folder: Path, arms: Any) -> Evidence:
    return gather(write_artifacts(folder, arms), report_inputs.REPORT)


def _words(evidence: Evidence) -> str:
    return "\n".join(wording.summary(evidence) + cautions(evidence) + wording.differences(evidence))


def _comparison(evidence: Evidence, quantity: str = "test_error_percent") -> Any:
    return metrics(evidence)["comparisons"]["clr_vs_baseline"][quantity]


def _only(arms: Any, *names: str) -> Any:
    return {name: arms[name] for name in names}


def test_the_metrics_are_the_planted_errors_means_and_spreads(tmp_path):
    found = metrics(_evidence(tmp_path, tutorial_arms()))["baseline"]["test_error_percent"]
    assert_allclose(
        [found["mean"], found["sd"], found["n"]],
        [np.mean(BASELINE_ERRORS), np.std(BASELINE_ERRORS, ddof=1), 8],
    )


def test_an_arm_better_in_every_seed_is_called_better_with_its_interval(tmp_path):
    arms = tutorial_arms(gain=0.2)
    planted = np.array([arms["clr"]["errors"][s] - arms["baseline"]["errors"][s] for s in range(8)])
    half = 2.3646242515927844 * planted.std(ddof=1) / np.sqrt(8)  # t(.975, 7), from a table
    evidence = _evidence(tmp_path, arms)
    found = _comparison(evidence)
    assert found["verdict"] == "better"
    assert_allclose(found["mean_difference"], planted.mean())
    assert_allclose([found["low"], found["high"]], [planted.mean() - half, planted.mean() + half])
    assert found["p"] == pytest.approx(2 / 2**8)
    told = (
        "yes, clr (triangular, 0.00032 to 0.0064) makes fewer errors than baseline (constant, 0.001"
    )
    assert told in _words(evidence)


def test_identical_arms_are_equivalent_and_never_better(tmp_path):
    evidence = _evidence(tmp_path, _only(tutorial_arms(gain=0), "baseline", "clr"))
    assert _comparison(evidence)["verdict"] == "equivalent"
    assert "equivalent within ±0.05 percentage points" in _words(evidence)


def test_an_arm_worse_in_every_seed_is_called_worse(tmp_path):
    evidence = _evidence(tmp_path, _only(tutorial_arms(gain=-0.2), "baseline", "clr"))
    assert _comparison(evidence)["verdict"] == "worse"
    assert "no, clr (triangular, 0.00032 to 0.0064) makes more errors" in _words(evidence)


def test_five_seeds_decide_nothing(tmp_path):
    evidence = _evidence(tmp_path, _only(tutorial_arms(seeds=5), "baseline", "clr"))
    assert _comparison(evidence)["verdict"] == "undecided"
    assert "below 6 every verdict is undecided" in _words(evidence)


def test_time_counts_the_steps_to_the_target_and_charges_the_range_test(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    arms["baseline"]["reach"], arms["clr"]["reach"] = 8, 3
    evidence = _evidence(tmp_path, arms)
    epoch = report_inputs.STEPS_PER_EPOCH * report_inputs.SECONDS_PER_STEP[200]
    found = metrics(evidence)
    baseline, clr = (found[name]["time_to_target_seconds"] for name in ("baseline", "clr"))
    assert baseline["mean"] == pytest.approx(8 * epoch)
    assert clr["mean"] == pytest.approx(3 * epoch + report_inputs.RANGE_TEST_SECONDS)
    difference = found["comparisons"]["clr_vs_baseline"]["time_to_target_seconds"]
    assert difference["mean_difference"] == pytest.approx(clr["mean"] - baseline["mean"])
    assert difference["verdict"] == "worse"


def test_an_arm_is_not_called_later_than_a_rival_that_never_arrives(tmp_path):
    """Half of the baseline's seeds miss its median at the end; clr arrives, but later than that."""
    arms = _only(tutorial_arms(), "baseline", "clr")
    arms["clr"]["reach"] = 7
    evidence = _evidence(tmp_path, arms)
    found = metrics(evidence)
    assert found["baseline"]["time_to_target_seconds"]["censored"] == 4
    assert found["clr"]["time_to_target_seconds"]["censored"] == 0
    difference = found["comparisons"]["clr_vs_baseline"]["time_to_target_seconds"]
    assert difference["verdict"] == "undecided"
    assert "4 of 8 runs of baseline never reach it" in _words(evidence)


def test_a_sign_that_censored_runs_hide_is_told_as_a_range(tmp_path):
    """Where the baseline arrives, at its last step, clr never does, and the other way round."""
    arms = _only(tutorial_arms(), "baseline", "clr")
    late = [
        seed for seed, error in enumerate(BASELINE_ERRORS) if error < np.median(BASELINE_ERRORS)
    ]
    arms["clr"]["errors"] = {seed: 2.5 if seed in late else 1.5 for seed in range(8)}
    arms["clr"]["reach"] = {seed: None if seed in late else 1 for seed in range(8)}
    evidence = _evidence(tmp_path, arms)
    epoch = report_inputs.STEPS_PER_EPOCH * report_inputs.SECONDS_PER_STEP[200]
    early, whole = epoch + report_inputs.RANGE_TEST_SECONDS, 10 * epoch
    longest = whole + report_inputs.RANGE_TEST_SECONDS
    assert _comparison(evidence, "time_to_target_seconds") == {
        "n": 8,
        "verdict": "undecided",
        "at_least": pytest.approx(((longest - whole) + (early - longest)) / 2),
        "at_most": pytest.approx(((longest - whole) + (early - whole)) / 2),
    }
    assert "between \u22121.95 and 1.05 s (8 pairs)" in _words(evidence)


def test_diverged_runs_are_counted_named_and_left_out_of_means(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    arms["clr"]["errors"][3] = None
    evidence = _evidence(tmp_path, arms)
    found = metrics(evidence)
    kept = [error for seed, error in arms["clr"]["errors"].items() if seed != 3]
    assert found["clr"]["diverged"] == 1
    assert found["clr"]["test_error_percent"]["mean"] == pytest.approx(np.mean(kept))
    assert _comparison(evidence)["n"] == 7
    assert "clr: 1 of 8 runs diverged (seeds 3)" in _words(evidence)


def test_arms_of_unequal_seeds_are_paired_by_the_seeds_in_common(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    del arms["clr"]["errors"][0], arms["baseline"]["errors"][7]
    evidence = _evidence(tmp_path, arms)
    assert _comparison(evidence)["n"] == 6
    assert "clr and baseline do not have the same seeds" in _words(evidence)


def test_other_controls_on_the_split_are_compared_with_the_baseline(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    arms["first"] = {"errors": arms["baseline"]["errors"]}
    arms["continued"] = {
        "errors": arms["clr"]["errors"],
        "schedule": "triangular",
        "reach": 1,
        "continues": "first",
    }
    found = metrics(_evidence(tmp_path, arms))
    assert set(found["comparisons"]) == {f"{n}_vs_baseline" for n in ("clr", "first", "continued")}
    per_step = report_inputs.SECONDS_PER_STEP[200]
    spent = report_inputs.RANGE_TEST_SECONDS + 2750 * per_step  # the arm that it continues
    time = found["continued"]["time_to_target_seconds"]["mean"]
    assert time == pytest.approx(275 * per_step + spent)


def test_the_range_test_is_charged_once_to_a_chain_of_arms(tmp_path):
    arms = _only(tutorial_arms(seeds=2), "baseline", "clr")
    arms["first"] = {**arms["clr"], "group": "controls"}
    arms["second"] = {**arms["first"], "continues": "first"}
    arms["last"] = {"errors": arms["baseline"]["errors"], "continues": "second"}
    evidence = _evidence(tmp_path, arms)
    once, training = report_inputs.RANGE_TEST_SECONDS, 2750 * report_inputs.SECONDS_PER_STEP[200]
    assert evidence.extra_seconds == {
        "baseline": 0,
        "clr": once,
        "first": once,
        "second": pytest.approx(once + training),
        "last": pytest.approx(once + 2 * training),
    }


def test_only_an_arm_that_asked_for_the_bounds_pays_for_them(tmp_path):
    arms = _only(tutorial_arms(seeds=2), "baseline", "clr")
    arms["clr"]["uses_bounds"] = False  # literals, which happen to equal the bounds
    arms["steady"] = {"errors": arms["baseline"]["errors"], "uses_bounds": True}
    extra = _evidence(tmp_path, arms).extra_seconds
    assert extra == {"baseline": 0, "clr": 0, "steady": report_inputs.RANGE_TEST_SECONDS}


def test_the_summary_tells_what_the_range_test_costs_and_what_repays_it(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    reach = {"baseline": {s: 7 + s % 3 for s in range(8)}, "clr": {s: 3 + s % 4 for s in range(8)}}
    for name, by_seed in reach.items():
        arms[name]["reach"] = by_seed
    evidence = _evidence(tmp_path, arms)
    time = next(line for line in wording.summary(evidence) if line.startswith("Time"))
    epoch = report_inputs.STEPS_PER_EPOCH * report_inputs.SECONDS_PER_STEP[200]
    alone = [epoch * (reach["clr"][s] - reach["baseline"][s]) for s in range(8)]
    low, high = stats.ttest_1samp(alone, 0).confidence_interval()
    told = (
        f" Of clr's mean of {epoch * 4.5 + 6:.2f} s, 6.00 s are the range test. Without it the "
        f"difference is {np.mean(alone):.2f} s (95 % interval {low:.2f} to {high:.2f}), which "
        f"repays it after {np.ceil(6 / -low):.0f} to {np.ceil(6 / -high):.0f} trainings."
    )
    assert time.endswith(told.replace("-", "\N{MINUS SIGN}"))
    error = next(line for line in wording.summary(evidence) if line.startswith("Error"))
    assert "range test" not in error


def test_a_difference_to_runs_that_never_arrive_is_told_as_a_limit(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")  # half of the baseline's runs miss its median
    evidence = _evidence(tmp_path, arms)
    time = next(line for line in wording.summary(evidence) if line.startswith("Time"))
    assert "Without it the difference is at most \u22125.50 s" in time
    found = _comparison(evidence, "time_to_target_seconds")
    assert found["limit"] is True
    assert "percent_better" not in found


def test_runs_that_never_arrive_on_either_side_tell_nothing_of_the_time(tmp_path):
    arms = _only(tutorial_arms(gain=-2.0), "baseline", "clr")
    arms["clr"] |= {"uses_bounds": False, "reach": None}
    evidence = _evidence(tmp_path, arms)
    assert _comparison(evidence, "time_to_target_seconds")["verdict"] == "undecided"
    time = next(line for line in wording.summary(evidence) if line.startswith("Time"))
    assert "between 0.00 and 0.00 s (8 pairs), depending on how much longer" in time
    assert "range test" not in time


def test_an_arm_that_is_set_against_none_is_no_arm_that_failed(tmp_path):
    artifacts = write_artifacts(tmp_path, _only(tutorial_arms(), "baseline", "clr"))
    told = "\n".join(wording.summary(gather(artifacts, report_inputs.REPORT, {"clr": []})))
    assert "Error: no comparison, for none was asked for." in told


def test_holm_takes_every_verdict_of_the_report_as_one_family(tmp_path):
    found = metrics(_evidence(tmp_path, tutorial_arms()))["comparisons"]
    family = [entry for pair in found.values() for entry in pair.values() if "p" in entry]
    assert len(family) == 3
    smallest = min(entry["p"] for entry in family)
    least = min(entry["holm_p"] for entry in family)
    assert least == pytest.approx(3 * smallest)


def test_when_every_run_of_an_arm_diverged_the_summary_says_why_nothing_is_compared(tmp_path):
    arms = _only(tutorial_arms(seeds=2), "baseline", "clr")
    arms["clr"]["errors"] = dict.fromkeys(range(2))
    evidence = _evidence(tmp_path, arms)
    assert metrics(evidence)["comparisons"] == {}
    assert "no comparison, because no seed finished in both arms" in _words(evidence)


def test_without_any_arm_the_error_names_the_groups(tmp_path):
    with pytest.raises(InputError, match="got none in the groups baseline, clr, controls"):
        _evidence(tmp_path, {})


@pytest.mark.parametrize("group", ["baseline", "clr", "controls"])
def test_a_group_that_was_not_trained_is_named_with_the_command_that_trains_it(tmp_path, group):
    artifacts = write_artifacts(tmp_path, tutorial_arms(seeds=1))
    (artifacts / "train" / group / "cells.csv").unlink()
    told = f"artifacts/train/{group} is missing: `dvc repro train@{group}` makes it"
    with pytest.raises(InputError, match=told):
        gather(artifacts, report_inputs.REPORT)


def _attributed(folder: Path) -> Evidence:
    config = {**report_inputs.REPORT, "waterfall": report_inputs.WATERFALL}
    return gather(write_artifacts(folder, report_inputs.attribution_arms(), fit=True), config)


def test_the_steps_of_a_waterfall_sum_to_the_whole_difference(tmp_path):
    evidence = _attributed(tmp_path)
    mean = {pair: evidence.comparisons[(*pair, "test_error_percent")].paired.mean
            for pair in evidence.steps}  # fmt: skip
    assert list(mean) == [
        ("longer", "published_baseline"),
        ("published", "longer"),
        ("clr", "published"),
    ]
    whole = evidence.comparisons["published", "published_baseline", "test_error_percent"]
    parts = mean["longer", "published_baseline"] + mean["published", "longer"]
    assert parts == pytest.approx(whole.paired.mean)


def test_each_ingredient_is_told_with_its_interval_and_its_share(tmp_path):
    error, time = answers.ingredients(_attributed(tmp_path))
    assert "Of the replayed change of \u22120.220 percentage points" in error
    assert "ten more epochs \u22120.100 (" in error
    assert "45% of it" in error
    # 3,000 steps at batch 200, 300 at 2000: 12 s each, at the planted seconds of a step.
    assert "ten more epochs 0.0 s; batch and rise 0.0 s" in time


def test_the_first_table_sets_replay_and_controlled_pair_beside_the_published_figures(tmp_path):
    evidence = _attributed(tmp_path)
    table = evidence_tables.at_a_glance(evidence, report_inputs.REPORT["published"])
    assert table is not None
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["test error (%), published, one run each"][:2] == ["1.91", "1.64"]
    assert rows["test error (%), replayed here"][0].startswith(f"{np.mean(BASELINE_ERRORS):.2f} (")
    assert rows["training time (s), published"] == ["86.4", "43.2", "\u221243.19 (0.50 times)"]
    fit = rows["training time (s), replayed by plain Keras fit here"]
    assert [told.partition(" (")[0] for told in fit[:2]] == ["25.0", "17.5"]
    assert fit[0].endswith("n = 2 epochs")
    assert fit[2] == "\u22127.5 (0.70 times)"


def test_the_cost_of_a_schedule_is_the_median_of_steps_that_alternate(tmp_path):
    told = answers.side_claims(_attributed(tmp_path))[-1]
    # The median of 1, 2, ... 10 %; the interval's ends are the second and the ninth of ten.
    assert "5.5 % at batch 200 (95 % interval 2.0 to 9.0 %, 20 pairs)" in told


def test_without_a_published_pair_there_is_no_such_table(tmp_path):
    evidence = _evidence(tmp_path, _only(tutorial_arms(), "baseline", "clr"))
    assert evidence_tables.at_a_glance(evidence, report_inputs.REPORT["published"]) is None
    assert answers.ingredients(evidence) == []


def test_constant_rates_are_tuned_at_the_price_of_the_trials(tmp_path):
    evidence = _evidence(tmp_path, report_inputs.schedule_arms())
    assert evidence.tuned is not None
    assert set(evidence.tuned.chosen.values()) == {"rate_01"}  # it led after its first epochs
    # 2,000 steps of the range test are 2.4 epochs of three rates each: three, two rates dropped.
    tried = 2 * 3 * report_inputs.STEPS_PER_EPOCH * report_inputs.SECONDS_PER_STEP[200]
    assert evidence.extra_seconds["tuned"] == pytest.approx(tried)
    assert metrics(evidence)["comparisons"]["tuned_vs_baseline"]["test_error_percent"][
        "mean_difference"
    ] == pytest.approx(1)
    assert "0.01 (8 seeds)" in str(answers.tuning(evidence))


def test_an_arm_is_compared_with_those_it_is_set_against(tmp_path):
    artifacts = write_artifacts(tmp_path, report_inputs.schedule_arms())
    against = {"welch": ["clr"], "clr": ["baseline", "tuned"]}
    evidence = gather(artifacts, report_inputs.REPORT, against)
    assert ("welch", "clr") in evidence.pairs
    assert ("welch", "baseline") not in evidence.pairs
    assert [pair for pair in evidence.pairs if pair[0] == "clr"] == [
        ("clr", "baseline"),
        ("clr", "tuned"),
    ]
    (window, *_) = answers.side_claims(evidence)
    assert window.startswith("Window welch: equivalent to the triangle, 0.000 percentage points")


def test_times_are_told_for_the_errors_of_a_quarter_half_and_all_of_the_baseline(tmp_path):
    evidence = _evidence(tmp_path, _only(tutorial_arms(), "baseline", "clr"))
    history = evidence.arms["baseline"].cells[0]["history"]
    assert evidence.targets[:2] == pytest.approx(
        [history[epoch - 1]["validation_error_percent"] for epoch in (3, 5)]
    )
    assert evidence.targets[-1] == evidence.target_percent
    first = evidence.reaching["baseline"][0]
    assert (first.reached, first.median_steps) == (8, 3 * report_inputs.STEPS_PER_EPOCH)
    final = evidence.reaching["baseline"][-1]  # its own median, so half of its runs reach it
    assert (final.reached, final.median_steps) == (4, 10 * report_inputs.STEPS_PER_EPOCH)


def test_a_papers_row_is_reproduced_within_two_combined_standard_deviations(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    mean, sd = np.mean(BASELINE_ERRORS), np.std(BASELINE_ERRORS, ddof=1)
    for factor, verdict in ((1.9, "reproduced"), (2.1, "not reproduced")):
        paper = {"error_percent": mean + factor * np.hypot(sd, 0.05), "sd_percent": 0.05, "runs": 4}
        evidence = _evidence(tmp_path / verdict, arms)
        rows = evidence_tables.reference(evidence, {"baseline": paper, "absent": paper}).rows
        assert [row[-1] for row in rows] == [verdict, "\u2013"]
        assert rows[1][2] == "not run"
        told = answers.reproduced(rows, "a paper")
        assert told.startswith(f"{int(verdict == 'reproduced')} of the 1 rows")


def test_a_run_read_in_the_middle_of_a_cycle_is_marked(tmp_path):
    arms = tutorial_arms()
    arms["cut"] = {**arms["clr"], "group": "controls", "step_size": 1000}
    evidence = _evidence(tmp_path, arms)
    evidence.arms["cut"].settings["schedule"]["cycles"] = None
    rows = evidence_tables.losses_and_errors(evidence, ["baseline", "clr", "cut"]).rows
    assert [row[-1] for row in rows] == ["at its end", "at its end", "38% into a cycle"]
    assert_allclose(evidence.arms["clr"].cycle_ends_epochs, np.array([1, 2, 3]) * 916 / 275)


def test_a_diverged_arm_is_described_by_the_steps_that_were_planned(tmp_path):
    arms = tutorial_arms(seeds=2)
    arms["clr"]["errors"] = dict.fromkeys(range(2))
    evidence = _evidence(tmp_path, arms)
    assert len(evidence.arms["clr"].rates) == report_inputs.STEPS_PER_EPOCH
    assert evidence.arms["clr"].turned_share == pytest.approx(2750 / 458)
    steps = {row[0]: row[6] for row in tables.settings(evidence).rows}
    assert steps == {
        "baseline": "2,750", "clr": "2,750", "published_baseline": "3,000", "published": "300"
    }  # fmt: skip


def test_a_step_costs_what_the_median_run_of_its_kind_took(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    arms["slow"] = {**arms["baseline"], "group": "controls", "seconds_per_step": 0.04}
    found = _evidence(tmp_path, arms).seconds_per_step
    assert found == dict.fromkeys(arms, pytest.approx(0.004))  # 16 of 24 runs took that


def test_runs_that_guess_and_fewer_errors_at_a_larger_loss_are_warned_of(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    arms["clr"]["loss"] = 0.2
    arms["lost"] = {"errors": {**arms["baseline"]["errors"], 3: 88.65}, "base_lr": 0.1}
    told = cautions(_evidence(tmp_path, arms))
    assert "lost: 1 of 8 finished runs guess (error near 90 %; seeds 3)" in "\n".join(told)
    assert [line for line in told if line.startswith("fewer errors than baseline")] == [
        "fewer errors than baseline, yet a larger test loss: clr (95 % intervals above 0)"
    ]


def test_the_other_arms_are_ranked_within_their_verdicts(tmp_path):
    told = "\n".join(wording.summary(_evidence(tmp_path, report_inputs.schedule_arms())))
    assert (
        "4 other arms against baseline (constant, 0.001), in percentage points (intervals are "
        "in the table of all arms): undecided: welch \u22120.20, rate_01 1.00, "
        "rate_0001 1.00, tuned 1.00."
    ) in told


def test_a_choice_after_whole_trainings_is_told_beside_the_cheap_one(tmp_path):
    told = str(answers.tuning(_evidence(tmp_path, report_inputs.schedule_arms())))
    # The baseline's rate, last after the short trials, leads in the end in every seed.
    assert f"would have been {np.mean(BASELINE_ERRORS):.2f} (" in told


def test_welchs_p_is_that_of_samples_with_those_moments(tmp_path):
    evidence = _evidence(tmp_path, _only(tutorial_arms(), "baseline", "clr"))
    paper = {"error_percent": 1.7, "sd_percent": 0.05, "runs": 4}
    ((*_, p, _verdict),) = evidence_tables.reference(evidence, {"baseline": paper}).rows
    printed = np.array([-1.0, -1.0, 1.0, 1.0])
    sample = 1.7 + 0.05 * printed / printed.std(ddof=1)
    expected = stats.ttest_ind(BASELINE_ERRORS, sample, equal_var=False).pvalue
    assert float(p) == pytest.approx(expected, abs=0.001)


def test_a_waterfall_in_the_other_order_tells_no_ingredients(tmp_path):
    config = {**report_inputs.REPORT, "waterfall": {"published": "x", "published_baseline": "y"}}
    artifacts = write_artifacts(tmp_path, tutorial_arms(), fit=True)
    assert answers.ingredients(gather(artifacts, config)) == []


def test_a_file_of_a_cell_that_is_lost_is_named_with_its_remedy(tmp_path):
    artifacts = write_artifacts(tmp_path, tutorial_arms())
    (artifacts / "train/clr/clr/3/result.json").unlink()
    with pytest.raises(InputError, match=r"clr/3/result\.json is lost, .* `dvc checkout`"):
        gather(artifacts, report_inputs.REPORT)


def test_rates_are_named_in_the_order_in_which_an_arm_meets_them(tmp_path):
    arms = _only(tutorial_arms(seeds=2), "baseline", "clr")
    arms["decay"] = {**arms["clr"], "group": "controls", "base_lr": 0.0, "falling": True}
    found = {name: formatting.rates_of(arm) for name, arm in _evidence(tmp_path, arms).arms.items()}
    assert found == {"baseline": "0.001", "clr": "0.00032 to 0.0064", "decay": "0.0064 to 0"}


def test_no_range_test_is_missed_where_no_run_of_the_baseline_finished(tmp_path):
    arms = _only(tutorial_arms(seeds=2), "baseline", "clr")
    arms["baseline"]["errors"] = dict.fromkeys(range(2))
    assert not [told for told in cautions(_evidence(tmp_path, arms)) if "range test" in told]


def test_arms_that_alone_are_set_against_another_share_a_sentence(tmp_path):
    artifacts = write_artifacts(tmp_path, report_inputs.schedule_arms())
    against = {"welch": ["clr"], "rate_01": ["rate_0001"]}
    told = "\n".join(wording.summary(gather(artifacts, report_inputs.REPORT, against)))
    assert (
        "Other pairs, in percentage points (intervals are in the table of all arms): equivalent: "
        "welch vs clr 0.00, rate_01 vs rate_0001 0.00."
    ) in told
