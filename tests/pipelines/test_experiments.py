"""Runs `dvc exp run`, stages by hand and killed stages, with real DVC and real MLflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import psutil
import pytest

from tests.pipelines.project import TRAIN, runs


def test_an_experiment_stays_until_it_is_undone_and_lists_what_differs(project):
    before = project.cells("clr")
    run = project.dvc("exp", "run", "-S", "arms.clr.clr.max_lr=0.05", "-n", "higher")
    assert "WARNING" not in run.stdout + run.stderr
    try:
        # A change of one arm trains its group again, and no other.
        assert project.stages_that_ran(run.stdout) == ["config", "train@clr", "report"]
        assert not project.cells("clr")["reused"].any()
        path = project.root / "artifacts" / "config" / "differences.json"
        different = {"arms.clr.clr.max_lr": {"conf": "bounds", "used": 0.05}}
        assert json.loads(path.read_text()) == different
        html = (project.root / "artifacts" / "report" / "report.html").read_text()
        assert "arms.clr.clr.max_lr" in html
        assert runs(project, dvc_exp_name="higher")
        assert "up to date" in project.dvc("repro").stdout
        difference = project.dvc("metrics", "diff", "--json").stdout
        assert "clr_minus_baseline_percent" in difference
        listed = project.dvc("exp", "show", "--csv").stdout
        printed = project.run(
            "python", "-m", "lrcycles.report.experiments", given=listed, COLUMNS="100"
        ).stdout
        (row,) = [line for line in printed.splitlines() if "higher" in line]
        assert "smoke arms.clr.clr.max_lr=0.05" in row
        project.dvc("plots", "diff", "-o", "plots_made")
        assert "validation_error_percent" in (project.root / "plots_made/index.html").read_text()
    finally:
        project.go_back()
    assert json.loads(path.read_text()) == {}
    assert project.cells("clr").equals(before)


def test_overrides_by_hand_go_to_outputs_and_train_the_new_cells_only(project):
    params = (project.root / "params.yaml").stat().st_mtime_ns
    before = project.cells("clr").set_index("seed")["run_id"]
    project.stage("train", "group=clr", "train.seeds=[0,1,9]", "train.save_models=first_seed")
    after = project.latest_by_hand("train").set_index("seed")
    assert after["reused"].to_dict() == {0: True, 1: True, 9: False}
    assert after["run_id"].loc[[0, 1]].tolist() == before.tolist()
    networks = project.latest_folder("train").rglob("model.keras")
    assert {path.parent.name for path in networks} == {"0"}  # the first seed's, as asked
    assert (project.root / "params.yaml").stat().st_mtime_ns == params
    assert "up to date" in project.dvc("repro").stdout


@pytest.mark.slow
def test_advise_by_hand_answers_for_the_configured_training_and_changes_no_stage(project):
    done = project.stage("advise", "train.epochs=10", "advise.budget=0.8")
    content = json.loads((project.latest_folder("advise") / "advice.json").read_text())
    images = json.loads((project.root / "artifacts/data/data.json").read_text())["counts"]["train"]
    assert content["total_steps"] == 10 * -(-images // 50)
    assert content["cost"]["used"] <= 0.8
    assert content["code"] in done.stdout
    assert "up to date" in project.dvc("repro").stdout


@pytest.mark.slow
def test_an_mlproject_stage_accepts_an_empty_argument_and_several_overrides_in_one(project):
    overrides = "report.margin_percent=0.1 'train.seeds=[0, 1]' ~arms.controls.continued"
    project.run("python", "-m", "pipelines", "bounds", "", overrides)
    assert (project.latest_folder("bounds") / "bounds.json").exists()


def test_the_half_written_folders_of_a_killed_process_are_removed(project):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = [
        project.root / "artifacts" / f".train.clr.{gone.pid}",
        project.root / ".lrcycles" / "cells" / f".abc.{gone.pid}",
    ]
    for folder in left:
        (folder / "half").mkdir(parents=True)
    project.stage_here("bounds")
    assert not any(folder.exists() for folder in left)


def test_a_killed_stage_leaves_no_process_and_continues_with_its_finished_cells(project):
    settings = ["group=clr", "train.epochs=500", "train.seeds=[4,5,6]", "train.workers=1"]
    store = project.root / ".lrcycles" / "cells"
    known = {path.name for path in store.iterdir()}
    stage = subprocess.Popen(
        ["python", "-m", "pipelines.train", *settings],
        cwd=project.root,
        env=project.environment(),
        stderr=subprocess.DEVNULL,
    )
    finished: set[str] = set()
    while not finished and stage.poll() is None:
        time.sleep(0.05)
        finished = {path.name for path in store.iterdir() if path.name[0] != "."} - known
    children = psutil.Process(stage.pid).children(recursive=True)
    os.kill(stage.pid, signal.SIGKILL)
    stage.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert 1 <= len(finished) < 3
    before = {key: (store / key / "result.json").stat().st_mtime_ns for key in finished}

    project.stage("train", *settings)
    cells = project.latest_by_hand("train").set_index("key")
    assert cells.loc[list(finished), "reused"].all()
    assert not cells["reused"].all()
    after = {key: (store / key / "result.json").stat().st_mtime_ns for key in finished}
    assert after == before
    assert "KILLED" in {run.info.status for run in runs(project, stage="train@clr")}


@pytest.mark.slow
def test_a_queue_with_two_workers_lands_in_one_mlflow_store(project):
    project.dvc("exp", "run", "--queue", "-S", "train.batch_size=40,60")
    project.dvc("exp", "run", "--run-all", "-j", "2")
    found = {
        run.data.params["batch_size"]
        for run in runs(project)
        if run.data.params.get("arm") == "clr" and run.data.tags.get("lrcycles.dvc_exp_name")
    }
    assert found >= {"40", "60"}
    assert not list(project.root.glob(".dvc/tmp/exps/**/mlflow.db"))


@pytest.mark.slow
def test_mlflow_run_puts_every_stage_below_its_own_run(project):
    project.run(
        "mlflow", "run", ".", "--env-manager", "local", "-P", "overrides=train.epochs=6",
        MLFLOW_TRACKING_URI=f"sqlite:///{project.root}/mlflow.db",
    )  # fmt: skip
    try:
        launched = [r for r in runs(project) if r.data.tags.get("mlflow.project.entryPoint")]
        assert launched[0].info.status == "FINISHED"
        below = [
            run
            for run in runs(project)
            if run.data.tags.get("mlflow.parentRunId") == launched[0].info.run_id
        ]
        assert {run.info.run_name for run in below} >= {"config", *TRAIN, "report"}
    finally:
        project.restore()


def test_two_runs_are_compared_by_the_names_that_dvc_and_mlflow_give_them(project):
    pipelines = [run for run in runs(project) if "mlflow.parentRunId" not in run.data.tags]
    first = min(pipelines, key=lambda run: run.info.start_time).info.run_id
    sides = [f"{first}:clr", "workspace:baseline"]
    compared = project.module("lrcycles.cli", "compare", *sides, "-o", "outputs/compared")
    assert "set train.seeds=8" in compared.stdout  # two seeds: no verdict
    found = json.loads((project.root / "outputs/compared/metrics.json").read_text())
    pair = found["comparisons"][f"workspace:baseline_vs_{first}:clr"]["test_error_percent"]
    errors = [project.cells(arm)["test_error_percent"] for arm in ("baseline", "clr")]
    assert pair["mean"] == pytest.approx((errors[0] - errors[1]).mean())
