"""What has each arm reached, seed by seed?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from lrcycles import files
from lrcycles.config.schema import GROUPS
from lrcycles.errors import InputError
from lrcycles.evidence import paired

_CUT = 0.05  # of a cycle: nearer to its end than that, a run is read at its end
_OF_A_STEP = ["data", "model", "optimizer", "batch_size", "device", "device_name", "threads"]
_OF_A_STEP += ["side_by_side", "backend", "precision", "compile", "streamed"]


@dataclass(frozen=True)
class Arm:
    """One way to train: the result.json of each of its seeds."""

    name: str
    group: str
    cells: dict[int, dict[str, Any]]
    rates: list[float]  # of every step, from the seed that got furthest

    @property
    def finished(self) -> dict[int, dict[str, Any]]:
        return {seed: cell for seed, cell in self.cells.items() if cell["status"] == "finished"}

    @property
    def diverged(self) -> list[int]:
        return [seed for seed in self.cells if seed not in self.finished]

    @property
    def settings(self) -> dict[str, Any]:
        """What is the same for all seeds: schedule, batch size, epochs, device."""
        return next(iter(self.cells.values()))

    @property
    def on_split(self) -> bool:
        return bool(self.settings["training_set"] == "split")

    @property
    def uses_bounds(self) -> bool:
        return bool(self.settings["uses_bounds"])

    @property
    def label(self) -> str:
        """The name, and what came before, which a reader of a comparison must know."""
        parent = self.settings["continues"]
        return f"{self.name} (after {parent})" if parent else self.name

    @property
    def turned_share(self) -> float | None:
        """The part of its first half-cycle that a cyclical arm completes; from 1 on it turns."""
        step_size = self.settings["schedule"]["step_size"]
        return self.total_steps / float(step_size) if step_size else None

    @property
    def steps_per_epoch(self) -> int:
        return int(self.settings["images"]) // int(self.settings["batch_size"])

    @property
    def total_steps(self) -> int:
        """The steps that were planned, of which a diverged run made fewer."""
        return int(self.settings["epochs"]) * self.steps_per_epoch

    @property
    def kind_of_step(self) -> str:
        """What a step's seconds depend on; the rate is no part of it, a cycled momentum is."""
        cycled = self.settings["momentum"] is not None
        return str([cycled, *(self.settings[key] for key in _OF_A_STEP)])

    @property
    def cut_share(self) -> float | None:
        """How far into a cycle the run ends and is read; None if that is its end, or it has none.

        Of the first half-cycle `turned_share` tells.
        """
        schedule = self.settings["schedule"]
        step_size = schedule["step_size"]
        if not step_size or schedule["cycles"] or schedule["name"] == "one_cycle":
            return None
        share = self.total_steps / (2 * float(step_size)) % 1
        return share if _CUT < share < 1 - _CUT else None

    @property
    def cycle_ends_epochs(self) -> list[float]:
        """Where its cycles end."""
        step_size, epochs = self.settings["schedule"]["step_size"], int(self.settings["epochs"])
        if not step_size:
            return []
        cycle = 2 * float(step_size) / self.steps_per_epoch
        return [cycle * k for k in range(1, int(epochs / cycle + 1e-9) + 1)]

    def values(self, key: str) -> dict[int, float]:
        """By seed, what the finished cells have under `key`."""
        return {seed: float(cell[key]) for seed, cell in self.finished.items()}


def read_arms(train: Path, groups: Sequence[str] = GROUPS) -> dict[str, Arm]:
    """The arms, group by group, as they stand in each group's cells.csv.

    Raises:
        InputError: a group was not trained, a file of it is lost, or no group has an arm.
    """
    import pandas as pd

    arms: dict[str, Arm] = {}
    for group in groups:
        listed = train / group / "cells.csv"
        if not listed.exists():
            raise InputError(
                f"artifacts/train/{group} is missing: `dvc repro train@{group}` makes it"
            )
        # An arm may be called null, which is no missing value here.
        cells_csv = pd.read_csv(
            listed, usecols=["arm", "seed"], dtype={"arm": str}, keep_default_na=False
        )
        for name, rows in cells_csv.groupby("arm", sort=False):
            folder = train / group / str(name)
            seeds = sorted(int(seed) for seed in rows["seed"])
            for seed, file in product(seeds, ("result.json", "steps.parquet")):
                if not (folder / f"{seed}/{file}").exists():
                    raise InputError(
                        f"{folder}/{seed}/{file} is lost, cells.csv names it: `dvc checkout` or "
                        f"`dvc repro -f -s train@{group}` brings it back"
                    )
            cells = {seed: files.read_json(folder / f"{seed}/result.json") for seed in seeds}
            longest = max(seeds, key=lambda seed: (cells[seed]["steps"] or 0, -seed))
            steps = files.read_table(folder / f"{longest}/steps.parquet")
            # Stored as float32, which holds seven digits: the rest would be dust.
            rates = [float(f"{lr:.7g}") for lr in steps["lr"]]
            arms[str(name)] = Arm(str(name), group, cells, rates)
    if not arms:
        raise InputError(
            f"need at least one arm, got none in the groups {', '.join(GROUPS)}: choose an "
            "experiment that has arms"
        )
    return arms


def seconds_per_step(arms: Collection[Arm]) -> dict[str, float]:
    """Training seconds of a step by arm, pooled over its kind: equal steps cost equal time.

    Pooled is the median over the runs, which no busy hour of the machine moves.
    """
    measured: defaultdict[str, list[float]] = defaultdict(list)
    for arm in arms:
        for cell in arm.finished.values():
            measured[arm.kind_of_step].append(float(cell["train_seconds"]) / int(cell["steps"]))
    return {
        arm.name: median(measured[arm.kind_of_step]) for arm in arms if arm.kind_of_step in measured
    }


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation and 95 % interval (Student's t) of some seeds' values."""

    n: int
    mean: float | None
    sd: float | None = None
    low: float | None = None
    high: float | None = None


def summarise(values: Iterable[float]) -> Summary:
    """Describe one arm's values; with one value there is no spread, with none no mean.

    >>> summarise([1.0, 3.0]).mean
    2.0
    """
    from scipy import stats

    numbers = np.asarray(list(values), dtype=float)
    if len(numbers) < 2:
        return Summary(len(numbers), float(numbers[0]) if len(numbers) else None)
    sd = float(numbers.std(ddof=1))
    half = float(stats.t.ppf(0.975, len(numbers) - 1)) * sd / math.sqrt(len(numbers))
    mean = float(numbers.mean())
    return Summary(len(numbers), mean, sd, mean - half, mean + half)


def wilson_percent(error_percent: float, images: int) -> tuple[float, float]:
    """The 95 % interval of an error rate measured once on `images` images, in percent."""
    return paired.wilson_interval(round(error_percent / 100 * images), images)
