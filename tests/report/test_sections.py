"""The sections below the first screen say what the planted results hold, and nothing absurd."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lrcycles.config.schema import Reference
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Pair, Role
from lrcycles.evidence.families import Family
from lrcycles.evidence.gather import gather
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.metrics import headline_metrics, metrics
from lrcycles.report.section import (
    Folded,
    Heading,
    Points,
    Section,
    Table,
    Text,
    VerdictCell,
)
from lrcycles.report.sections import (
    bounds,
    budgets,
    controlled,
    factorial,
    protocol,
    reference,
    replay,
    time,
)
from tests import report_inputs
from tests.report_inputs import arm, weighed

SEEDS = range(8)
ALONE = "compiled training here, alone on all cores (s): median (range) of the measured epochs"
LEVEL = {seed: 1.8 + 0.02 * (seed % 5) for seed in range(16)}  # errors in percent
# What no page may hold: intervals without a width, limits that are none, and what no number is.
ABSURD = re.compile(r"nan|\binf\b|at least|at most|Kaplan|restricted|censored|e\+\d|never repaid")


def lines(section: Section | None) -> list[str]:
    """The sentences of a section, without tables."""
    assert section is not None
    return _lines(section.blocks)


def _lines(blocks: Any) -> list[str]:
    found: list[str] = []
    for block in blocks:
        if isinstance(block, Text | Heading):
            found.append(block.text)
        elif isinstance(block, Points):
            found += block.lines
        elif isinstance(block, Folded):
            found += _lines(block.blocks)
    return found


def tables(section: Section | None) -> list[Table]:
    assert section is not None
    return [block for block in section.blocks if isinstance(block, Table)]


def row(section: Section | None, first: str, **has: str) -> dict[str, str]:
    """The row of that name in the table whose head has a column `has`, by column."""
    for table in tables(section):
        for cells in table.rows:
            if cells[0] == first and set(has.values()) <= set(table.head):
                texts = [cell.text if isinstance(cell, VerdictCell) else cell for cell in cells]
                return dict(zip(table.head, texts, strict=True))
    raise AssertionError(f"no table has a row {first}")


def check_words(*sections: Section | None) -> None:
    """Is every line short, with three figures at most, and free of the absurd?"""
    for section in sections:
        if section is None:
            continue
        cells = [str(c) for table in tables(section) for r in (table.head, *table.rows) for c in r]
        for text in [*lines(section), *cells]:
            assert not ABSURD.search(text), text
            for low, high in re.findall(r"(\S+) to (\S+?)[;)]", text):
                assert low.strip("(") != high, text  # no interval without a width
        for text in lines(section):
            assert len(re.findall(r"(?<![\w.])\d[\d,.]*", text)) <= 3, text


def plan(name: str, errors: dict[int, dict[int, float | None]], **more: Any) -> list[Arm]:
    """A schedule at several lengths, by epochs."""
    return [
        arm(f"{name}_{epochs}", of_length, schedule=name, epochs=epochs, **more)
        for epochs, of_length in errors.items()
    ]


def timed(
    clr: dict[int, dict[int, float | None]], decay: dict[int, dict[int, float | None]]
) -> tuple[Evidence, Section, Section]:
    arms = [*plan("linear_decay", decay), *plan("triangular", clr)]
    paid = {f"triangular_{epochs}": 1.0 for epochs in clr}
    evidence = weighed(arms, [], target_percent=2.0, range_test_seconds=paid)
    time_section, budget_section = time.section(evidence), budgets.section(evidence)
    assert budget_section is not None
    check_words(time_section, budget_section)
    return evidence, time_section, budget_section


def flat(error: float | None, seeds: Any = SEEDS) -> dict[int, float | None]:
    return dict.fromkeys(seeds, error)


VERSUS = "triangular vs linear_decay"


@pytest.mark.parametrize("error", [0.0, 1.9])
def test_where_all_seeds_arrive_at_the_same_length_nothing_is_repaid_or_decided(error):
    lengths = {1: flat(error), 3: flat(error)}
    _, seconds, table = timed(lengths, lengths)
    assert row(table, VERSUS)["verdict"] == "not comparable"
    words = " ".join(lines(seconds))
    assert "repaid after" not in words
    assert "triangular_3: no saving is measured that could repay the range test." in words


def test_a_saving_below_one_percent_of_a_training_repays_nothing():
    decay = {200: flat(3.0), 201: flat(1.9)}
    clr = {200: {seed: 1.9 if seed else 3.0 for seed in SEEDS}, 201: flat(1.9)}
    _, seconds, _ = timed(clr, decay)
    saving, verdict = lines(seconds)[-2:]
    assert saving.startswith(
        "triangular_201 saves 0.4 % of a training until the target (interval 0."
    )
    assert verdict == "This is too small to repay the range test."


def test_a_range_test_is_repaid_after_an_interval_of_trainings():
    decay = {1: flat(3.0), 10: flat(1.9)}
    clr = {1: {seed: 1.9 if seed else 3.0 for seed in SEEDS}, 10: flat(1.9)}
    evidence, seconds, _ = timed(clr, decay)
    savings = [9.0 * (seed > 0) / 10 for seed in SEEDS]  # of a training of ten epochs
    half = 2.3646 * np.std(savings, ddof=1) / np.sqrt(8)  # Student's t, 7 degrees of freedom
    price = 1.0 / (2750 * evidence.seconds_per_step["triangular_10"])
    soonest, latest = (int(np.ceil(price / (np.mean(savings) + sign * half))) for sign in (1, -1))
    after = f"{soonest} to {latest}" if soonest < latest else f"{latest}"
    assert f"The range test is repaid after {after} training" in " ".join(lines(seconds))


@pytest.mark.parametrize("error", [2.5, 100.0, None])
def test_schedules_that_never_arrive_are_not_comparable(error):
    lengths = {1: flat(3.0), 3: flat(error)}
    _, _, table = timed(lengths, lengths)
    found = row(table, VERSUS)
    assert found["verdict"] == "not comparable"
    assert found["why it is open"] == "no pair differs"
    assert found["difference in epochs (95 % interval)"] == "unknown: some runs never arrive"
    reached = row(table, "triangular", has="runs that reach it at any length")
    assert reached["runs that reach it at any length"] == "0 of 8"
    assert reached["shortest length, median (epochs)"] == "never"


def test_cycles_that_never_arrive_are_worse_and_have_no_difference():
    seeds = range(16)
    clr, decay = (
        {1: flat(3.0, seeds), 3: flat(2.5, seeds)},
        {1: flat(3.0, seeds), 3: flat(1.9, seeds)},
    )
    _, seconds, table = timed(clr, decay)
    found = row(table, VERSUS)
    assert found["verdict"] == "worse"
    assert found["difference in epochs (95 % interval)"] == "unknown: some runs never arrive"
    counts = row(table, "triangular", has="runs that reach it at any length")
    assert (counts["1 epoch"], counts["3 epochs"]) == ("0 of 16", "0 of 16")
    assert "repaid after" not in " ".join(lines(seconds))


def test_with_one_length_the_report_says_that_nothing_repays_the_range_test():
    arms = [arm("baseline", LEVEL), arm("clr", LEVEL, schedule="triangular")]
    evidence = weighed(arms, [], range_test_seconds={"clr": 22.0})
    price, nothing = lines(time.section(evidence))[-2:]
    assert price == (
        "The range test took 22.0 s. This is 200 % of the 11.0 s of one training of clr."
    )
    assert row(time.section(evidence), "clr")["one training (s): steps x ms per step"] == "11.0"
    assert nothing.startswith("All arms train for 10 epochs. No arm saves time")
    assert budgets.section(evidence) is None


def test_the_errors_of_every_length_name_the_peak_and_the_runs_that_failed():
    lost = {**LEVEL, 3: None, 4: 88.65}
    arms = plan("constant", {1: dict(LEVEL), 3: lost})
    section = budgets.section(weighed(arms, []))
    found = row(section, "constant")
    assert found["3 epochs"].endswith("2 of 16 runs failed")
    assert found["1 epoch"].startswith(f"{np.mean(list(LEVEL.values())):.2f} (")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A pipeline's evidence in which two arms chose their peak, one at the end of the grid."""
    arms = report_inputs.tutorial_arms()
    root = report_inputs.write_artifacts(tmp_path_factory.mktemp("searched"), arms, fit=True)
    rows = ["arm,peak,seed,status,validation_error_percent,key,run_id"]
    errors = {0.001: [3.0, 3.2, 3.1], 0.002: [2.0, 2.2, 2.1], 0.004: [2.1, 2.3, None]}
    for peak, values in errors.items():
        for seed, error in enumerate(values, start=1000):
            state = "diverged," if error is None else f"finished,{error}"
            rows.append(f"clr,{peak},{seed},{state},,")
    folder = root / "train/clr"
    (folder / "tuning.csv").write_text("\n".join(rows))
    trials = [
        {"peak": 0.001, "validation_error_percent": 3.1, "trainings": 3, "diverged": 0},
        {"peak": 0.002, "validation_error_percent": 2.1, "trainings": 3, "diverged": 0},
        {"peak": 0.004, "validation_error_percent": 34.8, "trainings": 3, "diverged": 1},
    ]
    chosen = {"clr": {"peak": 0.002, "at_end_of_grid": False, "trials": trials}}
    (folder / "peaks.json").write_text(json.dumps(chosen))
    return gather(root, report_inputs.REPORT)


