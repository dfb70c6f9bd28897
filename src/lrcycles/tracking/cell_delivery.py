"""Gives a cell its run in MLflow; two stages that train the same cell give it one."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import psutil

from lrcycles.tracking import processes, writers
from lrcycles.tracking.networks import models
from lrcycles.tracking.points import FinishedCell, read_cell
from lrcycles.tracking.writers import milliseconds

if TYPE_CHECKING:
    from lrcycles.tracking.delivery import Delivery

Step = Callable[[], Any]


def deliver_cell(delivery: Delivery, wanted: Mapping[str, Any]) -> None:
    """Write a cell's run with MLflow's client, unless the store has it from elsewhere."""
    name, client = wanted["name"], delivery.client
    known = delivery.marks.get(f"{name} run", {"ours": True})
    if f"{name} end" in delivery.marks or not known["ours"]:
        return
    cell = read_cell(delivery.record.folder / "cells" / name)
    run = delivery.once(f"{name} run", partial(_claim, delivery, wanted, cell))
    if not run["ours"]:
        return
    run_id, data = run["id"], delivery.record.content["data"]
    # Scores name the network that they judge, which must be there first.
    first = [p for p in cell.points if not (wanted["network"] and p in cell.scores)]
    delivery.write(f"{name} values", run_id, params=wanted["params"], points=cell.timed(first))
    inputs = writers.dataset_inputs(data)
    delivery.once(f"{name} data set", lambda _: client.log_inputs(run_id, inputs))
    if wanted["network"]:
        delivery.once(f"{name} model", partial(_create_model, delivery, wanted, cell, run))
    deliver_files(delivery, wanted, cell)
    if wanted["network"]:
        judged = _end_model(delivery, name, cell)
        delivery.write(f"{name} scores", run_id, points=cell.timed(cell.scores), judged=judged)
    ended = milliseconds(cell.ended)
    delivery.once(f"{name} end", lambda _: client.set_terminated(run_id, end_time=ended))


def run_tags(delivery: Delivery, cell: FinishedCell, users: Sequence[str]) -> dict[str, str]:
    """Make the tags of a cell's run; `users` are the pipelines that use the cell."""
    return writers.clean_tags(
        {
            **delivery.record.content["run"]["tags"],
            **processes.process_tags(psutil.Process()),
            **cell.tags,
            "mlflow.parentRunId": delivery.stage["id"],
            writers.PIPELINE_RUNS: " ".join(dict.fromkeys(users)),
            writers.RECORD: delivery.record.content["token"],
        }
    )


def _claim(
    delivery: Delivery, wanted: Mapping[str, Any], cell: FinishedCell, _attempt: int
) -> dict[str, Any]:
    """Find or create the cell's run, and count it among those of the pipeline.

    Returns:
        The run's id, the place of its artifacts, and whether this record writes the run.
    """
    client, content, pipeline = delivery.client, delivery.record.content, delivery.pipeline
    query = writers.cell_query(*(wanted[name] for name in ("key", "group", "arm")))
    users = [pipeline["id"]]
    # Two pipelines may train or reuse one cell at once.
    with delivery.store.lock_of(query):
        for run in client.search_runs([pipeline["experiment"]], query, max_results=20):
            ours = run.data.tags.get(writers.RECORD) == content["token"]
            if run.info.status != "FINISHED" and not ours and not processes.is_written(run):
                client.delete_run(run.info.run_id)  # half-written: its process has ended
                users = [*run.data.tags.get(writers.PIPELINE_RUNS, "").split(), *users]
                continue
            writers.add_to_pipeline(client, run, pipeline["id"])
            ours = ours and run.info.status != "FINISHED"
            return {"id": run.info.run_id, "artifacts": run.info.artifact_uri, "ours": ours}
        run = client.create_run(
            pipeline["experiment"],
            start_time=milliseconds(cell.started),
            tags=run_tags(delivery, cell, users),
            run_name=cell.name,
        )
    return {"id": run.info.run_id, "artifacts": run.info.artifact_uri, "ours": True}


