"""Gives a cell's results a run in MLflow, once per MLflow store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles.cells.result import CellResult, read_result

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


def mirror(folder: Path, *, run: StageRun, data: dict[str, Any], test_images: Path) -> None:
    """Give a cell's results a run in the current MLflow store, unless they have one.

    Args:
        folder: holds result.json, steps.parquet and perhaps model.keras.
        data: the content of data.json.
        test_images: the file of the test set's pixels.
    """
    result = read_result(folder / "result.json")
    has_model = (folder / "model.keras").exists() and result.finished
    run.log_cell(
        folder,
        params=parameters(result),
        data=data,
        test_images=test_images if has_model else None,
    )


def parameters(result: CellResult) -> dict[str, Any]:
    """Flatten the settings of a training; those without a value are left out."""
    content = result.to_dict()
    values = {name: content[name] for name in _SETTINGS}
    for section in _SECTIONS:
        settings = content[section] or {}
        values |= {f"{section}.{name}": value for name, value in settings.items()}
    for name, average in result.averages.items():
        values |= {f"averages.{name}.{key}": value for key, value in average.settings.items()}
    return {name: value for name, value in values.items() if value not in (None, {})}