def test_an_advised_arm_is_marked_and_the_price_of_the_advice_is_named(tmp_path):
    root = report_inputs.write_artifacts(tmp_path, report_inputs.tutorial_arms())
    advice = {"peak_lr": 0.0458, "peak_interval": [0.0189, 0.111], "cost": {"used": 1.456}}
    folder = root / "advise"
    folder.mkdir()
    for arms in (["linear_decay"], []):  # of no arm by hand
        (folder / "advice.json").write_text(json.dumps({**advice, "asked": True, "arms": arms}))
        evidence = gather(root, report_inputs.REPORT)
        section = protocol.section(evidence)
        rates = {name: row(section, name)["rates"] for name in ("clr", "linear_decay")}
        marked = " (advice)" if arms else ""
        assert rates == {"clr": "0.00032 to 0.0064", "linear_decay": f"0.0064 to 0{marked}"}
        said = {
            "Stage advise found the peak rate of linear_decay by short trainings. Its 90 % "
            "interval reaches from 0.0189 to 0.111.",
            "The advice cost as much as 1.46 trainings. No time in this report includes this "
            "price.",
        }
        assert said & set(lines(section)) == (said if arms else set())
        check_words(section, controlled.section(evidence))
    (folder / "advice.json").write_text('{"schema": 1, "asked": false}')
    assert gather(root, report_inputs.REPORT).stages.advice is None


