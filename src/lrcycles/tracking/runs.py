"""Mirrors stages and cells to MLflow; results stay in files, so losing MLflow loses nothing.

The run of a pipeline is the parent of one run per stage. The run of a stage is the parent of one
run per cell.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil
from filelock import FileLock

from lrcycles.errors import InputError
from lrcycles.tracking import processes, writers
from lrcycles.tracking.points import FinishedCell, finite_points, read_cell
from lrcycles.tracking.store import (
    LOCK_SECONDS,
    SETTINGS,
    TrackingStore,
    environment,
    open_store,
    reason,
    usable_store,
    without_password,
)

_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextmanager
def start(
    stage: str,
    *,
    root: Path,
    config: Mapping[str, Any],
    experiment: str,
) -> Iterator[StageRun]:
    """Open the stage's run below its pipeline's run, and end both when the block ends.

    Args:
        stage: the run's name, such as train@clr.
        root: the project's folder, which holds the default store and the lock.
        config: flat; the parameters of the stage's run. The pipeline's run gets those it lacks.
        experiment: name of the file under conf/experiment.

    Raises:
        InputError: the store that MLFLOW_TRACKING_URI names cannot be used.
    """
    # MLflow would take the run of `mlflow run` for the first run that starts here.
    launched = os.environ.get("MLFLOW_RUN_ID") or os.environ.get("LRCYCLES_PIPELINE_RUN")
    store = open_store(root)
    with environment({**SETTINGS, "MLFLOW_RUN_ID": None}):
        common = {"lrcycles.experiment": experiment, **processes.origin_tags()}
        with usable_store(store.uri), FileLock(store.lock, timeout=LOCK_SECONDS):
            if launched:
                pipeline = _launched_run(store, launched)
            else:
                pipeline = _enter_pipeline(store, root, common)
            _end_the_dead(store.client, {store.experiment_id, pipeline.info.experiment_id})
            new = {key: config[key] for key in config if key not in pipeline.data.params}
            writers.write_params(store.client, pipeline.info.run_id, new)
            run_id = _create_stage_run(store, pipeline, stage, common)
            writers.write_params(store.client, run_id, config)
        run = StageRun(store, run_id, pipeline, common, ends_pipeline=not launched)
        try:
            yield run
        except BaseException as error:
            run.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        run.end("FINISHED")


def _launched_run(store: TrackingStore, run_id: str) -> Any:
    """Get the run that `mlflow run` has made; `mlflow run` also ends it."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_run(run_id)
    except MlflowException as error:
        raise InputError(
            f"MLFLOW_RUN_ID must name a run of {without_password(store.uri)}. "
            f"Received: {run_id!r}. Outside of `mlflow run`, unset MLFLOW_RUN_ID and "
            "LRCYCLES_PIPELINE_RUN."
        ) from error


def _enter_pipeline(store: TrackingStore, root: Path, tags: Mapping[str, str]) -> Any:
    """Find or create the pipeline's run, and set it RUNNING."""
    client, owner = store.client, processes.pipeline_owner()
    key = processes.pipeline_key(owner, root)
    pipelines = client.search_runs(
        [store.experiment_id], f"tags.`lrcycles.pipeline` = '{key}'", max_results=1
    )
    if not pipelines:
        return client.create_run(
            store.experiment_id,
            tags={**tags, **processes.process_tags(owner), "lrcycles.pipeline": key},
            run_name=tags["lrcycles.dvc_exp_name"] or tags["lrcycles.experiment"],
        )
    pipeline_id = pipelines[0].info.run_id
    for name, value in processes.process_tags(owner).items():
        client.set_tag(pipeline_id, name, value)
    client.update_run(pipeline_id, status="RUNNING")
    return pipelines[0]


def _end_the_dead(client: Any, experiment_ids: set[str]) -> None:
    """Set runs to KILLED whose process on this host has ended without ending them."""
    running = f"attributes.status = 'RUNNING' and tags.`lrcycles.host` = '{platform.node()}'"
    for run in client.search_runs(sorted(experiment_ids), running):
        if not processes.is_alive(run.data.tags):
            client.set_terminated(run.info.run_id, "KILLED")


def _create_stage_run(
    store: TrackingStore, pipeline: Any, stage: str, tags: Mapping[str, str]
) -> str:
    created = store.client.create_run(
        pipeline.info.experiment_id,  # the UI nests only runs of one experiment
        tags={
            **tags,
            **processes.process_tags(psutil.Process()),
            "lrcycles.stage": stage,
            "mlflow.parentRunId": pipeline.info.run_id,
        },
        run_name=stage,
    )
    return str(created.info.run_id)


