"""Trains the cells of a group that the store lacks, and copies all of them to the results."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import files
from lrcycles.cells.cell import Cell, chains
from lrcycles.cells.result import AVERAGE_SCORES, CellResult, write_result
from lrcycles.cells.store import CellStore
from lrcycles.config.resolve import seed_list
from lrcycles.config.schema import Train
from lrcycles.stages import progress
from lrcycles.stages.mirror import mirror
from lrcycles.stages.peaks import arm_and_peak

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
# The test error is not among them: peaks are chosen without a look at the test set.
_TUNING_COLUMNS = ["arm", "peak", "seed", "status", "validation_error_percent", "key", "run_id"]


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
    stage_steps: int,
    later_steps: int,
    on_cell: Callable[[Cell], None],
) -> set[str]:
    """Train the cells that the store lacks, and return the keys of the others.

    Args:
        steps_of: gives the number of updates of a training, to tell the time left.
        stage_steps: steps of the other trainings that this stage has to do.
        later_steps: steps of the trainings in the stages after this one.
        on_cell: is called with every cell that has just been trained.
    """
    from lrcycles.training.run import train_all

    reused = reusable(cells, settings, store=store)
    missing = [chain for chain in chains(cells) if any(cell.key not in reused for cell in chain)]
    if missing:
        waiting = [cell for chain in missing for cell in chain if cell.key not in reused]
        by_key: dict[str, list[Cell]] = {}
        for cell in waiting:
            by_key.setdefault(cell.key, []).append(cell)
        with progress.over(
            waiting,
            lambda cell: describe(store.result(cell)),
            steps_of=steps_of,
            stage_steps=stage_steps,
            later_steps=later_steps,
        ) as show:

            def on_event(event: str, key: str) -> None:
                show(event, key)
                if event == "cell":
                    for cell in by_key.get(key, []):
                        on_cell(cell)

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


@dataclass
class Results:
    """The results of a group: files in `out`/ARM/SEED/, runs in MLflow, cells.csv and tuning.csv.

    Trainings that choose a peak have a run in MLflow and a row in tuning.csv.

    Args:
        data: the content of data.json.
        test_images: the file of the test set's pixels.
    """

    settings: Train
    store: CellStore
    out: Path
    run: StageRun
    data: dict[str, Any]
    test_images: Path
    _rows: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    def add(self, cell: Cell) -> None:
        """Copy the cell's files and mirror them to MLflow, unless they are there."""
        if (cell.arm, cell.seed) in self._rows:
            return
        folder = self.out / cell.arm / str(cell.seed)
        folder.mkdir(parents=True)
        result = self.store.result(cell)
        write_result(folder / "result.json", result)
        entry = self.store.folder(cell.key)
        if result.finished:
            for path in entry.glob("correct*.npy"):
                shutil.copy2(path, folder)
        steps = np.load(entry / "steps.npy")
        files.write_columns(folder / "steps.parquet", {k: steps[k] for k in steps.dtype.names})
        if keeps_model(cell, self.settings):
            for path in entry.glob("model*.keras"):
                shutil.copy2(path, folder)
        mirror(folder, run=self.run, data=self.data, test_images=self.test_images)
        if arm_and_peak(cell.arm)[1] is not None:
            shutil.rmtree(folder.parent)
        self._rows[cell.arm, cell.seed] = result.to_dict() | {
            f"{name}_{score}": getattr(average, score)
            for name, average in result.averages.items()
            for score in AVERAGE_SCORES
        }

    def write_tables(
        self, cells: Sequence[Cell], tuning: Sequence[Cell], *, reused: set[str]
    ) -> None:
        """Write cells.csv, and tuning.csv if there are trainings that choose a peak.

        Args:
            reused: the keys of the cells that were not trained just now.
        """
        for cell in (*tuning, *cells):
            self.add(cell)
        run_ids = self.run.cell_ids()

        def row(cell: Cell) -> dict[str, Any]:
            arm, peak = arm_and_peak(cell.arm)
            run_id = run_ids.get(f"{cell.arm}/{cell.seed}", "")
            own = {"arm": arm, "peak": peak, "reused": cell.key in reused, "run_id": run_id}
            return self._rows[cell.arm, cell.seed] | own

        averages = {name for cell in cells for name in cell.averages or {}}
        columns = [f"{name}_{score}" for name in sorted(averages) for score in AVERAGE_SCORES]
        _write_csv(self.out / "cells.csv", [*_COLUMNS, *columns], map(row, cells))
        if tuning:
            _write_csv(self.out / "tuning.csv", _TUNING_COLUMNS, map(row, tuning))


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, table.getvalue())


def _kept_models(cells: Sequence[Cell], settings: Train) -> list[str]:
    return [cell.key for cell in cells if keeps_model(cell, settings)]


def keeps_model(cell: Cell, settings: Train) -> bool:
    """Return whether `train.save_models` keeps this cell's trained network in the results."""
    if arm_and_peak(cell.arm)[1] is not None:
        return False
    kept = settings.save_models.value
    first = seed_list(settings.seeds, "train.seeds")[0]
    return kept == "all" or (kept == "first_seed" and cell.seed == first)


def describe(result: CellResult) -> str:
    """Summarize a training in a few words."""
    if not result.finished:
        return f"diverged at step {result.diverged_at_step}"
    return f"validation error {result.validation_error_percent:.2f} %, {result.train_seconds:.1f} s"
