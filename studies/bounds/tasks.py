"""What are the tasks, and how is one of them swept or trained?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from lrcycles import files
from lrcycles.cells.cell import Cell, chains
from lrcycles.cells.store import CellStore
from lrcycles.range_tests import of_cells
from lrcycles.range_tests.curves import Curves
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

SWEEP_STEPS, SWEEP_SEEDS, RANGE_TESTS = 320, 1, 5  # steps a seed, seeds a test, tests a task
FIRST_SWEEP_SEED = 100  # beyond those of the trainings


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
    def sweep(self) -> of_cells.Sweep:
        """The range test: a decade beyond the grid on both sides."""
        return of_cells.Sweep(
            ramp="exponential",
            min_lr=self.lowest_lr / 10,
            max_lr=self.lowest_lr * 1e4,
            steps=SWEEP_STEPS,
            evaluate_every_steps=10,
            heldout_images=500,
            stop_factor=4.0,
        )

    def cell(self, seed: int, schedule: Mapping[str, Any]) -> Cell:
        """One training, or the stand-in of one sweep."""
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
    """The tasks of `choose` or `judge`, in the file's order."""
    known = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [
        Task(
            name=name,
            half=half,
            network=known["networks"][values.pop("network")],
            optimizer=known["optimizers"][values.pop("optimizer")],
            **values,
        )
        for name, values in known[half].items()
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
    """13 constant rates, four a decade, and 12 pairs: two a decade, max_lr / base_lr 4 or 40."""
    rates = [float(f"{task.lowest_lr * 10 ** (k / 4):.4g}") for k in range(13)]
    pairs = [cyclical(high / ratio, high) for high in rates[2::2] for ratio in (4, 40)]
    return [*map(constant, rates), *pairs]


def train(task: Task, pairs: Sequence[tuple[Mapping[str, Any], int]]) -> pd.DataFrame:
    """Train each schedule with its seed, over processes; one row a training, in their order.

    Columns task, schedule, base_lr, max_lr (equal for a constant rate), seed, status, test_loss,
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
                "status": result["status"],
                "test_loss": result["test_loss"],
                "test_error_percent": result["test_error_percent"],
                "seconds": result["train_seconds"],
                "steps": result["steps"],
            }
        )
    return pd.DataFrame(rows)


def sweep_seeds(test: int) -> list[int]:
    """The seeds of one of the range tests."""
    return [FIRST_SWEEP_SEED + test * SWEEP_SEEDS + k for k in range(SWEEP_SEEDS)]


def run_sweeps(task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All range tests of a task: their curves, and what each seed cost."""
    seeds = [seed for test in range(RANGE_TESTS) for seed in sweep_seeds(test)]
    cells = [task.cell(seed, constant(task.lowest_lr)) for seed in seeds]
    timed = of_cells.sweep_seeds(cells, task.sweep, data=task.folder, workers="auto")
    # Rules that read the loss alone need no held-out measurements: the same sweeps, that much
    # cheaper, with three looks at whether they have diverged.
    plain = replace(task.sweep, evaluate_every_steps=-(-SWEEP_STEPS // 3))
    cheap = of_cells.sweep_seeds(cells, plain, data=task.folder, workers="auto")
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
            "seconds_loss_only": other.train_seconds,
        }
        for one, other in zip(timed, cheap, strict=True)
    )
    return table, costs


def range_test(curves: pd.DataFrame, costs: pd.DataFrame, task: Task, test: int) -> Curves:
    """One range test of a task, with all its seeds."""
    seeds = sweep_seeds(test)
    mine = curves[(curves["task"] == task.name) & curves["seed"].isin(seeds)]
    known = costs[costs["task"] == task.name].set_index("seed").loc[seeds]
    return Curves(
        table=mine.drop(columns="task"),
        initial_loss=known["initial_loss"].to_dict(),
        initial_metric=known["initial_accuracy"].to_dict(),
        steps_per_epoch=task.steps_per_epoch,
        momentum=task.optimizer["arguments"].get("momentum", 0.0),
    )


def noise_floor(losses: np.ndarray) -> float:
    """How far two halves of ten equal trainings lie apart, relative to their mean; all 126 splits.

    Args:
        losses: one held-out loss a seed, shape (10,).
    """
    from itertools import combinations

    halves = [list(part) for part in combinations(range(10), 5) if 0 in part]
    means = np.array([losses[half].mean() for half in halves])
    others = (losses.sum() - 5 * means) / 5
    return float(np.mean(np.abs(means - others)) / losses.mean())
