"""Which numbers of a finished cell does MLflow get, at which step and time?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lrcycles.files import read_json, read_table

CURVE_POINTS = 200  # more would not be seen in a chart; all points are in steps.parquet

_FINAL = (
    "test_error_percent",
    "test_loss",
    "validation_error_percent",
    "validation_loss",
    "train_seconds",
    "compile_seconds",
    "evaluate_seconds",
    "steps_per_second",
)
_TAGS = ("group", "arm", "seed", "key", "status", "backend", "device")


class Point(NamedTuple):
    """One value of a metric; finite."""

    key: str
    value: float
    step: int


@dataclass(frozen=True)
class FinishedCell:
    """What a cell's folder tells; times in seconds since the epoch."""

    folder: Path
    result: dict[str, Any]
    points: list[Point]
    started: float
    ended: float

    @property
    def name(self) -> str:
        return f"{self.result['arm']} seed {self.result['seed']}"

    @property
    def tags(self) -> dict[str, str]:
        return {f"lrcycles.{name}": str(self.result[name]) for name in _TAGS}

    def time_of(self, step: int) -> float:
        """When about this step was done, taking all steps as equally long."""
        part = step / max(self.result["steps"] or 0, 1)
        return self.started + min(part, 1.0) * (self.ended - self.started)


def read_cell(folder: Path) -> FinishedCell:
    """Read result.json and steps.parquet of a cell's folder."""
    result = read_json(folder / "result.json")
    ended = (folder / "result.json").stat().st_mtime
    spent = sum(result[f"{what}_seconds"] or 0 for what in ("compile", "train", "evaluate"))
    return FinishedCell(folder, result, cell_points(result, folder), ended - spent, ended)


def cell_points(result: dict[str, Any], folder: Path) -> list[Point]:
    """The loss of every step, other curves thinned, validation per epoch, the final metrics."""
    steps = read_table(folder / "steps.parquet")
    numbers = steps["step"].to_numpy()
    points = curve_points("loss", numbers, steps["loss"].to_numpy(), at_most=None)
    for column in steps.columns.difference(["step", "epoch", "loss"]):
        name = "learning_rate" if column == "lr" else str(column)
        points += curve_points(name, numbers, steps[column].to_numpy())
    for epoch in result["history"]:
        points += finite_points(
            {key: value for key, value in epoch.items() if key not in ("epoch", "step")},
            step=epoch["step"],
        )
    # The last epoch's validation is also the final one: a chart shall have it once.
    points += finite_points({key: result.get(key) for key in _FINAL}, step=result["steps"] or 0)
    return list({(point.key, point.step): point for point in points}.values())


def curve_points(
    key: str, steps: np.ndarray, values: np.ndarray, *, at_most: int | None = CURVE_POINTS
) -> list[Point]:
    """The finite values of a curve, thinned evenly with both ends kept."""
    kept = np.flatnonzero(np.isfinite(values))
    if at_most is not None and len(kept) > at_most:
        kept = kept[np.linspace(0, len(kept) - 1, at_most).round().astype(int)]
    return [Point(key, float(values[i]), int(steps[i])) for i in kept]


def finite_points(values: Mapping[str, Any], *, step: int) -> list[Point]:
    """The numbers among `values`; MLflow would store infinity as 1.8e308."""
    return [
        Point(key, float(value), step)
        for key, value in values.items()
        if value is not None and math.isfinite(value)
    ]
