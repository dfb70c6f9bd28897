"""Makes the pages of MLflow that show the arms of a pipeline side by side.

MLflow keeps a saved view of an experiment as a tag of the experiment, and an address can name it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from lrcycles.tracking.writers import PIPELINE_RUNS

VIEW = "lrcycles-arms"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
EXPERIMENT_NOTE = """Does cycling the learning rate help? The runs form a tree of three levels:

- A **pipeline run** is one `dvc repro` or `dvc exp run`. Its description holds the answer.
- A **stage run** lies below it: `config`, `data`, `range_test`, `bounds`, `train@GROUP`, `report`.
- A **training** lies below its stage `train@GROUP`: one arm with one seed, and its network.

To see the arms of the latest pipeline side by side, choose its saved view at the top right. To see
all trainings of an arm, search for ``tags.`lrcycles.arm` = 'clr'``."""
# Without this, MLflow shows its pages for language models.
_MACHINE_LEARNING = {"workflowType": "machine_learning"}
_CHARTS = {"compareRunsMode": "CHART"}
_ORDER = {"orderByKey": "metrics.`test_error_percent`", "orderByAsc": True}
_COLUMNS = ("test_error_percent", "validation_error_percent", "train_seconds")
_SECTION = "lrcycles-arms"


def write_view(
    client: Any, experiment_id: str, pipeline_id: str, arms: Sequence[str], *, saved: int
) -> None:
    """Save the view of the arms of a pipeline; it replaces the view of an earlier pipeline.

    Args:
        saved: the time in milliseconds since the epoch.
    """
    view = {
        "name": "Arms of the latest pipeline",
        "createdAt": saved,
        "updatedAt": saved,
        "state": json.dumps(arms_view(pipeline_id, arms)),
    }
    client.set_experiment_tag(experiment_id, VIEW_TAG, json.dumps(view))


def arms_view(pipeline_id: str, arms: Sequence[str]) -> dict[str, Any]:
    """Describe the view in the words of MLflow's page: one row per arm, with means over seeds."""
    grouping = {"mode": "tag", "groupByData": "lrcycles.arm"}
    charts = [
        _chart("BAR", "test_error_percent"),
        _chart("LINE", "validation_error_percent"),
        _chart("LINE", "learning_rate"),
        _chart("LINE", "loss", scaleType="log"),
    ]
    section = {"uuid": _SECTION, "name": "Arms, means over the seeds", "display": True}
    section |= {"isReordered": True, "columns": 2, "cardHeight": 260}
    return {
        "searchFilter": cells_of(pipeline_id),
        **_ORDER,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": [f"metrics.`{name}`" for name in _COLUMNS],
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [grouping]},
        "groupsExpanded": {f"tag.lrcycles.arm.{arm}": False for arm in arms},
        "useGroupedValuesInCharts": True,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": [section],
        "isAccordionReordered": True,
    }


def _chart(kind: str, metric: str, **more: Any) -> dict[str, Any]:
    return {
        "uuid": f"lrcycles-{metric}",
        "type": kind,
        "metricKey": metric,
        "metricSectionId": _SECTION,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 10,
        "lineSmoothness": 0,  # MLflow would smooth the few points of a validation curve
        "useGlobalLineSmoothing": False,
        **more,
    }


def cells_of(pipeline_id: str) -> str:
    """Search the runs of a pipeline's cells, also of those that an earlier pipeline trained."""
    return f"tags.`{PIPELINE_RUNS}` LIKE '%{pipeline_id}%'"


def view_address(experiment_id: str) -> str:
    """Give the address of the saved view, below the address of the server."""
    query = {**_MACHINE_LEARNING, **_CHARTS, "viewStateShareKey": VIEW}
    return f"#/experiments/{experiment_id}/runs?{urlencode(query)}"


def cells_address(experiment_id: str, pipeline_id: str) -> str:
    """Give the address of the cells of any pipeline, sorted by their error."""
    query = {**_MACHINE_LEARNING, **_CHARTS, "searchFilter": cells_of(pipeline_id)}
    query |= {key: json.dumps(value).strip('"') for key, value in _ORDER.items()}
    return f"#/experiments/{experiment_id}/runs?{urlencode(query)}"


def run_address(experiment_id: str, run_id: str, artifact: str = "") -> str:
    """Give the address of a run, or of one of its artifacts."""
    tail = f"/artifacts/{artifact}" if artifact else ""
    return f"#/experiments/{experiment_id}/runs/{run_id}{tail}?{urlencode(_MACHINE_LEARNING)}"
