"""Describes one training: a schedule, its peak rate, its length and a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrcycles.schedules import rates
from studies.networks.task import Array

SCHEDULES = ("constant", "linear_decay", "warmup_decay", "cycles")
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
