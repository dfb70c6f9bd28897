"""Reads what two runs of one pipeline must have in common."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pandas as pd


def numbers(folder: Path) -> dict[str, Any]:
    """Read all of a cell that does not depend on the clock."""
    result = json.loads((folder / "result.json").read_text())
    kept = {key: value for key, value in result.items() if "second" not in key}
    steps = pd.read_parquet(folder / "steps.parquet").to_dict("list")
    return kept | {"steps": steps, "weights": _weights(folder / "model.keras")}


def all_numbers(project: Path) -> dict[str, Any]:
    """Read the cells of all groups, by their place below artifacts/train."""
    train = project / "artifacts" / "train"
    cells = sorted(path.parent for path in train.rglob("result.json"))
    return {cell.relative_to(train).as_posix(): numbers(cell) for cell in cells}


def _weights(model: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with (
        zipfile.ZipFile(model) as archive,
        archive.open("model.weights.h5") as held,
        h5py.File(held) as file,
    ):
        file.visititems(
            lambda name, item: (
                found.update({name: item[()].ravel().tolist()})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    assert found
    return found
