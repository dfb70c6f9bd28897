"""Does the report say what the planted artifacts hold, and nothing else?"""

from __future__ import annotations

import base64
import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.report import build
from lrcycles.report.metrics import headline_metrics
from tests import report_inputs
from tests.report.conftest import build_report
from tests.report_inputs import BASELINE_ERRORS, read_metrics, tutorial_arms


def _only(arms: Any, *names: str) -> Any:
    return {name: arms[name] for name in names}


def test_a_report_of_one_seed_has_neither_spread_nor_verdict(tmp_path):
    out = build_report(tmp_path, _only(tutorial_arms(seeds=1), "baseline", "clr"))
    found = read_metrics(out)
    assert set(found["baseline"]["test_error_percent"]) == {"n", "mean"}
    assert found["comparisons"]["clr_vs_baseline"]["test_error_percent"]["verdict"] == "no verdict"
    assert "1 seed per arm" in (out / "report.md").read_text()


@pytest.mark.usefixtures("pictures_left_out")
@pytest.mark.parametrize("lost", ["baseline", "clr", "published"])
def test_a_report_of_an_arm_whose_every_run_diverged_is_still_written(tmp_path, lost):
    arms = tutorial_arms(seeds=2)
    arms[lost]["errors"] = dict.fromkeys(range(2))
    out = build_report(tmp_path, arms)
    assert read_metrics(out)[lost]["diverged"] == 2
    assert f"Runs diverged in {lost} (2 of 2)." in (out / "report.md").read_text()


def test_a_report_of_nothing_but_diverged_runs_is_still_written(tmp_path):
    arms = tutorial_arms(seeds=2)
    for arm in arms.values():
        arm["errors"] = dict.fromkeys(range(2))
    out = build_report(tmp_path, arms)
    text = (out / "report.md").read_text()
    assert "No run trained, so there is nothing to use." in text
    names = "baseline, clr, linear_decay, published_baseline and published"
    assert f"Runs diverged in {names}." in text
    assert {one["diverged"] for name, one in read_metrics(out).items() if name in arms} == {2}


def test_a_warning_about_short_cycles_is_followed_by_the_reason_for_their_length(built, tmp_path):
    reason = "This experiment keeps the 10 epochs of the published runs."
    cautions = (built / "report.md").read_text().split("## Before you believe it")[1]
    assert [line.strip() for line in cautions.split("\n- ")[1:3]] == [
        "a half-cycle lasts 1.67 epochs, under 2",
        reason,
    ]
    alone = _only(tutorial_arms(seeds=1), "baseline", "clr")
    out = build_report(tmp_path, alone, bound_warnings=["a half-cycle is short"])
    assert reason not in (out / "report.md").read_text()


def test_the_headline_is_a_handful_of_flat_numbers_of_the_main_arms(built):
    headline = json.loads((built / "headline.json").read_text())
    of_arm = {name: list(arm["errors"].values()) for name, arm in tutorial_arms(gain=0.2).items()}
    means = {name: np.mean(errors) for name, errors in of_arm.items()}
    assert headline == pytest.approx(
        {
            "seeds": 8,
            "diverged_runs": 0,
            "baseline_error_percent": means["baseline"],
            "clr_error_percent": means["clr"],
            "linear_decay_error_percent": means["linear_decay"],
            "clr_minus_baseline_percent": means["clr"] - means["baseline"],
            "clr_minus_linear_decay_percent": means["clr"] - means["linear_decay"],
            "clr_minus_baseline_p": 2 / 2**8,  # the least p of eight pairs
            "clr_minus_linear_decay_p": 1.0,
            "base_lr": report_inputs.BASE_LR,
            "max_lr": report_inputs.MAX_LR,
        }
    )


