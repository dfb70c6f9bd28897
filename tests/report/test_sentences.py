"""Do the report's sentences carry the numbers, verdicts and cautions of the planted artifacts?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrcycles.config.schema import Reference
from lrcycles.evidence.gather import gather
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import rates_of
from lrcycles.report.section import Table, Text, VerdictCell
from lrcycles.report.sections import (
    cautions,
    claims,
    controlled,
    protocol,
    reference,
    short,
)
from tests import report_inputs
from tests.report_inputs import BASELINE_ERRORS, tutorial_arms, write_artifacts


def evidence_of(folder: Path, arms: Any, against: Any = None, **report: Any) -> Evidence:
    artifacts = write_artifacts(folder, arms, fit=bool(report))
    return gather(artifacts, replace(report_inputs.REPORT, **report), against)


def pair(**more: Any) -> Any:
    arms = tutorial_arms(**more)
    return {name: arms[name] for name in ("baseline", "clr")}


def attributed(folder: Path) -> Evidence:
    return evidence_of(folder, report_inputs.attribution_arms(), waterfall=report_inputs.WATERFALL)


def plain(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-")


def summary(evidence: Evidence) -> str:
    return plain("\n".join(short.sentences(evidence)))


def beginning(evidence: Evidence, word: str) -> str:
    return plain(next(line for line in short.sentences(evidence) if line.startswith(word)))


def table_of(section: Any, first: str) -> dict[str, list[str]]:
    """The rows of the section's table with that first row, by name."""
    for block in section.blocks:
        if isinstance(block, Table) and any(row[0] == first for row in block.rows):
            return {
                str(row[0]): [
                    cell.text if isinstance(cell, VerdictCell) else cell for cell in row[1:]
                ]
                for row in block.rows
            }
    raise AssertionError(f"no table has a row {first}")


@pytest.mark.parametrize(
    ("gain", "answer"),
    [
        (
            0.2,
            "Error: clr (triangular, 0.00032 to 0.0064) makes fewer errors than baseline "
            "(constant, 0.001).",
        ),
        (
            0,
            "Error: clr (triangular, 0.00032 to 0.0064) and baseline (constant, 0.001) are "
            "equivalent within ±0.05 percentage points.",
        ),
        (-0.2, "Error: clr (triangular, 0.00032 to 0.0064) makes more errors than baseline"),
    ],
)
def test_the_answer_comes_first_and_names_both_arms(tmp_path, gain, answer):
    assert beginning(evidence_of(tmp_path, pair(gain=gain)), "Error").startswith(answer)


def test_the_figures_carry_numbers_unit_interval_pairs_and_p(tmp_path):
    arms = pair(gain=0.2)
    evidence = evidence_of(tmp_path, arms)
    planted = [arms["clr"]["errors"][s] - arms["baseline"]["errors"][s] for s in range(8)]
    low, high = evidence.comparisons["clr", "baseline", "test_error_percent"].paired.interval95
    assert (
        f"The mean difference is {np.mean(planted):.3f} percentage points (95 % interval {low:.3f} "
        f"to {high:.3f}, 8 pairs, adjusted p = 0.016)."  # 2 / 2^8, twice for the second comparison
    ) in beginning(evidence, "Error")


def test_a_real_difference_within_the_margin_is_named_as_both(tmp_path):
    line = beginning(evidence_of(tmp_path, pair(gain=0.04)), "Error")
    assert "makes fewer errors" in line
    assert "lies within the margin of 0.05 percentage points and is of no consequence" in line


def test_too_few_pairs_ask_for_the_seeds_that_are_missing(tmp_path):
    evidence = evidence_of(tmp_path, pair(seeds=5))
    assert "Fewer than 6 pairs decide nothing: at least" in beginning(evidence, "Error")
    assert any("every verdict is undecided" in line for line in cautions.sentences(evidence))


def test_an_undecided_comparison_asks_for_the_number_of_seeds_that_decides_it(tmp_path):
    arms = pair()
    noise = [0.5, -0.5, 0.4, -0.4, 0.3, -0.3, 0.2, -0.1]
    errors = arms["baseline"]["errors"]
    arms["clr"]["errors"] = {seed: error + noise[seed] for seed, error in errors.items()}
    evidence = evidence_of(tmp_path, arms)
    more = evidence.comparisons["clr", "baseline", "test_error_percent"].judged.more_seeds
    assert more is not None
    assert (
        f"About {more:,} more seeds would give a verdict (better, worse or equivalent) with a "
        "probability of 80 %, if the difference and its spread stay the same."
    ) in beginning(evidence, "Error")


def test_a_sign_that_censored_runs_hide_is_worded_as_a_range(tmp_path):
    arms = pair()
    late = [
        seed for seed, error in enumerate(BASELINE_ERRORS) if error < np.median(BASELINE_ERRORS)
    ]
    arms["clr"]["errors"] = {seed: 2.5 if seed in late else 1.5 for seed in range(8)}
    arms["clr"]["reach"] = {seed: None if seed in late else 1 for seed in range(8)}
    line = beginning(evidence_of(tmp_path, arms), "Time")
    assert re.search(r"lies between -(1\.9|2\.0) and 1\.[01] s \(8 pairs\)", line)  # -1.95, 1.05
    assert "4 of 8 runs of baseline never reach this error." in line


