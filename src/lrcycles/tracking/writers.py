"""Puts what a run shall hold into the forms and limits of MLflow's client.

Every function raises what MLflow raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from lrcycles.tracking.addresses import masked_text

# MLflow's limits.
_PARAM_LENGTH = 6000
_TAG_LENGTH = 8000
_PARAM_BATCH = 90  # and as many tags; the rest of a batch of 1,000 are metrics
_METRIC_BATCH = 800
_DIGEST_LENGTH = 36
_MOST_PIPELINES = 200  # in a tag of 8,000 characters
NOTE = "mlflow.note.content"  # tag of a run or an experiment: its description, in Markdown
PIPELINE_RUNS = "lrcycles.pipeline_runs"  # tag of a cell's run: the pipelines that use the cell
RECORD = "lrcycles.record"  # tag of a run: the record that it is written from
RESULTS = "lrcycles.results"  # tag of a stage's run: the digest of the stage's results
_NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]")  # such as the star in the pattern of a layer's name


class TimedPoint(NamedTuple):
    """A value of a metric, with its time in milliseconds since the epoch."""

    key: str
    value: float
    step: int
    time: int


def milliseconds(seconds: float) -> int:
    """Convert to MLflow's unit of time."""
    return round(seconds * 1000)


def clean_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Make names and values that MLflow allows, without passwords."""
    return {
        _NOT_IN_A_NAME.sub("_", key): masked_text(str(value))[:_PARAM_LENGTH]
        for key, value in params.items()
    }


def clean_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Cut tags to what MLflow allows, and hide passwords."""
    return {key: masked_text(value)[:_TAG_LENGTH] for key, value in tags.items()}


def batches(
    *,
    params: Mapping[str, str] | None = None,
    points: Sequence[Sequence[Any]] = (),
    tags: Mapping[str, str] | None = None,
    judged: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Give the arguments for as few calls of `client.log_batch` as MLflow allows.

    MLflow keeps a point once, so the same call may be repeated.

    Args:
        points: the fields of `TimedPoint`.
        judged: the fields of MLflow's Metric that name the model and the data set it was tried on.
    """
    from mlflow.entities import Metric, Param, RunTag

    metrics = [
        Metric(key, value, time, step, **(judged or {})) for key, value, step, time in points
    ]
    parts = (
        _parts([Param(key, value) for key, value in (params or {}).items()], _PARAM_BATCH),
        _parts([RunTag(key, value) for key, value in (tags or {}).items()], _PARAM_BATCH),
        _parts(metrics, _METRIC_BATCH),
    )
    empty: list[Any] = []
    for part in zip_longest(*parts, fillvalue=empty):
        yield dict(zip(("params", "tags", "metrics"), part, strict=True))


def _parts(entities: list[Any], length: int) -> list[list[Any]]:
    return [entities[first : first + length] for first in range(0, len(entities), length)]


def dataset_names(data: Mapping[str, Any]) -> tuple[str, str]:
    """Give the name and the digest by which MLflow knows the data set of data.json."""
    return data["name"], data["digest"][:_DIGEST_LENGTH]


def dataset_inputs(data: Mapping[str, Any]) -> list[Any]:
    """Describe the data set of data.json as the input of a run; the arrays are not read."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, digest = dataset_names(data)
    dataset = Dataset(
        name=name,
        digest=digest,
        source_type=data["source"],
        source=masked_text(json.dumps({"source": data["source"], "sha256": data["sha256"]})),
        profile=json.dumps(data["counts"]),
    )
    return [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]


def cell_query(key: str, group: str, arm: str) -> str:
    """Search the runs of a cell for that arm."""
    tags = {"key": key, "group": group, "arm": arm}
    return " and ".join(f"tags.`lrcycles.{name}` = '{value}'" for name, value in tags.items())


def run_exists(client: Any, run_id: str) -> bool:
    """Return whether the store has the run and it is not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return False
        raise


def add_to_pipeline(client: Any, run: Any, pipeline_id: str) -> None:
    """Tag a cell's run as used by a pipeline."""
    users = run.data.tags.get(PIPELINE_RUNS, "").split()
    if pipeline_id not in users:
        latest = [*users, pipeline_id][-_MOST_PIPELINES:]
        client.set_tag(run.info.run_id, PIPELINE_RUNS, " ".join(latest))
