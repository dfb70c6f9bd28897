"""Trains teams and chains of cells, and writes their entries of the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles import models as networks
from lrcycles.cells.cell import Cell
from lrcycles.cells.result import EpochResult, write_result
from lrcycles.cells.store import CellStore
from lrcycles.data.image_sets import read_sets
from lrcycles.schedules.table import SCHEDULES, rate_table
from lrcycles.training.engine import Engine, backend_module
from lrcycles.training.feeding import Resident, Streamed
from lrcycles.training.orders import Windows, epoch_order
from lrcycles.training.records import Course, cell_record, step_table

Notify = Callable[[str, str], None]  # (event, cell's key); events: epoch, cell


def train_team(
    team: Sequence[Sequence[Cell]],
    *,
    data: Path,
    store: CellStore,
    reuse: bool,
    models: Sequence[str],
    notify: Notify,
) -> None:
    """Train chains of equal shapes side by side, each cell into its entry of the store.

    Args:
        team: chains of cells; a parent comes before the cell that continues it.
        data: the folder that stage `data` wrote.
        reuse: skip the cells that the store has.
        models: keys of the cells whose trained network is kept as model.keras.
        notify: is called after every epoch and every finished cell.
    """
    weights: dict[str, list[np.ndarray]] = {}
    parents = {cell.parent for chain in team for cell in chain}
    for cells in zip(*team, strict=True):
        keep = {cell.key for cell in cells if cell.key in models or cell.key in parents}
        missing = []
        for cell in cells:
            if reuse and store.has(cell, model=cell.key in keep):
                notify("cell", cell.key)
            else:
                missing.append(cell)
                if cell.parent is not None and cell.parent not in weights:
                    weights[cell.parent] = saved_weights(store, cell)
        if missing:
            weights |= train_cells(
                missing, data=data, store=store, parents=weights, models=keep, notify=notify
            )


def train_cells(
    cells: Sequence[Cell],
    *,
    data: Path,
    store: CellStore,
    parents: Mapping[str, list[np.ndarray]],
    models: Collection[str],
    notify: Notify,
) -> dict[str, list[np.ndarray]]:
    """Train cells of one shape side by side into the store, and return their weights by key."""
    first = cells[0]
    train, validation, test = laid_out(first, data)
    # Pad to a fixed number of cells: the number itself would change the rounding.
    lanes = [*cells, *[first] * (first.runtime.side_by_side - len(cells))]
    order = orders(lanes, 0, train)
    engine, compile_seconds = compiled(first, train, order, validation, test)
    if models and first.model["function"].partition(".")[0] != "lrcycles":
        _check_saving(engine, train.images.shape)
    engine.reset([cell.seed for cell in lanes], [parents.get(cell.parent or "") for cell in lanes])
    # TensorFlow sets up its compiled functions again after seeding, which is no training time.
    compile_seconds += engine.compile(train, order, validation)
    course = run_epochs(engine, lanes, order, train, validation, notify=notify, wanted=len(cells))
    started = time.perf_counter()
    tested = engine.evaluate(test)
    course.evaluate_seconds += time.perf_counter() - started
    seconds = {
        "train_seconds": course.train_seconds / len(cells),
        "compile_seconds": compile_seconds / len(cells),
        "evaluate_seconds": course.evaluate_seconds / len(cells),
    }
    weights = {}
    for k, cell in enumerate(cells):
        network = engine.trained(k)
        weights[cell.key] = network.get_weights()
        table = step_table(course, k, steps_per_epoch=order.shape[1], epochs=cell.epochs)
        record = cell_record(
            cell,
            table,
            course.histories[k],
            test=tested[k],
            images=len(train),
            seconds=seconds,
            xla=engine.xla,
        )
        with store.adding(cell.key) as folder:
            write_result(folder / "result.json", record)
            np.save(folder / "steps.npy", table)
            if cell.key in models:
                network.save(folder / "model.keras")
        notify("cell", cell.key)
    return weights


def run_epochs(
    engine: Engine,
    lanes: Sequence[Cell],
    order: np.ndarray,
    train: Resident | Streamed,
    validation: Resident | Streamed,
    *,
    notify: Notify,
    wanted: int,
) -> Course:
    """Train epoch by epoch, until each of the first `wanted` cells is done or has diverged.

    A cell diverges in the first epoch in which a mini-batch loss is not finite.

    Args:
        lanes: the cells that the program trains side by side; those after `wanted` are padding.
        order: the order of the first epoch.
    """
    epochs, steps_per_epoch = lanes[0].epochs, order.shape[1]
    rates, momenta = step_settings(lanes, epochs * steps_per_epoch)
    losses: list[np.ndarray] = []
    histories: list[list[EpochResult]] = [[] for _ in range(wanted)]
    train_seconds = evaluate_seconds = 0.0
    for epoch in range(epochs):
        order = order if epoch == 0 else orders(lanes, epoch, train)
        steps = slice(epoch * steps_per_epoch, (epoch + 1) * steps_per_epoch)
        momentum = None if momenta is None else momenta[:, steps]
        started = time.perf_counter()
        losses.append(engine.run(train, order, rates[:, steps], momentum))
        trained = time.perf_counter()
        finite = np.isfinite(losses[-1]).all(axis=1)
        alive = [k for k in range(wanted) if finite[k] and len(histories[k]) == epoch]
        if not alive:
            break
        scores = engine.evaluate(validation)
        evaluate_seconds += time.perf_counter() - trained
        train_seconds += trained - started
        for k in alive:
            loss, error = scores[k]
            histories[k].append(
                EpochResult(
                    epoch=epoch + 1,
                    step=(epoch + 1) * steps_per_epoch,
                    validation_loss=loss,
                    validation_error_percent=error,
                )
            )
            _reduce(rates[k, steps.stop :], lanes[k], histories[k])
            notify("epoch", lanes[k].key)
    joined = np.concatenate(losses, axis=1)
    return Course(rates, momenta, joined, histories, train_seconds, evaluate_seconds)


def orders(cells: Sequence[Cell], epoch: int, train: Resident | Streamed) -> np.ndarray:
    """Draw the images of an epoch's batches for each cell, int32 (cells, steps, batch_size)."""
    return np.stack(
        [
            epoch_order(cell.seed, epoch, len(train), cell.batch_size, train.windows)
            for cell in cells
        ]
    )