@dataclass
class StageRun:
    """A stage's run in MLflow.

    Every method writes to MLflow until MLflow fails. The first failure prints one line, and later
    calls do nothing: the results are in files.
    """

    store: TrackingStore
    run_id: str
    pipeline: Any
    common_tags: Mapping[str, str]  # the runs of the cells get them too
    ends_pipeline: bool
    lost: bool = False

    def log_metrics(self, metrics: Mapping[str, float | None], *, step: int = 0) -> None:
        """Log numbers; None, infinity and NaN are left out."""
        points = finite_points(metrics, step=step)
        self._mirror(writers.write_points, self.store.client, self.run_id, points)

    def log_artifacts(self, path: Path, *, folder: str | None = None) -> None:
        """Log a file, or the content of a folder."""
        if not path.exists():  # the caller's mistake, not a failure of MLflow
            raise FileNotFoundError(path)
        client = self.store.client
        log = client.log_artifacts if path.is_dir() else client.log_artifact
        self._mirror(log, self.run_id, str(path), folder)

    def log_dataset(self, data: Mapping[str, Any]) -> None:
        """Log the data set that data.json describes as the run's input."""
        self._mirror(writers.write_dataset, self.store.client, self.run_id, data)

    def has_run(self, run_id: str) -> bool:
        """Return whether the store has that run; True if MLflow is lost."""
        return bool(run_id) and self._mirror(writers.run_exists, self.store.client, run_id) in (
            True,
            None,
        )

    def find_cell(self, key: str) -> str:
        """Find the run of a cell in the store; "" if there is none or MLflow is lost."""
        experiment_id = self.pipeline.info.experiment_id
        return self._mirror(writers.find_cell, self.store.client, experiment_id, key) or ""

    def log_cell(
        self, folder: Path, *, params: Mapping[str, Any], data: Mapping[str, Any], model: bool
    ) -> str:
        """Make a finished run of a cell's files, below the stage's run.

        Args:
            folder: holds result.json, steps.parquet and, if `model`, model.keras.
            params: flat; group, arm and seed are added.
            data: the content of data.json.
            model: log the network as well.

        Returns:
            The run's id, or "" if MLflow is lost.
        """
        cell = read_cell(folder)
        if model and not (folder / "model.keras").exists():
            raise FileNotFoundError(folder / "model.keras")
        return self._mirror(self._write_cell, cell, params, data, model) or ""

    def _write_cell(
        self, cell: FinishedCell, params: Mapping[str, Any], data: Mapping[str, Any], model: bool
    ) -> str:
        client, experiment_id = self.store.client, self.pipeline.info.experiment_id
        created = client.create_run(
            experiment_id,
            start_time=writers.milliseconds(cell.started),
            tags={
                **self.common_tags,
                **processes.process_tags(psutil.Process()),
                **cell.tags,
                "mlflow.parentRunId": self.run_id,
            },
            run_name=cell.name,
        )
        run_id = str(created.info.run_id)
        own = {name: getattr(cell.result, name) for name in ("group", "arm", "seed")}
        writers.write_params(client, run_id, {**params, **own})
        writers.write_points(client, run_id, cell.points, cell.time_of)
        writers.write_dataset(client, run_id, data)
        for name in ("result.json", "steps.parquet"):
            client.log_artifact(run_id, str(cell.folder / name))
        if model:
            writers.write_model(client, experiment_id, run_id, cell, data)
        ended = writers.milliseconds(cell.ended)
        client.set_terminated(run_id, "FINISHED", end_time=ended)
        return run_id

    def end(self, status: str) -> None:
        """End the stage's run, and the pipeline's run if no stage runs any more.

        This is tried even after MLflow was lost: a server that came back must not show the run as
        still running.
        """
        try:
            self._write_end(status)
        except _mlflow_failures() as error:
            self._lose(error)

    def _write_end(self, status: str) -> None:
        client = self.store.client
        client.set_terminated(self.run_id, status)
        if not self.ends_pipeline:
            return
        pipeline = self.pipeline.info
        with FileLock(self.store.lock, timeout=LOCK_SECONDS):
            stage_runs = client.search_runs(
                [pipeline.experiment_id],
                f"tags.`mlflow.parentRunId` = '{pipeline.run_id}'",
                order_by=["attributes.start_time DESC"],
            )
            whole = processes.pipeline_status(stage_runs)
            if whole != "RUNNING":
                client.set_terminated(pipeline.run_id, whole)

    def _mirror(self, write: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        """Call `write`; do nothing and return None if MLflow is lost."""
        if self.lost:
            return None
        try:
            return write(*args, **kwargs)
        except _mlflow_failures() as error:
            self._lose(error)
            return None

    def _lose(self, error: BaseException) -> None:
        if not self.lost:
            uri = self.store.uri
            print(
                f"MLflow at {without_password(uri)} does not answer any more "
                f"({reason(error, uri)}). The results are safe in files. Run `lrcycles sync` later "
                "to mirror them to MLflow.",
                file=sys.stderr,
                flush=True,
            )
        self.lost = True


def _mlflow_failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of a store that fails; any other one is a bug and not caught."""
    from mlflow.exceptions import MlflowException

    return (MlflowException, OSError)  # the errors of requests are OSErrors
