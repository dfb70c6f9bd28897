"""Reads the arms of an experiment, with the result of every seed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from lrcycles import files
from lrcycles.cells.result import CellResult, read_result
from lrcycles.config.schema import GROUPS
from lrcycles.errors import InputError
from lrcycles.evidence.paired import FEWEST

_NEAR_CHANCE = 5.0  # percentage points: a run this close to chance has learned nothing
AVERAGE_LABELS = {"ema": "EMA", "last": "checkpoints"}
_MID_CYCLE = 0.05  # share of a cycle: closer to its end than this, a run counts as ended there
# What the seconds of a step depend on; the learning rate is no part of it.
_STEP_COST = ["data", "model", "optimizer", "batch_size", "device", "device_name", "threads"]
_STEP_COST += ["side_by_side", "backend", "precision", "compile", "streamed"]


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        cells: the result of each seed.
        mistakes: by seed, which test images a finished training gets wrong, where that is known.
        averages: by name, the same trainings with averages of their weights.
        average: the name, of such trainings.
        rates: the learning rate of every step, from the seed that trained longest.
    """

    name: str
    group: str
    cells: dict[int, CellResult]
    rates: list[float]
    mistakes: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    averages: dict[str, Arm] = field(default_factory=dict)
    average: str | None = None

    @property
    def trained(self) -> dict[int, CellResult]:
        """Results of the seeds that trained to the end and learned something."""
        guessed = set(self.guessed)
        return {seed: cell for seed, cell in self.finished.items() if seed not in guessed}

    @property
    def guessed(self) -> list[int]:
        """The seeds that finished with about the error of a guess."""
        guess = 100 * (1 - 1 / self.settings.classes) - _NEAR_CHANCE
        return [
            seed
            for seed, cell in self.finished.items()
            if cell.test_error_percent is not None and cell.test_error_percent > guess
        ]

    @property
    def failed(self) -> list[int]:
        """The seeds that diverged or guess."""
        return [seed for seed in self.cells if seed not in self.trained]

    @property
    def finished(self) -> dict[int, CellResult]:
        """Results of the seeds that trained to the end."""
        return {seed: cell for seed, cell in self.cells.items() if cell.finished}

    @property
    def diverged(self) -> list[int]:
        """The seeds whose training diverged."""
        return [seed for seed, cell in self.cells.items() if not cell.finished]

    @property
    def settings(self) -> CellResult:
        """One seed's result, for what is equal in all: schedule, batch size, epochs, device."""
        return next(iter(self.cells.values()))

    @property
    def on_split(self) -> bool:
        """Whether it trains on the training split, as the controlled comparison does."""
        return self.settings.training_set == "split"

    @property
    def label(self) -> str:
        """The name, with the arm whose weights it continues or averages."""
        parent = self.settings.continues
        if self.average:
            return f"{self.name.removesuffix(f'.{self.average}')} ({AVERAGE_LABELS[self.average]})"
        return f"{self.name} (after {parent})" if parent else self.name

    @property
    def turned_share(self) -> float | None:
        """The part of its first half-cycle that a cyclical arm completes; above 1 it turns."""
        step_size = self.settings.schedule.step_size
        return (self.total_steps - self.warmup_steps) / step_size if step_size else None

    @property
    def never_turns(self) -> bool:
        """Whether a cyclical arm ends before its rate first falls."""
        return self.turned_share is not None and self.turned_share <= 1

    @property
    def steps_per_epoch(self) -> int:
        """Mini-batches in an epoch; the last short batch is dropped."""
        return self.settings.images // self.settings.batch_size

    @property
    def total_steps(self) -> int:
        """The steps that were planned; a diverged run makes fewer."""
        return self.settings.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """The steps before the schedule begins, in which the rate rises to its first rate."""
        return self.settings.schedule.warmup_steps or 0

    @property
    def step_cost_key(self) -> str:
        """Equal for arms whose steps cost equal time."""
        more = [self.settings.momentum is not None, "ema" in self.settings.averages]
        return str([*more, *(getattr(self.settings, key) for key in _STEP_COST)])

    @property
    def cut_share(self) -> float | None:
        """How far into a cycle the run ends; None if it ends with a cycle or has no cycles."""
        schedule = self.settings.schedule
        if not schedule.step_size or schedule.cycles or schedule.name == "one_cycle":
            return None
        share = (self.total_steps - self.warmup_steps) / (2 * schedule.step_size) % 1
        return share if _MID_CYCLE < share < 1 - _MID_CYCLE else None

    @property
    def cycle_ends_epochs(self) -> list[float]:
        """The epochs, fractions included, at which its cycles end."""
        step_size = self.settings.schedule.step_size
        if not step_size:
            return []
        cycle = 2 * step_size / self.steps_per_epoch
        start = self.warmup_steps / self.steps_per_epoch
        count = int((self.settings.epochs - start) / cycle + 1e-9)
        return [start + cycle * k for k in range(1, count + 1)]

    def values(self, quantity: str) -> dict[int, float]:
        """Give one figure, such as test_error_percent, of each seed that did not fail."""
        return {seed: float(getattr(cell, quantity)) for seed, cell in self.trained.items()}


