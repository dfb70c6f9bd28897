"""Mirrors a cell's results to MLflow, once per MLflow store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles import files
from lrcycles.cells.result import CellResult, read_result
from lrcycles.cells.store import CellStore
from lrcycles.tracking.store import without_password

if TYPE_CHECKING:
    from lrcycles.tracking.runs import StageRun

_SETTINGS = (
    "group",
    "arm",
    "seed",
    "key",
    "epochs",
    "batch_size",
    "training_set",
    "continues",
    "images",
    "steps",
    "precision",
    "compile",
    "threads",
    "side_by_side",
    "streamed",
    "class_weights",
    "backend",
    "device",
)
_SECTIONS = ("schedule", "momentum", "optimizer", "model")
_RUN_IDS = "mlflow.json"  # in a cell's entry of the store: the ids of its runs


def mirror(
    folder: Path,
    *,
    store: CellStore,
    run: StageRun,
    data: dict[str, Any],
    test_images: Path,
    reused: bool,
) -> str:
    """Give a cell's results a run in the current MLflow store, unless they have one.

    Args:
        folder: holds result.json, steps.parquet and perhaps model.keras.
        data: the content of data.json.
        test_images: the file of the test set's pixels.
        reused: the cell was not trained just now, so it may have a run.

    Returns:
        The run's id, or "" if MLflow is lost.
    """
    result = read_result(folder / "result.json")
    path = store.folder(result.key) / _RUN_IDS
    run_ids = files.read_json(path) if path.exists() else {}
    # Arms that train alike share the cell. Each has a run, or MLflow would not show the second arm.
    name = f"{without_password(run.store.uri)} {result.group}/{result.arm}"
    run_id = ""
    if reused:
        run_id = run_ids.get(name) or run.find_cell(result)
    if not run.add_cell(run_id):
        has_model = (folder / "model.keras").exists() and result.finished
        run_id = run.log_cell(
            folder,
            params=parameters(result),
            data=data,
            test_images=test_images if has_model else None,
        )
        if run_id and path.parent.exists():
            files.write_json(path, {**run_ids, name: run_id})
    return run_id


def parameters(result: CellResult) -> dict[str, Any]:
    """Flatten the settings of a training; those without a value are left out."""
    content = result.to_dict()
    values = {name: content[name] for name in _SETTINGS}
    for section in _SECTIONS:
        settings = content[section] or {}
        values |= {f"{section}.{name}": value for name, value in settings.items()}
    return {name: value for name, value in values.items() if value not in (None, {})}
