"""How does a group of cells become files: those the store has, and the rest trained?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import files
from lrcycles.cells.cell import Cell, chains
from lrcycles.cells.store import CellStore
from lrcycles.config.resolve import seed_list
from lrcycles.config.schema import Train
from lrcycles.stages import progress
from lrcycles.tracking.store import without_password

if TYPE_CHECKING:
    from lrcycles.tracking.runs import StageRun

_IDENTITY = ["group", "arm", "seed", "key"]
_COLUMNS = [
    *_IDENTITY,
    "status",
    "reused",
    "run_id",
    "test_error_percent",
    "test_loss",
    "validation_error_percent",
    "train_seconds",
    "compile_seconds",
    "steps",
    "batch_size",
    "epochs",
]
_SETTINGS = [
    *_IDENTITY,
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
]


def write_plan(cells: Sequence[Cell], settings: Train, *, data: Path, out: Path) -> None:
    """Write plan.json, which `python -m lrcycles.training` takes on another machine."""
    plan = {
        "data": os.path.relpath(data),
        "cells": [asdict(cell) for cell in cells],
        "models": _kept_models(cells, settings),
    }
    files.write_json(out / "plan.json", plan)


def train_group(
    cells: Sequence[Cell], settings: Train, *, data: Path, store: CellStore
) -> set[str]:
    """Train the cells that the store lacks; give the keys of those it had."""
    from lrcycles.training.run import train_all

    models = _kept_models(cells, settings)
    needed = {cell.parent for cell in cells} | set(models)
    had = {
        cell.key for cell in cells if settings.reuse and store.has(cell, model=cell.key in needed)
    }
    missing = [chain for chain in chains(cells) if any(cell.key not in had for cell in chain)]
    if missing:
        waiting = [cell for chain in missing for cell in chain if cell.key not in had]
        with progress.over(waiting, lambda cell: describe(store.result(cell))) as on_event:
            train_all(
                missing,
                data=data,
                store=store,
                workers=settings.workers,
                reuse=settings.reuse,
                models=models,
                on_event=on_event,
            )
    return had


def collect(
    cells: Sequence[Cell],
    settings: Train,
    *,
    had: set[str],
    store: CellStore,
    out: Path,
    run: StageRun,
    data: dict[str, Any],
) -> None:
    """Copy the cells' files to `out`/ARM/SEED/, mirror them to MLflow, write cells.csv."""
    import pandas as pd

    rows = []
    for cell in cells:
        folder = out / cell.arm / str(cell.seed)
        folder.mkdir(parents=True)
        result = store.result(cell)
        files.write_json(folder / "result.json", result)
        kept = store.folder(cell.key)
        files.write_table(folder / "steps.parquet", pd.DataFrame(np.load(kept / "steps.npy")))
        if keeps_model(cell, settings):
            shutil.copy2(kept / "model.keras", folder)
        reused = cell.key in had
        run_id = mirror(folder, store=store, run=run, data=data, reused=reused)
        rows.append({**result, "reused": reused, "run_id": run_id})
    files.write_text(out / "cells.csv", pd.DataFrame(rows, columns=_COLUMNS).to_csv(index=False))


def mirror(
    folder: Path, *, store: CellStore, run: StageRun, data: dict[str, Any], reused: bool
) -> str:
    """The run of a cell's folder in the current MLflow store: the one it has, else a new one.

    Args:
        folder: has result.json, steps.parquet and perhaps model.keras.
        reused: the cell was not trained just now, so it may have a run.
    """
    result = files.read_json(folder / "result.json")
    known_path = store.folder(result["key"]) / "mlflow.json"
    known = files.read_json(known_path) if known_path.exists() else {}
    uri = without_password(run.store.uri)
    run_id = ""
    if reused:
        run_id = known.get(uri) or run.find_cell(result["key"])
    if not run_id or not run.has_run(run_id):
        parameters = {name: result[name] for name in _SETTINGS}
        for section in ("schedule", "momentum", "optimizer", "model"):
            found = result[section] or {}
            parameters |= {f"{section}.{name}": value for name, value in found.items()}
        run_id = run.log_cell(
            folder,
            params={name: value for name, value in parameters.items() if value not in (None, {})},
            data=data,
            model=(folder / "model.keras").exists() and result["status"] == "finished",
        )
        if run_id and known_path.parent.exists():
            files.write_json(known_path, {**known, uri: run_id})
    return run_id


def _kept_models(cells: Sequence[Cell], settings: Train) -> list[str]:
    return [cell.key for cell in cells if keeps_model(cell, settings)]


def keeps_model(cell: Cell, settings: Train) -> bool:
    """Whether `train.save_models` asks for this cell's trained network."""
    kept = settings.save_models.value
    first = seed_list(settings.seeds, "train.seeds")[0]
    return kept == "all" or (kept == "first_seed" and cell.seed == first)


def describe(result: dict[str, Any]) -> str:
    """A finished cell in a few words."""
    if result["status"] == "diverged":
        return f"diverged at step {result['diverged_at_step']}"
    return (
        f"validation error {result['validation_error_percent']:.2f} %, "
        f"{result['train_seconds']:.1f} s"
    )
