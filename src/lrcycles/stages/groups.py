"""Trains the cells of a group that the store lacks, and copies all of them to the results."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import files
from lrcycles.cells.cell import Cell, chains
from lrcycles.cells.result import CellResult, write_result
from lrcycles.cells.store import CellStore
from lrcycles.config.resolve import seed_list
from lrcycles.config.schema import Train
from lrcycles.stages import progress
from lrcycles.stages.mirror import mirror

if TYPE_CHECKING:
    from lrcycles.tracking.runs import StageRun

_COLUMNS = [
    "group",
    "arm",
    "seed",
    "key",
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


def write_plan(cells: Sequence[Cell], settings: Train, *, data: Path, out: Path) -> None:
    """Write plan.json, which `python -m lrcycles.training` reads on another machine."""
    plan = {
        "data": os.path.relpath(data),
        "cells": [asdict(cell) for cell in cells],
        "models": _kept_models(cells, settings),
        "checkpoint_every_seconds": settings.checkpoint_every_seconds,
    }
    files.write_json(out / "plan.json", plan)


def reusable(cells: Sequence[Cell], settings: Train, *, store: CellStore) -> set[str]:
    """Find the keys of the cells that need no training."""
    needed = {cell.parent for cell in cells} | set(_kept_models(cells, settings))
    return {
        cell.key for cell in cells if settings.reuse and store.has(cell, model=cell.key in needed)
    }


def train_group(
    cells: Sequence[Cell],
    settings: Train,
    *,
    data: Path,
    store: CellStore,
    steps_of: Callable[[Cell], int],
    later_steps: int,
) -> set[str]:
    """Train the cells that the store lacks, and return the keys of the others.

    Args:
        steps_of: gives the number of updates of a training, to tell the time left.
        later_steps: steps of the trainings in the stages after this one.
    """
    from lrcycles.training.run import train_all

    reused = reusable(cells, settings, store=store)
    missing = [chain for chain in chains(cells) if any(cell.key not in reused for cell in chain)]
    if missing:
        waiting = [cell for chain in missing for cell in chain if cell.key not in reused]
        with progress.over(
            waiting,
            lambda cell: describe(store.result(cell)),
            steps_of=steps_of,
            later_steps=later_steps,
        ) as on_event:
            train_all(
                missing,
                data=data,
                store=store,
                workers=settings.workers,
                reuse=settings.reuse,
                models=_kept_models(cells, settings),
                on_event=on_event,
                checkpoint_seconds=settings.checkpoint_every_seconds,
            )
    return reused


def collect(
    cells: Sequence[Cell],
    settings: Train,
    *,
    reused: set[str],
    store: CellStore,
    out: Path,
    run: StageRun,
    data: dict[str, Any],
    test_images: Path,
) -> None:
    """Copy the cells' files to `out`/ARM/SEED/, mirror them to MLflow and write cells.csv.

    Args:
        reused: keys of the cells that were not trained just now.
        data: the content of data.json.
        test_images: the file of the test set's pixels.
    """
    import pandas as pd

    rows = []
    for cell in cells:
        folder = out / cell.arm / str(cell.seed)
        folder.mkdir(parents=True)
        result = store.result(cell)
        write_result(folder / "result.json", result)
        entry = store.folder(cell.key)
        files.write_table(folder / "steps.parquet", pd.DataFrame(np.load(entry / "steps.npy")))
        if keeps_model(cell, settings):
            shutil.copy2(entry / "model.keras", folder)
        mirror(folder, run=run, data=data, test_images=test_images)
        rows.append(result.to_dict() | {"reused": cell.key in reused})
    run_ids = run.cell_ids()
    for row in rows:
        row["run_id"] = run_ids.get(f"{row['arm']}/{row['seed']}", "")
    files.write_text(out / "cells.csv", pd.DataFrame(rows, columns=_COLUMNS).to_csv(index=False))


def _kept_models(cells: Sequence[Cell], settings: Train) -> list[str]:
    return [cell.key for cell in cells if keeps_model(cell, settings)]


def keeps_model(cell: Cell, settings: Train) -> bool:
    """Return whether `train.save_models` keeps this cell's trained network in the results."""
    kept = settings.save_models.value
    first = seed_list(settings.seeds, "train.seeds")[0]
    return kept == "all" or (kept == "first_seed" and cell.seed == first)


def describe(result: CellResult) -> str:
    """Summarize a training in a few words."""
    if not result.finished:
        return f"diverged at step {result.diverged_at_step}"
    return f"validation error {result.validation_error_percent:.2f} %, {result.train_seconds:.1f} s"
