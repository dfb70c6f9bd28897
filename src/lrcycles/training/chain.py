"""How does one cell become its files, and a chain of cells continue one another's weights?"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.arrays import read_arrays
from lrcycles.cells import Cell, Store
from lrcycles.results import write_json
from lrcycles.schedules import cycle_step_size, rate_table

SCHEMA = 1
SCHEDULE_KEYS = ("name", "base_lr", "max_lr", "step_size", "cycles")
Notify = Callable[[str, str], None]  # (event, cell's key); events: epoch, cell


def train_chain(
    cells: Sequence[Cell],
    *,
    data: Path,
    store: Store,
    reuse: bool,
    models: Sequence[str],
    notify: Notify,
) -> None:
    """Train cells that continue one another, each into its folder of the store.

    Args:
        cells: a parent before what continues it.
        data: the folder that stage `data` wrote.
        reuse: take cells the store already has.
        models: keys of the cells whose trained network is kept as model.keras.
        notify: called after every epoch and every finished cell.
    """
    weights: dict[str, list[np.ndarray]] = {}
    parents = {cell.parent for cell in cells}
    for cell in cells:
        keep = cell.key in models or cell.key in parents
        if reuse and store.has(cell, model=keep):
            notify("cell", cell.key)
            continue
        initial = None
        if cell.parent is not None:
            initial = weights.get(cell.parent) or saved_weights(store, cell.parent)
        weights[cell.key] = train_cell(
            cell, data=data, store=store, initial=initial, keep_model=keep, notify=notify
        )
        notify("cell", cell.key)


def train_cell(
    cell: Cell,
    *,
    data: Path,
    store: Store,
    initial: list[np.ndarray] | None,
    keep_model: bool,
    notify: Notify,
) -> list[np.ndarray]:
    """Train one cell into the store; give its final weights."""
    train, validation, test = resident(cell.runtime.backend, data, cell.training_set)
    images = len(train[0])
    steps_per_epoch = images // cell.batch_size
    rates = rate_table(total_steps=cell.epochs * steps_per_epoch, **cell.schedule)
    first_order = epoch_order(cell.seed, 0, images, cell.batch_size)
    engine, compile_seconds = compiled(cell, train, first_order, validation, test)
    engine.reset(cell.seed, initial)
    # Seeding TensorFlow makes it set up its compiled functions anew: that is no training time.
    compile_seconds += engine.compile(train, first_order, validation)

    losses: list[np.ndarray] = []
    history: list[dict[str, Any]] = []
    train_seconds = evaluate_seconds = 0.0
    for epoch in range(cell.epochs):
        order = epoch_order(cell.seed, epoch, images, cell.batch_size)
        started = time.perf_counter()
        losses.append(engine.run(train, order, rates[epoch * steps_per_epoch :][: len(order)]))
        trained = time.perf_counter()
        if not np.isfinite(losses[-1]).all():
            break
        loss, error = engine.evaluate(validation)
        evaluate_seconds += time.perf_counter() - trained
        train_seconds += trained - started
        history.append(
            {
                "epoch": epoch + 1,
                "step": (epoch + 1) * steps_per_epoch,
                "validation_loss": loss,
                "validation_error_percent": error,
            }
        )
        notify("epoch", cell.key)
    finished = len(history) == cell.epochs and math.isfinite(history[-1]["validation_loss"])
    test_loss, test_error = engine.evaluate(test) if finished else (None, None)
    last = history[-1] if finished else {}
    loss_of_step = np.concatenate(losses)
    steps = len(loss_of_step)
    wild = np.flatnonzero(~np.isfinite(loss_of_step))
    record = {
        "schema": SCHEMA,
        "key": cell.key,
        "status": "finished" if finished else "diverged",
        "diverged_at_step": int(wild[0]) + 1 if len(wild) else None,
        "test_error_percent": test_error,
        "test_loss": test_loss,
        "validation_error_percent": last.get("validation_error_percent"),
        "validation_loss": last.get("validation_loss"),
        "train_seconds": train_seconds,
        "compile_seconds": compile_seconds,
        "evaluate_seconds": evaluate_seconds,
        "steps": steps,
        "steps_per_second": len(history) * steps_per_epoch / train_seconds if history else None,
        "images": images,
        "device": cell.runtime.device,
        "device_name": backend_module(cell.runtime.backend).device_name(cell.runtime.device),
        "threads": cell.runtime.threads,
        "backend": cell.runtime.backend,
        "precision": cell.runtime.precision,
        "versions": dict(cell.runtime.versions),
        "history": [entry for entry in history if math.isfinite(entry["validation_loss"])],
    }
    settings = asdict(cell)
    del settings["runtime"]
    settings["schedule"] = dict.fromkeys(SCHEDULE_KEYS) | dict(cell.schedule)
    if cell.schedule.get("cycles"):
        settings["schedule"]["step_size"] = cycle_step_size(len(rates), cell.schedule["cycles"])
    with store.adding(cell.key) as folder:
        write_json(
            folder / "result.json",
            settings | record | {"compile": "xla" if engine.xla else "graph"},
        )
        np.save(folder / "steps.npy", step_table(loss_of_step, rates, steps_per_epoch))
        if keep_model:
            engine.model.save(folder / "model.keras")
    weights: list[np.ndarray] = engine.model.get_weights()
    return weights


def epoch_order(seed: int, epoch: int, images: int, batch_size: int) -> np.ndarray:
    """The images' order in one epoch, int32 (steps, batch_size); equal for all arms of a seed.

    The last short batch is dropped.
    """
    steps = images // batch_size
    order = np.random.default_rng([seed, epoch]).permutation(images)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def step_table(loss: np.ndarray, rates: np.ndarray, steps_per_epoch: int) -> Any:
    """Rows step, epoch (both from 1), lr, loss, as a structured array."""
    step = np.arange(1, len(loss) + 1)
    epoch = (step - 1) // steps_per_epoch + 1
    return np.rec.fromarrays(
        [step, epoch, rates[: len(loss)], loss],
        dtype=[("step", "<i4"), ("epoch", "<i4"), ("lr", "<f4"), ("loss", "<f4")],
    )


def saved_weights(store: Store, key: str) -> list[np.ndarray]:
    """The weights of a cell that an earlier run trained."""
    import keras

    weights: list[np.ndarray] = keras.models.load_model(
        store.folder(key) / "model.keras", compile=False
    ).get_weights()
    return weights


def backend_module(backend: str) -> Any:
    return importlib.import_module(f"lrcycles.training.{backend}_engine")


_engines: dict[str, Any] = {}


def compiled(cell: Cell, train: Any, order: np.ndarray, *evaluate: Any) -> tuple[Any, float]:
    """This process's engine for cells of this shape, and the seconds compiling it took just now."""
    sizes = [len(data[0]) for data in (train, *evaluate)]
    shape = (cell.model, cell.optimizer, cell.compile, cell.runtime, order.shape, sizes)
    name = repr(shape)
    if name in _engines:
        return _engines[name], 0.0
    engine = backend_module(cell.runtime.backend).Engine(
        model=cell.model,
        optimizer=cell.optimizer,
        input_shape=tuple(train[0].shape[1:]),
        classes=cell.classes,
        batch_size=cell.batch_size,
        precision=cell.runtime.precision,
        compile=cell.compile,
        device=cell.runtime.device,
    )
    _engines[name] = engine
    return engine, engine.compile(train, order, *evaluate)


@cache
def resident(backend: str, data: Path, training_set: str) -> tuple[Any, Any, Any]:
    """Training, validation and test set on the device, once per process."""
    arrays = read_arrays(data, training_set=training_set)
    put = backend_module(backend).put
    return (
        put(arrays.x_train, arrays.y_train),
        put(arrays.x_validation, arrays.y_validation),
        put(arrays.x_test, arrays.y_test),
    )
