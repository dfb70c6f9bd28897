"""Writes parameters, points, data sets and networks to MLflow through its client.

Every function raises what MLflow raises; runs.py decides what a failure means.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrcycles.tracking.points import FinishedCell, Point

# MLflow's limits.
_PARAM_LENGTH = 6000
_PARAM_BATCH = 100
_METRIC_BATCH = 1000
_DIGEST_LENGTH = 36
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
) -> None:
    """Write metrics.

    Args:
        time_of: gives a step's time in seconds since the epoch; by default it is now.
    """
    from mlflow.entities import Metric

    now = time.time()
    entities = [
        Metric(key, value, milliseconds(time_of(step) if time_of else now), step)
        for key, value, step in points
    ]
    for first in range(0, len(entities), _METRIC_BATCH):
        client.log_batch(run_id, metrics=entities[first : first + _METRIC_BATCH], synchronous=True)


def write_dataset(client: Any, run_id: str, data: Mapping[str, Any]) -> None:
    """Log the data set that data.json describes; the arrays are not read."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=data["name"],
        digest=data["digest"][:_DIGEST_LENGTH],
        source_type=data["source"],
        source=json.dumps({"source": data["source"], "sha256": data["sha256"]}),
        profile=json.dumps(data["counts"]),
    )
    client.log_inputs(
        run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
    )


def write_model(
    client: Any, experiment_id: str, run_id: str, cell: FinishedCell, data: Mapping[str, Any]
) -> None:
    """Log the cell's network as an MLflow model, which `mlflow.pyfunc` can load."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    model = client.create_logged_model(experiment_id, name="model", source_run_id=run_id)
    with tempfile.TemporaryDirectory() as folder:
        _lay_out_model(Path(folder), model, run_id, cell, data)
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=cell.result.steps)])


def _lay_out_model(
    folder: Path, model: Any, run_id: str, cell: FinishedCell, data: Mapping[str, Any]
) -> None:
    """Write the folder that `mlflow.keras.save_model` would, from the file that training saved.

    `mlflow.keras` itself would import TensorFlow, load the network and save it again.
    """
    import mlflow
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    single = np.dtype("float32")
    described = Model(
        artifact_path=model.artifact_location,
        run_id=run_id,
        model_id=model.model_id,
        signature=ModelSignature(
            inputs=Schema([TensorSpec(single, (-1, *data["image_shape"]))]),
            outputs=Schema([TensorSpec(single, (-1, len(data["classes"])))]),
        ),
    )
    described.add_flavor(
        "keras",
        data="data",
        keras_version=cell.result.versions["keras"],
        keras_backend=cell.result.backend,
        save_exported_model=False,
    )
    # The same as mlflow.pyfunc.add_to_model, whose import takes a second and warns.
    described.add_flavor(
        "python_function",
        loader_module="mlflow.keras",
        python_version=platform.python_version(),
        env={"virtualenv": "python_env.yaml"},
    )
    (folder / "data").mkdir()
    (folder / "data" / "keras_module.txt").write_text("keras")
    shutil.copyfile(cell.folder / "model.keras", folder / "data" / "model.keras")
    described.save(str(folder / "MLmodel"))
    versions = {"mlflow": mlflow.__version__, **cell.result.versions}
    lines = [f"{package}=={version}\n" for package, version in versions.items()]
    (folder / "requirements.txt").write_text("".join(lines))
    (folder / "python_env.yaml").write_text(
        f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
    )


def find_cell(client: Any, experiment_id: str, key: str) -> str:
    """Find the id of the latest finished run of the cell with that key, or ""."""
    query = f"tags.`lrcycles.key` = '{key}' and attributes.status = 'FINISHED'"
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
