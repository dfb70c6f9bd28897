"""Runs stage `advise` with real DVC, where an arm asks for it and where none does."""

from __future__ import annotations

import json

import pytest

from lrcycles.cells.result import read_result
from tests.pipelines.project import Project
from tests.pipelines.test_bad_input import error_line


def test_without_an_arm_that_asks_the_stage_says_so_and_loads_no_keras(project):
    path = project.root / "artifacts" / "advise" / "advice.json"
    before = path.stat().st_mtime_ns
    assert json.loads(path.read_text()) == {"schema": 1, "asked": False}
    assert {file.name for file in path.parent.iterdir()} == {"advice.json", "manifest.json"}
    alone = ["python", "-X", "importtime", "-m", "pipelines.advise"]
    done = project.run(*alone, DVC_STAGE="advise", LRCYCLES_PIPELINE="alone")
    assert done.stdout.splitlines()[-1] == "No arm asks for advice."
    assert "lrcycles.stages.plan" in done.stderr
    assert "keras" not in done.stderr
    assert path.stat().st_mtime_ns != before
    assert "up to date" in project.dvc("repro").stdout


@pytest.mark.slow
def test_by_hand_the_stage_advises_though_no_arm_asks_and_leaves_the_results_of_dvc(project):
    done = project.stage("advise")
    folder = project.latest_folder("advise")
    advice = json.loads((folder / "advice.json").read_text())
    assert (folder / "advice.txt").read_text().strip() in done.stdout
    assert advice["asked"]
    assert advice["arms"] == []
    assert "up to date" in project.dvc("repro").stdout
    again = project.stage("advise")
    assert again.stdout.startswith("The store has this advice.")
    assert json.loads((project.latest_folder("advise") / "advice.json").read_text()) == advice


@pytest.mark.slow
def test_an_arm_trains_as_advised_and_a_rerun_asks_for_no_other_advice(project, tmp_path):
    project = Project.copy_of(project.root, tmp_path / "copy")
    first = "  - /arm@arms.controls.first: baseline\n"
    best = "  - /arm@arms.controls.best: linear_decay_advice\n"
    project.edit("conf/experiment/smoke.yaml", first, first + best)
    assert project.repro() == [
        *("config", "advise", "train@baseline", "train@clr", "train@controls", "report")
    ]
    advice = json.loads((project.root / "artifacts/advise/advice.json").read_text())
    assert advice["arms"] == ["best"]
    results = [
        read_result(project.root / f"artifacts/train/controls/best/{seed}/result.json")
        for seed in (0, 1)
    ]
    for result in results:
        assert (result.schedule.base_lr, result.schedule.max_lr) == (0, advice["peak_lr"])
        assert result.schedule.warmup_steps in (None, 10)  # of 96 updates
        assert bool(result.schedule.warmup_steps) == bool(advice["warmup_steps"])
    assert project.cells("clr")["reused"].all()
    report = (project.root / "artifacts/report/report.md").read_text(encoding="utf-8")
    assert "to 0 (advice)" in report
    assert "Stage advise found the peak rate of best" in report
    assert "up to date" in project.dvc("repro").stdout

    project.edit("conf/experiment/smoke.yaml", "seeds: 2, cycles", "seeds: 3, cycles")
    assert "advise" not in project.repro()
    assert json.loads((project.root / "artifacts/advise/advice.json").read_text()) == advice

    small = project.stage("advise", "advise.budget=0.001", ok=False)
    assert "budget must pay for a range test" in error_line(small)
    longer = project.stage("train", "group=controls", "train.epochs=5", ok=False)
    assert "must be made with train.epochs=5. Received: results made with train." in error_line(
        longer
    )
    path = project.root / "artifacts" / "advise" / "advice.json"
    path.write_text(path.read_text().replace('"peak_lr": 0', '"peak_lr": 9'))
    damaged = project.stage("train", "group=controls", ok=False)
    assert "artifacts/advise must be as stage advise wrote it" in error_line(damaged)