def step_settings(cells: Sequence[Cell], total_steps: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Tabulate the rate of every step, and any cycled momentum: float32 (cells, total_steps).

    The momentum falls where the rate rises.
    Source: Smith 2018, sec. 4.3.
    """
    rates = [rate_table(total_steps=total_steps, **cell.schedule) for cell in cells]
    momenta = []
    for cell in cells:
        if cell.momentum is not None:
            low, high = cell.momentum["base_momentum"], cell.momentum["max_momentum"]
            mirrored = {**cell.schedule, "base_lr": low, "max_lr": high}
            if "final_lr" in SCHEDULES[cell.schedule["name"]].takes:
                mirrored["final_lr"] = low  # momentum stays high while the rate is annealed
            momenta.append(np.float32(low + high) - rate_table(total_steps=total_steps, **mirrored))
    return np.stack(rates), np.stack(momenta) if momenta else None


def _reduce(rates: np.ndarray, cell: Cell, history: Sequence[EpochResult]) -> None:
    """Set the rates of the coming steps, if the schedule depends on the validation loss."""
    settings = dict(cell.schedule)
    reduced = SCHEDULES[settings.pop("name")].between_epochs
    if reduced is not None:
        rates[:] = reduced([entry.validation_loss for entry in history], **settings)


def saved_weights(store: CellStore, cell: Cell) -> list[np.ndarray]:
    """Read the weights of a cell's parent, which an earlier run trained."""
    import keras

    assert cell.parent is not None
    networks.builder(cell.model["function"])  # this import registers the classes of the user's
    weights: list[np.ndarray] = keras.models.load_model(
        store.folder(cell.parent) / "model.keras", compile=False
    ).get_weights()
    return weights


@cache  # once for each engine
def _check_saving(engine: Engine, input_shape: tuple[int, ...]) -> None:
    networks.check_saving(engine.model, input_shape=input_shape)


_engines: dict[str, Engine] = {}


def compiled(
    cell: Cell, train: Any, order: np.ndarray, *evaluate: Any, chunk: int = 0
) -> tuple[Engine, float]:
    """Get this process's engine for cells of this shape, compiled.

    Returns:
        The engine, and the seconds that this call compiled: 0 if an earlier call did.
    """
    name = repr((cell.shape, order.shape, [len(data) for data in (train, *evaluate)], chunk))
    if name in _engines:
        return _engines[name], 0.0
    engine = Engine(cell, input_shape=train.images.shape)
    _engines[name] = engine
    return engine, engine.compile(train, order, *evaluate, chunk=chunk)


def laid_out(cell: Cell, data: Path) -> Sequence[Resident | Streamed]:
    """Lay training, validation and test set on the device, or prepare to stream them.

    A process does it once for each data set.
    """
    batch_size = cell.batch_size if cell.streamed else 0
    return _laid_out(cell.runtime.backend, data, cell.training_set, batch_size)


@cache
def _laid_out(
    backend: str, data: Path, training_set: str, streamed_batch_size: int
) -> Sequence[Resident | Streamed]:
    put = backend_module(backend).put
    sets = read_sets(data, training_set=training_set)
    parts = (sets.train, sets.validation, sets.test)
    if not streamed_batch_size:
        return [Resident(images, put) for images in parts]
    image_bytes = sets.train.image_bytes
    windows = Windows.of(batch_size=streamed_batch_size, image_bytes=image_bytes)
    return [Streamed(images, put, windows=windows) for images in parts]
