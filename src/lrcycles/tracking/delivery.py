"""Brings an MLflow store up to a stage's record, step by step.

Every step may be repeated: a run is searched before it is made again, and MLflow keeps equal
parameters, tags, points and files once. A step that is done is marked in the record.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from lrcycles.tracking import processes, views, writers
from lrcycles.tracking.addresses import masked
from lrcycles.tracking.calls import Calls, is_refusal
from lrcycles.tracking.cell_delivery import deliver_cell, used_cells, with_run_ids
from lrcycles.tracking.database.writing import write_cells
from lrcycles.tracking.records import Record
from lrcycles.tracking.store import TrackingStore, store_digest


class Delivery:
    """What brings one store up to one record."""

    def __init__(self, record: Record, store: TrackingStore, caller: Calls) -> None:
        self.record, self.store, self.caller = record, store, caller
        self.client = store.client
        self.digest = store_digest(store.uri)
        self.marks = record.marks(self.digest)

    def once(self, name: str, step: Callable[[int], Any], *, urgent: bool = False) -> Any:
        """Call a step unless it is marked as done; mark it with what it returned."""
        if name not in self.marks:
            value = self.caller.call(step, urgent=urgent)
            self.mark({name: True if value is None else value})
        return self.marks[name]

    def mark(self, steps: Mapping[str, Any]) -> None:
        """Mark steps as done, with what they returned."""
        self.record.mark(self.digest, steps)
        self.marks |= steps

    def write(self, name: str, run_id: str, **what: Any) -> None:
        """Write parameters, points and tags of a run; see `writers.batches`."""
        for number, batch in enumerate(writers.batches(**what)):
            self.once(f"{name} {number}", partial(self._log_batch, run_id, batch))

    def _log_batch(self, run_id: str, batch: Mapping[str, Any], _attempt: int) -> None:
        self.client.log_batch(run_id, synchronous=True, **batch)

    def upload(self, name: str, run: Mapping[str, Any], path: Path, folder: str = "") -> None:
        """Upload a file to the artifacts of a run or model."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        def log(_: int) -> None:
            files = get_artifact_repository(run["artifacts"], tracking_uri=self.store.uri)
            files.log_artifact(str(path), folder or None)

        self.once(name, log)

    @property
    def pipeline(self) -> dict[str, Any]:
        """The id and the experiment of the pipeline's run."""
        return dict(self.marks["pipeline"])

    @property
    def stage(self) -> dict[str, Any]:
        """The id of the stage's run and the place of its artifacts."""
        return dict(self.marks["stage"])

    def begin(self) -> None:
        """Find or make the runs of the pipeline and of the stage."""
        self.once("pipeline", self._enter_pipeline, urgent=True)
        self.once("stage", self._create_stage, urgent=True)

    def finish(self) -> None:
        """Write all that the record holds; the record of a stage that has ended is then deleted."""
        try:
            self._finish()
        except Exception as error:
            if not is_refusal(error) or not self.marks:
                raise
            # Somebody has deleted what the marks name: a run, or the whole store.
            self.record.forget_marks()
            self.marks = {}
            self._finish()

    def _finish(self) -> None:
        ended = self.record.ended  # the stage may go on meanwhile
        if self._is_withdrawn():
            return
        self.begin()
        run = self.record.content["run"]
        self.write("parameters", self.stage["id"], params=run["params"])
        self._write_samples()
        cells = list(self.record.content["cells"])
        write_cells(self, cells)
        self.caller.each([partial(deliver_cell, self, cell) for cell in cells])
        if ended:
            self._write_results()
            self.end()
            self.record.remove()

    def end(self) -> None:
        """End the stage's run, and the pipeline's run if no stage runs any more."""
        if self._is_withdrawn():
            return
        self.begin()
        run, stage_id = self.record.content["run"], self.stage["id"]
        self.once(
            f"status {run['status']}",
            lambda _: self.client.set_terminated(stage_id, run["status"], end_time=run["end"]),
            urgent=True,
        )
        if not self.pipeline["launched"]:
            self.once("pipeline status", self._end_pipeline, urgent=True)

    def _is_withdrawn(self) -> bool:
        """Leave no run of a stage that refused its input, unless its pipeline has other stages."""
        return bool(
            self.record.content["refused"]
            and self.caller.call(lambda _: self._withdraw(), urgent=True)
        )

    def _withdraw(self) -> bool:
        if "pipeline" in self.marks:
            stage = [self.stage["id"]] if "stage" in self.marks else []
            pipeline = self.pipeline
            below = self.client.search_runs(
                [pipeline["experiment"]], f"tags.`mlflow.parentRunId` = '{pipeline['id']}'"
            )
            if pipeline["launched"] or [run.info.run_id for run in below] != stage:
                return False
            for run_id in [*stage, pipeline["id"]]:
                self.client.set_terminated(run_id, "FAILED")  # for whoever restores it
                self.client.delete_run(run_id)
        self.record.remove()
        return True

    def cell_ids(self) -> dict[str, str]:
        """Name the runs of the record's cells that are in the store, by ARM/SEED."""
        cells = self.record.content["cells"]
        made = {f"{cell['arm']}/{cell['seed']}": f"{cell['name']} run" for cell in cells}
        return {place: self.marks[step]["id"] for place, step in made.items() if step in self.marks}

    def _enter_pipeline(self, _attempt: int) -> dict[str, Any]:
        """Find or create the pipeline's run, set it RUNNING, and give it the missing parameters."""
        wanted = self.record.content["pipeline"]
        with self.store.lock_of("pipeline " + wanted["key"]):
            run = self._launched(wanted["launched"])
            launched = run is not None
            if not launched:
                query = f"tags.`lrcycles.pipeline` = '{wanted['key']}'"
                found = self.client.search_runs([self.store.experiment_id], query, max_results=1)
                tags = {**wanted["tags"], **wanted["process"], "lrcycles.pipeline": wanted["key"]}
                run = found[0] if found else None
            if run is None:
                run = self.client.create_run(
                    self.store.experiment_id,
                    start_time=wanted.get("start", self.record.content["run"]["start"]),
                    tags=writers.clean_tags({**tags, writers.NOTE: wanted["first_note"]}),
                    run_name=wanted["name"],
                )
                tags = {}
            elif not launched and not self.record.ended:
                self.client.update_run(run.info.run_id, status="RUNNING")
                tags = wanted["process"]
            else:
                tags = {}
            known = run.data.params
            new = {k: v for k, v in self.record.content["run"]["params"].items() if k not in known}
            for batch in writers.batches(params=new, tags=tags):
                self.client.log_batch(run.info.run_id, synchronous=True, **batch)
        return {
            "id": run.info.run_id,
            "experiment": run.info.experiment_id,
            "artifacts": run.info.artifact_uri,
            "launched": launched,
        }

    def _launched(self, run_id: str | None) -> Any:
        """Get the run that `mlflow run` has made and ends; None without one."""
        if not run_id or writers.run_exists(self.client, run_id):
            return self.client.get_run(run_id) if run_id else None
        self.caller.say(
            f"MLFLOW_RUN_ID must name a run of {masked(self.store.uri)}. Received: {run_id!r}. The "
            "stage goes on with a run of its own. Outside of `mlflow run`, unset MLFLOW_RUN_ID and "
            "LRCYCLES_PIPELINE_RUN."
        )
        return None

    def _create_stage(self, attempt: int) -> dict[str, Any]:
        content, run = self.record.content, None
        experiment_id = self.pipeline["experiment"]  # the UI nests only runs of one experiment
        if attempt or not self.record.fresh:  # the answer to an earlier attempt may be lost
            query = f"tags.`{writers.RECORD}` = '{content['token']}' and "
            query += f"tags.`lrcycles.stage` = '{content['stage']}'"
            run = next(iter(self.client.search_runs([experiment_id], query, max_results=1)), None)
        if run is None:
            tags = content["run"]["tags"] | processes.process_tags(psutil.Process())
            run = self.client.create_run(
                experiment_id,
                start_time=content["run"]["start"],
                tags=writers.clean_tags(
                    {
                        **tags,
                        "lrcycles.stage": content["stage"],
                        "mlflow.parentRunId": self.pipeline["id"],
                        writers.RECORD: content["token"],
                    }
                ),
                run_name=content["stage"],
            )
        return {"id": run.info.run_id, "artifacts": run.info.artifact_uri}

    def _write_samples(self) -> None:
        """Log the samples of the use of the machine that are not logged yet."""
        for number, sample in enumerate(self.record.samples()):
            if f"sample {number} 0" not in self.marks:
                points = [
                    (key, value, number, sample["time"]) for key, value in sample["metrics"].items()
                ]
                self.write(f"sample {number}", self.stage["id"], points=points)

    def _write_results(self) -> None:
        """Write the results of a stage that has ended, and what it gives to its pipeline."""
        content, stage = self.record.content, self.stage
        if content["data"] and content["run"]["has_dataset"]:
            inputs = writers.dataset_inputs(content["data"])
            self.once("data set", lambda _: self.client.log_inputs(stage["id"], inputs))
        tags = writers.clean_tags(content["run"]["later_tags"])
        self.write("results", stage["id"], points=content["run"]["points"], tags=tags)
        self._upload_all("files", stage)
        given = content["pipeline"]
        self.write("of pipeline", self.pipeline["id"], points=given["points"], tags=self._notes())
        self._upload_all("pipeline", self.pipeline)
        self.caller.each(used_cells(self, content["used"]))
        if given["arms"] and content["run"]["end"] >= self.store.view_saved:
            write_view = partial(
                views.write_view,
                self.client,
                self.pipeline["experiment"],
                self.pipeline["id"],
                given["arms"],
                saved=content["run"]["end"],
            )
            self.once("view", lambda _: write_view())

    def _notes(self) -> dict[str, str]:
        """Describe the pipeline's run, with links to its report and trainings."""
        given, pipeline = self.record.content["pipeline"], self.pipeline
        if not given["note"]:
            return {}
        page = views.run_address(pipeline["experiment"], pipeline["id"], given["report"])
        cells = views.cells_address(pipeline["experiment"], pipeline["id"])
        links = f"[The whole report]({page}) · [All trainings of this pipeline]({cells})"
        return writers.clean_tags({writers.NOTE: f"{links}\n\n{given['note']}"})

    def _upload_all(self, top: str, run: Mapping[str, Any]) -> None:
        root = self.record.folder / top
        paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
        self.caller.each([partial(self._upload_one, top, run, root, path) for path in paths])

    def _upload_one(self, top: str, run: Mapping[str, Any], root: Path, path: Path) -> None:
        place = path.relative_to(root)
        folder = place.parent.as_posix().removeprefix(".")
        with tempfile.TemporaryDirectory() as temporary:
            if place.as_posix() == "cells.csv":
                path = Path(temporary) / "cells.csv"
                path.write_text(with_run_ids((root / place).read_text(), self.cell_ids()))
            self.upload(f"{top} {place}", run, path, folder)

    def _end_pipeline(self, _attempt: int) -> None:
        pipeline = self.pipeline
        with self.store.lock_of("pipeline " + self.record.content["pipeline"]["key"]):
            stage_runs = self.client.search_runs(
                [pipeline["experiment"]],
                f"tags.`mlflow.parentRunId` = '{pipeline['id']}'",
                order_by=["attributes.start_time DESC"],
            )
            status = processes.pipeline_status(stage_runs)
            if status != "RUNNING":
                ended = max(run.info.end_time or 0 for run in stage_runs)
                self.client.set_terminated(pipeline["id"], status, end_time=ended)