def test_the_headline_takes_the_first_arm_of_a_group_and_leaves_out_what_is_unknown():
    def arm(group: str, mean: float | None, diverged: int = 0) -> dict[str, Any]:
        known = {} if mean is None else {"mean": mean}
        return {
            "group": group,
            "diverged": diverged,
            "guessed": 0,
            "test_error_percent": {"n": 2 - diverged, **known},
        }

    compared = {"test_error_percent": {"n": 2, "mean": 0.5}}
    found = headline_metrics(
        {
            "inv": arm("baseline", None, diverged=2),
            "clr_12": arm("clr", 1.5),
            "clr_25": arm("clr", 9.0),
            "linear_decay": arm("controls", 1.0),
            "comparisons": {"clr_12_vs_linear_decay": compared, "clr_25_vs_linear_decay": {}},
            "report.primary": [],
        }
    )
    assert found == {
        "seeds": 2,
        "diverged_runs": 2,
        "clr_error_percent": 1.5,
        "linear_decay_error_percent": 1.0,
        "clr_minus_linear_decay_percent": 0.5,
    }


def test_the_published_figures_stand_beside_the_replay_with_wilson_intervals(built):
    told = (built / "report.md").read_text()
    assert "1.91 (Wilson 95 %: 1.66 to 2.20)" in told
    assert "1.64 (Wilson 95 %: 1.41 to 1.91)" in told
    fit = np.mean(report_inputs.FIT_SECONDS[200]) * report_inputs.EPOCHS
    row = "| plain Keras fit here, alone on all cores (s): median (range) of the measured epochs |"
    assert f"{row} {fit:.1f} (24.0 to 26.0) |" in told  # of two epochs the median is the mean
    assert "| training time in the publication (s) | 86.42 | 43.23 |" in told


def test_the_report_tells_what_the_published_comparison_compares(built):
    told = (built / "report.md").read_text()
    for part in (
        "trained for 20 epochs, not 10",
        "published has a batch size of 2,000 instead of 200",
        "300 of the 2,000 steps",
        "never falls",
        "with the test set as validation set",
    ):
        assert part in told


@pytest.mark.usefixtures("pictures_left_out")
def test_without_a_replay_the_report_has_no_published_section(tmp_path):
    out = build_report(tmp_path, _only(tutorial_arms(), "baseline", "clr"))
    told = (out / "report.md").read_text()
    assert "published" not in told
    assert "replay" not in (out / "report.html").read_text()


def test_every_difference_from_conf_and_every_warning_of_bounds_is_listed(built):
    for name in ("report.md", "report.html"):
        told = (built / name).read_text().replace("\u00a0", " ")
        assert "train.epochs is 3 here and 10 in the experiment" in told
        assert "a half-cycle lasts 1.67 epochs, under 2" in told