def test_a_search_for_peaks_is_read_and_shown(searched):
    search = searched.stages.peak_searches["clr"]
    assert search.errors == {0.001: [3.0, 3.2, 3.1], 0.002: [2.0, 2.2, 2.1], 0.004: [2.1, 2.3]}
    section = budgets.section(searched)
    assert row(section, "triangular")["10 epochs"] == "0.002; 0.00169 to 0.00205 (1.2 times)"
    check_words(section)


def test_every_line_of_a_whole_pipeline_is_short(searched):
    modules = (controlled, time, replay, bounds, budgets)
    check_words(*(module.section(searched) for module in modules))
    texts = lines(replay.section(searched))
    assert (
        "The published 43.23 s cover only the second of two runs. The first run took 86.42 s. "
        "Together they took 129.65 s." in texts
    )
    assert any("is no evidence about cycling, because it mixes continued" in t for t in texts)
    # Newcombe's interval from the Wilson ends 1.66 and 2.20 %, 1.41 and 1.91 %: in the middle
    # -0.27, and sqrt(0.23^2 + 0.29^2) below, sqrt(0.27^2 + 0.25^2) above.
    difference = (
        "The unpaired 95 % interval of this difference is \N{MINUS SIGN}0.64 to 0.10 points."
    )
    assert difference in texts
    assert not any("probably busy" in text for text in texts)


