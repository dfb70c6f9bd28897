"""Trains teams and chains of cells, and writes their entries of the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles import models as networks
from lrcycles.cells.cell import Cell
from lrcycles.cells.result import write_result
from lrcycles.cells.store import CellStore
from lrcycles.data.image_sets import read_sets
from lrcycles.training.averages.scoring import add_weights, score_averages, statistics_places
from lrcycles.training.checkpoints import EVERY_SECONDS, Checkpoint, in_training
from lrcycles.training.engine import Engine, backend_module
from lrcycles.training.feeding import Resident, Streamed, Windows, epoch_order
from lrcycles.training.records import (
    Course,
    begin_course,
    cell_record,
    reduce_rates,
    step_table,
)

Notify = Callable[[str, str], None]  # (event, cell's key); events: step, epoch, cell, message


@dataclass(frozen=True)
class Setting:
    """What the trainings of a group of cells share.

    Args:
        data: the folder that stage `data` wrote.
        reuse: skip the cells that the store has, and continue those that have a checkpoint.
        models: keys of the cells whose trained network is kept as model.keras.
        checkpoint_seconds: the time between two checkpoints of a training.
    """

    data: Path
    store: CellStore
    reuse: bool
    models: Sequence[str]
    checkpoint_seconds: float = EVERY_SECONDS


def train_team(team: Sequence[Sequence[Cell]], setting: Setting, notify: Notify) -> None:
    """Train chains of equal shapes side by side, each cell into its entry of the store.

    A parent comes before the cell that continues it. `notify` is called with ("step" or "epoch",
    key), with ("cell", key) for every finished cell, and with ("message", text for the user).
    """
    store = setting.store
    weights: dict[str, list[np.ndarray]] = {}
    parents = {cell.parent for chain in team for cell in chain}
    for cells in zip(*team, strict=True):
        keep = {cell.key for cell in cells if cell.key in setting.models or cell.key in parents}
        missing = []
        for cell in cells:
            if setting.reuse and store.has(cell, model=cell.key in keep):
                notify("cell", cell.key)
            else:
                missing.append(cell)
                if cell.parent is not None and cell.parent not in weights:
                    weights[cell.parent] = saved_weights(store, cell)
        if missing:
            weights |= train_cells(missing, setting, parents=weights, models=keep, notify=notify)


def train_cells(
    cells: Sequence[Cell],
    setting: Setting,
    *,
    parents: Mapping[str, list[np.ndarray]],
    models: Collection[str],
    notify: Notify,
) -> dict[str, list[np.ndarray]]:
    """Train cells of one shape side by side into the store, and return their weights by key."""
    first = cells[0]
    train, validation, test = laid_out(first, setting.data)
    # Pad to a fixed number of cells: the number itself would change the rounding.
    lanes = [*cells, *[first] * (first.runtime.side_by_side - len(cells))]
    order = orders(lanes, 0, train)
    engine, compile_seconds = compiled(first, train, order, validation, test)
    if models and first.model["function"].partition(".")[0] != "lrcycles":
        _check_saving(engine)
    if any(cell.averages for cell in cells):
        statistics_places(engine)  # before the training, which may be long
    engine.reset([cell.seed for cell in lanes], [parents.get(cell.parent or "") for cell in lanes])
    # TensorFlow sets up its compiled functions again after seeding, which is no training time.
    compile_seconds += engine.compile(train, order, validation)
    course = begin_course(lanes, len(cells), order.shape[1])
    course.compile_seconds = compile_seconds
    checkpoint = Checkpoint(
        setting.store,
        cells,
        every_seconds=setting.checkpoint_seconds,
        say=lambda text: notify("message", text),
    )
    if setting.reuse:
        checkpoint.resume(engine, course)
    with in_training():
        run_epochs(engine, lanes, course, train, validation, checkpoint=checkpoint, notify=notify)
        sets = (train, validation, test)
        weights = _add_entries(engine, lanes, setting, course, sets, models=models)
        checkpoint.remove()
    for cell in cells:
        notify("cell", cell.key)
    return weights


def _add_entries(
    engine: Engine,
    lanes: Sequence[Cell],
    setting: Setting,
    course: Course,
    sets: tuple[Resident | Streamed, ...],
    *,
    models: Collection[str],
) -> dict[str, list[np.ndarray]]:
    """Score trained cells on the test set, write their entries, and return their weights."""
    started = time.perf_counter()
    train, validation, test = sets
    tested, mistakes = engine.examine(test)
    averages = {}
    if any(cell.averages for cell in lanes):
        order = orders(lanes, lanes[0].epochs - 1, train)
        averages = score_averages(engine, lanes, course, train, order, validation, test)
    course.evaluate_seconds += time.perf_counter() - started
    weights = {}
    with ExitStack() as adding:  # all entries appear together: an interrupted team stays one team
        for k, cell in enumerate(lanes[: len(course.histories)]):
            network = engine.trained(k)
            weights[cell.key] = network.get_weights()
            table = step_table(course, k, epochs=cell.epochs)
            record = cell_record(
                cell,
                table,
                course,
                k,
                test=tested[k],
                averages=averages,
                test_images=len(test),
                images=len(train),
                xla=engine.xla,
            )
            folder = adding.enter_context(setting.store.adding(cell.key))
            write_result(folder / "result.json", record)
            np.save(folder / "steps.npy", table)
            if record.finished:
                np.save(folder / "correct.npy", np.packbits(~mistakes[k]))
            if cell.key in models:
                network.save(folder / "model.keras")
            for name in record.averages if record.finished else ():
                averages[name].save(folder, name, k, network if cell.key in models else None)
    return weights


def run_epochs(
    engine: Engine,
    lanes: Sequence[Cell],
    course: Course,
    train: Resident | Streamed,
    validation: Resident | Streamed,
    *,
    checkpoint: Checkpoint,
    notify: Notify,
) -> None:
    """Train epoch by epoch, until each cell of the course is done or has diverged.

    A cell diverges in the first epoch in which a mini-batch loss is not finite.
    """
    length = course.steps_per_epoch
    for k, history in enumerate(course.histories):
        for epochs in range(1, len(history) + 1):
            reduce_rates(course.rates[k, epochs * length :], lanes[k], history[:epochs])
            notify("epoch", lanes[k].key)
    for epoch in range(course.done // length, lanes[0].epochs):
        _run_epoch(engine, epoch, lanes, course, train, checkpoint=checkpoint, notify=notify)
        finite = np.isfinite(course.losses[:, epoch * length : course.done]).all(axis=1)
        alive = [k for k, done in enumerate(course.histories) if finite[k] and len(done) == epoch]
        if not alive:
            break
        add_weights(engine, epoch, lanes, course, alive)
        started = time.perf_counter()
        scores = engine.evaluate(validation)
        course.evaluate_seconds += time.perf_counter() - started
        course.train_seconds += course.epoch_seconds
        course.epoch_seconds = 0.0
        for k in alive:
            course.add_epoch(k, *scores[k])
            reduce_rates(course.rates[k, course.done :], lanes[k], course.histories[k])
            notify("epoch", lanes[k].key)
        checkpoint.keep(engine, course)


def _run_epoch(
    engine: Engine,
    epoch: int,
    lanes: Sequence[Cell],
    course: Course,
    train: Resident | Streamed,
    *,
    checkpoint: Checkpoint,
    notify: Notify,
) -> None:
    """Make the steps of an epoch that the course lacks."""
    begin, end = epoch * course.steps_per_epoch, (epoch + 1) * course.steps_per_epoch
    steps = slice(begin, end)
    pieces = engine.epoch(
        train,
        orders(lanes, epoch, train),
        course.rates[:, steps],
        *[each if each is None else each[:, steps] for each in (course.momenta, course.shares)],
        start=course.done - begin,
    )
    started = time.perf_counter()
    for losses in pieces:
        course.losses[:, course.done : course.done + losses.shape[1]] = losses
        course.done += losses.shape[1]
        course.epoch_seconds += time.perf_counter() - started
        notify("step", lanes[0].key)
        if course.done < end:  # else the checkpoint comes after the scores of the epoch
            checkpoint.keep(engine, course)
        started = time.perf_counter()


def orders(cells: Sequence[Cell], epoch: int, train: Resident | Streamed) -> np.ndarray:
    """Draw the images of an epoch's batches for each cell, int32 (cells, steps, batch_size)."""
    return np.stack(
        [
            epoch_order(cell.seed, epoch, len(train), cell.batch_size, train.windows)
            for cell in cells
        ]
    )


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
def _check_saving(engine: Engine) -> None:
    networks.check_saving(engine.model, input_shape=engine.input_shape)


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
