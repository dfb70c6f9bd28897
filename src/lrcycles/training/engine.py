"""Trains cells of one shape on any backend, with a program that is compiled once."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from lrcycles import models
from lrcycles.cells.cell import Cell
from lrcycles.schedules.keras_optimizers import GivenMomentum
from lrcycles.training.compilation import (
    dtype_policy,
    even_steps,
    piece_steps,
    step_operations,
    use_xla,
)
from lrcycles.training.feeding import Resident

Scores = list[tuple[float, float]]  # for each cell: mean cross-entropy, error in percent
SWEEP_CHUNKS = 8  # at most so many scores in a call: a sweep that diverges ends after a call


def backend_module(backend: str) -> Any:
    """Import the backend's own module: `Program`, `put`, and functions for the device."""
    return importlib.import_module(f"lrcycles.training.{backend}_engine")


class Engine:
    """A network with its optimizer, compiled once and reset for all cells of its shape.

    The data lies on the device, batches are gathered by index, and the rate of every step is an
    input. So neither a new seed nor a new schedule compiles anything. One program trains
    `cell.runtime.side_by_side` cells, each as if it were alone; the first axis of orders, rates and
    losses counts the cells.
    """

    def __init__(self, cell: Cell, *, input_shape: Sequence[int]) -> None:
        """
        Args:
            cell: any cell of the shape; its seed, schedule and epochs do not matter.
            input_shape: the shape of one image.

        Raises:
            InputError: the network or the optimizer cannot be built.
        """
        runtime = cell.runtime
        self.input_shape = tuple(input_shape)
        self._is_ours = cell.model["function"].partition(".")[0] == "lrcycles"
        self._seed(0)  # random numbers that a layer draws without a seed follow from this one
        keras.config.set_dtype_policy(dtype_policy(runtime.precision))
        self._build: Callable[[], Any] = lambda: models.build(
            cell.model, input_shape=input_shape, classes=cell.classes
        )
        self.model = self._build()
        models.check_probabilities(self.model, input_shape=input_shape)
        momentum = GivenMomentum(cell.momentum["max_momentum"]) if cell.momentum else None
        optimizer = models.build_optimizer(cell.optimizer, momentum=momentum)
        if runtime.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(self.model.trainable_variables)
        backend = backend_module(runtime.backend)
        self.xla = use_xla(
            cell.compile,
            model=self.model,
            batch_size=cell.batch_size,
            runtime=runtime,
            one_kernel=runtime.backend == "tensorflow"
            and backend.has_one_kernel(optimizer, self.model.trainable_variables),
        )
        self._cells = runtime.side_by_side
        operations = step_operations(
            self.model, input_shape=input_shape, batch_size=cell.batch_size, cells=self._cells
        )
        self._most_steps = piece_steps(operations, device=runtime.device)
        self.program = backend.Program(
            self.model,
            optimizer,
            momentum,
            class_weights=cell.class_weights,
            cells=self._cells,
            xla=self.xla,
            ema=cell.keeps_ema,
        )
        for cell_index in range(self._cells):  # the compiler needs values
            self.program.begin(cell_index)

    def reset(
        self, seeds: Sequence[int], weights: Sequence[list[np.ndarray] | None] | None = None
    ) -> None:
        """Start each cell at step 0 with its initial weights, or `weights`, and empty slots."""
        for cell, seed in enumerate(seeds):
            self._seed(seed)
            for variable, fresh in zip(self.model.variables, self._build().variables, strict=True):
                variable.assign(fresh)
            given = weights[cell] if weights else None
            if given is not None:
                self.model.set_weights(given)
            self.program.begin(cell)

    def _seed(self, seed: int) -> None:
        """Seed the generators that the network is built with.

        Our networks draw only from Keras, and Keras seeds its layers from Python's generator. To
        seed TensorFlow as well makes it set up all compiled functions again, which takes 0.1 s,
        and would load it where JAX trains.
        """
        if self._is_ours:
            random.seed(seed)
            np.random.seed(seed)
        else:
            keras.utils.set_random_seed(seed)

    def compile(self, train: Any, order: np.ndarray, *evaluate: Any, chunk: int = 0) -> float:
        """Compile for these shapes without training a step; return the seconds it took.

        Args:
            evaluate: the data sets that `evaluate` will score.
            chunk: the number of steps between two scores of a `sweep`; 0 for `epoch`.
        """
        start = time.perf_counter()
        length = order.shape[1]
        rates = np.zeros((self._cells, length), np.float32)
        parts = train.parts(order, 0, 1)
        part = next(parts)
        parts.close()
        if chunk and (images := self._scored_inside(train, *evaluate)) is not None:
            piece = self._sweep_piece(length, chunk)
            sizes = {min(piece, length), length % piece} - {0}
            self.program.compile_sweep(part, rates, sizes, images, every=chunk)
        else:
            piece = chunk or even_steps(part.order.shape[1], self._most_steps)
            whole = {length} if chunk else train.sizes(length)
            sizes = {min(piece, size) for size in whole} | {size % piece for size in whole} - {0}
            self.program.compile(part, _cut(rates, part), sizes)
        for data in evaluate:
            self.evaluate(data)
        return time.perf_counter() - start

    def epoch(
        self,
        train: Any,
        order: np.ndarray,
        rates: np.ndarray,
        momenta: np.ndarray | None = None,
        shares: np.ndarray | None = None,
        *,
        start: int = 0,
    ) -> Iterator[np.ndarray]:
        """Train as `run` does, from step `start` to the end, and give the losses piece by piece.

        A piece lasts two seconds or less. Its bounds do not depend on `start`, if `start` is the
        end of an earlier piece.
        """
        # The program does not read a table that is None.
        tables = [rates if table is None else table for table in (rates, momenta, shares)]
        for part in train.parts(order, start, order.shape[1]):
            piece = even_steps(part.order.shape[1], self._most_steps)
            for begin in range(part.start - part.start % piece, part.stop, piece):
                first, last = max(begin, part.start), min(begin + piece, part.stop)
                steps = replace(part, start=first, stop=last)
                yield self.program.steps(steps, *(_cut(table, part) for table in tables))

    def run(
        self,
        train: Any,
        order: np.ndarray,
        rates: np.ndarray,
        momenta: np.ndarray | None = None,
        shares: np.ndarray | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> np.ndarray:
        """Train on the batches `order[:, start:stop]`, step i at `rates[:, i]`.

        Args:
            train: `feeding.Resident` or `Streamed`.
            order: indices of the images, int32, shape (cells, steps, batch_size).
            rates: float32, shape (cells, steps).
            momenta: like `rates`, for cells that cycle their momentum.
            shares: like `rates`, of the new weights in the moving average of cells that keep one.

        Returns:
            The raw mini-batch loss before each update, float32, shape (cells, stop - start).
        """
        # The program does not read a table that is None.
        tables = [rates if table is None else table for table in (rates, momenta, shares)]
        parts = train.parts(order, start, order.shape[1] if stop is None else stop)
        losses = [
            self.program.steps(part, *(_cut(table, part) for table in tables)) for part in parts
        ]
        return np.concatenate(losses, axis=1)

    def sweep(
        self, train: Any, order: np.ndarray, rates: np.ndarray, heldout: Any, *, every: int
    ) -> Iterator[tuple[np.ndarray, list[Scores], float]]:
        """Train as `run` does, and evaluate after every `every` steps and after the last one.

        Yields:
            For some more steps each: the losses, float32 (cells, steps), what `evaluate` returned,
            and the seconds of the evaluation. They are 0 where the program that trains also
            evaluates.
        """
        steps = order.shape[1]
        if (images := self._scored_inside(train, heldout)) is None:
            for start in range(0, steps, every):
                stop = min(start + every, steps)
                losses = self.run(train, order, rates, start=start, stop=stop)
                begun = time.perf_counter()
                scores = self.evaluate(heldout)
                yield losses, [scores], time.perf_counter() - begun
            return
        (part,) = train.parts(order, 0, steps)
        piece = self._sweep_piece(steps, every)
        for start in range(0, steps, piece):
            now = replace(part, start=start, stop=min(start + piece, steps))
            losses, *sums = self.program.sweep(now, rates, images, every=every)
            pairs = zip(*sums, strict=True)
            yield losses, [_scores(loss, wrong, len(heldout)) for loss, wrong in pairs], 0.0

    def _scored_inside(self, train: Any, *evaluate: Any) -> Any:
        """Return the images that the program of a sweep scores; None if it cannot score them.

        TensorFlow compiles longer with the scores inside, and gains nothing.
        """
        if not hasattr(self.program, "sweep") or not isinstance(train, Resident):
            return None
        batches = [batch for data in evaluate for batch in data.batches()]
        return batches[0] if len(batches) == 1 else None

    def _sweep_piece(self, steps: int, every: int) -> int:
        """Choose the steps of a call: whole chunks, so few that a sweep can stop early."""
        most = min(SWEEP_CHUNKS, max(1, self._most_steps // every))
        return every * even_steps(-(-steps // every), most)

    def evaluate(self, data: Any) -> Scores:
        """Mean cross-entropy and error in percent over a data set, for each cell."""
        return self.examine(data)[0]

    def examine(self, data: Any) -> tuple[Scores, np.ndarray]:
        """Evaluate, and list the images that each cell mistakes, bool (cells, images)."""
        parts = [self.program.score(pixels, labels) for pixels, labels in data.batches()]
        mistakes = np.concatenate([wrong for _, wrong in parts], axis=1)
        loss = np.sum([loss for loss, _ in parts], axis=0, dtype=float)
        return _scores(loss, mistakes.sum(axis=1), len(data)), mistakes

    @property
    def resumable(self) -> bool:
        """Whether `state` holds all that the coming steps depend on."""
        return bool(self.program.resumable)

    def state(self) -> list[np.ndarray]:
        """Copy all that a step changes: weights, optimizer slots, seed generators."""
        arrays: list[np.ndarray] = self.program.state()
        return arrays

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Go back to a state of cells with the same seeds.

        Raises:
            ValueError: the arrays belong to another network or optimizer.
        """
        self.program.restore(state)

    def trained(self, cell: int) -> keras.Model:
        """Return the network with the weights of a cell."""
        self.program.finish(cell)
        return self.model


def _scores(loss: np.ndarray, wrong: np.ndarray, images: int) -> Scores:
    return [
        (float(one) / images, 100 * int(other) / images)
        for one, other in zip(loss, wrong, strict=True)
    ]


def _cut(table: np.ndarray, part: Any) -> np.ndarray:
    """Take the columns of the steps in `part.order`, padded with zeros to its length."""
    wanted = table[:, part.first : part.first + part.order.shape[1]]
    missing = part.order.shape[1] - wanted.shape[1]
    return np.pad(wanted, ((0, 0), (0, missing))) if missing else wanted
