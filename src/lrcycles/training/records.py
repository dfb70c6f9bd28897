"""Makes a training's result and its table of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.cells.result import CellResult, EpochResult, ScheduleResult
from lrcycles.schedules.table import SCHEDULES, cycle_step_size, rate_table
from lrcycles.schedules.warmup import risen
from lrcycles.training.averages.scoring import Averaged
from lrcycles.training.averages.weights import share_table
from lrcycles.training.engine import backend_module

_SECONDS = ("train_seconds", "epoch_seconds", "evaluate_seconds", "compile_seconds")


@dataclass
class Course:
    """How a team of cells trains: arrays of shape (cells, steps), and seconds of all together."""

    rates: np.ndarray
    momenta: np.ndarray | None
    losses: np.ndarray  # of the first `done` steps
    histories: list[list[EpochResult]]  # by cell: the epochs whose mini-batch losses were finite
    steps_per_epoch: int
    shares: np.ndarray | None = None  # of the new weights in the moving average, like `rates`
    # By cell, the sums of the weights at the ends of the last epochs; empty before the first.
    weight_sums: list[list[np.ndarray]] = field(default_factory=list)
    done: int = 0
    train_seconds: float = 0.0
    epoch_seconds: float = 0.0  # of an epoch that has not ended; train_seconds is without them
    evaluate_seconds: float = 0.0
    compile_seconds: float = 0.0

    def add_epoch(self, cell: int, loss: float, error_percent: float) -> None:
        """Append the scores on the validation images to the history of a cell."""
        epoch = len(self.histories[cell]) + 1
        self.histories[cell].append(
            EpochResult(
                epoch=epoch,
                step=epoch * self.steps_per_epoch,
                validation_loss=loss,
                validation_error_percent=error_percent,
            )
        )

    def add_weights(self, cell: int, weights: Sequence[np.ndarray]) -> None:
        """Add the weights at the end of an epoch to the sums of a cell."""
        sums = self.weight_sums[cell] or [np.zeros(array.shape) for array in weights]
        self.weight_sums[cell] = [total + array for total, array in zip(sums, weights, strict=True)]

    def content(self) -> dict[str, np.ndarray]:
        """Give what a checkpoint keeps; the rates follow from the histories."""
        scores = {
            f"history_{k}": np.array(
                [[entry.validation_loss, entry.validation_error_percent] for entry in history]
            )
            for k, history in enumerate(self.histories)
        }
        sums = {
            f"weights_{k}_{place}": total
            for k, arrays in enumerate(self.weight_sums)
            for place, total in enumerate(arrays)
        }
        seconds = np.array([getattr(self, name) for name in _SECONDS])
        return {"losses": self.losses[:, : self.done], "seconds": seconds, **scores, **sums}

    def restore(self, content: Mapping[str, np.ndarray]) -> None:
        """Continue a course that `content` described."""
        losses = content["losses"]
        self.done = losses.shape[1]
        self.losses[:, : self.done] = losses
        for k in range(len(self.histories)):
            for loss, error_percent in content[f"history_{k}"].tolist():
                self.add_epoch(k, loss, error_percent)
            count = sum(name.startswith(f"weights_{k}_") for name in content)
            self.weight_sums[k] = [content[f"weights_{k}_{place}"] for place in range(count)]
        for name, seconds in zip(_SECONDS, content["seconds"].tolist(), strict=True):
            setattr(self, name, getattr(self, name) + seconds)


def begin_course(lanes: Sequence[Cell], wanted: int, steps_per_epoch: int) -> Course:
    """Make the course of a training before its first step.

    Args:
        lanes: the cells that the program trains side by side; those after `wanted` are padding.
    """
    total_steps = lanes[0].epochs * steps_per_epoch
    rates, momenta = step_settings(lanes, total_steps)
    return Course(
        rates,
        momenta,
        np.zeros_like(rates),
        [[] for _ in range(wanted)],
        steps_per_epoch,
        shares=share_table(lanes, total_steps),
        weight_sums=[[] for _ in range(wanted)],
    )


def step_settings(cells: Sequence[Cell], total_steps: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Tabulate the rate of every step, and any cycled momentum: float32 (cells, total_steps).

    The momentum falls where the rate rises.
    Source: Smith 2018, sec. 4.3.
    """
    rates = [rate_table(total_steps=total_steps, **cell.schedule) for cell in cells]
    momenta = []
    for cell in cells:
        if cell.momentum is not None:
            low, high = cell.momentum["base_momentum"], cell.momentum["max_momentum"]
            mirrored = {**cell.schedule, "base_lr": low, "max_lr": high}
            if "final_lr" in SCHEDULES[cell.schedule["name"]].takes:
                mirrored["final_lr"] = low  # momentum stays high while the rate is annealed
            warmup_steps = mirrored.pop("warmup_steps", 0)
            table = rate_table(total_steps=total_steps - warmup_steps, **mirrored)
            # During the warm-up the momentum stays at its first value.
            momenta.append(np.float32(low + high) - np.pad(table, (warmup_steps, 0), mode="edge"))
    return np.stack(rates), np.stack(momenta) if momenta else None


