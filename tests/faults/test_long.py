"""Trains a thousand cells in one stage."""

from __future__ import annotations

import time

import psutil
import pytest
from mlflow import MlflowClient

from tests.faults.conftest import Faults
from tests.pipelines.project import Project

pytestmark = [pytest.mark.faults, pytest.mark.counts("long stages")]

SEEDS = 500


def _used(running: psutil.Process) -> tuple[int, int]:
    """Return the memory in bytes and the open files of a process and its children."""
    memory = handles = 0
    for process in [running, *running.children(recursive=True)]:
        try:
            memory += process.memory_info().rss
            handles += process.num_fds()
        except psutil.Error:  # it has just ended
            continue
    return memory, handles


def _finished_runs(project: Project) -> set[str]:
    """Find the finished runs of trainings of one epoch."""
    client = MlflowClient(tracking_uri=f"sqlite:///{project.root}/mlflow.db")
    places = [experiment.experiment_id for experiment in client.search_experiments()]
    query = "params.epochs = '1' and attributes.status = 'FINISHED'"
    return {run.info.run_id for run in client.search_runs(places, query, max_results=5000)}


def test_a_thousand_trainings_in_one_stage_use_no_more_memory_or_files_than_the_first(
    project, faults: Faults
):
    arguments = [
        "group=controls",
        f"train.seeds={SEEDS}",
        "train.epochs=1",
        "train.save_models=none",
    ]
    started = time.monotonic()
    samples: list[tuple[float, tuple[int, int]]] = []
    log = project.root / "stage.log"
    with (
        log.open("w") as output,
        psutil.Popen(
            ["python", "-m", "pipelines.train", *arguments],
            cwd=project.root,
            env=project.environment(),
            stdout=output,
            stderr=output,
        ) as running,
    ):
        while running.poll() is None:
            samples.append((time.monotonic() - started, _used(running)))
            time.sleep(1)
    assert running.returncode == 0, log.read_text()[-2000:]
    table = project.latest_by_hand("train")
    assert len(table) == 2 * SEEDS
    assert set(table["status"]) <= {"finished", "diverged"}
    project.run("python", "-m", "lrcycles.cli", "sync")
    ids = _finished_runs(project)
    assert len(ids) == 2 * SEEDS
    assert set(table["run_id"].dropna()) <= ids
    end = samples[-1][0]
    early = [used for moment, used in samples if 0.2 * end < moment < 0.4 * end]
    late = [used for moment, used in samples if 0.7 * end < moment]
    training = table["train_seconds"].sum()
    faults.figure("trainings in one stage", len(table))
    faults.figure("seconds of the stage per training", end / len(table))
    faults.figure("seconds of training in each of these trainings", training / len(table))
    faults.figure("most memory (MB)", max(m for m, _ in early + late) / 1e6)
    faults.figure("runs that MLflow held when the stage ended", len(table["run_id"].dropna()))
    assert max(memory for memory, _ in late) < max(memory for memory, _ in early) + 300e6
    assert max(files for _, files in late) < max(files for _, files in early) + 50
