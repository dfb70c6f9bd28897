"""Lists the tasks of the study, and sweeps or trains one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from lrcycles import files
from lrcycles.cells.cell import Cell, chains
from lrcycles.cells.store import CellStore
from lrcycles.range_tests.cell_sweep import Sweep
from lrcycles.range_tests.curves import Curves
from lrcycles.range_tests.kept_sweeps import sweep_seeds
from lrcycles.range_tests.sweep import as_curves
from lrcycles.stages import plan
from lrcycles.training.run import train_all

FILE = Path(__file__).with_name("tasks.yaml")
OUT = Path("artifacts/studies/bounds")
STORE = CellStore(Path(".lrcycles/cells"))
CLASSES = {"mnist14": 10, "mnist28": 10, "digits": 10, "teacher": 10, "spirals": 3, "mixture": 8}
SHAPES = {
    "mnist14": [14, 14],
    "mnist28": [28, 28],
    "digits": [8, 8],
    "teacher": [4, 5],
    "spirals": [1, 2],
    "mixture": [4, 4],
}
TRAIN_IMAGES = {
    "mnist14": 40_000,
    "mnist28": 40_000,
    "digits": 5000,
    "teacher": 40_000,
    "spirals": 20_000,
    "mixture": 40_000,
}
VALIDATION_IMAGES, TEST_IMAGES = 900, {"mnist14": 2000, "mnist28": 2000}
CYCLES = 3

# Steps per seed, seeds per range test, range tests per task.
SWEEP_STEPS, SWEEP_SEEDS, RANGE_TESTS = 320, 1, 5
FIRST_SWEEP_SEED = 100  # the trainings have smaller seeds


@dataclass(frozen=True)
class Task:
    """One thing to learn: data, network, optimizer, batch size and length."""

    name: str
    half: str
    data: str
    network: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    batch_size: int
    epochs: int
    lowest_lr: float  # of the grid

    @property
    def folder(self) -> Path:
        return OUT / "data" / self.data

    @property
    def steps_per_epoch(self) -> int:
        return TRAIN_IMAGES[self.data] // self.batch_size

    @property
    def sweep(self) -> Sweep:
        """The range test: a decade beyond the grid on both sides."""
        return Sweep(
            ramp="exponential",
            min_lr=self.lowest_lr / 10,
            max_lr=self.lowest_lr * 1e4,
            steps=SWEEP_STEPS,
            evaluate_every_steps=10,
            heldout_images=500,
            stop_factor=4.0,
        )

    def cell(self, seed: int, schedule: Mapping[str, Any]) -> Cell:
        """Describe one training; a sweep takes its settings but not its schedule."""
        function = self.network["function"]
        runtime = plan.runtime(
            backend="tensorflow",
            device="cpu",
            precision="float32",
            threads=1,
            model_function=function,
        )
        return Cell(
            group="study",
            arm=self.name,
            seed=seed,
            schedule=schedule,
            optimizer=self.optimizer,
            model=self.network,
            classes=CLASSES[self.data],
            epochs=self.epochs,
            batch_size=self.batch_size,
            training_set="split",
            compile="graph",  # compiles soonest; these trainings are short
            data=files.read_json(self.folder / "data.json")["digest"],
            runtime=runtime,
        )


def read_tasks(half: str) -> list[Task]:
    """Read the tasks of `choose` or `judge`, in the file's order."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [
        Task(
            name=name,
            half=half,
            network=content["networks"][values.pop("network")],
            optimizer=content["optimizers"][values.pop("optimizer")],
            **values,
        )
        for name, values in content[half].items()
    ]


def constant(lr: float) -> dict[str, Any]:
    """The schedule of a constant rate."""
    return {"name": "constant", "base_lr": float(lr)}


def cyclical(base_lr: float, max_lr: float) -> dict[str, Any]:
    """The schedule of three whole triangular cycles."""
    return {
        "name": "triangular",
        "base_lr": float(base_lr),
        "max_lr": float(max_lr),
        "cycles": CYCLES,
    }


def grid(task: Task) -> list[dict[str, Any]]:
    """13 constant rates, four per decade; 12 pairs, two per decade, max_lr / base_lr 4 or 40."""
    rates = [float(f"{task.lowest_lr * 10 ** (k / 4):.4g}") for k in range(13)]
    pairs = [cyclical(high / ratio, high) for high in rates[2::2] for ratio in (4, 40)]
    return [*map(constant, rates), *pairs]