def test_epochs_that_several_threads_train_slower_than_one_are_warned_of(searched):
    stages = searched.stages
    slow = [{**entry, "compiled_seconds": [1.0, 5.0, 5.0]} for entry in stages.fit_epochs]
    busy = replace(searched, of_stages=replace(stages, fit_epochs=slow))
    (text,) = [text for text in lines(replay.section(busy)) if "busy" in text]
    assert text.startswith("Compiled training was slower on 2 threads than on 1 thread.")
    found = row(replay.section(busy), ALONE)
    assert found["published_baseline"] == "50.0 (10.0 to 50.0)"  # one fast epoch moves no median


def test_metrics_name_the_family_both_parts_of_the_interval_and_the_primaries(searched):
    found = metrics(searched)
    one = found["comparisons"]["clr_vs_baseline"]["test_error_percent"]
    estimate = searched.error("clr", "baseline").estimate
    assert one["family"] == "primary"
    assert one["interval95"] == estimate.interval()
    assert one["seeds_half"] ** 2 + one["images_half"] ** 2 == pytest.approx(
        (one["interval95"][1] - one["mean"]) ** 2, rel=0.05
    )
    assert one["p"] == 2 / 2**8
    assert found["report.primary"] == [
        {"arm": "clr", "against": other, "trained": True} for other in ("baseline", "linear_decay")
    ]
    replayed = found["comparisons"]["published_vs_published_baseline"]["test_error_percent"]
    assert (replayed["family"], replayed["verdict"]) == ("none", "no verdict")
    assert "p" not in replayed
    headline = headline_metrics(found)
    assert headline["clr_minus_baseline_p"] == one["p"]
    assert "adjusted_p" not in one  # Holm's method divides the level instead
    assert one["level"] == one["alone_level"] == 0.0079
    narrow, wide = one["interval95"], one["interval_at_level"]
    assert wide[0] < narrow[0] < narrow[1] < wide[1] < 0
    decay = found["comparisons"]["linear_decay_vs_baseline"]["test_error_percent"]
    assert decay["adjusted_p"] >= decay["p"]
    assert headline["clr_minus_baseline_percent"] == one["mean"]


def test_an_absent_primary_is_named_and_counts_in_holm(tmp_path):
    arms = {n: a for n, a in report_inputs.tutorial_arms().items() if n in ("baseline", "clr")}
    evidence = gather(report_inputs.write_artifacts(tmp_path, arms), report_inputs.REPORT)
    found = metrics(evidence)
    assert [one["trained"] for one in found["report.primary"]] == [True, False]
    assert headline_metrics(found)["clr_minus_baseline_p"] == 2 / 2**8
    assert ("clr vs linear_decay was not trained. The first family still counts it.") in lines(
        controlled.section(evidence)
    )


def test_the_headline_follows_the_primary_comparisons():
    arms = [arm(f"c_{n}", LEVEL, group="baseline", epochs=n) for n in (1, 3)]
    arms += [arm(f"t_{n}", LEVEL, group="clr", epochs=n) for n in (1, 3)]
    arms[3].cells.update(arm("t_3", {0: 9.0}, group="clr").cells)
    pairs = [Pair("t_3", "c_3", Role.CANDIDATE, Family.PRIMARY)]
    found = metrics(weighed(arms, pairs, primary={"t_3": ["c_3"]}))
    headline = headline_metrics(found)
    assert headline["clr_error_percent"] == found["t_3"]["test_error_percent"]["mean"] > 2
    assert "clr_minus_baseline_percent" in headline