def deliver_files(delivery: Delivery, wanted: Mapping[str, Any], cell: FinishedCell) -> None:
    """Upload the files of a cell, and its network as a model."""
    name, run = wanted["name"], delivery.marks[f"{wanted['name']} run"]
    correct = sorted(path.name for path in cell.folder.glob("correct*.npy"))
    for file in ("result.json", "steps.parquet", *correct):
        delivery.upload(f"{name} {file}", run, cell.folder / file)
    if not wanted["network"]:
        return
    model = delivery.marks[f"{name} model"]
    lay_out = partial(
        models.lay_out,
        cell=cell,
        data=delivery.record.content["data"],
        model_id=model["id"],
        location=model["artifacts"],
        run_id=run["id"],
        example=np.load(delivery.record.folder / "examples.npy"),
    )
    if (place := _local_folder(model["artifacts"])) is not None:
        delivery.once(f"{name} model files", lambda _: lay_out(place))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay_out(folder)
        steps: list[Step] = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            inner = path.relative_to(folder)
            above = inner.parent.as_posix().removeprefix(".")
            steps.append(partial(delivery.upload, f"{name} model {inner}", model, path, above))
        delivery.caller.each(steps)


def _local_folder(artifacts: str) -> Path | None:
    """Find the folder of artifacts; None if they are not on this machine."""
    parts = urlsplit(artifacts)
    if parts.scheme not in ("", "file") or parts.netloc or parts.query or parts.fragment:
        return None
    return Path(unquote(parts.path))


def _end_model(delivery: Delivery, name: str, cell: FinishedCell) -> dict[str, str]:
    """Make a model ready, and an output of the cell's run.

    Returns:
        The fields by which a metric names the model and the data set.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    client, data = delivery.client, delivery.record.content["data"]
    run_id, model_id = delivery.marks[f"{name} run"]["id"], delivery.marks[f"{name} model"]["id"]
    output = LoggedModelOutput(model_id, step=cell.result.steps)

    def finalize(_: int) -> None:
        client.finalize_logged_model(model_id, LoggedModelStatus.READY)

    def log_output(attempt: int) -> None:
        repeated = attempt or not delivery.record.fresh
        if not (repeated and client.get_run(run_id).outputs.model_outputs):
            client.log_outputs(run_id, [output])

    delivery.once(f"{name} ready", finalize)
    delivery.once(f"{name} output", log_output)
    data_name, digest = writers.dataset_names(data)
    return {"model_id": model_id, "dataset_name": data_name, "dataset_digest": digest}


def _create_model(
    delivery: Delivery,
    wanted: Mapping[str, Any],
    cell: FinishedCell,
    run: Mapping[str, Any],
    attempt: int,
) -> dict[str, str]:
    client, experiment_id = delivery.client, delivery.pipeline["experiment"]
    found = None
    if attempt or not delivery.record.fresh:  # the answer to an earlier attempt may be lost
        query = f"source_run_id = '{run['id']}'"
        found = next(iter(client.search_logged_models([experiment_id], query)), None)
    if found is None:
        found = client.create_logged_model(
            experiment_id,
            name=models.model_name(cell.result),
            source_run_id=run["id"],
            params=wanted["params"],
            model_type="keras",
        )
    return {"id": found.model_id, "artifacts": found.artifact_location}


def used_cells(delivery: Delivery, used: Sequence[Mapping[str, str]]) -> list[Step]:
    """Give the steps that count cells of earlier pipelines among those of this one."""
    if not used:
        return []
    client, pipeline = delivery.client, delivery.pipeline
    query = f"tags.`{writers.PIPELINE_RUNS}` LIKE '%{pipeline['id']}%'"
    search = partial(client.search_runs, [pipeline["experiment"]], query, max_results=1000)
    counted = {
        tuple(run.data.tags.get(f"lrcycles.{name}") for name in ("key", "group", "arm"))
        for run in delivery.caller.call(lambda _: search())
    }
    missing = [cell for cell in used if (cell["key"], cell["group"], cell["arm"]) not in counted]
    return [partial(_count, delivery, cell) for cell in missing]


def _count(delivery: Delivery, cell: Mapping[str, str]) -> None:
    query = writers.cell_query(cell["key"], cell["group"], cell["arm"])
    pipeline = delivery.pipeline

    def add(_: int) -> None:
        with delivery.store.lock_of(query):
            for run in delivery.client.search_runs([pipeline["experiment"]], query, max_results=1):
                writers.add_to_pipeline(delivery.client, run, pipeline["id"])

    delivery.once(f"used {query}", add)


def with_run_ids(table: str, run_ids: Mapping[str, str]) -> str:
    """Fill in the ids of the cells' runs in a cells.csv; `run_ids` are by ARM/SEED."""
    reader = csv.DictReader(io.StringIO(table))
    filled = io.StringIO()
    writer = csv.DictWriter(filled, reader.fieldnames or [], lineterminator="\n")
    writer.writeheader()
    for row in reader:
        run_id = run_ids.get(f"{row['arm']}/{row['seed']}", "")
        writer.writerow({**row, "run_id": run_id} if "run_id" in row else row)
    return filled.getvalue()