def test_a_mean_time_with_runs_that_never_arrive_is_a_lower_limit_with_their_count(tmp_path):
    arms = pair()
    late = (2, 5, 6)
    arms["clr"]["errors"] = {seed: 2.5 if seed in late else 1.5 for seed in range(8)}
    arms["clr"]["reach"] = {seed: None if seed in late else 1 for seed in range(8)}
    arms["baseline"]["errors"] = dict.fromkeys(range(8), 1.835)
    evidence = evidence_of(tmp_path, arms)
    table = next(block for block in short.section(evidence).blocks if isinstance(block, Table))
    _, time = table.rows
    # 275 steps of 4 ms and 6 s of range test; the late runs have 10 epochs.
    assert time[2] == f"at least {6 + 1.1 * (5 + 3 * 10) / 8:.1f} (5 of 8 reach it)"
    assert "\N{PLUS-MINUS SIGN}" in str(time[3])


def test_the_summary_gives_the_cost_of_the_range_test_and_what_repays_it(tmp_path):
    arms = pair()
    arms["baseline"]["reach"] = {s: 7 + s % 3 for s in range(8)}
    arms["clr"]["reach"] = {s: 3 + s % 4 for s in range(8)}
    evidence = evidence_of(tmp_path, arms)
    time = beginning(evidence, "Time")
    # 4.5 epochs of 275 steps of 4 ms, and 6 s of range test.
    assert "The mean time of clr is 10.9 s, of which the range test takes 6.0 s." in time
    assert (
        "Without the range test the difference is -3.7 s (95 % interval -5.1 to -2.3). The range "
        "test is repaid after 2 to 3 trainings that"
    ) in time
    assert "range test" not in beginning(evidence, "Error")


def test_a_difference_to_runs_that_never_arrive_is_worded_as_a_limit(tmp_path):
    line = beginning(evidence_of(tmp_path, pair()), "Time")
    assert "Without the range test the difference is at most -5.50 s" in line


@pytest.mark.parametrize(
    ("against", "errors", "why"),
    [
        ({"clr": []}, None, "none was asked for"),
        (None, dict.fromkeys(range(8)), "no seed finished in both arms"),
    ],
)
def test_the_summary_says_why_nothing_is_compared(tmp_path, against, errors, why):
    arms = pair()
    arms["clr"]["errors"] = errors or arms["clr"]["errors"]
    line = beginning(evidence_of(tmp_path, arms, against), "Error")
    assert line == f"Error: there is no comparison, because {why}."


def test_the_control_arms_are_ranked_within_their_verdicts(tmp_path):
    assert (
        "4 other arms against baseline: 4 undecided (welch, rate_01, rate_0001, tuned). Section "
        "'All arms' has the figures."
    ) in summary(evidence_of(tmp_path, report_inputs.schedule_arms()))


def test_arms_that_alone_are_set_against_another_share_a_sentence(tmp_path):
    against = {"welch": ["clr"], "rate_01": ["rate_0001"]}
    assert (
        "Other pairs: 2 equivalent (welch vs clr, rate_01 vs rate_0001). Section 'All arms' has "
        "the figures."
    ) in summary(evidence_of(tmp_path, report_inputs.schedule_arms(), against))


def test_each_ingredient_has_its_interval_and_its_share(tmp_path):
    text = summary(attributed(tmp_path))
    assert "The replayed change of -0.220 percentage points consists of: " in text
    assert "ten more epochs -0.100 (" in text
    assert "), which is 45 % of the change" in text
    assert "The change consists of: ten more epochs 0.0 s; batch and rise 0.0 s." in text


def test_the_first_table_sets_replay_and_controlled_pair_beside_the_published_figures(tmp_path):
    table = short.at_a_glance(attributed(tmp_path))
    assert table is not None
    rows = {str(row[0]): [plain(str(cell)) for cell in row[1:]] for row in table.rows}
    assert rows["error (%), publication"][:2] == ["1.91", "1.64"]
    assert rows["error (%), replay"][0].startswith(f"{np.mean(BASELINE_ERRORS):.3f} (")
    assert rows["time (s), publication"] == ["86.4", "43.2", "-43.2 (0.50 times)"]
    fit = rows["time (s), plain Keras fit here"]
    assert [cell.partition(" (")[0] for cell in fit[:2]] == ["25.0", "17.5"]
    assert fit[2] == "-7.5 (0.70 times)"


def test_without_a_published_pair_there_is_no_such_table(tmp_path):
    assert short.at_a_glance(evidence_of(tmp_path, pair())) is None


def test_the_side_claims_are_set_beside_what_was_measured(tmp_path):
    arms = {**report_inputs.schedule_arms(), **tutorial_arms()}
    evidence = evidence_of(tmp_path, arms, {"welch": ["clr"]}, waterfall={})
    window, cost = map(plain, claims.sentences(evidence))
    assert window.startswith("Window welch against the triangle clr: equivalent, 0.000 percentage")
    assert "5.5 % at batch size 200 (95 % interval 2.0 to 9.0 %, 20 pairs)" in cost


