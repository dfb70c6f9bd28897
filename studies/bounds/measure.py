"""Measures curves, rates and rules; one table per half of the study."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from lrcycles import files
from lrcycles.bounds import calibrated, select
from lrcycles.data import prepare
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves
from studies.bounds import tasks
from studies.bounds.tasks import OUT

OWN_BOUNDS = ("calibrated", "smith", "thirds")  # rules that give both bounds


def data() -> None:
    """Make and split the data sets."""
    for name, classes in tasks.CLASSES.items():
        folder = OUT / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        prepare.prepare(
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
    """Run every task's range tests."""
    parts = [tasks.run_sweeps(task) for task in tasks.read_tasks(half)]
    folder = OUT / "curves" / half
    files.write_table(folder / "curves.parquet", pd.concat([table for table, _ in parts]))
    files.write_text(
        folder / "costs.csv", pd.concat([costs for _, costs in parts]).to_csv(index=False)
    )


def grid(half: str) -> None:
    """Train the grid with seeds 0-4, and the oracle also with seeds 5-9."""
    parts = []
    for task in tasks.read_tasks(half):
        started = time.perf_counter()
        table = tasks.train(task, [(s, seed) for seed in range(5) for s in tasks.grid(task)])
        best = oracle(table)
        parts += [table, tasks.train(task, [(best, seed) for seed in range(5, 10)])]
        print(f"{task.name}: {time.perf_counter() - started:.0f} s, oracle {best}", flush=True)
    path = OUT / "grid" / half / "grid.csv"
    files.write_text(path, pd.concat(parts).to_csv(index=False))


def rules(half: str) -> None:
    """Apply every rule to every range test, and train with its bounds.

    The bounds from range test k are trained with seed 5 + k, one of the oracle's seeds. A rule of
    another tool suggests one rate, which is used twice: as a constant rate, and as max_lr of a
    cycle.
    """
    folder = OUT / "curves" / half
    curves = files.read_table(folder / "curves.parquet")
    costs = pd.read_csv(folder / "costs.csv")
    parts = []
    for task in tasks.read_tasks(half):
        answers = [
            {"task": task.name, "rule": rule, "test": test, **answer}
            for test in range(tasks.RANGE_TESTS)
            for rule in select.RULES
            for answer in apply_rule(rule, tasks.range_test(curves, costs, task, test))
        ]
        given = [answer for answer in answers if answer["max_lr"] is not None]
        trained = tasks.train(task, [(as_schedule(a), 5 + a["test"]) for a in given])
        outcome = trained[["seed", "status", "test_loss", "test_error_percent", "seconds", "steps"]]
        parts.append(pd.concat([pd.DataFrame(given), outcome], axis=1))
        parts.append(pd.DataFrame([a for a in answers if a["max_lr"] is None]))
        print(task.name, flush=True)
    path = OUT / "rules" / half / "rules.csv"
    files.write_text(path, pd.concat(parts, ignore_index=True).to_csv(index=False))


def apply_rule(rule: str, curves: Curves) -> list[dict[str, Any]]:
    """Return a row per use of a rule's bounds; base_lr and max_lr are None without bounds."""
    uses = ["cycle"] if rule in OWN_BOUNDS else ["constant", "cycle"]
    try:
        bounds = select.select_bounds(curves, rule=rule, cycles=tasks.CYCLES)
    except InputError as error:
        nothing = {"base_lr": None, "max_lr": None, "reason": str(error)}
        return [{"use": use, **nothing} for use in uses]
    rows = []
    for use in uses:
        base_lr = bounds.base_lr
        if rule not in OWN_BOUNDS:
            base_lr = bounds.max_lr / (1 if use == "constant" else calibrated.RATIO)
        rows.append({"use": use, "base_lr": base_lr, "max_lr": bounds.max_lr, "reason": ""})
    return rows


def as_schedule(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the schedule that trains with a row of `apply_rule`."""
    if answer["use"] == "constant":
        return tasks.constant(answer["max_lr"])
    return tasks.cyclical(answer["base_lr"], answer["max_lr"])


def oracle(table: pd.DataFrame) -> dict[str, float]:
    """Return the schedule with the lowest mean held-out loss on seeds 0-4.

    A schedule with a diverged training is never the oracle.
    """
    five = table[table["seed"] < 5].assign(loss=table["test_loss"].fillna(np.inf))
    mean = five.groupby(["schedule", "base_lr", "max_lr"])["loss"].mean()
    name, base_lr, max_lr = mean.idxmin()
    if name == "constant":
        return tasks.constant(base_lr)
    return tasks.cyclical(base_lr, max_lr)
