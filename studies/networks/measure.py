"""Trains every task at every rate of the grid, and tests its range; keeps each result at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from studies.networks.runs import SCHEDULES, Run
from studies.networks.task import Task
from studies.networks.trainer import Trainer

OUT = Path("artifacts/studies/networks")
COARSE = [1e-5 * 8**k for k in range(7)]  # a first look, a factor of 8 apart, up to 2.6
FINE = [2.0**k for k in range(-4, 4)]  # of the best of `COARSE`
SEEDS = range(3)
COARSE_SEED = 90


class Kept:
    """The results of a task, in a file to which each one is appended at once."""

    def __init__(self, task: Task) -> None:
        self.path = OUT / f"{task.name}-{task.digest}.jsonl"
        self._rows: dict[Run, dict[str, Any]] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self._rows[Run(*(row[key] for key in ("schedule", "peak", "steps", "seed")))] = row

    def row(self, run: Run, trainer: Trainer) -> dict[str, Any]:
        """Return the result of a run; train it where it is not kept yet."""
        if run not in self._rows:
            outcome = trainer.train(run.rates(), run.seed)
            row = {**vars(run), **vars(outcome), "initial_loss": trainer.initial_loss}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self._rows[run] = row
        return self._rows[run]


def grid_peaks(coarse: dict[float, float]) -> list[float]:
    """Return the peaks of the grid: a factor of 2 apart around the best of the first look."""
    best = min(coarse, key=lambda peak: np.nan_to_num(coarse[peak], nan=np.inf))
    return [float(f"{best * factor:.4g}") for factor in FINE]


def runs_of(peaks: list[float], steps: int) -> Iterator[Run]:
    """Yield the trainings of the grid."""
    for seed in SEEDS:
        for schedule in SCHEDULES:
            yield from (Run(schedule, peak, steps, seed) for peak in peaks)


def measure(task: Task) -> pd.DataFrame:
    """Return all trainings of a task, those of the first look excepted."""
    OUT.mkdir(parents=True, exist_ok=True)
    kept, trainer = Kept(task), Trainer(task)
    first = [Run("linear_decay", peak, trainer.steps, COARSE_SEED) for peak in COARSE]
    coarse = {run.peak: kept.row(run, trainer)["losses"][-1] for run in first}
    runs = runs_of(grid_peaks(coarse), trainer.steps)
    rows = [kept.row(run, trainer) for run in runs]
    return pd.DataFrame(rows).assign(task=task.name, whole=trainer.steps)


def kept(task: Task) -> pd.DataFrame:
    """Return the kept trainings of a task, those of the first look excepted."""
    rows = pd.read_json(OUT / f"{task.name}-{task.digest}.jsonl", lines=True)
    whole = int(rows["steps"].max())
    return rows[rows["seed"].isin(SEEDS)].assign(task=task.name, whole=whole)
