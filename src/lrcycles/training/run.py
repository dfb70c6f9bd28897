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

from lrcycles.cells import Cell, Store, teams
from lrcycles.training import pool


@dataclass(frozen=True)
class Job:
    """Chains that train side by side, with what their worker must know."""

    team: Sequence[Sequence[Cell]]
    data: Path
    store: Store
    reuse: bool
    models: Sequence[str]


def train_all(
    chains: Sequence[Sequence[Cell]],
    *,
    data: Path,
    store: Store,
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
    """Seconds of an epoch of plain Keras `fit`, constant and cyclical, and of ours, by batch size.

    All use every core of one process, evaluate the validation set, alternate, and are compiled
    first; three epochs each. `compile_seconds` is what came before: networks and a first epoch.
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

    from lrcycles.arrays import read_sets
    from lrcycles.training import chain

    # It warns that Keras traces anew for every model, which is what is apart here.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    begun = time.perf_counter()
    sets = read_sets(data, training_set=cell.training_set)
    x, y = sets.train.scaled(), sets.train.labels
    keras.config.set_dtype_policy(cell.runtime.precision)
    plain, scheduled = (_compiled_model(cell, x.shape[1:], cyclical) for cyclical in (False, True))
    train, validation, _ = chain.laid_out(cell, data)
    order = chain.orders([cell], 0, train)
    engine, _ = chain.compiled(cell, train, order, validation)
    rates = np.full(order.shape[:2], 1e-3, np.float32)
    held_out = (sets.validation.scaled(), sets.validation.labels)
    settings = {"batch_size": cell.batch_size, "validation_data": held_out, "verbose": 0}

    def compiled_epoch() -> None:
        engine.run(train, order, rates)
        engine.evaluate(validation)

    for model in (plain, scheduled):  # a first whole epoch is slower even after a first batch
        model.fit(x, y, **settings)
    compile_seconds = time.perf_counter() - begun
    epochs: dict[str, Callable[[], Any]] = {
        "fit_seconds": lambda: plain.fit(x, y, **settings),
        "scheduled_fit_seconds": lambda: scheduled.fit(x, y, **settings),
        "compiled_seconds": compiled_epoch,
    }
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(3):
        for name, epoch in epochs.items():
            start = time.perf_counter()
            epoch()
            seconds[name].append(time.perf_counter() - start)
    return {
        "batch_size": cell.batch_size,
        "threads": cell.runtime.threads,
        "compile_seconds": compile_seconds,
        **seconds,
    }


def _compiled_model(cell: Cell, input_shape: Sequence[int], cyclical: bool) -> Any:
    """A model for Keras's own `fit`, at the optimizer's own rate or in cycles around it."""
    from lrcycles import models
    from lrcycles.keras_schedules import Triangular

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
