"""Asks `advise` about every task that judges, as a user would, and trains as it answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

import lrcycles
from studies.networks.landscape import Landscape
from studies.networks.measure import OUT
from studies.networks.runs import Run
from studies.networks.task import Task
from studies.networks.trainer import Trainer

REPEATS = 10
BUDGET = 1.5
FIRST_SEED = 300  # of the weights; the grid and the range tests have smaller seeds
KEPT = ("schedule", "peak_lr", "warmup_steps", "expected_loss", "chance", "status")


def ask(task: Task) -> pd.DataFrame:
    """Return a row for each repeat, with new weights and the samples in another order."""
    path = OUT / f"{task.name}-{task.digest}-advice.jsonl"
    rows = []
    if path.exists():
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    trainer = Trainer(task) if len(rows) < REPEATS else None
    for repeat in range(len(rows), REPEATS):
        assert trainer is not None
        rows.append(_ask(task, trainer, repeat))
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    return pd.DataFrame(rows)


def _ask(task: Task, trainer: Trainer, repeat: int) -> dict[str, Any]:
    x, y = task.data()[:2]
    order = np.random.default_rng([repeat, 5]).permutation(len(x))
    model = task.compiled(FIRST_SEED + repeat)
    advice = lrcycles.advise(
        model,
        x[order],
        y[order],
        batch_size=task.batch_size,
        epochs=task.epochs,
        budget=BUDGET,
        verbose=False,
    )
    answer = advice.to_dict()
    schedule = "warmup_decay" if advice.warmup_steps else "linear_decay"
    run = Run(schedule, advice.peak_lr, trainer.steps, FIRST_SEED + repeat)
    trained = trainer.train(run.rates(), run.seed)
    low, high = advice.peak_interval
    return {
        **{key: answer[key] for key in KEPT},
        "low": low,
        "high": high,
        "cost": advice.cost.used,
        "seconds": advice.cost.seconds,
        "warnings": advice.warnings,
        "trained_as": schedule,
        "trained_loss": trained.loss,
        "repeat": repeat,
    }


def judged(task: Task, landscape: Landscape, answers: pd.DataFrame) -> pd.DataFrame:
    """Add the loss of the training with each answer, relative to the oracle's.

    A training that diverged counts as the loss before training.
    """
    loss = answers["trained_loss"].astype(float).fillna(landscape.initial_loss)
    return answers.assign(
        task=task.name,
        ratio=loss / landscape.oracle[2],
        oracle_peak=[landscape.optimum(schedule) for schedule in answers["trained_as"]],
        diverged=answers["trained_loss"].isna(),
    )
