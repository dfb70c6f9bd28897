"""How are many chains of cells trained, over processes, into one store?"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell, teams
from lrcycles.cells.store import CellStore
from lrcycles.training import pool


@dataclass(frozen=True)
class Job:
    """Chains that train side by side, with what their worker must know."""

    team: Sequence[Sequence[Cell]]
    data: Path
    store: CellStore
    reuse: bool
    models: Sequence[str]


def train_all(
    chains: Sequence[Sequence[Cell]],
    *,
    data: Path,
    store: CellStore,
    workers: Any,
    reuse: bool,
    models: Sequence[str],
    on_event: Callable[[str, str], None],
) -> None:
    """Train every chain; `on_event(event, key)` is called after each epoch and each cell.

    Args:
        workers: auto or a count of processes; changes no result.
    """
    runtime = chains[0][0].runtime
    jobs = [Job(team, data, store, reuse, models) for team in teams(chains)]
    count = pool.worker_count(
        workers, jobs=len(jobs), device=runtime.device, threads=runtime.threads
    )
    with pool.workers(count, runtime=runtime) as run:
        for _ in run(_train, jobs, on_event):
            pass


def measure_fit(cells: Sequence[Cell], *, data: Path) -> list[dict[str, Any]]:
    """Seconds of epochs of plain Keras `fit` and of ours, and of its steps with a schedule.

    By batch size, on every core of one process. Five epochs of each alternate, with an evaluation
    of the validation set; then single steps at a constant rate and at a cyclical one alternate,
    so that both meet the same disturbances. `compile_seconds` is what came before.
    """
    threads = os.cpu_count() or 1
    runtime = replace(cells[0].runtime, threads=threads, side_by_side=1)
    by_batch = {cell.batch_size: replace(cell, runtime=runtime) for cell in cells}
    with pool.workers(1, runtime=runtime) as run:
        return list(run(partial(_measure_fit, data=data), list(by_batch.values())))


def _train(job: Job, notify: Callable[[str, str], None]) -> None:
    from lrcycles.training.chain import train_team

    train_team(
        job.team,
        data=job.data,
        store=job.store,
        reuse=job.reuse,
        models=job.models,
        notify=notify,
    )


def _measure_fit(cell: Cell, _notify: Callable[[str, str], None], *, data: Path) -> dict[str, Any]:
    import keras

    from lrcycles.data.image_sets import read_sets
    from lrcycles.training import chain

    # It warns that Keras traces anew for every model, which is what is apart here.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    begun = time.perf_counter()
    sets = read_sets(data, training_set=cell.training_set)
    x, y = sets.train.scaled(), sets.train.labels
    keras.config.set_dtype_policy(cell.runtime.precision)
    plain, scheduled = (_compiled_model(cell, x.shape[1:], cyclical) for cyclical in (False, True))
    batch = x[: cell.batch_size], y[: cell.batch_size]
    train, validation, _ = chain.laid_out(cell, data)
    order = chain.orders([cell], 0, train)
    engine, _ = chain.compiled(cell, train, order, validation)
    rates = np.full(order.shape[:2], 1e-3, np.float32)
    held_out = (sets.validation.scaled(), sets.validation.labels)
    settings = {"batch_size": cell.batch_size, "validation_data": held_out, "verbose": 0}

    def compiled_epoch() -> None:
        engine.run(train, order, rates)
        engine.evaluate(validation)

    plain.fit(x, y, **settings)  # a first whole epoch is slower even after a first batch
    for _ in range(10):
        plain.train_on_batch(*batch), scheduled.train_on_batch(*batch)
    compile_seconds = time.perf_counter() - begun
    fit, compiled = _alternate(lambda: plain.fit(x, y, **settings), compiled_epoch, rounds=5)
    step, scheduled_step = _alternate(
        lambda: plain.train_on_batch(*batch), lambda: scheduled.train_on_batch(*batch), rounds=200
    )
    return {
        "batch_size": cell.batch_size,
        "threads": cell.runtime.threads,
        "compile_seconds": compile_seconds,
        "fit_seconds": fit,
        "compiled_seconds": compiled,
        "step_seconds": step,
        "scheduled_step_seconds": scheduled_step,
    }


def _alternate(*timed: Callable[[], Any], rounds: int) -> list[list[float]]:
    """Seconds of each call in each round; every other round runs them backwards."""
    seconds: list[list[float]] = [[] for _ in timed]
    for turn in range(rounds):
        calls = list(zip(timed, seconds, strict=True))
        for call, taken in calls[:: -1 if turn % 2 else 1]:
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
    return seconds


def _compiled_model(cell: Cell, input_shape: Sequence[int], cyclical: bool) -> Any:
    """A model for Keras's own `fit`, at the optimizer's own rate or in cycles around it."""
    from lrcycles import models
    from lrcycles.schedules.keras_schedules import Triangular

    model = models.build(cell.model, input_shape=input_shape, classes=cell.classes)
    optimizer = dict(cell.optimizer)
    if cyclical:
        cycles = Triangular(base_lr=5e-4, max_lr=2e-3, step_size=100)
        optimizer["arguments"] = {**optimizer["arguments"], "learning_rate": cycles}
    model.compile(
        models.build_optimizer(optimizer),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
