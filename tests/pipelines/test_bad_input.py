"""Tests that a user's mistake gives one clear line and a failing exit, and loses nothing."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing

import pytest

from lrcycles.tracking.records import are_waiting
from tests.pipelines.project import Project


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a stage prints about a mistake."""
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("lrcycles ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def results(project: Project):
    """Fail if the artifacts change."""

    def state() -> dict[str, int]:
        files = (project.root / "artifacts").rglob("*")
        return {str(path): path.stat().st_mtime_ns for path in files if path.is_file()}

    before = state()
    yield
    assert state() == before


def runs_in_mlflow(project: Project) -> int:
    """Count the runs that MLflow shows, once it holds what a busy machine has left for later."""
    if are_waiting(project.root):
        project.run("python", "-m", "lrcycles.cli", "sync")
    with closing(sqlite3.connect(project.root / "mlflow.db")) as store:
        [[count]] = store.execute("select count(*) from runs where lifecycle_stage = 'active'")
    return count


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("stage", "arguments", "message"),
    [
        ("config", ["+train.epohcs=3"], "Did you mean train.epochs?"),
        (
            "train",
            ["group=clr", "train.epochs=0"],
            "train.epochs must be a whole number from 1 to 100,000",
        ),
        (
            "train",
            ["group=cyclic"],
            "group must be one of baseline, clr, controls. Received: group=cyclic.",
        ),
        ("train", [], "group must be one of baseline, clr, controls. Received: none."),
        ("bounds", ["--cfg", "job"], "Options of Hydra must be left out. Received: --cfg."),
        ("data", ["data=fashion_mnist", "data.path=no where"], "no where"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_run(project, stage, arguments, message):
    before = runs_in_mlflow(project)
    assert message in error_line(project.stage_here(stage, *arguments, ok=False))
    assert runs_in_mlflow(project) == before


@pytest.mark.usefixtures("results")
def test_an_unknown_key_in_a_yaml_file_stops_dvc_before_anything_runs(project):
    project.edit("conf/train/default.yaml", "epochs: 10", "epohcs: 10")
    try:
        done = project.dvc("repro", ok=False)
        assert "train.epohcs" in error_line(done)
        assert "Running stage 'config'" in done.stdout
        assert "Running stage 'data'" not in done.stdout
    finally:
        project.run("git", "checkout", "-q", "conf")


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epohcs=3", "ERROR: Every key of train must be one of epochs, "),  # DVC finds it
        ("train.epochs=none", "train.epochs"),  # stage `config` finds it
    ],
)
def test_an_unknown_key_or_option_in_an_experiment_is_named(project, override, message):
    try:
        done = project.dvc("exp", "run", "-S", override, ok=False)
        assert done.returncode != 0
        assert message in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    finally:
        project.run("git", "checkout", "-q", "params.yaml")


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("stage", "override", "message"),
    [
        (
            "train",
            "data.split_seed=7",
            "must be made with split_seed=7. Received: results made with split_seed=0",
        ),
        (
            "bounds",
            "range_test.steps=99",
            "must be made with steps=99. Received: results made with steps=200",
        ),
        ("train", "optimizer=sgd", "Received: results made with optimizer.name=adam"),
        (
            "train",
            "+arm@arms.clr.best=linear_decay_advice",
            "artifacts/advise must be made with asked=True. Received: results made with asked",
        ),
    ],
)
def test_a_stage_by_hand_refuses_inputs_made_for_something_else(project, stage, override, message):
    group = ["group=clr"] if stage == "train" else []
    assert message in error_line(project.stage_here(stage, *group, override, ok=False))


@pytest.mark.usefixtures("results")
def test_overrides_inside_dvc_yaml_are_refused(project):
    done = project.stage_here("bounds", "train.epochs=3", ok=False, DVC_STAGE="bounds")
    assert "must be without overrides. Received: train.epochs=3." in error_line(done)


@pytest.mark.usefixtures("results")
def test_settings_that_change_while_the_pipeline_runs_stop_the_next_stage(project):
    path = project.root / "params.yaml"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("epochs: ", "epochs: 1"), encoding="utf-8")
    try:
        done = project.stage_here("bounds", ok=False, DVC_STAGE="bounds")
    finally:
        path.write_text(before, encoding="utf-8")
    assert "params.yaml must not change while the pipeline runs" in error_line(done)


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("uri", ["http://127.0.0.1:9"])
def test_a_required_mlflow_that_does_not_answer_is_reported_before_any_work(project, uri):
    settings = ["group=clr", "train.epochs=7", "tracking.required=true"]
    done = project.stage("train", *settings, ok=False, MLFLOW_TRACKING_URI=uri)
    assert uri in error_line(done)
    assert not [line for line in done.stderr.splitlines() if line.startswith("[")]


@pytest.mark.usefixtures("results")
def test_a_stage_without_its_inputs_names_the_one_that_makes_them(project, tmp_path):
    copy = Project.copy_of(project.root, tmp_path / "copy", without=["artifacts"])
    assert "Run `dvc repro range_test`." in error_line(copy.stage_here("bounds", ok=False))


@pytest.mark.usefixtures("results")
def test_mlflow_run_refuses_an_argument_that_is_no_override(project):
    done = project.module("pipelines.__main__", "train.epochs=3 --force", ok=False)
    assert done.returncode == 1
    [message] = done.stderr.splitlines()
    assert message.startswith("lrcycles: Overrides must have the form key=value. ")
    assert "Received: '--force'. " in message


def test_help_is_printed_for_a_stage_and_for_the_pipeline(project):
    assert "train every arm" in project.stage_here("train", "--help").stdout
    assert "mlflow run ." in project.module("pipelines.__main__", "-h").stdout


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("options", "message"),
    [("size=16k", "a full disk. Free some space"), ("ro", "a read-only file system")],
)
def test_a_disk_that_cannot_be_written_is_reported_in_one_line(project, options, message):
    (project.root / "outputs").mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o {options} none outputs"
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*alone, mount], cwd=project.root, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk")
    done = project.run(*alone, f"{mount} && python -m pipelines.bounds train.epochs=7", ok=False)
    assert message in error_line(done)