def test_the_same_trainings_under_two_names_are_no_comparison():
    pair = Pair("tuned", "rate", Role.CANDIDATE, Family.PRIMARY)
    arms = [arm("rate", LEVEL, trained_as="one"), arm("tuned", LEVEL, trained_as="one")]
    section = controlled.section(weighed(arms, [pair]))
    assert row(section, "tuned vs rate", has="verdict")["verdict"] == "not comparable"
    check_words(section)


def test_a_comparison_and_its_mirror_say_the_same_and_nothing_of_times():
    better = {seed: round(error - 0.3, 2) for seed, error in LEVEL.items()}
    means, verdicts = [], []
    for names in (("a:clr", "b:decay"), ("b:decay", "a:clr")):
        errors = {"a:clr": better, "b:decay": LEVEL}
        pair = Pair(names[1], names[0], Role.CANDIDATE, Family.PRIMARY)
        evidence = weighed([arm(name, errors[name]) for name in names], [pair])
        sections = controlled.section(evidence), time.section(evidence)
        check_words(*sections)
        found = row(sections[0], f"{names[1]} vs {names[0]}", has="verdict")
        means.append(found["mean (points)"].removeprefix("\N{MINUS SIGN}"))
        verdicts.append(found["verdict"])
        assert len(lines(sections[1])) == 1  # a note on seconds, and no target
    assert means[0] == means[1]
    assert verdicts == ["worse", "better"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_give_no_mean_and_no_interval(seeds):
    errors = {seed: LEVEL[seed] for seed in range(seeds)}
    worse = {seed: error + 0.3 for seed, error in errors.items()}
    pair = Pair("clr", "baseline", Role.CANDIDATE, Family.PRIMARY)
    section = controlled.section(weighed([arm("baseline", errors), arm("clr", worse)], [pair]))
    found = row(section, "clr vs baseline", has="verdict")
    assert found["verdict"] == "no verdict"
    looks = "8, 16, 32, 64 and 128"
    assert found["why it is open"] == f"the number of seeds is none of {looks}"
    assert found["mean (points)"] == "\N{EN DASH}"
    assert found["95 % interval"].startswith("no interval from")
    check_words(section)


def test_comparisons_stand_in_their_families():
    errors = {seed: LEVEL[seed] for seed in SEEDS}
    arms = [arm(name, errors) for name in ("baseline", "clr", "cosine", "rate_01")]
    pairs = [
        Pair("clr", "baseline", Role.CANDIDATE, Family.PRIMARY),
        Pair("cosine", "baseline", Role.CONTROL, Family.SCHEDULES),
        Pair("rate_01", "baseline", Role.SENSITIVITY),
    ]
    section = controlled.section(weighed(arms, pairs))
    titles: dict[str, str] = {}
    heading = ""
    for block in section.blocks:
        if isinstance(block, Heading):
            heading = block.text
        elif isinstance(block, Table) and "verdict" in block.head:
            titles |= {str(cells[0]): heading.partition(":")[0] for cells in block.rows}
    assert titles == {
        "clr vs baseline": "First family",
        "cosine vs baseline": "Second family",
        "rate_01 vs baseline": "Without a verdict",
    }


HERE = "here: error (%), mean ± standard deviation over seeds"
FACTORS = {"none": [], "batch": ["batch"], "rate": ["rate"], "both": ["batch", "rate"]}


def _factorial(
    batch: float, rate: float, failed: dict[int, float | None] | None = None
) -> Evidence:
    planted = {
        name: {
            seed: round(
                LEVEL[seed] + batch * ("batch" in own) + rate * ("rate" in own)
                + 0.01 * ((seed + len(name)) % 3),
                2,
            )
            for seed in SEEDS
        }
        for name, own in FACTORS.items()
    }  # fmt: skip
    arms = [
        arm(name, {**planted[name], **(failed or {} if name == "rate" else {})}) for name in FACTORS
    ]
    return weighed(arms, [], factors=FACTORS)


def test_the_effects_of_the_factors_add_up_and_have_shares():
    section = factorial.section(_factorial(-0.2, -0.1))
    share = "share of the whole (95 % interval over seeds)"
    shares = [row(section, name, has=share)[share] for name in ("batch", "rate")]
    assert sum(int(text.partition(" %")[0]) for text in shares) == 100
    assert all("to" in text for text in shares)
    check_words(section)


def test_metrics_hold_the_effects_of_the_factors():
    effects = metrics(_factorial(-0.2, -0.1))["report.factors"]
    assert effects["batch"]["mean"] == pytest.approx(-0.2, abs=0.02)
    parts = effects["batch"]["mean"] + effects["rate"]["mean"]
    assert parts == pytest.approx(effects["all together"]["mean"])
    assert effects["rate"]["share_percent95"][0] < effects["rate"]["share_percent"]


def test_a_change_that_is_none_has_no_shares():
    section = factorial.section(_factorial(0.0, 0.0))
    share = "share of the whole (95 % interval over seeds)"
    assert {row(section, name, has=share)[share] for name in ("batch", "rate")} == {"\N{EN DASH}"}
    assert any(line.startswith("There are no shares of the whole") for line in lines(section))
    check_words(section)


def test_failed_runs_of_a_factorial_are_counted_and_their_seeds_left_out():
    section = factorial.section(_factorial(-0.2, -0.1, failed={3: None, 4: 89.0}))
    texts = lines(section)
    assert "The effects cover the 6 seeds that trained in every arm." in texts
    assert "2 runs of these arms diverged or guess. Their seeds are left out of every arm." in texts
    assert row(section, "rate", has="failed runs")["failed runs"] == "2"


def test_a_factorial_that_lacks_an_arm_says_so():
    arms = [arm(name, LEVEL) for name in ("none", "batch", "rate")]
    section = factorial.section(weighed(arms, [], factors=FACTORS))
    assert lines(section)[0] == (
        "The change is not split into factors, because both was not trained."
    )


@pytest.mark.parametrize(
    ("sd", "runs", "error", "result"),
    [
        (0.05, 4, 1.84, "no difference shown"),
        (0.05, 4, 1.2, "differs"),
        (0.0, 4, 1.2, "differs"),
        (0.4, 4, 1.25, "no difference shown"),  # by 0.6, and the paper's spread is wide
        (0.05, 1, 1.2, "\N{EN DASH}"),
    ],
)
def test_a_papers_row_differs_if_the_interval_of_both_runs_excludes_0(sd, runs, error, result):
    rows = {"clr": Reference(error, sd, runs), "absent": Reference(1.0, 0.1, 4)}
    evidence = weighed([arm("clr", LEVEL)], [], reference=rows, reference_source="a paper")
    section = reference.section(evidence)
    assert row(section, "clr")["result"] == result
    assert row(section, "absent")[HERE] == "not trained"
    check_words(section)


def test_a_row_whose_every_run_failed_is_no_row_that_was_not_trained():
    rows = {"clr": Reference(1.0, 0.1, 4)}
    section = reference.section(weighed([arm("clr", flat(None))], [], reference=rows))
    assert row(section, "clr")[HERE] == "every run failed"
    check_words(section)


def test_equal_runs_without_any_spread_have_no_interval():
    rows = {"clr": Reference(1.0, 0.0, 4)}
    section = reference.section(weighed([arm("clr", flat(1.8))], [], reference=rows))
    assert row(section, "clr")["95 % interval"] == "none: too few runs, or no spread"
