"""Makes a training's result and its table of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.cells.result import CellResult, EpochResult, ScheduleResult
from lrcycles.schedules.table import cycle_step_size
from lrcycles.training.engine import backend_module


@dataclass
class Course:
    """How a team of cells trained: arrays of shape (cells, steps), and seconds of all together."""

    rates: np.ndarray
    momenta: np.ndarray | None
    losses: np.ndarray
    histories: list[list[EpochResult]]  # by cell: the epochs whose mini-batch losses were finite
    train_seconds: float
    evaluate_seconds: float


def cell_record(
    cell: Cell,
    table: Any,
    history: Sequence[EpochResult],
    *,
    test: tuple[float, float],
    images: int,
    seconds: Mapping[str, float],
    xla: bool,
) -> CellResult:
    """Make the result of a trained cell.

    Args:
        table: what `step_table` returned.
        history: one entry per epoch whose mini-batch losses were finite.
        test: loss and error in percent on the test set, with the last weights.
        seconds: train_seconds, compile_seconds and evaluate_seconds; the cell's share of those of
            its team.
    """
    runtime = cell.runtime
    finished = len(history) == cell.epochs and math.isfinite(history[-1].validation_loss)
    not_finite = np.flatnonzero(~np.isfinite(table["loss"]))
    steps_per_epoch = images // cell.batch_size
    steps = len(history) * steps_per_epoch
    settings = cell.content(without=("runtime", "schedule", "compile"))
    return CellResult(
        **settings,
        key=cell.key,
        status="finished" if finished else "diverged",
        diverged_at_step=int(not_finite[0]) + 1 if len(not_finite) else None,
        schedule=_schedule(cell, cell.epochs * steps_per_epoch),
        test_loss=test[0] if finished else None,
        test_error_percent=test[1] if finished else None,
        validation_loss=history[-1].validation_loss if finished else None,
        validation_error_percent=history[-1].validation_error_percent if finished else None,
        train_seconds=seconds["train_seconds"],
        compile_seconds=seconds["compile_seconds"],
        evaluate_seconds=seconds["evaluate_seconds"],
        steps=len(table),
        steps_per_second=steps / seconds["train_seconds"] if history else None,
        images=images,
        device=runtime.device,
        device_name=backend_module(runtime.backend).device_name(runtime.device),
        threads=runtime.threads,
        side_by_side=runtime.side_by_side,
        backend=runtime.backend,
        precision=runtime.precision,
        compile="xla" if xla else "graph",
        versions=dict(runtime.versions),
        history=[entry for entry in history if math.isfinite(entry.validation_loss)],
    )


def _schedule(cell: Cell, total_steps: int) -> ScheduleResult:
    """Return the cell's schedule, with the step_size that follows from whole cycles."""
    settings = dict(cell.schedule)
    if settings.get("cycles"):
        settings["step_size"] = cycle_step_size(total_steps, settings["cycles"])
    return ScheduleResult(**settings)


def step_table(course: Course, cell: int, *, steps_per_epoch: int, epochs: int) -> Any:
    """Make rows step, epoch (both from 1), lr, loss and any momentum, as a structured array.

    The rows of a cell that diverged end with the epoch of its divergence.
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
