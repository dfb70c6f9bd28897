"""Describes one training: a schedule, its peak rate, its length and a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lrcycles.schedules import rates
from lrcycles.schedules.table import rate_table
from studies.networks.task import Array

SCHEDULES = ("constant", "linear_decay", "warmup_decay", "cycles")
# More schedules, by the arguments of `rate_table`. Those that begin at the peak get a warm-up.
MORE: dict[str, dict[str, Any]] = {
    "warmup_cosine": {"name": "cosine"},
    "warmup_stable": {"name": "warmup_stable_decay"},
    "warmup_stable_sqrt": {"name": "warmup_stable_decay", "shape": "1-sqrt"},
    "one_cycle": {"name": "one_cycle"},
    "triangular2": {"name": "triangular2", "cycles": 3},
    "shrinking": {"name": "exp_range_bounds", "cycles": 3},
}
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
        if self.schedule in MORE:
            starts_at_peak = self.schedule.startswith("warmup")
            return rate_table(
                **MORE[self.schedule],
                total_steps=n,
                base_lr=0.0 if starts_at_peak else peak / RATIO,
                max_lr=peak,
                warmup_steps=round(WARMUP * n) if starts_at_peak else 0,
            )
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
