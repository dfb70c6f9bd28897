"""What is told of a trained cell?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.schedules.table import cycle_step_size
from lrcycles.training.engine import backend_module

SCHEMA = 1
SCHEDULE_KEYS = ("name", "base_lr", "max_lr", "step_size", "cycles")


@dataclass
class Course:
    """How cells side by side went: arrays of shape (cells, steps), and what it took."""

    rates: np.ndarray
    momenta: np.ndarray | None
    losses: np.ndarray
    histories: list[list[dict[str, Any]]]  # of each cell, of the epochs whose losses were finite
    train_seconds: float
    evaluate_seconds: float


def cell_record(
    cell: Cell,
    table: Any,
    history: Sequence[Mapping[str, Any]],
    *,
    test: tuple[float, float],
    images: int,
    seconds: Mapping[str, float],
    xla: bool,
) -> dict[str, Any]:
    """What result.json says of a trained cell.

    Args:
        table: as `step_table` gives it.
        history: an entry for each epoch that ended with finite losses.
        test: loss and error on the test set, of whatever the training ended with.
        seconds: of a cell trained side by side with others, its share.
    """
    finished = len(history) == cell.epochs and math.isfinite(history[-1]["validation_loss"])
    last = history[-1] if finished else {}
    wild = np.flatnonzero(~np.isfinite(table["loss"]))
    settings = asdict(cell)
    del settings["runtime"]
    settings["schedule"] = dict.fromkeys(SCHEDULE_KEYS) | dict(cell.schedule)
    if cell.schedule.get("cycles"):
        total_steps = cell.epochs * (images // cell.batch_size)
        step_size = cycle_step_size(total_steps, cell.schedule["cycles"])
        settings["schedule"]["step_size"] = step_size
    steps, runtime = len(history) * (images // cell.batch_size), cell.runtime
    return settings | {
        "schema": SCHEMA,
        "key": cell.key,
        "status": "finished" if finished else "diverged",
        "diverged_at_step": int(wild[0]) + 1 if len(wild) else None,
        "test_error_percent": test[1] if finished else None,
        "test_loss": test[0] if finished else None,
        "validation_error_percent": last.get("validation_error_percent"),
        "validation_loss": last.get("validation_loss"),
        **seconds,
        "steps": len(table),
        "steps_per_second": steps / seconds["train_seconds"] if history else None,
        "images": images,
        "device": runtime.device,
        "device_name": backend_module(runtime.backend).device_name(runtime.device),
        "threads": runtime.threads,
        "side_by_side": runtime.side_by_side,
        "backend": runtime.backend,
        "precision": runtime.precision,
        "compile": "xla" if xla else "graph",
        "versions": dict(runtime.versions),
        "history": [entry for entry in history if math.isfinite(entry["validation_loss"])],
    }


def step_table(course: Course, cell: int, *, steps_per_epoch: int, epochs: int) -> Any:
    """Rows step, epoch (both from 1), lr, loss and any momentum, as a structured array.

    They end with the epoch in which a cell diverged, whatever the cells beside it did.
    """
    steps = min(len(course.histories[cell]) + 1, epochs) * steps_per_epoch
    step = np.arange(1, steps + 1)
    epoch = (step - 1) // steps_per_epoch + 1
    columns = [step, epoch, course.rates[cell, :steps], course.losses[cell, :steps]]
    types = [("step", "<i4"), ("epoch", "<i4"), ("lr", "<f4"), ("loss", "<f4")]
    if course.momenta is not None:
        columns.append(course.momenta[cell, :steps])
        types.append(("momentum", "<f4"))
    return np.rec.fromarrays(columns, dtype=types)
