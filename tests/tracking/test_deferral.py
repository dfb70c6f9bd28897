"""Checks that short stages of a pipeline leave their runs to a stage that loads MLflow anyway."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lrcycles.stages import command_line
from lrcycles.tracking import processes, runs
from lrcycles.tracking.records import are_waiting
from tests.tracking.test_tracking import child_environment, children_of, pipelines_of, start

STAGE = """
import sys
from pathlib import Path
from lrcycles.stages import command_line
from lrcycles.tracking import processes, runs
stage, root, required = sys.argv[1], Path(sys.argv[2]), len(sys.argv) > 3
with runs.start(stage, root=root, config={}, experiment="smoke", required=required) as run:
    run.log_metrics({"error_percent": 1.5})
print("mlflow" in sys.modules)
"""
# Processes are told by their names, so this one stands for DVC.
DVC = "import os, subprocess, sys; sys.exit(subprocess.call(os.environ['COMMAND'].split('|')))"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "DVC_", "LRCYCLES_")):
            monkeypatch.delenv(name)


def run_stage(
    root: Path, stage: str, *more: str, dvc: str = "repro", **environment: str
) -> subprocess.CompletedProcess[str]:
    script = root / "dvc"
    script.write_text(DVC)
    command = "|".join([sys.executable, "-c", STAGE, stage, str(root), *more])
    named = {"DVC_STAGE": stage, "LRCYCLES_PIPELINE": "one", "COMMAND": command, **environment}
    return subprocess.run(
        [sys.executable, str(script), *dvc.split()],
        env=child_environment() | named,
        capture_output=True,
        text=True,
        cwd=root,
    )


def loads_mlflow(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.returncode == 0, done.stderr
    return done.stdout.split() == ["True"]


def test_the_next_long_stage_writes_what_short_stages_have_left(tmp_path, monkeypatch):
    for stage in ("config", "data"):
        done = run_stage(tmp_path, stage)
        assert not loads_mlflow(done)
        assert done.stderr == ""
    assert are_waiting(tmp_path)
    monkeypatch.setenv("LRCYCLES_PIPELINE", "one")
    with start(tmp_path, "range_test") as run:
        run.send()
        run.background.wait(seconds=60)
    assert not are_waiting(tmp_path)
    [pipeline] = pipelines_of(tmp_path, "one")
    stages = children_of(tmp_path, pipeline.info.run_id)
    assert [(run.info.run_name, run.info.status) for run in stages] == [
        ("config", "FINISHED"),
        ("data", "FINISHED"),
        ("range_test", "FINISHED"),
    ]
    assert pipeline.info.start_time == stages[0].info.start_time
    assert stages[0].data.metrics == {"error_percent": 1.5}


@pytest.mark.parametrize(
    ("stage", "dvc", "more"),
    [
        ("bounds", "repro bounds", ()),  # no later stage follows
        ("config", "repro --single-item config", ()),
        ("config", "repro", ("required",)),
        ("range_test", "repro", ()),
    ],
)
def test_a_stage_writes_its_own_runs_if_no_other_will(stage, dvc, more, tmp_path):
    assert loads_mlflow(run_stage(tmp_path, stage, *more, dvc=dvc))
    assert not are_waiting(tmp_path)


def test_the_names_of_stages_are_those_of_the_pipeline():
    assert set(processes._STAGES) == set(command_line.STAGES)


def test_a_stage_by_hand_writes_its_own_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("LRCYCLES_PIPELINE", raising=False)
    with runs.start("config", root=tmp_path, config={}, experiment="smoke") as run:
        assert not run.background.deferred
    assert not are_waiting(tmp_path)


@pytest.mark.parametrize(
    "uri", ["http://ann:secret@127.0.0.1:9", "http://[127.0.0.1", "sqlite:////proc/none/runs.db"]
)
def test_a_missing_store_is_said_by_the_first_stage_though_it_does_not_load_mlflow(uri, tmp_path):
    first, second = (
        run_stage(tmp_path, stage, MLFLOW_TRACKING_URI=uri) for stage in ("config", "data")
    )
    assert not loads_mlflow(first)
    [line] = first.stderr.splitlines()
    assert line.startswith("MLFLOW_TRACKING_URI must name an MLflow store that can be used.")
    assert "lrcycles sync" in line
    assert "secret" not in line
    assert (loads_mlflow(second), second.stderr) == (False, "")