def train(task: Task, pairs: Sequence[tuple[Mapping[str, Any], int]]) -> pd.DataFrame:
    """Train each schedule with its seed, over processes; one row per training, in their order.

    Columns: task, schedule, base_lr, max_lr (equal for a constant rate), seed, status, test_loss,
    test_error_percent, seconds, steps.
    """
    cells = [task.cell(seed, schedule) for schedule, seed in pairs]
    distinct = list({cell.key: cell for cell in cells}.values())
    if missing := [cell for cell in distinct if not STORE.has(cell, model=False)]:
        train_all(
            chains(missing),
            data=task.folder,
            store=STORE,
            workers="auto",
            reuse=True,
            models=[],
            on_event=lambda *_: None,
        )
    rows = []
    for cell in cells:
        result = STORE.result(cell)
        rows.append(
            {
                "task": task.name,
                "schedule": cell.schedule["name"],
                "base_lr": cell.schedule["base_lr"],
                "max_lr": cell.schedule.get("max_lr", cell.schedule["base_lr"]),
                "seed": cell.seed,
                "status": result.status,
                "test_loss": result.test_loss,
                "test_error_percent": result.test_error_percent,
                "seconds": result.train_seconds,
                "steps": result.steps,
            }
        )
    return pd.DataFrame(rows)


def seeds_of_test(test: int) -> list[int]:
    """List the seeds of one range test."""
    return [FIRST_SWEEP_SEED + test * SWEEP_SEEDS + k for k in range(SWEEP_SEEDS)]


def run_sweeps(task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run all range tests of a task: their curves, and what each seed cost."""
    seeds = [seed for test in range(RANGE_TESTS) for seed in seeds_of_test(test)]
    cells = [task.cell(seed, constant(task.lowest_lr)) for seed in seeds]
    run = partial(sweep_seeds, cells, data=task.folder, workers="auto", store=STORE, reuse=True)
    timed = run(task.sweep)
    # A rule that reads the loss alone needs no held-out measurements. This cheaper sweep makes the
    # same steps, with three checks for divergence.
    loss_only = run(replace(task.sweep, evaluate_every_steps=-(-SWEEP_STEPS // 3)))
    table = as_curves(
        [one.curve for one in timed],
        task.sweep.range,
        metric="accuracy",
        metric_rises=True,
        stop_factor=task.sweep.stop_factor,
        steps_per_epoch=task.steps_per_epoch,
        seconds=None,
    ).table
    table.insert(0, "task", task.name)
    costs = pd.DataFrame(
        {
            "task": task.name,
            "seed": one.curve.seed,
            "initial_loss": one.curve.initial_loss,
            "initial_accuracy": one.curve.initial_metric,
            "seconds": one.train_seconds + one.evaluate_seconds,
            "seconds_loss_only": cheap.train_seconds,
        }
        for one, cheap in zip(timed, loss_only, strict=True)
    )
    return table, costs


def range_test(curves: pd.DataFrame, costs: pd.DataFrame, task: Task, test: int) -> Curves:
    """Pick one range test of a task, with all its seeds."""
    seeds = seeds_of_test(test)
    mine = curves[(curves["task"] == task.name) & curves["seed"].isin(seeds)]
    own_costs = costs[costs["task"] == task.name].set_index("seed").loc[seeds]
    return Curves(
        table=mine.drop(columns="task"),
        initial_loss=own_costs["initial_loss"].to_dict(),
        initial_metric=own_costs["initial_accuracy"].to_dict(),
        steps_per_epoch=task.steps_per_epoch,
        momentum=task.optimizer["arguments"].get("momentum", 0.0),
    )


def noise_floor(losses: np.ndarray) -> float:
    """Mean distance between the means of two halves of ten equal trainings, relative to their mean.

    All 126 splits into halves count.

    Args:
        losses: one held-out loss per seed, shape (10,).
    """
    from itertools import combinations

    halves = [list(part) for part in combinations(range(10), 5) if 0 in part]
    means = np.array([losses[half].mean() for half in halves])
    others = (losses.sum() - 5 * means) / 5
    return float(np.mean(np.abs(means - others)) / losses.mean())
