"""Trains an epoch with lrcycles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import shapes
from benchmarks.speed.tasks import SHAPE, Data, Prepared, Task
from lrcycles.training.engine import Engine, backend_module
from lrcycles.training.feeding import Part


class _Images:
    """Images on the device, like `Resident` but without a file."""

    def __init__(self, backend: str, x: np.ndarray, y: np.ndarray) -> None:
        self._data = backend_module(backend).put(np.rint(x * 255).astype(np.uint8), y)
        self._length = len(y)

    def __len__(self) -> int:
        return self._length

    def parts(self, order: np.ndarray, start: int, stop: int) -> Iterator[Part]:
        yield Part(self._data, order, 0, start, stop)

    def batches(self) -> Iterator[Any]:
        yield self._data


def ours_tensorflow(task: Task, data: Data, threads: int) -> Prepared:
    return _ours("tensorflow", task, data, threads)


def ours_jax(task: Task, data: Data, threads: int) -> Prepared:
    if task.network == "lenet":
        raise ValueError("XLA convolutions take 40 times as long as the graph on a CPU. Left out.")
    return _ours("jax", task, data, threads)


def _ours(backend: str, task: Task, data: Data, threads: int) -> Prepared:
    backend_module(backend).prepare_device("cpu", threads, "float32")
    model = shapes.MLP if task.network == "mlp" else shapes.LENET
    runtime = {"backend": backend, "threads": threads}
    cell = shapes.cell(model=model, batch_size=task.batch_size, runtime=runtime)
    engine = Engine(cell, input_shape=SHAPE)
    engine.reset([0])
    train, test = _Images(backend, data.x, data.y), _Images(backend, data.x_test, data.y_test)
    random = np.random.default_rng(0)
    steps = task.steps(len(data.y))
    rates = np.full((1, steps), 1e-3, np.float32)

    def train_epoch() -> None:
        order = random.permutation(len(data.y))[: steps * task.batch_size].astype(np.int32)
        list(engine.epoch(train, order.reshape(1, steps, task.batch_size), rates))

    return Prepared(train_epoch, lambda: 1 - engine.evaluate(test)[0][1] / 100)