def read_arms(train: Path, groups: Sequence[str] = GROUPS) -> dict[str, Arm]:
    """Read the arms that each group's cells.csv lists, group by group.

    Raises:
        InputError: a group was not trained, a file of it is missing, or no group has an arm.
    """
    import pandas as pd

    arms: dict[str, Arm] = {}
    for group in groups:
        listing = train / group / "cells.csv"
        if not listing.exists():
            raise InputError(
                f"artifacts/train/{group}/cells.csv must be there. Received: no such file. "
                f"Run `dvc repro train@{group}`."
            )
        # An arm may be called null, which is no missing value here.
        cells_csv = pd.read_csv(
            listing, usecols=["arm", "seed"], dtype={"arm": str}, keep_default_na=False
        )
        for name, rows in cells_csv.groupby("arm", sort=False):
            seeds = sorted(int(seed) for seed in rows["seed"])
            arms[str(name)] = _read_arm(str(name), group, train / group / str(name), seeds)
    if not arms:
        raise InputError(
            f"At least one arm must be there. Received: none in the groups {', '.join(groups)}. "
            "Choose an experiment that has arms."
        )
    return arms


def _read_arm(name: str, group: str, folder: Path, seeds: Sequence[int]) -> Arm:
    for seed, file in product(seeds, ("result.json", "steps.parquet")):
        if not (folder / f"{seed}/{file}").exists():
            raise InputError(
                f"{folder}/{seed}/{file} must be there, because cells.csv lists it. Received: no "
                f"such file. Run `dvc checkout` or `dvc repro -f -s train@{group}`."
            )
    cells = {seed: read_result(folder / f"{seed}/result.json") for seed in seeds}
    longest = max(seeds, key=lambda seed: (cells[seed].steps, -seed))
    steps = files.read_table(folder / f"{longest}/steps.parquet")
    # Stored as float32, which holds seven digits: further digits are rounding.
    rates = [float(f"{lr:.7g}") for lr in steps["lr"]]
    arm = Arm(name, group, cells, rates, _mistakes(folder, cells, "correct.npy"))
    return replace(
        arm, averages={each: _averaged(arm, each, folder) for each in arm.settings.averages}
    )


def _averaged(arm: Arm, average: str, folder: Path) -> Arm:
    cells = {seed: cell.averaged(average) for seed, cell in arm.cells.items()}
    mistakes = _mistakes(folder, cells, f"correct_{average}.npy")
    name = f"{arm.name}.{average}"
    return replace(arm, name=name, cells=cells, mistakes=mistakes, average=average)


def _mistakes(
    folder: Path, cells: Mapping[int, CellResult], file: str
) -> dict[int, NDArray[np.bool_]]:
    found = {seed: read_mistakes(folder / f"{seed}/{file}", cell) for seed, cell in cells.items()}
    return {seed: mistakes for seed, mistakes in found.items() if mistakes is not None}


def read_mistakes(path: Path, cell: CellResult) -> NDArray[np.bool_] | None:
    """Read which test images a training gets wrong; None for results without this file.

    Args:
        path: correct.npy.

    Raises:
        InputError: the file belongs to another result.
    """
    if not path.exists() or cell.test_images is None:
        return None
    wrong = ~np.unpackbits(np.load(path), count=cell.test_images).astype(bool)
    error = 100 * float(wrong.mean())
    if cell.test_error_percent is None or abs(error - cell.test_error_percent) > 1e-6:
        raise InputError(
            f"{path} must hold the mistakes of result.json. Received: an error of {error:g} % "
            f"beside {cell.test_error_percent} %. Train again."
        )
    return wrong


def seconds_per_step(arms: Collection[Arm]) -> dict[str, float]:
    """Give each arm the median seconds of a training step.

    The median is taken over all runs whose steps cost equal time (`step_cost_key`), so that a busy
    hour of the machine does not move it.
    """
    measured: defaultdict[str, list[float]] = defaultdict(list)
    for arm in arms:
        for cell in arm.finished.values():
            measured[arm.step_cost_key].append(cell.train_seconds / cell.steps)
    return {
        arm.name: median(measured[arm.step_cost_key])
        for arm in arms
        if arm.step_cost_key in measured
    }


@dataclass(frozen=True)
class Summary:
    """Number, mean, standard deviation and 95 % interval (Student's t) of the seeds' values.

    One or two values have no spread, and equal values have no interval.
    """

    n: int
    mean: float | None
    sd: float | None = None
    low: float | None = None
    high: float | None = None


def summarise(values: Iterable[float]) -> Summary:
    """Describe values; no value has no mean.

    >>> summarise([1.0, 3.0]).mean
    2.0
    """
    from scipy import stats

    numbers = np.asarray(list(values), dtype=float)
    n = len(numbers)
    if n < FEWEST:
        return Summary(n, float(numbers.mean()) if n else None)
    mean, sd = float(numbers.mean()), float(numbers.std(ddof=1))
    if not np.ptp(numbers):
        return Summary(n, mean, 0.0)
    half = float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, mean - half, mean + half)
