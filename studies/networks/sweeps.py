"""Tests the range of every task several times, as a user would."""

from __future__ import annotations

import numpy as np
import pandas as pd

import lrcycles
from lrcycles import files
from lrcycles.range_tests.curves import Curves
from studies.networks.measure import OUT
from studies.networks.task import Task

FIRST_SEED = 200  # of the weights; the trainings have smaller seeds
REPEATS = {"short": 10, "usual": 3}  # at most a quarter of the training, and the default


def range_tests(task: Task, length: str) -> list[Curves]:
    """Return range tests, each of new weights and samples in another order.

    They are measured once and kept in a file.
    """
    path = OUT / f"{task.name}-{task.digest}-{length}.parquet"
    if not path.exists():
        data = task.data()[:2]
        tests = [_range_test(task, data, length, repeat) for repeat in range(REPEATS[length])]
        files.write_table(path, pd.concat(tests, ignore_index=True))
    optimizer = type(task.optimizer()).__name__.lower()
    return [_curves(rows, optimizer) for _, rows in files.read_table(path).groupby("repeat")]


def _range_test(
    task: Task, data: tuple[np.ndarray, np.ndarray], length: str, repeat: int
) -> pd.DataFrame:
    order = np.random.default_rng([repeat, 3]).permutation(len(data[0]))
    x, y = (part[order] for part in data)
    curves = lrcycles.range_test(
        task.compiled(FIRST_SEED + repeat),
        x,
        y,
        batch_size=task.batch_size,
        epochs=task.epochs if length == "short" else None,
        verbose=False,
    )
    columns = curves.table[["seed", "step", "lr", "loss", "heldout_loss"]]
    return columns.assign(
        repeat=repeat,
        metric=curves.table[curves.metric],
        metric_rises=curves.metric_rises,
        initial_loss=curves.table["seed"].map(curves.initial_loss),
        initial_metric=curves.table["seed"].map(curves.initial_metric),
        steps_per_epoch=curves.steps_per_epoch,
        momentum=curves.momentum,
        seconds=curves.seconds,
        notes="\n".join(curves.notes),
    )


def _curves(rows: pd.DataFrame, optimizer: str) -> Curves:
    first = rows.groupby("seed").first()
    one = rows.iloc[0]
    return Curves(
        rows[["seed", "step", "lr", "loss", "heldout_loss", "metric"]],
        metric="metric",
        metric_rises=bool(one["metric_rises"]),
        initial_loss=first["initial_loss"].to_dict(),
        initial_metric=first["initial_metric"].to_dict(),
        steps_per_epoch=int(one["steps_per_epoch"]),
        momentum=float(one["momentum"]),
        optimizer=optimizer,
        seconds=float(one["seconds"]),
        notes=str(one["notes"]).splitlines(),
    )
