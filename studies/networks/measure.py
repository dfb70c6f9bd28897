"""Trains every task at every rate of the grid, and tests its range; keeps each result at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrcycles.schedules import rates
from studies.networks.task import Array, Task
from studies.networks.trainer import Trainer

OUT = Path("artifacts/studies/networks")
COARSE = [1e-5 * 8**k for k in range(7)]  # a first look, a factor of 8 apart, up to 2.6
FINE = [2.0**k for k in range(-4, 4)]  # of the best of `COARSE`
SEEDS = range(3)
COARSE_SEED = 90
PROBE_SEEDS = range(100, 103)
PROBE_PARTS = (16, 8, 4)  # a probe is a whole linear decay of this part of the training
CYCLES = 3
RATIO = 40  # max_lr / base_lr of the cycles
WARMUP = 0.1  # share of the steps


@dataclass(frozen=True)
class Run:
    """One training: a schedule between 0 and its peak rate, over a number of steps."""

    schedule: str
    peak: float
    steps: int
    seed: int

    def rates(self) -> Array:
        """Tabulate the rates, one for each update."""
        step, peak, n = np.arange(self.steps), self.peak, self.steps
        if self.schedule == "constant":
            return np.full(n, peak)
        if self.schedule == "linear_decay":
            return np.asarray(rates.linear_decay(step, max_lr=peak, total_steps=n))
        if self.schedule == "warmup_decay":
            rise = round(WARMUP * n)
            fall = rates.linear_decay(np.arange(n - rise), max_lr=peak, total_steps=n - rise)
            return np.concatenate([peak * (np.arange(rise) + 1) / (rise + 1), fall])
        size = n // (2 * CYCLES)
        return np.asarray(
            rates.triangular(
                np.minimum(step, 2 * CYCLES * size),
                base_lr=peak / RATIO,
                max_lr=peak,
                step_size=size,
            )
        )


SCHEDULES = ("constant", "linear_decay", "warmup_decay", "cycles")


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


def runs_of(peaks: list[float], steps: int, *, probes: bool) -> Iterator[Run]:
    """Yield the trainings of the grid, then the probes."""
    for seed in SEEDS:
        for schedule in SCHEDULES:
            yield from (Run(schedule, peak, steps, seed) for peak in peaks)
    for part in PROBE_PARTS if probes else ():
        for seed in PROBE_SEEDS:
            yield from (Run("linear_decay", peak, steps // part, seed) for peak in peaks)


def measure(task: Task, *, probes: bool) -> pd.DataFrame:
    """Return all trainings of a task, those of the first look excepted.

    Args:
        probes: train short decays too, from which the extrapolation was made.
    """
    OUT.mkdir(parents=True, exist_ok=True)
    kept, trainer = Kept(task), Trainer(task)
    first = [Run("linear_decay", peak, trainer.steps, COARSE_SEED) for peak in COARSE]
    coarse = {run.peak: kept.row(run, trainer)["losses"][-1] for run in first}
    runs = runs_of(grid_peaks(coarse), trainer.steps, probes=probes)
    rows = [kept.row(run, trainer) for run in runs]
    return pd.DataFrame(rows).assign(task=task.name, whole=trainer.steps)


def kept(task: Task) -> pd.DataFrame:
    """Return the kept trainings of a task, those of the first look excepted."""
    rows = pd.read_json(OUT / f"{task.name}-{task.digest}.jsonl", lines=True)
    whole = int(rows["steps"].max())
    return rows[rows["seed"] != COARSE_SEED].assign(task=task.name, whole=whole)
