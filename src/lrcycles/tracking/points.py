"""Picks the numbers of a cell that MLflow gets, with their steps and times."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lrcycles.cells.result import AVERAGE_SCORES, CellResult, read_result
from lrcycles.files import read_columns
from lrcycles.tracking.writers import TimedPoint, milliseconds

# MLflow's charts show no more than 320 points of a curve; steps.parquet holds all. A point costs
# .05 ms in a database, so the loss of every step cost more than the steps on a GPU.
LOSS_POINTS = 400
CURVE_POINTS = 200

_VALIDATION = ("validation_loss", "validation_error_percent")
_SCORES = ("test_error_percent", "test_loss", *reversed(_VALIDATION))
_FINAL = (*_SCORES, "train_seconds", "compile_seconds", "steps_per_second")
_TAGS = ("group", "arm", "seed", "key", "status", "backend", "device")


class Point(NamedTuple):
    """One value of a metric; finite."""

    key: str
    value: float
    step: int


@dataclass(frozen=True)
class FinishedCell:
    """The content of a cell's folder; times in seconds since the epoch."""

    folder: Path
    result: CellResult
    points: list[Point]
    started: float
    ended: float

    @property
    def name(self) -> str:
        """The name of the cell's run."""
        return f"{self.result.arm} seed {self.result.seed}"

    @property
    def scores(self) -> list[Point]:
        """The final scores; they judge the network."""
        return finite_points(
            {key: getattr(self.result, key) for key in _SCORES}, step=self.result.steps
        )

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the cell's run."""
        return {f"lrcycles.{name}": str(getattr(self.result, name)) for name in _TAGS}

    def time_of(self, step: int) -> float:
        """Estimate when this step ended, as if all steps took equally long."""
        part = step / max(self.result.steps, 1)
        return self.started + min(part, 1.0) * (self.ended - self.started)

    def timed(self, points: Iterable[Point]) -> list[TimedPoint]:
        """Give points their times."""
        return [TimedPoint(*point, milliseconds(self.time_of(point.step))) for point in points]


def read_cell(folder: Path) -> FinishedCell:
    """Read result.json and steps.parquet of a cell's folder."""
    result = read_result(folder / "result.json")
    ended = (folder / "result.json").stat().st_mtime
    spent = result.compile_seconds + result.train_seconds + result.evaluate_seconds
    return FinishedCell(folder, result, cell_points(result, folder), ended - spent, ended)


def cell_points(result: CellResult, folder: Path) -> list[Point]:
    """Collect the thinned curves, the validation scores of each epoch and the final metrics."""
    columns = read_columns(folder / "steps.parquet")
    numbers = columns["step"]
    points = curve_points("loss", numbers, columns["loss"], at_most=LOSS_POINTS)
    for column in sorted(columns.keys() - {"step", "epoch", "loss"}):
        name = "learning_rate" if column == "lr" else column
        points += curve_points(name, numbers, columns[column])
    for epoch in result.history:
        scores = {name: getattr(epoch, name) for name in _VALIDATION}
        points += finite_points(scores, step=epoch.step)
    # The last epoch's validation is also the final one, and a chart must not hold it twice.
    points += finite_points({key: getattr(result, key) for key in _FINAL}, step=result.steps)
    for name, average in result.averages.items():
        scores = {f"{name}_{key}": getattr(average, key) for key in AVERAGE_SCORES}
        points += finite_points(scores, step=result.steps)
    return list({(point.key, point.step): point for point in points}.values())


def curve_points(
    key: str, steps: np.ndarray, values: np.ndarray, *, at_most: int = CURVE_POINTS
) -> list[Point]:
    """Thin the finite values of a curve evenly; both ends stay."""
    kept = np.flatnonzero(np.isfinite(values))
    if len(kept) > at_most:
        kept = kept[np.linspace(0, len(kept) - 1, at_most).round().astype(int)]
    return [Point(key, float(values[i]), int(steps[i])) for i in kept]


def finite_points(values: Mapping[str, Any], *, step: int) -> list[Point]:
    """Make points of the finite numbers; MLflow would store infinity as 1.8e308."""
    return [
        Point(key, float(value), step)
        for key, value in values.items()
        if value is not None and math.isfinite(value)
    ]


def points_now(metrics: Mapping[str, float | None], step: int) -> list[list[Any]]:
    """Make points of the finite numbers, each with the present time in milliseconds."""
    now = round(time.time() * 1000)
    return [[*point, now] for point in finite_points(metrics, step=step)]
