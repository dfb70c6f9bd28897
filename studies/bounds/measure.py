"""Stages of the study, run from the root: python -m studies.bounds.measure STAGE [HALF]."""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

from lrcycles import datasets, results
from studies.bounds import tasks
from studies.bounds.tasks import OUT


def data() -> None:
    """Stage `data`: make and split the four data sets."""
    for name, classes in tasks.CLASSES.items():
        folder = OUT / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        datasets.prepare(
            name=name,
            source=f"studies.bounds.images:{name}",
            path=None,
            sha256=None,
            classes=[str(k) for k in range(classes)],
            image_shape=tasks.SHAPES[name],
            train_images=tasks.TRAIN_IMAGES[name],
            validation_images=tasks.VALIDATION_IMAGES,
            test_images=tasks.TEST_IMAGES.get(name, 3000),
            split_seed=0,
            root=OUT,
            out=folder,
        )


def curves(half: str) -> None:
    """Stage `curves@HALF`: run every task's range tests."""
    parts = [tasks.run_sweeps(task) for task in tasks.read_tasks(half)]
    folder = OUT / "curves" / half
    results.write_table(folder / "curves.parquet", pd.concat([table for table, _ in parts]))
    results.write_text(
        folder / "costs.csv", pd.concat([costs for _, costs in parts]).to_csv(index=False)
    )


def grid(half: str) -> None:
    """Stage `grid@HALF`: train the grid on seeds 0-4 and its best pair or rate on 5-9 too."""
    parts = []
    for task in tasks.read_tasks(half):
        started = time.perf_counter()
        table = tasks.train(task, tasks.grid(task), range(5))
        best = oracle(table)
        parts += [table, tasks.train(task, [best], range(5, 10))]
        print(f"{task.name}: {time.perf_counter() - started:.0f} s, oracle {best}", flush=True)
    path = OUT / "grid" / half / "grid.csv"
    results.write_text(path, pd.concat(parts).to_csv(index=False))


def oracle(table: pd.DataFrame) -> dict[str, float]:
    """The schedule of the least mean held-out loss on seeds 0-4; a diverged one never is."""
    five = table[table["seed"] < 5].assign(loss=table["test_loss"].fillna(np.inf))
    mean = five.groupby(["schedule", "base_lr", "max_lr"])["loss"].mean()
    name, base_lr, max_lr = mean.idxmin()
    if name == "constant":
        return tasks.constant(base_lr)
    return tasks.cyclical(base_lr, max_lr)


if __name__ == "__main__":
    {"data": data, "curves": curves, "grid": grid}[sys.argv[1]](*sys.argv[2:])
