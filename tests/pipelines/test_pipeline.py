"""Runs `dvc repro`, `dvc exp run` and stages by hand, with real DVC and real MLflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipelines.project import Project

TRAIN = ["train@baseline", "train@clr", "train@controls"]
STAGES = ["config", "data", "range_test", "bounds", *TRAIN, "report"]


def runs(project: Project, **tags: str):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{project.root}/mlflow.db")
    query = " and ".join(f"tags.`lrcycles.{name}` = '{value}'" for name, value in tags.items())
    return client.search_runs([e.experiment_id for e in client.search_experiments()], query)


def test_one_repro_ends_in_a_report_that_names_every_arm(project):
    report = (project.root / "artifacts" / "report" / "report.md").read_text(encoding="utf-8")
    assert all(arm in report for arm in ("baseline", "clr", "continued"))
    shown = project.dvc("metrics", "show", "--json").stdout
    assert "test_error_percent" in shown


def test_mlflow_holds_a_run_for_every_stage_and_cell_below_one_for_the_pipeline(project):
    everything = runs(project)
    parents = [run for run in everything if "mlflow.parentRunId" not in run.data.tags]
    stages = [run for run in everything if run.data.tags.get("lrcycles.stage")]
    first = min(parents, key=lambda run: run.info.start_time)
    below = {
        r.info.run_name for r in stages if first.info.run_id == r.data.tags["mlflow.parentRunId"]
    }
    assert below == set(STAGES)
    ids = {run.info.run_id: run for run in everything}
    cells = project.cells("clr")
    for run_id in cells["run_id"]:
        cell = ids[run_id]
        assert ids[cell.data.tags["mlflow.parentRunId"]].info.run_name == "train@clr"
        assert cell.info.status == "FINISHED"
        assert cell.inputs.dataset_inputs[0].dataset.name == "digits"
        assert "loss" in cell.data.metrics
    errors = {run_id: ids[run_id].data.metrics["test_error_percent"] for run_id in cells["run_id"]}
    assert list(errors.values()) == pytest.approx(cells["test_error_percent"].tolist())


def test_repro_again_does_nothing(project):
    assert "up to date" in project.dvc("repro").stdout


def test_editing_a_comment_trains_nothing(project):
    project.edit("conf/arm/clr.yaml", "# Triangular", "# Three triangular")
    try:
        assert project.repro() == ["config"]
    finally:
        project.restore()


def test_editing_one_arm_retrains_its_group_and_the_report_only(project):
    before = project.cells("clr")
    project.edit("conf/arm/clr.yaml", "max_lr: bounds", "max_lr: 0.04")
    try:
        assert project.repro() == ["config", "train@clr", "report"]
        assert not project.cells("clr")["reused"].any()
    finally:
        project.restore()
    assert project.cells("clr").equals(before)


def test_a_new_seed_trains_its_own_cell_only_and_reused_ones_keep_their_run(project):
    before = project.cells("clr").set_index("seed")["run_id"]
    project.stage("train", "group=clr", "train.seeds=[0,1,9]")
    after = project.latest_by_hand("train").set_index("seed")
    assert after["reused"].to_dict() == {0: True, 1: True, 9: False}
    assert after["run_id"].loc[[0, 1]].tolist() == before.tolist()


def test_a_missing_params_file_is_composed_again(project):
    (project.root / "params.yaml").unlink()
    printed = project.dvc("repro").stdout
    assert "params.yaml was missing" in printed
    assert "Running stage 'train" not in printed


def test_a_hand_edited_params_file_is_restored_and_the_edit_kept(project):
    project.edit("params.yaml", "epochs: 4", "epochs: 5")
    done = project.dvc("repro")
    printed = done.stdout + done.stderr
    assert "params.yaml was edited by hand" in printed
    assert "dropped: train.epochs: 5 -> 4" in printed
    assert project.params()["train"]["epochs"] == 4
    kept = project.root / "params.yaml.orig"
    assert "epochs: 5" in kept.read_text()
    kept.unlink()


def test_an_experiment_stays_until_it_is_undone_and_lists_what_differs(project):
    project.dvc("exp", "run", "-S", "arms.clr.clr.max_lr=0.05", "-n", "higher")
    try:
        path = project.root / "artifacts" / "config" / "differences.json"
        different = {"arms.clr.clr.max_lr": {"conf": "bounds", "used": 0.05}}
        assert json.loads(path.read_text()) == different
        html = (project.root / "artifacts" / "report" / "report.html").read_text()
        assert "arms.clr.clr.max_lr" in html
        assert runs(project, dvc_exp_name="higher")
        assert "up to date" in project.dvc("repro").stdout
        difference = project.dvc("metrics", "diff", "--json").stdout
        assert "test_error_percent" in difference
        project.dvc("plots", "diff", "-o", "plots_made")
        assert "validation_error_percent" in (project.root / "plots_made/index.html").read_text()
    finally:
        project.restore()
    assert json.loads(path.read_text()) == {}


def test_overrides_by_hand_go_to_outputs_and_touch_nothing_else(project):
    before = (project.root / "params.yaml").stat().st_mtime_ns
    project.stage("train", "group=clr", "train.epochs=3")
    assert set(project.latest_by_hand("train")["epochs"]) == {3}
    assert (project.root / "params.yaml").stat().st_mtime_ns == before
    assert "up to date" in project.dvc("repro").stdout


def test_only_the_networks_asked_for_are_kept(project):
    project.stage("train", "group=controls", "train.save_models=first_seed")
    folder = project.latest_folder("train")
    kept = {path.parent.name for path in folder.rglob("model.keras")}
    assert kept == {"0"}


def test_an_mlproject_stage_accepts_no_override_or_several(project):
    project.stage("bounds", "")
    project.stage("bounds", "report.margin_percent=0.1 train.reuse=false")
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
    project.stage("bounds")
    assert not any(folder.exists() for folder in left)


def test_sync_mirrors_every_cell_to_a_store_that_lacks_them(project, tmp_path):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/other.db"
    done = project.run("python", "-m", "lrcycles.cli", "sync", MLFLOW_TRACKING_URI=uri)
    assert "cells are in MLflow at" in done.stdout
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "lrcycles"]
    mirrored = client.search_runs([experiment.experiment_id], "tags.`lrcycles.arm` = 'clr'")
    errors = {run.data.tags["lrcycles.seed"]: run.data.metrics for run in mirrored}
    for _, cell in project.cells("clr").iterrows():
        expected = cell["test_error_percent"]
        assert errors[str(cell["seed"])]["test_error_percent"] == pytest.approx(expected)


def test_a_killed_stage_leaves_no_process_and_continues_with_its_finished_cells(project):
    settings = ["group=clr", "train.epochs=500", "train.seeds=[4,5,6,7]", "train.workers=1"]
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
    assert 1 <= len(finished) < 4
    before = {key: (store / key / "result.json").stat().st_mtime_ns for key in finished}

    project.stage("train", *settings)
    cells = project.latest_by_hand("train").set_index("key")
    assert cells.loc[list(finished), "reused"].all()
    assert not cells["reused"].all()
    after = {key: (store / key / "result.json").stat().st_mtime_ns for key in finished}
    assert after == before
    assert "KILLED" in {run.info.status for run in runs(project, stage="train@clr")}


@pytest.mark.slow
def test_a_folder_without_git_reproduces(tmp_path):
    plain = Project(tmp_path, git=False)
    plain.dvc("config", "--local", "core.no_scm", "true")
    plain.dvc("repro", "config", "data")
    assert plain.params()["experiment"] == "smoke"
    assert (tmp_path / "artifacts" / "data" / "data.json").exists()


@pytest.mark.slow
def test_two_pipelines_from_scratch_give_the_same_bits(project, tmp_path):
    other = Project(tmp_path / "other")
    other.edit("conf/train/default.yaml", "reuse: true", "reuse: false")
    other.repro()
    of = [trained_bits(root / "artifacts" / "train") for root in (project.root, other.root)]
    assert len(of[0]) == 8
    assert of[0] == of[1]
    for name in ("range_test/curves.parquet", "bounds/bounds.json"):
        one, two = (root / "artifacts" / name for root in (project.root, other.root))
        assert one.read_bytes() == two.read_bytes()


def trained_bits(folder: Path) -> dict[str, Any]:
    """By cell: its losses, its weights and the numbers of its result, without times."""
    import keras

    found = {}
    for path in folder.rglob("result.json"):
        result = json.loads(path.read_text())
        numbers = {k: v for k, v in result.items() if "second" not in k}
        network = keras.models.load_model(path.with_name("model.keras"))
        found[str(path.relative_to(folder))] = (
            numbers,
            path.with_name("steps.parquet").read_bytes(),
            [weight.tobytes() for weight in network.get_weights()],
        )
    return found


@pytest.mark.slow
def test_a_queue_with_two_workers_lands_in_one_mlflow_store(project):
    project.dvc("exp", "run", "--queue", "-S", "train.batch_size=40,60")
    project.dvc("exp", "run", "--run-all", "-j", "2")
    found = {
        run.data.params["batch_size"]
        for run in runs(project)
        if run.data.params.get("arm") == "clr" and run.data.tags["lrcycles.dvc_exp_name"]
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
    command = ["python", "-m", "lrcycles.cli", "compare"]
    compared = project.run(*command, f"{first}:clr", "workspace:baseline", "-o", "outputs/compared")
    undecided = "Error: it is undecided whether workspace:baseline (constant"  # two seeds
    assert undecided in compared.stdout
    assert "is not compared in time" not in compared.stdout  # the range test's price is in MLflow
    found = json.loads((project.root / "outputs/compared/metrics.json").read_text())
    pair = found["comparisons"][f"workspace:baseline_vs_{first}:clr"]["test_error_percent"]
    errors = [project.cells(arm)["test_error_percent"] for arm in ("baseline", "clr")]
    assert pair["mean_difference"] == pytest.approx((errors[0] - errors[1]).mean())