def reduce_rates(rates: np.ndarray, cell: Cell, history: Sequence[EpochResult]) -> None:
    """Set the rates of the coming steps, if the schedule depends on the validation loss.

    Args:
        rates: of the steps after `history`.
    """
    settings = dict(cell.schedule)
    reduced = SCHEDULES[settings.pop("name")].between_epochs
    if reduced is not None:
        warmup_steps = settings.pop("warmup_steps", 0)
        rate = reduced([entry.validation_loss for entry in history], **settings)
        rates[:] = risen(rate, history[-1].step + np.arange(len(rates)), warmup_steps)


def cell_record(
    cell: Cell,
    table: Any,
    course: Course,
    lane: int,
    *,
    test: tuple[float, float],
    averages: Mapping[str, Averaged],
    test_images: int,
    images: int,
    xla: bool,
) -> CellResult:
    """Make the result of a trained cell.

    Args:
        table: what `step_table` returned.
        course: of the cell's team; the cell gets its share of the seconds.
        lane: the cell's place in the team.
        test: loss and error in percent on the test set, with the last weights.
        averages: what averages of the weights reach, for the whole team.
    """
    runtime, history, team = cell.runtime, course.histories[lane], len(course.histories)
    train_seconds = course.train_seconds / team
    finished = len(history) == cell.epochs and math.isfinite(history[-1].validation_loss)
    not_finite = np.flatnonzero(~np.isfinite(table["loss"]))
    steps_per_epoch = images // cell.batch_size
    steps = len(history) * steps_per_epoch
    settings = cell.content(without=("runtime", "schedule", "compile", "averages"))
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
        train_seconds=train_seconds,
        compile_seconds=course.compile_seconds / team,
        evaluate_seconds=course.evaluate_seconds / team,
        steps=len(table),
        steps_per_second=steps / train_seconds if history else None,
        images=images,
        averages={
            name: averages[name].result(lane, settings, finished=finished)
            for name, settings in (cell.averages or {}).items()
        },
        test_images=test_images,
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
        settings["step_size"] = cycle_step_size(
            total_steps, settings["cycles"], warmup_steps=settings.get("warmup_steps", 0)
        )
    return ScheduleResult(**settings)


def step_table(course: Course, cell: int, *, epochs: int) -> Any:
    """Make rows step, epoch (both from 1), lr, loss and any momentum, as a structured array.

    The rows of a cell that diverged end with the epoch of its divergence.
    """
    steps = min(len(course.histories[cell]) + 1, epochs) * course.steps_per_epoch
    step = np.arange(1, steps + 1)
    epoch = (step - 1) // course.steps_per_epoch + 1
    columns = [step, epoch, course.rates[cell, :steps], course.losses[cell, :steps]]
    types = [("step", "<i4"), ("epoch", "<i4"), ("lr", "<f4"), ("loss", "<f4")]
    if course.momenta is not None:
        columns.append(course.momenta[cell, :steps])
        types.append(("momentum", "<f4"))
    return np.rec.fromarrays(columns, dtype=types)
