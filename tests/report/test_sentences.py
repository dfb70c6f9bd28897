"""Do the words of the first screen follow from the evidence, and are they true when it is odd?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.gather import gather
from lrcycles.evidence.paired import compare_pairs
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers, tables, verdicts
from lrcycles.report.formatting import half, rates_of, span
from lrcycles.report.names import to_use, with_noun
from lrcycles.report.section import Table
from lrcycles.report.sections import cautions, claims, controlled, protocol, short
from tests import report_inputs
from tests.report_inputs import BASELINE_ERRORS, tutorial_arms, write_artifacts

FIGURE = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
ABSURD = re.compile(r"\bnan\b|\binf\b|more seeds? (?:would|is|are)|\bp [=<]|at least|at most", re.I)


def plain(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-")


def evidence_of(folder: Path, arms: Any, against: Any = None, **report: Any) -> Evidence:
    artifacts = write_artifacts(folder, arms, fit=bool(report))
    return gather(artifacts, replace(report_inputs.REPORT, **report), against)


def three(**more: Any) -> Any:
    """The arms of `tutorial` without its replay."""
    arms = tutorial_arms(**more)
    return {name: arms[name] for name in ("baseline", "clr", "linear_decay")}


def screen(evidence: Evidence) -> list[str]:
    """The sentences of the first screen; those of odd results must be short and sane too."""
    lines = [*answers.headlines(evidence), *answers.lines(evidence)]
    for line in lines:
        assert not ABSURD.search(line), line
        for low, high in re.findall(r"(\S+) to (\S+?)[);]", line):
            assert low != high, line
    for line in [*answers.lines(evidence), *cautions.sentences(evidence)]:
        assert len(FIGURE.findall(line)) <= 3, line
    assert len(answers.lines(evidence)) <= 4
    return [plain(line) for line in lines]


def test_the_first_line_says_what_to_use_and_the_others_what_cycling_gains(tmp_path):
    arms = three(gain=0.2)
    evidence = evidence_of(tmp_path, arms)
    gained = [arms["clr"]["errors"][s] - e for s, e in arms["baseline"]["errors"].items()]
    error = np.mean(list(arms["linear_decay"]["errors"].values()))
    use, against_constant, against_decay, of_decay, sure = screen(evidence)
    assert use == (
        "Use a linear decay from 0.0064, or cycles up to 0.0064: fewer errors than a constant "
        f"rate. Expect {error:.2f} % errors."
    )
    assert against_constant.startswith(
        f"clr (cycles) makes fewer errors than baseline (constant rate): {np.mean(gained):.2f} "
        "points (-0.2"
    )
    assert against_decay.startswith(
        "clr (cycles) and linear_decay are level within the margin: 0.00 points (-0.0"
    )
    # What to use is compared with the constant rate too.
    assert of_decay.startswith("linear_decay makes fewer errors than baseline (constant rate): -")
    assert (
        sure == "These differences are decided at 8 seeds, for other seeds and other test images."
    )


def _diverged(arms: Any, name: str, count: int) -> Any:
    arms[name]["errors"] |= dict.fromkeys(range(count))
    return arms


def _with_errors(arms: Any, change: Any, **more: Any) -> Any:
    errors = {s: round(change(s, e), 2) for s, e in arms["baseline"]["errors"].items()}
    arms["clr"] |= {"errors": errors, **more}
    return arms


def _all_diverged() -> Any:
    arms = three()
    for name in arms:
        _diverged(arms, name, 8)
    return arms


FEWER = "Use a linear decay from 0.0064: fewer errors than the constant rate 0.001."
NEXT = "Verdicts are made at fixed numbers of seeds only. The next one is at {0} seeds: set "
NEXT += "train.seeds={0}."
OPEN = "There is no verdict between baseline (constant rate), clr (cycles) and linear_decay."
# What was planted, the first lines, and what stands below.
ODD = {
    "one seed": (lambda: three(seeds=1), [OPEN, "1 pair of runs cannot show a difference."], ""),
    "two seeds": (
        lambda: three(seeds=2),
        [OPEN, "2 pairs of runs cannot show a difference.", NEXT.format(8)],
        "",
    ),
    "no look": (lambda: three(seeds=12), [OPEN], NEXT.format(16)),
    "some runs of clr diverged": (
        lambda: _diverged(three(seeds=16), "clr", 7),
        [
            "7 of 16 runs of clr (cycles) diverged.",
            f"{FEWER} It is undecided whether clr (cycles) makes fewer errors than linear_decay. "
            "Expect 1.65 % errors.",
            "Undecided between clr (cycles) and baseline",
        ],
        "clr fails more often, and a failed run counts as the worst.",
    ),
    "all runs of clr diverged": (
        lambda: _diverged(three(), "clr", 8),
        ["8 of 8 runs of clr (cycles) diverged.", f"{FEWER} Expect 1.65 % errors."],
        "clr (cycles) fails more often than baseline (constant rate).",
    ),
    "all runs of the baseline diverged": (
        lambda: _diverged(three(), "baseline", 8),
        ["8 of 8 runs of baseline (constant rate) diverged.", "Use a linear decay from 0.0064"],
        "clr (cycles) fails less often than baseline (constant rate).",
    ),
    "everything diverged": (
        _all_diverged,
        [
            "Runs of 3 arms failed: baseline, clr and linear_decay.",
            "No run trained, so there is nothing to use.",
        ],
        "no pair differs in its errors",
    ),
    "one run guesses": (
        lambda: _with_errors(three(seeds=16), lambda s, e: 89.9 if s == 3 else e - 0.2),
        ["1 of 16 runs of clr (cycles) failed.", FEWER, "Undecided between clr (cycles)"],
        "fails more often",
    ),
    "the same trainings": (
        lambda: _with_errors(three(), lambda _, e: e, trained_as="baseline"),
        [f"{FEWER} clr (cycles) makes more errors."],
        "clr (cycles) and baseline (constant rate) are the same trainings, so nothing is compared.",
    ),
    "one image in every seed": (
        lambda: _with_errors(three(), lambda _, e: e - 0.01),
        [
            FEWER,
            "It is undecided whether clr (cycles) makes fewer errors than baseline (constant "
            "rate): -0.01 points (-0.",
        ],
        "Other seeds repeat the difference, but other test images may not.",
    ),
    "more images than seeds can mend": (
        lambda: three(gain=0.03),
        ["Keep a constant rate of 0.001 for now: nothing is shown to make fewer errors."],
        "Only more test images could settle this.",
    ),
    "noise": (
        lambda: _with_errors(three(), lambda s, e: e - 0.2 - 0.4 * (-1) ** s),
        [
            FEWER,
            "It is undecided whether clr (cycles) makes fewer errors than baseline (constant "
            "rate): -0.20 points",
        ],
        "Chance can still explain the difference.",
    ),
    "worse": (
        lambda: three(gain=-0.2),
        [
            "Keep a constant rate of 0.001: nothing that was tried makes fewer errors. "
            "clr (cycles) makes more errors. Expect 1.85 % errors."
        ],
        "clr (cycles) makes more errors than baseline (constant rate): 0.20 points",
    ),
    "only one arm": (
        lambda: {"baseline": three()["baseline"]},
        ["There is no verdict, because no two arms were compared."],
        "",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_results_get_true_and_short_words(tmp_path, case):
    plant, first, below = ODD[case]
    evidence = evidence_of(tmp_path, plant())
    lines = screen(evidence)
    for begin, line in zip(first, lines, strict=False):
        assert line.startswith(begin), lines
    assert below in "\n".join(lines)


def test_seeds_that_can_decide_are_asked_for(tmp_path):
    arms = _with_errors(three(), lambda s, e: e - 0.2 - 0.4 * (-1) ** s)
    lines = screen(evidence_of(tmp_path, arms))
    open_pairs = "For clr vs baseline and clr vs linear_decay: "
    assert f"{open_pairs}The next verdict is at 16 seeds: set train.seeds=16." in lines


def test_a_mean_that_a_few_runs_carry_is_named(tmp_path):
    arms = _with_errors(three(), lambda s, e: e - (0.6 if s == 0 else 0.02))
    del arms["linear_decay"]
    lines = screen(evidence_of(tmp_path, arms))
    assert (
        "A few extreme runs move the mean of clr vs baseline: the median is -0.02 points." in lines
    )
    assert "The seeds agree on the sign, but not on the size." in lines[1]


def test_results_without_their_mistakes_have_no_verdict(tmp_path):
    arms = {name: {**arm, "test_images": None} for name, arm in three().items()}
    evidence = evidence_of(tmp_path, arms)
    assert "The results do not hold the mistakes on the same test images." in screen(evidence)[1]
    assert "unknown from test images" in verdicts.with_parts(answers.asked(evidence)[0], evidence)


def test_both_parts_of_an_interval_are_written_and_none_has_no_width():
    by_image = np.zeros((8, 10_000), dtype=np.int8)
    by_image[:, :40] = -1  # the same 40 images in every seed
    for seed in range(8):
        by_image[seed, 100 : 100 + seed] = 1
    found = compare_pairs((100 * by_image.mean(axis=1)).tolist(), by_image)
    assert plain(verdicts.estimated(found, 2)) == (
        # seeds: 2.365 (t, 7 df) times 0.0245 / sqrt(8). Two seeds share 40 images of one sign and
        # on average 2 of the other sign: 1.96 times 100 sqrt(0.0042 / 10,000).
        "-0.36 (-0.49 to -0.24; ±0.02 from seeds, ±0.13 from test images)"
    )
    assert verdicts.estimated(compare_pairs([0.1, 0.1, 0.1]), 2) == (
        "0.10 (no interval: all pairs are equal)"
    )
    assert verdicts.estimated(compare_pairs([0.1, 0.2]), 2) == "(no interval from 2 pairs)"
    assert span(0.1001, 0.1002) == "0.1001 to 0.1002"
    assert half(0.0001) == "under ±0.01"


def test_the_table_of_comparisons_has_both_parts_the_level_and_the_verdict(tmp_path):
    evidence = evidence_of(tmp_path, three())
    table = tables.comparisons(evidence, evidence.of(Quantity.ERROR, Role.CANDIDATE))
    rows = [dict(zip(table.head, row, strict=True)) for row in table.rows]
    first = rows[0]
    assert (first["comparison"], first["seeds"]) == ("clr vs baseline", "8")
    assert first["p; its level (Holm)"] == "0.0078; 0.0079"
    narrow, wide = (
        [float(end) for end in plain(str(first[name])).split(" to ")]
        for name in ("95 % interval", "interval at the level")
    )
    assert wide[0] < narrow[0] < narrow[1] < wide[1] < 0
    assert "why it is open" not in table.head  # both verdicts are given
    assert re.fullmatch(r"±0\.0\d; ±0\.0\d", str(first["part of seeds; part of images"]))
    assert [getattr(row["verdict"], "text", "") for row in rows] == ["better", "equivalent"]


def test_the_published_figures_stand_beside_ours_in_four_rows(tmp_path):
    evidence = evidence_of(tmp_path, tutorial_arms(), published=report_inputs.REPORT.published)
    table = next(one for one in short.section(evidence).blocks if isinstance(one, Table))
    rows = {str(row[0]): [plain(str(cell)) for cell in row[1:]] for row in table.rows}
    assert len(rows) == 4
    ours = f"{np.mean(BASELINE_ERRORS):.2f} ± {np.std(BASELINE_ERRORS, ddof=1):.2f}"
    assert rows["error (%), constant rate"] == ["1.91", ours, ours]
    assert rows["time (s) in Keras, constant rate"] == ["86.4", "25.0", "not timed (2,750 steps)"]
    # 43.23 s after 86.42 s; here ten epochs of 1.75 s after ten of 2.5 s.
    assert rows["time (s) in Keras, cyclical rate"] == [
        "129.7 in all, 43.2 of it in the second run",
        "42.5 in all, 17.5 of it in the second run",
        "not timed (2,750 steps)",
    ]  # fmt: skip


def test_without_a_replay_the_table_has_the_arms_and_their_failures(tmp_path):
    evidence = evidence_of(tmp_path, _diverged(three(), "clr", 1))
    table = next(one for one in short.section(evidence).blocks if isinstance(one, Table))
    failed = {str(row[0]): row[-1] for row in table.rows}
    assert failed == {
        "baseline (constant rate)": "none", "clr (cycles)": "1 of 8", "linear_decay": "none"
    }  # fmt: skip


def test_arms_that_would_read_alike_keep_their_names(tmp_path):
    arms = three(seeds=1)
    arms["again"] = {**arms["clr"], "group": "controls"}
    found = evidence_of(tmp_path, arms).arms
    assert to_use([found["clr"], found["baseline"]]) == [
        "cycles up to 0.0064", "a constant rate of 0.001"
    ]  # fmt: skip
    assert to_use([found["clr"], found["again"]])[1] == "again (cycles up to 0.0064)"
    assert with_noun(found["again"]) == "again (cycles)"


def test_the_side_claims_are_set_beside_what_was_measured(tmp_path):
    arms = {**report_inputs.schedule_arms(), **tutorial_arms()}
    evidence = evidence_of(tmp_path, arms, {"welch": ["clr"]}, margin_percent=0.05)
    section = claims.section(evidence)
    assert section.about == "Whether windows are equivalent and whether cycling costs computation."
    windows, costs, _ = section.blocks
    assert plain(windows.lines[0]).startswith(
        "Window welch against the triangle clr: equivalent, 0.00 (-0.0"
    )
    assert costs.rows[0] == ["200", "5.5", "2.0 to 9.0", "20"]


def test_runs_that_diverge_or_guess_are_warned_of(tmp_path):
    arms = _diverged(three(), "clr", 1)
    text = "\n".join(cautions.sentences(evidence_of(tmp_path / "one", arms)))
    assert "Runs diverged in clr (1 of 8). Means and differences leave these runs out" in text
    assert "different seeds" not in text
    arms["lost"] = {"errors": {**arms["baseline"]["errors"], 3: 88.65}, "base_lr": 0.1}
    text = "\n".join(cautions.sentences(evidence_of(tmp_path / "two", arms)))
    assert "Runs diverged or learned nothing in clr and lost." in text


def test_fewer_errors_at_a_larger_loss_are_warned_of(tmp_path):
    arms = three()
    del arms["linear_decay"]
    arms["clr"]["loss"] = 0.2
    assert cautions.sentences(evidence_of(tmp_path, arms)) == [
        "clr makes fewer errors than baseline, but at a larger test loss (95 % interval above 0). "
        "Its predicted probabilities are less reliable."
    ]


def warned(evidence: Evidence) -> list[str]:
    blocks = cautions.section(evidence).blocks
    return [line for block in blocks for line in getattr(block, "lines", [])]


def test_a_baseline_of_one_rate_that_no_other_constant_arm_complements_is_warned_of(tmp_path):
    arms = three(seeds=1)
    lines = warned(evidence_of(tmp_path / "one", arms))
    assert lines[:2] == [
        "baseline trains at one rate, 0.001, which this experiment does not tune. clr and "
        "linear_decay reach 0.0064. No arm keeps this rate constant.",
        "So a comparison with baseline cannot separate a higher rate from a changing rate.",
    ]
    arms["constant_max"] = {"errors": arms["baseline"]["errors"], "base_lr": report_inputs.MAX_LR}
    assert not any("does not tune" in line for line in warned(evidence_of(tmp_path / "two", arms)))


def test_warnings_name_their_consequence_and_leave_out_what_changes_no_result(tmp_path):
    changed = {
        "train.seeds": {"conf": 8, "used": 1},
        "train.save_models": {"conf": "all", "used": "first_seed"},
    }
    artifacts = write_artifacts(
        tmp_path, three(seeds=1), differences=changed, bound_warnings=["Half a cycle is short."]
    )
    lines = warned(gather(artifacts, report_inputs.REPORT))
    assert lines[:2] == ["Half a cycle is short.", "This may put clr at a disadvantage."]
    assert "This run uses 1 seed; the experiment file sets 8." in lines
    assert not any("save_models" in line for line in lines)
    assert any(line.startswith("The result covers one data set") for line in lines)


def test_arms_of_unequal_seeds_are_warned_of(tmp_path):
    arms = three()
    del arms["clr"]["errors"][0]
    text = "\n".join(cautions.sentences(evidence_of(tmp_path, arms)))
    assert "clr and baseline have different seeds. Only common seeds are paired." in text


def test_rates_are_named_in_the_order_in_which_an_arm_meets_them(tmp_path):
    rates = {n: rates_of(arm) for n, arm in evidence_of(tmp_path, three(seeds=1)).arms.items()}
    assert rates == {"baseline": "0.001", "clr": "0.00032 to 0.0064", "linear_decay": "0.0064 to 0"}


def test_a_run_read_in_the_middle_of_a_cycle_is_marked(tmp_path):
    arms = three(seeds=1)
    arms["cut"] = {**arms["clr"], "group": "controls", "step_size": 1000}
    evidence = evidence_of(tmp_path, arms)
    cells = evidence.arms["cut"].cells
    cells[0] = replace(cells[0], schedule=replace(cells[0].schedule, cycles=None))
    found = [one for one in controlled.section(evidence).blocks if isinstance(one, Table)]
    ends = {row[0]: row[-1] for one in found if one.head[-1] == "run ends" for row in one.rows}
    assert (ends["clr"], ends["cut"]) == ("as planned", "38 % into a cycle")


def test_the_steps_of_the_protocol_are_those_that_were_planned(tmp_path):
    arms = tutorial_arms(seeds=1)
    arms["clr"]["errors"] = {0: None}
    table, shared, *_ = protocol.section(evidence_of(tmp_path, arms)).blocks
    steps = {row[0]: row[table.head.index("steps")] for row in table.rows}
    assert (steps["clr"], steps["published (after published_baseline)"]) == ("2,750", "300")
    assert ["epochs", "10"] in shared.rows  # in which no arm differs
    assert "epochs" not in table.head
