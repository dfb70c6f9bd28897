"""Measures the seconds of plain Keras `fit`, to stand beside the times of a publication."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from lrcycles.cells.cell import Cell, digest_of
from lrcycles.cells.code import code_digest, source_files
from lrcycles.cells.store import CellStore
from lrcycles.files import read_json, write_json
from lrcycles.training import pool
from lrcycles.training.compilation import dtype_policy

EPOCHS, STEPS = 5, 200  # of each kind that are timed


@dataclass(frozen=True, kw_only=True)
class FitSeconds:
    """What epochs and steps took at one batch size, in seconds.

    An epoch trains on all images once and evaluates the validation set.
    """

    batch_size: int
    threads: int
    compile_seconds: float  # of reading the data, compiling and warming up
    fit_seconds: Sequence[float]  # epochs of Keras's `fit`
    compiled_seconds: Sequence[float]  # epochs of this package's compiled loop
    step_seconds: Sequence[float]  # Keras's `train_on_batch` at a constant rate
    scheduled_step_seconds: Sequence[float]  # `train_on_batch` at a cyclical rate

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make the measurement of what `dataclasses.asdict` gave."""
        return cls(**values)


def measure_fit(
    cells: Sequence[Cell], *, data: Path, store: CellStore, reuse: bool
) -> list[FitSeconds]:
    """Time plain Keras `fit`, and its steps with a schedule, once for each batch size of `cells`.

    One process with a thread per core measures all batch sizes. Epochs of `fit` and of the compiled
    loop alternate, then steps at a constant and at a cyclical rate: so both of a pair meet the same
    disturbances.

    Args:
        data: the folder that stage `data` wrote.
        reuse: take the measurement that the store has.
    """
    runtime = replace(cells[0].runtime, threads=os.cpu_count() or 1, side_by_side=1)
    by_batch_size = {
        cell.batch_size: replace(cell, runtime=runtime, averages=None) for cell in cells
    }
    distinct = list(by_batch_size.values())
    key = fit_key(distinct)
    if reuse and (folder := store.entry(key)) is not None:
        return [FitSeconds.from_dict(values) for values in read_json(folder / "fit.json")]
    with pool.workers(1, runtime=runtime) as run:
        seconds: list[FitSeconds] = list(run(partial(_measure, data=data), distinct))
    with store.adding(key) as folder:
        write_json(folder / "fit.json", [asdict(entry) for entry in seconds])
    return seconds


def fit_key(cells: Sequence[Cell]) -> str:
    """Compute the SHA-256 of all that decides the seconds, in the order of the measurement."""
    sources = code_digest(source_files([__name__]))
    settings = [cell.setting for cell in cells]
    return digest_of({"measured": "fit", "cells": settings, "sources": sources})


def _measure(cell: Cell, notify: Callable[[str, str], None], *, data: Path) -> FitSeconds:
    import keras

    from lrcycles.data.image_sets import read_sets
    from lrcycles.training import chain

    # Keras traces every new model again and TensorFlow warns of it; here that is measured apart.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    begun = time.perf_counter()
    sets = read_sets(data, training_set=cell.training_set)
    x, y = sets.train.scaled(), sets.train.labels
    keras.config.set_dtype_policy(dtype_policy(cell.runtime.precision))
    plain, scheduled = (_compiled_model(cell, x.shape[1:], cyclical) for cyclical in (False, True))
    batch = x[: cell.batch_size], y[: cell.batch_size]
    train, validation, _ = chain.laid_out(cell, data)
    order = chain.orders([cell], 0, train)
    engine, _ = chain.compiled(cell, train, order, validation)
    rates = np.full(order.shape[:2], 1e-3, np.float32)
    held_out = (sets.validation.scaled(), sets.validation.labels)
    settings = {"batch_size": cell.batch_size, "validation_data": held_out, "verbose": 0}

    def compiled_epoch() -> None:
        for _ in engine.epoch(train, order, rates):
            notify("step", cell.key)
        engine.evaluate(validation)

    plain.fit(x, y, **settings)  # a first whole epoch is slower even after a first batch
    for _ in range(10):
        plain.train_on_batch(*batch), scheduled.train_on_batch(*batch)
    compile_seconds = time.perf_counter() - begun
    fit, compiled = _alternate(lambda: plain.fit(x, y, **settings), compiled_epoch, rounds=EPOCHS)
    step, scheduled_step = _alternate(
        lambda: plain.train_on_batch(*batch), lambda: scheduled.train_on_batch(*batch), rounds=STEPS
    )
    return FitSeconds(
        batch_size=cell.batch_size,
        threads=cell.runtime.threads,
        compile_seconds=compile_seconds,
        fit_seconds=fit,
        compiled_seconds=compiled,
        step_seconds=step,
        scheduled_step_seconds=scheduled_step,
    )


def _alternate(*timed: Callable[[], Any], rounds: int) -> list[list[float]]:
    """Time each call once a round; every second round makes the calls in reverse order.

    Returns:
        Seconds by call and round.
    """
    seconds: list[list[float]] = [[] for _ in timed]
    for turn in range(rounds):
        calls = list(zip(timed, seconds, strict=True))
        for call, taken in calls[:: -1 if turn % 2 else 1]:
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
    return seconds


def _compiled_model(cell: Cell, input_shape: Sequence[int], cyclical: bool) -> Any:
    """Make a model for Keras's own `fit`, at the optimizer's default rate or in cycles."""
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
