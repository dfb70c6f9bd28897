"""Trains one task with many schedules, peak rates and seeds at once, in one program of JAX."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from lrcycles.range_tests.keras_model import state as keras_state
from studies.networks.runs import Run
from studies.networks.slices import Slices
from studies.networks.task import Array, Four, Task, sample_order

PARTS = 16  # of a whole training; one call of the program trains one part
jax.config.update("jax_default_matmul_precision", "highest")  # of float32, also on a GPU

HOST = jax.devices("cpu")[-1]  # where one network is drawn, since small calls are slow on a GPU
SCORED = (8, 12, 14, 15, 16)  # after these parts all networks are evaluated
GROUPS = 20  # of the held-out samples, evaluated one after another to save memory
FINAL = {keras.activations.softmax, keras.activations.sigmoid}


class Networks:
    """Many networks of a task as one state, of which the first axis counts the networks.

    Every network starts from the weights of its seed, sees the samples in the order of its seed
    and has its own rates. The optimizer, also its learning rate, is Keras's.
    """

    def __init__(self, task: Task, data: Four) -> None:
        self._task = task
        with jax.default_device(HOST):
            self.model = task.compiled()
            self.optimizer = self.model.optimizer
            self.optimizer.build(self.model.trainable_variables)
        rate = self.optimizer.learning_rate
        self._rate = [v is rate for v in self.optimizer.variables].index(True)
        self._samples = len(data[0])
        whole = self._samples // task.batch_size * task.epochs
        self.part_steps = max(1, round(whole / PARTS))
        _simplify(self.model)
        self._slices = Slices(self.model, self.optimizer, task.batch_size)
        x, y, *heldout = (jnp.asarray(part) for part in data)
        self._data = x, y
        self._heldout = [part.reshape(GROUPS, -1, *part.shape[1:]) for part in heldout]
        self.starts: Any = None
        self._orders: Any = None
        self.state: Any = None
        self._programs: dict[str, Any] = {}

    def draw(self, seeds: Sequence[int]) -> None:
        """Draw weights and an order of the samples for each seed."""
        steps = self.part_steps * PARTS
        batch_size = self._task.batch_size
        orders = [sample_order(self._samples, batch_size, steps, seed) for seed in seeds]
        self._orders = jnp.asarray(np.stack(orders))
        with jax.default_device(HOST):
            starts = list(map(self._start, seeds))
        self.starts = jax.tree.map(lambda *values: jnp.asarray(np.stack(values)), *starts)

    def compile(self, count: int) -> None:
        """Compile for a number of networks, and give them any weights."""
        place = np.zeros(count, np.int32)
        self.state = jax.tree.map(lambda start: jnp.take(start, place, axis=0), self.starts)
        arguments = self._arguments(
            place == 1, place, place, np.zeros((self.part_steps, count), np.float32)
        )
        self._programs = {
            name: jax.jit(function, donate_argnums=donated).lower(*given).compile()
            for name, function, donated, given in [
                ("advance", self._advance, (0,), (self.state, *arguments)),
                ("evaluate", self._evaluate, (), (self.state[:2], *self._heldout)),
                ("initial", self._evaluate, (), (self.starts[:2], *self._heldout)),
            ]
        }

    def advance(self, fresh: Array, place: Array, begin: Array, rates: Array) -> None:
        """Make the steps of one part.

        Args:
            fresh: for each network, whether it first starts anew.
            place: for each network, which of `seeds` it has.
            begin: for each network, the number of steps that it has made.
            rates: one row for each step, one column for each network.
        """
        arguments = self._arguments(fresh, place.astype(np.int32), begin.astype(np.int32), rates)
        self.state = jax.block_until_ready(self._programs["advance"](self.state, *arguments))

    def evaluate(self) -> tuple[Array, Array]:
        """Return loss and metric of each network on the held-out samples."""
        loss, metric = self._programs["evaluate"](self.state[:2], *self._heldout)
        return np.asarray(loss), np.asarray(metric)

    def initial(self) -> Array:
        """Return the loss of each seed's weights before training."""
        return np.asarray(self._programs["initial"](self.starts[:2], *self._heldout)[0])

    def _start(self, seed: int) -> tuple[list[Array], list[Array], list[Array]]:
        model = self.model
        keras_state.seed_globals(seed)
        fresh = dict(zip(map(id, model.weights), keras_state.fresh_values(model), strict=True))
        keras_state.seed_layers(model, seed)
        trained, others = (
            [fresh.get(id(v), keras_state.host(v)) for v in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        return trained, others, [keras_state.host(v) for v in self.optimizer.variables]

    def _arguments(self, fresh: Array, place: Array, begin: Array, rates: Array) -> tuple[Any, ...]:
        return self.starts, self._orders, *self._data, fresh, place, begin, np.float32(rates)

    def _advance(
        self,
        state: Any,
        starts: Any,
        orders: jax.Array,
        x: jax.Array,
        y: jax.Array,
        fresh: jax.Array,
        place: jax.Array,
        begin: jax.Array,
        rates: jax.Array,
    ) -> Any:
        def restarted(now: jax.Array, start: jax.Array) -> jax.Array:
            choose = fresh.reshape(-1, *(1,) * (now.ndim - 1))
            return jnp.where(choose, jnp.take(start, place, axis=0), now)

        def step(state: Any, row: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
            number, rate = row
            batches = orders[place, begin + number]
            return jax.vmap(self._step, (0, 0, 0, None, None))(state, batches, rate, x, y), None

        state = jax.tree.map(restarted, state, starts)
        return jax.lax.scan(step, state, (jnp.arange(len(rates)), rates))[0]

    def _step(
        self, state: Any, batch: jax.Array, rate: jax.Array, x: jax.Array, y: jax.Array
    ) -> Any:
        trained, others, slots = state
        inputs, expected = (jnp.take(part, batch, axis=0, mode="clip") for part in (x, y))

        def loss(trained: Any, zeros: Any) -> tuple[jax.Array, Any]:
            with self._slices.added(zeros) as tokens:
                outputs, left = self.model.stateless_call(trained, others, inputs, training=True)
            return _losses(self._task, expected, outputs).mean(), (left, tokens)

        (gradients, of_rows), (others, tokens) = jax.grad(loss, argnums=(0, 1), has_aux=True)(
            trained, self._slices.zeros()
        )
        slots = [rate if k == self._rate else slot for k, slot in enumerate(slots)]
        trained, slots = self._slices.apply(slots, gradients, of_rows, tokens, trained)
        return trained, others, slots

    def _evaluate(self, network: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        def score(trained: Any, others: Any, x: jax.Array, y: jax.Array) -> Any:
            outputs, _ = self.model.stateless_call(trained, others, x, training=False)
            metric = _metric(self._task, y, outputs)
            return _losses(self._task, y, outputs).mean(), metric.astype("float32").mean()

        def score_all(part: tuple[jax.Array, jax.Array]) -> Any:
            return jax.vmap(score, (0, 0, None, None))(*network, *part)

        loss, metric = jax.lax.map(score_all, (x, y))
        return loss.mean(axis=0), metric.mean(axis=0)


def _losses(task: Task, expected: jax.Array, outputs: jax.Array) -> Any:
    function = keras.losses.get(task.loss)
    if task.loss.endswith("crossentropy"):
        return function(expected, outputs, from_logits=True)
    return function(expected, outputs)


def _metric(task: Task, expected: jax.Array, outputs: jax.Array) -> jax.Array:
    if task.metric == "accuracy":
        return outputs.argmax(axis=-1) == expected
    if task.metric == "binary_accuracy":
        return (outputs > 0) == (expected > 0.5)
    return abs(outputs - expected)


def _simplify(model: Any) -> None:
    """Let the model return logits, as TensorFlow's losses use, and use faster layers."""
    if getattr(model.layers[-1], "activation", None) in FINAL:
        vars(model.layers[-1])["activation"] = keras.activations.linear
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D):
            vars(layer)["convolution_op"] = partial(_convolve, layer)
        if isinstance(layer, keras.layers.MaxPooling2D):
            vars(layer)["call"] = partial(_pool, layer)


def _convolve(layer: Any, images: jax.Array, kernel: Any) -> jax.Array:
    """Convolve as one product of matrices: for many networks cuDNN computes one by one."""
    kernel = jnp.asarray(kernel)
    windows, sizes, strides = kernel.shape[:-2], images.shape[1:-1], layer.strides
    if layer.padding == "same":
        counts = [math.ceil(size / s) for size, s in zip(sizes, strides, strict=True)]
        more = [
            max(0, (n - 1) * s + window - size)
            for n, s, window, size in zip(counts, strides, windows, sizes, strict=True)
        ]
        around = [(m // 2, m - m // 2) for m in more]
        images = jnp.pad(images, [(0, 0), *around, (0, 0)])
    else:
        counts = [
            (size - window) // s + 1
            for s, window, size in zip(strides, windows, sizes, strict=True)
        ]
    spans = [(n - 1) * s + 1 for n, s in zip(counts, strides, strict=True)]
    shifted = [
        images[:, *(slice(k, k + n, s) for k, n, s in zip(at, spans, strides, strict=True))]
        for at in itertools.product(*map(range, windows))
    ]
    return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def _pool(layer: Any, images: jax.Array) -> jax.Array:
    """Pool in windows that neither overlap nor leave a rest: XLA's own gradient is slow."""
    (high, wide), (n, height, width, channels) = layer.pool_size, images.shape
    shape = (n, height // high, high, width // wide, wide, channels)
    return images.reshape(shape).max(axis=(2, 4))


Lane = list[tuple[Run, int]]  # one network: runs one after another, each with its place of seed


def train(
    networks: Networks, lanes: Sequence[Lane], stop: float = math.inf
) -> Iterator[dict[str, Any]]:
    """Train all lanes side by side, and yield the result of each run when it has ended.

    Args:
        stop: the time, in seconds since 1970, after which no further part begins.
    """
    size, count = networks.part_steps, len(lanes)
    initial = networks.initial()
    rates = np.zeros((PARTS, size, count), np.float32)
    fresh = np.zeros((PARTS, count), bool)
    place, begin = np.zeros((2, PARTS, count), np.int32)
    ends: dict[int, list[tuple[int, Run, int]]] = {}
    for column, lane in enumerate(lanes):
        part = 0
        for run, where in lane:
            length = run.steps // size
            own = slice(part, part + length)
            rates[own, :, column] = run.rates().reshape(length, size)
            fresh[part, column] = True
            place[own, column] = where
            begin[own, column] = np.arange(length) * size
            part += length
            ends.setdefault(part, []).append((column, run, where))
    earlier: list[Array] = []
    for part in range(max(ends)):
        if time.time() > stop:
            return
        networks.advance(fresh[part], place[part], begin[part], rates[part])
        if part + 1 not in SCORED and part + 1 not in ends:
            continue
        loss, metric = networks.evaluate()
        loss = np.where(np.isfinite(loss), loss, np.nan)
        earlier.append(loss)
        for column, run, where in ends.get(part + 1, []):
            whole = run.steps == size * PARTS
            losses = [float(row[column]) for row in (earlier if whole else earlier[-1:])]
            measure = float(metric[column]) if np.isfinite(losses[-1]) else math.nan
            yield {
                **vars(run),
                "losses": losses,
                "measure": measure,
                "initial_loss": float(initial[where]),
            }
