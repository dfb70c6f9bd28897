"""Writes parameters, points and data sets to MLflow through its client.

Every function raises what MLflow raises; runs.py decides what a failure means.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lrcycles.cells.result import CellResult
from lrcycles.tracking.points import Point

# MLflow's limits.
_PARAM_LENGTH = 6000
_PARAM_BATCH = 100
_METRIC_BATCH = 1000
_DIGEST_LENGTH = 36
_MOST_PIPELINES = 200  # in a tag of 8,000 characters
NOTE = "mlflow.note.content"  # tag of a run or an experiment: its description, in Markdown
PIPELINE_RUNS = "lrcycles.pipeline_runs"  # tag of a cell's run: the pipelines that use the cell
_NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]")  # such as the star in the pattern of a layer's name


def milliseconds(seconds: float) -> int:
    """Convert to MLflow's unit of time."""
    return round(seconds * 1000)


def write_params(client: Any, run_id: str, params: Mapping[str, Any]) -> None:
    """Write parameters, with names and values cut to what MLflow allows."""
    from mlflow.entities import Param

    entities = [
        Param(_NOT_IN_A_NAME.sub("_", key), str(value)[:_PARAM_LENGTH])
        for key, value in params.items()
    ]
    for first in range(0, len(entities), _PARAM_BATCH):
        client.log_batch(run_id, params=entities[first : first + _PARAM_BATCH], synchronous=True)


def write_points(
    client: Any,
    run_id: str,
    points: Sequence[Point],
    time_of: Callable[[int], float] | None = None,
    *,
    judged: Mapping[str, str] | None = None,
) -> None:
    """Write metrics.

    Args:
        time_of: gives a step's time in seconds since the epoch; by default it is now.
        judged: the fields of MLflow's Metric that name the model and the data set it was tried on.
    """
    from mlflow.entities import Metric

    now = time.time()
    entities = [
        Metric(key, value, milliseconds(time_of(step) if time_of else now), step, **(judged or {}))
        for key, value, step in points
    ]
    for first in range(0, len(entities), _METRIC_BATCH):
        client.log_batch(run_id, metrics=entities[first : first + _METRIC_BATCH], synchronous=True)


def dataset_names(data: Mapping[str, Any]) -> tuple[str, str]:
    """Give the name and the digest by which MLflow knows the data set of data.json."""
    return data["name"], data["digest"][:_DIGEST_LENGTH]


def write_dataset(client: Any, run_id: str, data: Mapping[str, Any]) -> None:
    """Log the data set that data.json describes; the arrays are not read."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, digest = dataset_names(data)
    dataset = Dataset(
        name=name,
        digest=digest,
        source_type=data["source"],
        source=json.dumps({"source": data["source"], "sha256": data["sha256"]}),
        profile=json.dumps(data["counts"]),
    )
    client.log_inputs(
        run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
    )


def find_cell(client: Any, experiment_id: str, cell: CellResult) -> str:
    """Find the id of the latest finished run of that cell for that arm, or ""."""
    tags = [f"tags.`lrcycles.{name}` = '{getattr(cell, name)}'" for name in ("key", "group", "arm")]
    query = " and ".join([*tags, "attributes.status = 'FINISHED'"])
    cells = client.search_runs([experiment_id], query, max_results=1)
    return str(cells[0].info.run_id) if cells else ""


def run_exists(client: Any, run_id: str) -> bool:
    """Return whether the store has the run and it is not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return False
        raise


def add_to_pipeline(client: Any, run_id: str, pipeline_id: str) -> bool:
    """Tag a cell's run as used by a pipeline; return False if the store lacks the run."""
    if not run_exists(client, run_id):
        return False
    users = client.get_run(run_id).data.tags.get(PIPELINE_RUNS, "").split()
    if pipeline_id not in users:
        latest = [*users, pipeline_id][-_MOST_PIPELINES:]
        client.set_tag(run_id, PIPELINE_RUNS, " ".join(latest))
    return True