def test_the_choice_of_the_tuned_arm_is_explained(tmp_path):
    evidence = evidence_of(tmp_path, report_inputs.schedule_arms())
    texts = [b.text for b in controlled.section(evidence).blocks if isinstance(b, Text)]
    (text,) = [text for text in texts if text.startswith("The arm tuned")]
    assert "0.01 (8 seeds)" in text
    assert f"the test error in percent would be {np.mean(BASELINE_ERRORS):.3f} (" in text


def test_a_run_read_in_the_middle_of_a_cycle_is_marked(tmp_path):
    arms = {**pair(), "cut": {**pair()["clr"], "group": "controls", "step_size": 1000}}
    evidence = evidence_of(tmp_path, arms)
    cells = evidence.arms["cut"].cells
    for seed, cell in cells.items():
        cells[seed] = replace(cell, schedule=replace(cell.schedule, cycles=None))
    rows = table_of(controlled.section(evidence), "cut")
    assert [row[-1] for row in rows.values()] == ["as planned", "as planned", "38 % into a cycle"]


def test_the_steps_of_the_protocol_are_those_that_were_planned(tmp_path):
    arms = tutorial_arms(seeds=2)
    arms["clr"]["errors"] = dict.fromkeys(range(2))
    table, shared, *_ = protocol.section(evidence_of(tmp_path, arms)).blocks
    assert {row[0]: row[table.head.index("steps")] for row in table.rows} == {
        "baseline": "2,750",
        "clr": "2,750",
        "published_baseline": "3,000",
        "published (after published_baseline)": "300",
    }
    assert ["epochs", "10"] in shared.rows  # in which no arm differs
    assert "epochs" not in table.head


def test_a_papers_rows_are_counted_and_marked(tmp_path):
    paper = Reference(float(np.mean(BASELINE_ERRORS)), 0.05, 4)
    rows = {"baseline": paper, "absent": paper}
    evidence = evidence_of(tmp_path, pair(), reference=rows, reference_source="a paper")
    (line,) = reference.sentences(evidence)
    assert line == (
        "Of the paper's 2 rows, 1 was trained here, and 1 reproduces within two combined standard "
        "deviations. Source: a paper."
    )
    table = table_of(reference.section(evidence), "absent")
    assert table["baseline"][-1] == "reproduced"
    assert table["absent"][1] == "not run"


def test_runs_that_diverge_or_guess_are_warned_of(tmp_path):
    arms = pair()
    arms["clr"]["errors"][3] = None
    arms["lost"] = {"errors": {**arms["baseline"]["errors"], 3: 88.65}, "base_lr": 0.1}
    text = "\n".join(cautions.sentences(evidence_of(tmp_path, arms)))
    assert "1 of 8 runs of clr diverged (seed 3)." in text
    assert (
        "1 of 8 finished runs of lost learned nothing: an error near 90 % is a guess (seed 3)."
        in text
    )
    assert "clr and baseline have different seeds" not in text


def test_fewer_errors_at_a_larger_loss_are_warned_of(tmp_path):
    arms = pair()
    arms["clr"]["loss"] = 0.2
    assert cautions.sentences(evidence_of(tmp_path, arms)) == [
        "clr makes fewer errors than baseline, but at a larger test loss (95 % interval above 0)."
    ]


def test_arms_of_unequal_seeds_are_warned_of(tmp_path):
    arms = pair()
    del arms["clr"]["errors"][0]
    text = "\n".join(cautions.sentences(evidence_of(tmp_path, arms)))
    assert "clr and baseline have different seeds. Only common seeds are paired." in text


def test_no_range_test_is_missed_where_no_run_of_the_baseline_finished(tmp_path):
    arms = pair(seeds=2)
    arms["baseline"]["errors"] = dict.fromkeys(range(2))
    lines = cautions.sentences(evidence_of(tmp_path, arms))
    assert not [line for line in lines if "range test" in line]


def test_rates_are_named_in_the_order_in_which_an_arm_meets_them(tmp_path):
    arms = pair(seeds=2)
    arms["decay"] = {**arms["clr"], "group": "controls", "base_lr": 0.0, "falling": True}
    rates = {name: rates_of(arm) for name, arm in evidence_of(tmp_path, arms).arms.items()}
    assert rates == {"baseline": "0.001", "clr": "0.00032 to 0.0064", "decay": "0.0064 to 0"}


def test_a_comparison_is_written_with_one_rounding_everywhere(tmp_path):
    evidence = evidence_of(tmp_path, pair())
    for one in evidence.comparisons.values():
        mean = verdicts.mean(one, evidence)
        assert mean in short.sentences(evidence)[0 if one.quantity == "test_error_percent" else 1]
        tables = [b for b in short.section(evidence).blocks if isinstance(b, Table)]
        assert any(mean in str(cell) for table in tables for row in table.rows for cell in row)
