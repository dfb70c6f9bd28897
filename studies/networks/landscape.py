"""Reads the loss at any peak rate off the trainings of a task, and measures regret against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from studies.networks.task import Array


@dataclass(frozen=True)
class Landscape:
    """The mean held-out loss of a task over the peak rate, for each schedule.

    Attributes:
        peaks: of the grid, in rising order.
        losses: by schedule, one row for each seed and one column for each peak. A training that
            diverged counts as the loss before training.
        initial_loss: before training.
        steps: of a whole training.
    """

    task: str
    steps: int
    peaks: Array
    losses: Mapping[str, Array]
    initial_loss: float

    @classmethod
    def of(cls, trainings: pd.DataFrame) -> Landscape:
        """Arrange the trainings of one task: those of whole length."""
        whole = trainings[trainings["steps"] == trainings["whole"]]
        initial = float(whole["initial_loss"].iloc[0])
        loss = whole["losses"].str[-1].astype(float).fillna(initial)
        tables = {
            str(schedule): rows.pivot(index="seed", columns="peak", values="loss")
            for schedule, rows in whole.assign(loss=loss).groupby("schedule")
        }
        peaks = next(iter(tables.values())).columns.to_numpy(float)
        losses = {schedule: table.to_numpy(float) for schedule, table in tables.items()}
        first = whole.iloc[0]
        return cls(str(first["task"]), int(first["whole"]), peaks, losses, initial)

    def at(self, schedule: str, peak: float) -> float:
        """Interpolate the mean loss at a peak rate, on logarithmic scales.

        Outside of the grid the slope of its last two points goes on, up to the loss before
        training.
        """
        x, y = np.log(self.peaks), np.log(self.losses[schedule].mean(axis=0))
        at = np.log(peak)
        inside = float(np.interp(at, x, y))
        if at < x[0]:
            inside = y[0] + max(0.0, (y[0] - y[1]) / (x[1] - x[0])) * (x[0] - at)
        if at > x[-1]:
            inside = y[-1] + max(0.0, (y[-1] - y[-2]) / (x[-1] - x[-2])) * (at - x[-1])
        return float(min(np.exp(inside), max(self.initial_loss, np.exp(y).max())))

    def best(self, schedule: str) -> tuple[float, float]:
        """Return the best peak of a schedule in the grid, and its mean loss."""
        means = self.losses[schedule].mean(axis=0)
        return float(self.peaks[means.argmin()]), float(means.min())

    def optimum(self, schedule: str) -> float:
        """Return the peak at the lowest point of a parabola through the three best peaks."""
        x, y = np.log(self.peaks), np.log(self.losses[schedule].mean(axis=0))
        place = int(y.argmin())
        if place in (0, len(y) - 1):
            return float(self.peaks[place])
        second, first, _ = np.polyfit(
            x[place - 1 : place + 2] - x[place], y[place - 1 : place + 2], 2
        )
        return float(np.exp(x[place] - first / (2 * second)))

    @property
    def oracle(self) -> tuple[str, float, float]:
        """Return schedule, peak and mean loss of the best cell of the grid."""
        name = min(self.losses, key=lambda one: self.best(one)[1])
        return name, *self.best(name)

    @property
    def unchosen_loss(self) -> float:
        """Return the loss of the best cell as measured by a seed that did not choose it.

        Each seed measures the cell that the others choose; the result is their mean.
        """
        cells = np.concatenate(list(self.losses.values()), axis=1)
        measured = [
            cells[seed, np.delete(cells, seed, axis=0).mean(axis=0).argmin()]
            for seed in range(len(cells))
        ]
        return float(np.mean(measured))

    def ratio(self, schedule: str, peak: float) -> float:
        """Return the loss at a peak rate, relative to the oracle's."""
        return self.at(schedule, peak) / self.oracle[2]

    @property
    def floor(self) -> float:
        """Return the noise of a ratio: how much the mean loss of the oracle differs by seeds."""
        name, peak, mean = self.oracle
        rows = self.losses[name][:, int(np.flatnonzero(self.peaks == peak)[0])]
        return float(rows.std(ddof=1) / np.sqrt(len(rows)) / mean)
