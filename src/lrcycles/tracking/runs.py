"""Mirrors stages and cells to MLflow; results stay in files, so losing MLflow loses nothing.

The run of a pipeline is the parent of one run per stage. The run of a stage is the parent of one
run per cell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil
from filelock import FileLock

from lrcycles.cells.result import CellResult
from lrcycles.tracking import models, processes, system, tree, views, writers
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

_MEASURED = ("range_test", "train")  # stages that use the machine for long
_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextmanager
def start(
    stage: str,
    *,
    root: Path,
    config: Mapping[str, Any],
    experiment: str,
    pipeline_key: str | None = None,
) -> Iterator[StageRun]:
    """Open the stage's run below its pipeline's run, and end both when the block ends.

    Args:
        stage: the run's name, such as train@clr.
        root: the project's folder, which holds the default store and the lock.
        config: flat; the parameters of the stage's run. The pipeline's run gets those it lacks.
        experiment: name of the file under conf/experiment.
        pipeline_key: names the pipeline's run; by default it follows from the process.

    Raises:
        InputError: the store that MLFLOW_TRACKING_URI names cannot be used.
    """
    system.prepare()
    # MLflow would take the run of `mlflow run` for the first run that starts here.
    launched = os.environ.get("MLFLOW_RUN_ID") or os.environ.get("LRCYCLES_PIPELINE_RUN")
    store = open_store(root)
    with environment({**SETTINGS, "MLFLOW_RUN_ID": None}):
        common = {"lrcycles.experiment": experiment, **processes.origin_tags()}
        with usable_store(store.uri), FileLock(store.lock, timeout=LOCK_SECONDS):
            if launched:
                pipeline = tree.launched_run(store, launched)
            else:
                pipeline = tree.enter_pipeline(store, root, stage, common, pipeline_key)
            tree.end_the_dead(store.client, {store.experiment_id, pipeline.info.experiment_id})
            new = {key: config[key] for key in config if key not in pipeline.data.params}
            writers.write_params(store.client, pipeline.info.run_id, new)
            run_id = tree.create_stage_run(store, pipeline, stage, common)
            writers.write_params(store.client, run_id, config)
        run = StageRun(store, run_id, pipeline, common, ends_pipeline=not launched)
        if stage.partition("@")[0] in _MEASURED:
            run.monitor()
        try:
            yield run
        except BaseException as error:
            run.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        run.end("FINISHED")


def finished_stages(root: Path, pipeline_key: str) -> set[str]:
    """Name the stages that have a finished run below the pipeline's run.

    Raises:
        InputError: the store that MLFLOW_TRACKING_URI names cannot be used.
    """
    store = open_store(root)
    with environment(SETTINGS), usable_store(store.uri):
        return tree.finished_stages(store, pipeline_key)


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
    refused: bool = False  # the user's input was wrong, and no work was done
    _monitor: Any = None

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

    def describe(self, text: str) -> None:
        """Describe the stage's run in Markdown, with the command that repeats it."""
        self._mirror(self._write_note, self.run_id, text)

    def describe_pipeline(self, text: str, metrics: Mapping[str, float], report: Path) -> None:
        """Give the pipeline's run the answer, its headline metrics and the report."""
        client, pipeline = self.store.client, self.pipeline.info
        page = views.run_address(pipeline.experiment_id, pipeline.run_id, report.name)
        cells = views.cells_address(pipeline.experiment_id, pipeline.run_id)
        links = f"[The whole report]({page}) · [All trainings of this pipeline]({cells})"
        self._mirror(self._write_note, pipeline.run_id, f"{links}\n\n{text}")
        points = finite_points(metrics, step=0)
        self._mirror(writers.write_points, client, pipeline.run_id, points)
        self._mirror(client.log_artifact, pipeline.run_id, str(report))

    def _write_note(self, run_id: str, text: str) -> None:
        commit = self.common_tags.get("mlflow.source.git.commit")
        lines = [f"git checkout {commit}"] if commit else []
        again = "\n".join(["```", *lines, processes.command(), "```"])
        self.store.client.set_tag(run_id, writers.NOTE, f"{text}\n\nTo repeat it:\n\n{again}")

    def show_arms(self, arms: Sequence[str]) -> None:
        """Save the view that shows the arms of this pipeline side by side."""
        pipeline = self.pipeline.info
        self._mirror(
            views.write_view, self.store.client, pipeline.experiment_id, pipeline.run_id, arms
        )

    def monitor(self) -> None:
        """Log CPU, memory and GPU until the stage ends."""
        self._monitor = self._mirror(system.start_monitor, self.store.uri, self.run_id)

    def add_cell(self, run_id: str) -> bool:
        """Count an earlier run of a cell among those of this pipeline.

        Returns:
            Whether the store has that run; True if MLflow is lost.
        """
        return bool(run_id) and self._mirror(self._add_cell, run_id) in (True, None)

    def _add_cell(self, run_id: str) -> bool:
        # Two pipelines may reuse one cell at once.
        with FileLock(self.store.lock, timeout=LOCK_SECONDS):
            return writers.add_to_pipeline(self.store.client, run_id, self.pipeline.info.run_id)

    def find_cell(self, cell: CellResult) -> str:
        """Find the run of a cell in the store; "" if there is none or MLflow is lost."""
        experiment_id = self.pipeline.info.experiment_id
        return self._mirror(writers.find_cell, self.store.client, experiment_id, cell) or ""

    def log_cell(
        self,
        folder: Path,
        *,
        params: Mapping[str, Any],
        data: Mapping[str, Any],
        test_images: Path | None = None,
    ) -> str:
        """Make a finished run of a cell's files, below the stage's run.

        Args:
            folder: holds result.json, steps.parquet and, for `test_images`, model.keras.
            params: flat; group, arm and seed are added.
            data: the content of data.json.
            test_images: the file of the test set's pixels; with it the network is logged as well.

        Returns:
            The run's id, or "" if MLflow is lost.
        """
        cell = read_cell(folder)
        if test_images and not (folder / "model.keras").exists():
            raise FileNotFoundError(folder / "model.keras")
        own = {name: getattr(cell.result, name) for name in ("group", "arm", "seed")}
        return self._mirror(self._write_cell, cell, {**params, **own}, data, test_images) or ""

    def _write_cell(
        self,
        cell: FinishedCell,
        params: Mapping[str, Any],
        data: Mapping[str, Any],
        test_images: Path | None,
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
                writers.PIPELINE_RUNS: self.pipeline.info.run_id,
            },
            run_name=cell.name,
        )
        run_id, judged = str(created.info.run_id), None
        writers.write_params(client, run_id, params)
        writers.write_dataset(client, run_id, data)
        for name in ("result.json", "steps.parquet"):
            client.log_artifact(run_id, str(cell.folder / name))
        if test_images:
            judged = models.log_model(client, created.info, cell, params, data, test_images)
        others = [point for point in cell.points if point not in cell.scores]
        writers.write_points(client, run_id, others, cell.time_of)
        writers.write_points(client, run_id, cell.scores, cell.time_of, judged=judged)
        ended = writers.milliseconds(cell.ended)
        client.set_terminated(run_id, "FINISHED", end_time=ended)
        return run_id

    def end(self, status: str) -> None:
        """End the stage's run, and the pipeline's run if no stage runs any more.

        This is tried even after MLflow was lost: a server that came back must not show the run as
        still running.
        """
        if self._monitor:
            self._monitor.finish()
        try:
            self._write_end(status)
        except _mlflow_failures() as error:
            self._lose(error)

    def _write_end(self, status: str) -> None:
        client = self.store.client
        alone = self.refused and self.ends_pipeline
        if alone and tree.withdraw(self.store, self.pipeline, self.run_id):
            return
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
