"""Runs `dvc repro` again and again after edits, with real DVC and real MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lrcycles.cells.result import read_result
from tests.faults.mlflow_servers import contents
from tests.pipelines.project import SECRET, STAGES, Project, runs


def test_one_repro_ends_in_a_report_that_names_every_arm(project):
    report = (project.root / "artifacts" / "report" / "report.md").read_text(encoding="utf-8")
    assert all(arm in report for arm in ("baseline", "clr", "continued"))
    shown = project.dvc("metrics", "show", "--json").stdout
    assert "clr_minus_baseline_percent" in shown
    assert shown.count(":") < 15  # a handful; metrics.json has the rest


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
    arms = {run.data.tags.get("lrcycles.arm") for run in everything}
    assert arms >= {"baseline", "first", "continued", "clr"}  # baseline and first share a cell
    assert first.data.metrics["clr_error_percent"] == pytest.approx(
        cells["test_error_percent"].mean()
    )
    assert "train.seeds=8" in first.data.tags["mlflow.note.content"]  # two seeds: no verdict


def test_sync_after_a_pipeline_changes_nothing(project):
    # Later tests leave a stage `config` without a pipeline after it, whose run sync writes.
    store = f"sqlite:///{project.root}/mlflow.db"
    before = contents(store)
    assert len(before) > 15
    project.run("python", "-m", "lrcycles.cli", "sync")
    assert contents(store) == before


def test_no_file_holds_a_value_of_the_environment(project):
    tests = project.root / "tests"  # the value stands there
    files = [path for path in project.root.rglob("*") if path.is_file()]
    files = [path for path in files if tests not in path.parents]
    assert {"mlflow.db", "report.html", "params.yaml"} <= {path.name for path in files}
    [(name, secret)] = SECRET.items()
    for word in (name, secret):
        assert [path for path in files if word.encode() in path.read_bytes()] == []


def test_a_stage_leaves_no_temporary_file_and_trains_an_arm_at_the_peak_it_chose(project, tmp_path):
    best = ["+arm@arms.baseline.best=constant_peak", "train.peaks=[1.0e-6,0.01]"]
    project.stage(
        *("train", "group=baseline", "train.epochs=2", *best, "train.tuning_seeds=[8,5]"),
        TMPDIR=str(tmp_path),
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == []
    folder = project.latest_folder("train")
    tried = pd.read_csv(folder / "tuning.csv")
    assert list(zip(tried["peak"], tried["seed"], strict=True)) == [
        *((1e-6, 8), (0.01, 8), (1e-6, 5), (0.01, 5))
    ]
    errors = tried.groupby("peak")["validation_error_percent"].mean()
    assert (
        json.loads((folder / "peaks.json").read_text())["best"]["peak"] == errors.idxmin() == 0.01
    )
    results = [read_result(path) for path in sorted(folder.glob("*/*/result.json"))]
    assert [(r.arm, r.seed) for r in results if r.schedule.base_lr == 0.01] == [
        *(("best", 0), ("best", 1))
    ]
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"baseline", "best"}
    by_id = {run.info.run_id: run for run in runs(project)}
    logged = [by_id[run_id].data.tags["lrcycles.arm"] for run_id in tried["run_id"]]
    assert logged == ["best@1e-06", "best@0.01"] * 2


def test_repro_again_does_nothing(project):
    assert "up to date" in project.dvc("repro").stdout
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."


def test_editing_a_comment_trains_nothing_and_a_missing_params_file_is_composed_again(project):
    before = (project.root / "params.yaml").read_bytes()
    project.edit("conf/arm/clr.yaml", "# Triangular", "# Three triangular")
    (project.root / "params.yaml").unlink()
    try:
        printed = project.dvc("repro").stdout
        assert "params.yaml was missing" in printed
        assert project.stages_that_ran(printed) == ["config"]
        assert (project.root / "params.yaml").read_bytes() == before
    finally:
        project.restore()


@pytest.mark.slow  # test_experiments.py changes an arm in the default suite
def test_editing_one_arm_retrains_its_group_and_the_report_only(project):
    before = project.cells("clr")
    project.edit("conf/arm/clr.yaml", "max_lr: bounds", "max_lr: 0.04")
    try:
        assert project.repro() == ["config", "train@clr", "report"]
        assert not project.cells("clr")["reused"].any()
    finally:
        project.restore()
    assert project.cells("clr").equals(before)


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


def test_sync_mirrors_every_cell_to_a_store_that_lacks_them(project, tmp_path):
    from mlflow import MlflowClient

    project.module("lrcycles.cli", "sync")  # write what stage `config` of earlier tests has left
    uri = f"sqlite:///{tmp_path}/other.db"
    made_with = (project.root / "params.yaml").read_text()
    project.edit("params.yaml", "experiment: smoke", "experiment: quick")  # after the results
    done = project.module("lrcycles.cli", "sync", MLFLOW_TRACKING_URI=uri)
    (project.root / "params.yaml").write_text(made_with)
    assert "cells are in MLflow at" in done.stdout
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "lrcycles"]
    stages: dict[str, set[str]] = {}  # by pipeline
    for run in client.search_runs([experiment.experiment_id], "tags.`lrcycles.stage` LIKE '%'"):
        stages.setdefault(run.data.tags["mlflow.parentRunId"], set()).add(run.info.run_name)
    assert set(STAGES) in stages.values()
    for pipeline in stages:
        assert client.get_run(pipeline).data.tags["lrcycles.experiment"] == "smoke"
    mirrored = client.search_runs([experiment.experiment_id], "tags.`lrcycles.arm` = 'clr'")
    errors = {run.data.tags["lrcycles.seed"]: run.data.metrics for run in mirrored}
    for _, cell in project.cells("clr").iterrows():
        expected = cell["test_error_percent"]
        assert errors[str(cell["seed"])]["test_error_percent"] == pytest.approx(expected)


PREDICT = """
import sys
import mlflow, numpy as np
run_id, folder = sys.argv[1:]
model = mlflow.pyfunc.load_model(f"runs:/{run_id}/clr-seed-0")
labels = np.load(f"{folder}/test_labels.npy")
answers = model.predict(np.load(f"{folder}/test_images.npy")).argmax(axis=1)
print(100 * (answers != labels).mean())
"""


@pytest.mark.slow
def test_the_network_in_mlflow_makes_the_errors_of_its_cell_on_the_stored_pixels(project):
    cell = project.cells("clr").set_index("seed").loc[0]
    command = ["python", "-c", PREDICT, cell["run_id"], "artifacts/data"]
    printed = project.run(*command, MLFLOW_TRACKING_URI=f"sqlite:///{project.root}/mlflow.db")
    assert float(printed.stdout.split()[-1]) == pytest.approx(cell["test_error_percent"])


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