def test_the_page_loads_nothing_from_elsewhere(built):
    page = (built / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.findall(r"url\(|@import|<script[^>]+src|<link[^>]+stylesheet", page)
    assert len(re.findall(r'src="data:image/png;base64,', page)) == page.count("<img")


def test_the_figures_that_markdown_names_exist_and_are_the_only_ones(built):
    named = re.findall(r"!\[[^\]]+\]\((figures/[a-z_]+\.png)\)", (built / "report.md").read_text())
    drawn = {f"figures/{path.name}" for path in (built / "figures").iterdir()}
    assert set(named) == drawn
    assert len(named) == 11


@pytest.mark.usefixtures("pictures_left_out")
def test_what_equal_seeds_share_follows_from_the_arms(tmp_path, built):
    assert (
        "Equal seeds share their initial weights and the order of their data. The bounds were "
        "chosen without the test set. Each controlled run is measured on the test set once, after "
        "its last epoch. Earlier trainings of this project used the same test images."
    ) in (built / "report.md").read_text()
    arms = _only(tutorial_arms(seeds=2), "baseline", "clr")
    arms["first"] = {"errors": arms["baseline"]["errors"]}
    arms["continued"] = {**arms["clr"], "group": "controls", "continues": "first"}
    arms["wide"] = {"errors": arms["baseline"]["errors"], "batch_size": 2000, "steps": 270}
    out = build_report(tmp_path, arms)
    for name in ("report.md", "report.html"):
        assert (
            "the order of their data, except that continued starts from the final weights of first "
            "and wide trains with batches of 2,000 instead of 200. The bounds"
        ) in (out / name).read_text()


@pytest.mark.usefixtures("pictures_left_out")
def test_a_report_of_a_single_arm_says_that_nothing_is_compared(tmp_path):
    told = (build_report(tmp_path, _only(tutorial_arms(), "baseline")) / "report.md").read_text()
    assert "There is no verdict, because no two arms were compared." in told


@pytest.mark.usefixtures("pictures_left_out")
def test_arms_whose_names_look_like_no_text_keep_them(tmp_path):
    arms = _only(tutorial_arms(seeds=2), "baseline", "clr")
    names = ["null", "NA", "001"]
    arms |= {name: {"errors": {0: 1.0, 1: None}} for name in names}
    out = build_report(tmp_path, arms)
    for name in names:
        assert read_metrics(out)[name]["test_error_percent"] == {"n": 1, "mean": 1.0}
        assert f"{name} vs baseline" in (out / "report.md").read_text()


def test_markdown_tables_have_equal_numbers_of_cells(built):
    lines = (built / "report.md").read_text().splitlines()
    for above, below in pairwise(lines):
        if above.startswith("|") and below.startswith("|"):
            assert above.count("|") == below.count("|")


@pytest.mark.usefixtures("pictures_left_out")
def test_text_of_artifacts_is_escaped(tmp_path):
    arms = _only(tutorial_arms(), "baseline", "clr")
    out = build_report(tmp_path, arms, differences={"a<b>": {"conf": None, "used": "<script>"}})
    assert (
        "a&lt;b&gt; is &lt;script&gt; here and none in the experiment"
        in (out / "report.html").read_text()
    )


def test_the_tables_of_dvc_plots_hold_every_seed_and_at_most_200_rates(built):
    errors = pd.read_csv(built / "plots/test_error.csv")
    of_baseline = errors[errors["arm"] == "baseline"]["test_error_percent"]
    assert_allclose(of_baseline, BASELINE_ERRORS)
    rates = pd.read_csv(built / "plots/learning_rate.csv")
    assert (rates.groupby("arm").size() <= 200).all()
    climb = rates[rates["arm"] == "published"]
    assert climb["lr"].iloc[-1] == pytest.approx(0.001 + 0.005 * 299 / 2000)
    assert climb["step"].iloc[-1] == 300
    validation = pd.read_csv(built / "plots/validation_error.csv")
    final = validation[(validation["arm"] == "clr") & (validation["epoch"] == 10)]
    expected = np.mean(list(tutorial_arms(gain=0.2)["clr"]["errors"].values())) + 0.1
    assert final["validation_error_percent"].item() == pytest.approx(expected)


def test_built_twice_the_bytes_differ_by_the_date_only(built, tmp_path):
    build.build(
        artifacts=built.parent / "artifacts",
        out=tmp_path,
        report=report_inputs.REPORT,
        experiment="tutorial",
        date="2031-12-30",
    )
    files = [path for path in built.rglob("*") if path.is_file()]
    assert len(files) == 21
    for path in files:
        again = (tmp_path / path.relative_to(built)).read_bytes()
        assert again.replace(b"2031-12-30", b"2025-01-02") == path.read_bytes(), path.name


def test_the_raw_data_inside_the_page_are_the_files_beside_it(built):
    page = (built / "report.html").read_text()
    inside = dict(re.findall(r'<a download="([^"]+)" href="data:text/plain;base64,([^"]+)"', page))
    files = [built / "metrics.json", *(built / "plots").glob("*.csv")]
    assert set(inside) == {path.name for path in files}
    for path in files:
        assert base64.b64decode(inside[path.name]) == path.read_bytes()
    cells = pd.read_csv(built / "plots/cells.csv")
    assert (cells.groupby("arm").size() == 8).all()
    seconds = pd.read_csv(built / "plots/measured_seconds.csv")
    steps = seconds[(seconds["batch_size"] == 200) & (seconds["measured"] == "step")]
    assert_allclose(steps["seconds"], report_inputs.STEP_SECONDS)
