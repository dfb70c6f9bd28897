"""Makes the rows by which MLflow's tables hold the run of a cell, as MLflow's client would."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lrcycles.tracking import writers
from lrcycles.tracking.points import FinishedCell
from lrcycles.tracking.writers import TimedPoint, milliseconds

# By MLflow's names; a table comes after those that it refers to.
_TABLES = (
    "SqlDataset",
    "SqlRun",
    "SqlTag",
    "SqlParam",
    "SqlMetric",
    "SqlLatestMetric",
    "SqlLoggedModel",
    "SqlLoggedModelParam",
    "SqlLoggedModelMetric",
    "SqlInput",
    "SqlInputTag",
)


@dataclass
class Rows:
    """The rows of some cells, by table."""

    experiment_id: int
    artifacts: str  # the address of the experiment's artifacts
    dataset: str  # the id of the data set's row
    by_table: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {name: [] for name in _TABLES}
    )

    def insert(self, connection: Any) -> None:
        """Insert the rows into the database."""
        from mlflow.store.tracking.dbmodels import models

        for name, rows in self.by_table.items():
            if rows:
                connection.execute(getattr(models, name).__table__.insert(), rows)

    def _add(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        self.by_table[f"Sql{table}"] += rows

    def add_dataset(self, dataset: Any) -> None:
        """Add the data set of an `mlflow.entities.Dataset`."""
        row = {
            "dataset_uuid": self.dataset,
            "experiment_id": self.experiment_id,
            "name": dataset.name,
            "digest": dataset.digest,
            "dataset_source_type": dataset.source_type,
            "dataset_source": dataset.source,
            "dataset_schema": dataset.schema,
            "dataset_profile": dataset.profile,
        }
        self._add("Dataset", [row])

    def add_run(
        self, cell: FinishedCell, *, tags: Mapping[str, str], params: Mapping[str, str]
    ) -> dict[str, Any]:
        """Add the run of a cell with all its numbers; return its id and the place of its files."""
        run_id = uuid.uuid4().hex
        run = {
            "run_uuid": run_id,
            "name": cell.name,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": tags.get("mlflow.user", "unknown"),
            "status": "RUNNING",
            "start_time": milliseconds(cell.started),
            "end_time": None,
            "deleted_time": None,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": f"{self.artifacts}/{run_id}/artifacts",
            "experiment_id": self.experiment_id,
        }
        self._add("Run", [run])
        tags = {**tags, "mlflow.runName": cell.name}
        self._add("Tag", [{"key": k, "value": v, "run_uuid": run_id} for k, v in tags.items()])
        self._add("Param", [{"key": k, "value": v, "run_uuid": run_id} for k, v in params.items()])
        points = cell.timed(cell.points)
        self._add("Metric", [_metric(run_id, point) for point in points])
        latest = {p.key: p for p in sorted(points, key=lambda p: (p.step, p.time, p.value))}
        self._add("LatestMetric", [_metric(run_id, point) for point in latest.values()])
        tag = {"name": "mlflow.data.context", "value": "training"}
        edge = self._add_edge("DATASET", self.dataset, "RUN", run_id)
        self._add("InputTag", [{"input_uuid": edge, **tag}])
        return {"id": run_id, "artifacts": run["artifact_uri"], "ours": True}

    def add_network(
        self,
        cell: FinishedCell,
        run_id: str,
        *,
        name: str,
        params: Mapping[str, str],
        data: Mapping[str, Any],
    ) -> dict[str, str]:
        """Add the network of a cell with its scores; return its id and the place of its files."""
        from mlflow.entities import LoggedModelStatus

        model_id = f"m-{uuid.uuid4().hex}"
        own = {"model_id": model_id, "experiment_id": self.experiment_id}
        now = round(time.time() * 1000)
        model = {
            **own,
            "name": name,
            "artifact_location": f"{self.artifacts}/models/{model_id}/artifacts",
            "creation_timestamp_ms": now,
            "last_updated_timestamp_ms": now,
            "status": LoggedModelStatus.PENDING.to_int(),
            "lifecycle_stage": "active",
            "model_type": "keras",
            "source_run_id": run_id,
            "status_message": None,
        }
        self._add("LoggedModel", [model])
        listed = [{**own, "param_key": k, "param_value": v} for k, v in params.items()]
        self._add("LoggedModelParam", listed)
        data_name, digest = writers.dataset_names(data)
        judged = {"run_id": run_id, "dataset_name": data_name, "dataset_digest": digest}
        scores = [{**own, **judged, **_score(point)} for point in cell.timed(cell.scores)]
        self._add("LoggedModelMetric", scores)
        self._add_edge("RUN_OUTPUT", run_id, "MODEL_OUTPUT", model_id, step=cell.result.steps)
        return {"id": model_id, "artifacts": model["artifact_location"]}

    def _add_edge(self, kind: str, source: str, kind_of_end: str, end: str, step: int = 0) -> str:
        edge = uuid.uuid4().hex
        row = {"input_uuid": edge, "source_type": kind, "source_id": source, "step": step}
        self._add("Input", [{**row, "destination_type": kind_of_end, "destination_id": end}])
        return edge


def _metric(run_id: str, point: TimedPoint) -> dict[str, Any]:
    return {
        "key": point.key,
        "value": point.value,
        "timestamp": point.time,
        "step": point.step,
        "is_nan": False,
        "run_uuid": run_id,
    }


def _score(point: TimedPoint) -> dict[str, Any]:
    return {
        "metric_name": point.key,
        "metric_timestamp_ms": point.time,
        "metric_step": point.step,
        "metric_value": point.value,
        "dataset_uuid": None,
    }
