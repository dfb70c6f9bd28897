"""Trains cells of one shape on any backend, with a program that is compiled once."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from lrcycles import models
from lrcycles.cells.cell import Cell
from lrcycles.schedules.keras_optimizers import GivenMomentum
from lrcycles.training.compilation import dtype_policy, even_steps, piece_steps, use_xla


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
        # Random numbers that a layer draws without a seed follow from this one.
        keras.utils.set_random_seed(0)
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
            one_kernel=backend.has_one_kernel(optimizer, self.model.trainable_variables),
        )
        self._cells = runtime.side_by_side
        self._most_steps = piece_steps(
            self.model,
            input_shape=input_shape,
            batch_size=cell.batch_size,
            cells=self._cells,
            device=runtime.device,
        )
        self._program = backend.Program(
            self.model,
            optimizer,
            momentum,
            class_weights=cell.class_weights,
            cells=self._cells,
            xla=self.xla,
        )
        for cell_index in range(self._cells):  # the compiler needs values
            self._program.begin(cell_index)

    def reset(
        self, seeds: Sequence[int], weights: Sequence[list[np.ndarray] | None] | None = None
    ) -> None:
        """Start each cell at step 0 with its initial weights, or `weights`, and empty slots."""
        for cell, seed in enumerate(seeds):
            keras.utils.set_random_seed(seed)
            for variable, fresh in zip(self.model.variables, self._build().variables, strict=True):
                variable.assign(fresh)
            given = weights[cell] if weights else None
            if given is not None:
                self.model.set_weights(given)
            self._program.begin(cell)

    def compile(self, train: Any, order: np.ndarray, *evaluate: Any, chunk: int = 0) -> float:
        """Compile for these shapes without training a step; return the seconds it took.

        Args:
            evaluate: the data sets that `evaluate` will score.
            chunk: the number of steps of a call of `run`; 0 for `epoch`.
        """
        start = time.perf_counter()
        length = order.shape[1]
        rates = np.zeros((self._cells, length), np.float32)
        parts = train.parts(order, 0, 1)
        part = next(parts)
        parts.close()
        piece = chunk or even_steps(part.order.shape[1], self._most_steps)
        whole = {length} if chunk else train.sizes(length)
        sizes = {min(piece, size) for size in whole} | {size % piece for size in whole} - {0}
        self._program.compile(part, _cut(rates, part), sizes)
        for data in evaluate:
            self.evaluate(data)
        return time.perf_counter() - start

    def epoch(
        self,
        train: Any,
        order: np.ndarray,
        rates: np.ndarray,
        momenta: np.ndarray | None = None,
        *,
        start: int = 0,
    ) -> Iterator[np.ndarray]:
        """Train as `run` does, from step `start` to the end, and give the losses piece by piece.

        A piece lasts two seconds or less. Its bounds do not depend on `start`, if `start` is the
        end of an earlier piece.
        """
        momenta = rates if momenta is None else momenta  # the program does not read it then
        for part in train.parts(order, start, order.shape[1]):
            piece = even_steps(part.order.shape[1], self._most_steps)
            for begin in range(part.start - part.start % piece, part.stop, piece):
                first, last = max(begin, part.start), min(begin + piece, part.stop)
                steps = replace(part, start=first, stop=last)
                yield self._program.steps(steps, _cut(rates, part), _cut(momenta, part))

    def run(
        self,
        train: Any,
        order: np.ndarray,
        rates: np.ndarray,
        momenta: np.ndarray | None = None,
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

        Returns:
            The raw mini-batch loss before each update, float32, shape (cells, stop - start).
        """
        momenta = rates if momenta is None else momenta  # the program does not read it then
        parts = train.parts(order, start, order.shape[1] if stop is None else stop)
        losses = [
            self._program.steps(part, _cut(rates, part), _cut(momenta, part)) for part in parts
        ]
        return np.concatenate(losses, axis=1)

    def evaluate(self, data: Any) -> list[tuple[float, float]]:
        """Mean cross-entropy and error in percent over a data set, for each cell."""
        loss, wrong = np.zeros(self._cells), np.zeros(self._cells, int)
        for pixels, labels in data.batches():
            part_loss, part_wrong = self._program.score(pixels, labels)
            loss += part_loss
            wrong += part_wrong
        return [
            (float(one) / len(data), 100 * int(other) / len(data))
            for one, other in zip(loss, wrong, strict=True)
        ]

    @property
    def resumable(self) -> bool:
        """Whether `state` holds all that the coming steps depend on."""
        return bool(self._program.resumable)

    def state(self) -> list[np.ndarray]:
        """Copy all that a step changes: weights, optimizer slots, seed generators."""
        arrays: list[np.ndarray] = self._program.state()
        return arrays

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Go back to a state of cells with the same seeds.

        Raises:
            ValueError: the arrays belong to another network or optimizer.
        """
        self._program.restore(state)

    def trained(self, cell: int) -> keras.Model:
        """Return the network with the weights of a cell."""
        self._program.finish(cell)
        return self.model


def _cut(table: np.ndarray, part: Any) -> np.ndarray:
    """Take the columns of the steps in `part.order`, padded with zeros to its length."""
    wanted = table[:, part.first : part.first + part.order.shape[1]]
    missing = part.order.shape[1] - wanted.shape[1]
    return np.pad(wanted, ((0, 0), (0, missing))) if missing else wanted
