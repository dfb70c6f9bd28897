"""Trains whole epochs of many cells side by side with JAX in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from lrcycles.data.image_sets import PIXEL_SCALE
from lrcycles.training.compilation import mode, step_operations, turn_steps
from lrcycles.training.devices.jax_device import device_name as device_name
from lrcycles.training.devices.jax_device import has_gpu as has_gpu
from lrcycles.training.devices.jax_device import prepare_device as prepare_device
from lrcycles.training.devices.jax_device import put as put
from lrcycles.training.feeding import Part
from lrcycles.training.jax_layers import ends_in_softmax, rewritten

_EXPECTED = 3  # the place of the labels among the tables of a step


class Program:
    """Training steps as a function of the state of all cells; the first axis counts the cells.

    The number of steps of a call is compiled in. On a GPU, a loop of unknown length would ask the
    host before every step.
    """

    resumable = True

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        momentum: Any,
        *,
        class_weights: Sequence[float] | None,
        cells: int,
        xla: bool,
        ema: bool,
    ) -> None:
        assert xla, "JAX compiles with XLA only"
        self._model = model
        self._optimizer = optimizer
        self._momentum = momentum
        self._class_weights = class_weights and jnp.asarray(class_weights, jnp.float32)
        self._network = (model.trainable_variables, model.non_trainable_variables)
        self._rate = [v is optimizer.learning_rate for v in optimizer.variables].index(True)
        self._empty_slots = [variable.numpy() for variable in optimizer.variables]
        self._cells = cells
        self._ema = ema
        self._place = {"cells": cells, "device": jax.default_backend()}
        self._from_logits = ends_in_softmax(model)
        self._loss = keras.losses.SparseCategoricalCrossentropy(from_logits=self._from_logits)
        self._starts: list[Any] = [None] * cells
        self._compiled: dict[Any, Any] = {}
        self._score = jax.jit(jax.vmap(self._score_images, in_axes=(0, None, None)))
        self._see = jax.jit(jax.vmap(self._see_images, in_axes=(0, None, 0)))

    def begin(self, cell: int) -> None:
        """Start the cell from the network's variables, with empty slots."""
        trained, others = ([np.asarray(v) for v in part] for part in self._network)
        self._starts[cell] = (trained, others, self._empty_slots, trained if self._ema else [])
        if cell == len(self._starts) - 1:
            self._state = jax.tree.map(lambda *parts: jnp.stack(parts), *self._starts)

    def finish(self, cell: int) -> None:
        """Assign the cell's weights to the network's variables."""
        for variables, values in zip(self._network, self._state[:2], strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value[cell])

    def compile(self, part: Part, rates: np.ndarray, sizes: Collection[int]) -> None:
        """Compile for each number of steps, without making a step."""
        for size in sizes:
            self._executable(self._arguments(part, rates, rates, rates), size)

    def steps(
        self, part: Part, rates: np.ndarray, momenta: np.ndarray, shares: np.ndarray
    ) -> np.ndarray:
        """Make the part's steps and return their losses, float32 (cells, steps)."""
        arguments = self._arguments(part, rates, momenta, shares)
        run = self._executable(arguments, part.stop - part.start)
        self._state, losses = run(*arguments)
        return np.asarray(losses)

    def score(self, pixels: jax.Array, labels: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """Sum the losses, shape (cells,), and tell the mistaken images, bool (cells, images)."""
        loss, wrong = self._score(self._state[:2], pixels, labels)
        return np.asarray(loss), np.asarray(wrong)

    def compile_sweep(
        self, part: Part, rates: np.ndarray, sizes: Collection[int], heldout: Any, *, every: int
    ) -> None:
        """Compile `sweep` for each number of steps, without making a step."""
        for size in sizes:
            arguments = self._arguments(part, rates, rates, rates)
            self._executable((*arguments, heldout), size, every)

    def sweep(
        self, part: Part, rates: np.ndarray, heldout: Any, *, every: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Make the part's steps, and score the held-out images after every `every` of them.

        Returns:
            The losses, float32 (cells, steps). For each score the sum of the held-out losses and
            the number of errors, both of shape (scores, cells).
        """
        arguments = (*self._arguments(part, rates, rates, rates), heldout)
        run = self._executable(arguments, part.stop - part.start, every)
        self._state, losses, loss, wrong = run(*arguments)
        return np.asarray(losses).T, np.asarray(loss), np.asarray(wrong)

    def network(self, places: Sequence[int] | None = None) -> list[np.ndarray]:
        """Copy variables of the network, the trainable ones first; shape (cells, ...) each."""
        every = jax.tree.leaves(self._state[:2])
        return [
            np.array(every[place]) for place in (range(len(every)) if places is None else places)
        ]

    def replace_network(self, arrays: Mapping[int, np.ndarray]) -> None:
        """Replace variables of the network by their places in `network`."""
        every, structure = jax.tree.flatten(self._state[:2])
        every = [jnp.asarray(arrays.get(place, held)) for place, held in enumerate(every)]
        self._state = (*jax.tree.unflatten(structure, every), *self._state[2:])

    def moving_averages(self) -> list[np.ndarray]:
        """Copy the moving averages of the trainable variables; shape (cells, ...) each."""
        return [np.array(average) for average in self._state[3]]

    def see(self, part: Part, step: int) -> None:
        """Show a batch to the network in training mode, as a step would, without an update."""
        network = self._see(self._state[:2], part.data[0], part.order[:, step])
        self._state = (*network, *self._state[2:])

    def state(self) -> list[np.ndarray]:
        """Copy the state of all cells."""
        return [np.array(array) for array in jax.tree.leaves(self._state)]

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Replace the state of all cells."""
        held, structure = jax.tree.flatten(self._state)
        arrays = [new.view(old.dtype) for new, old in zip(state, held, strict=True)]
        if [array.shape for array in arrays] != [array.shape for array in held]:
            raise ValueError("arrays of other shapes")
        self._state = jax.tree.unflatten(structure, [jnp.asarray(array) for array in arrays])

    def _arguments(self, part: Part, *tables: np.ndarray) -> tuple[Any, ...]:
        return self._state, *part.data, part.order, *tables, np.int32(part.start)

    def _executable(self, arguments: tuple[Any, ...], steps: int, every: int = 0) -> Any:
        shapes = (steps, every, *(np.shape(array) for array in jax.tree.leaves(arguments[1:])))
        if shapes not in self._compiled:
            run = self._run_sweep(steps, every) if every else self._run_steps(steps)
            self._compiled[shapes] = jax.jit(run, donate_argnums=0).lower(*arguments).compile()
        return self._compiled[shapes]

    def _run_sweep(self, steps: int, every: int) -> Any:
        score = jax.vmap(self._score_images, in_axes=(0, None, None))
        whole = steps - steps % every

        def run(state: Any, *arguments: Any) -> Any:
            *data, start, heldout = arguments

            def chunk(length: int, state: Any, begin: jax.Array) -> Any:
                state, losses = self._run_steps(length)(state, *data, begin)
                loss, wrong = score(state[:2], *heldout)
                return state, (losses.T, loss, wrong.sum(axis=1))

            parts = []
            for length, begins in ((every, range(0, whole, every)), (steps - whole, [whole])):
                if length and begins:
                    state, (losses, *scores) = jax.lax.scan(
                        partial(chunk, length), state, start + jnp.array(begins)
                    )
                    parts.append([losses.reshape(-1, self._cells), *scores])
            return state, *(jnp.concatenate(columns) for columns in zip(*parts, strict=True))

        return run

    def _run_steps(self, steps: int) -> Any:
        alone = self._cells == 1  # with a first axis of length 1, XLA makes slower kernels

        def run(state: Any, *arguments: jax.Array) -> Any:
            pixels, labels, order, rates, momenta, shares, start = arguments
            tables = [
                jax.lax.dynamic_slice_in_dim(table, start, steps, axis=1)
                for table in (order, rates, momenta, *([shares] if self._ema else []))
            ]
            tables.insert(_EXPECTED, jnp.take(labels, tables[0], axis=0, mode="clip"))
            tables = [table[0] if alone else table.swapaxes(0, 1) for table in tables]
            if alone:
                state = jax.tree.map(lambda array: array[0], state)
            sizes = {"batch_size": order.shape[2], "cells": self._cells}
            operations = step_operations(self._model, input_shape=pixels.shape[1:], **sizes)
            turn = turn_steps(operations, device=jax.default_backend())
            state, losses = self._scan(state, tables, pixels, turn=turn)
            if alone:
                state, losses = jax.tree.map(lambda array: array[None], (state, losses))
            return state, losses

        return run

    def _scan(
        self, state: Any, tables: Sequence[jax.Array], pixels: jax.Array, *, turn: int
    ) -> tuple[Any, jax.Array]:
        """Make a step for each row of the tables, in a loop that makes `turn` steps at a time."""
        step: Callable[..., Any] = self._step
        measure: Callable[..., Any] = self._measure
        if self._cells > 1:
            step = jax.vmap(step, in_axes=(None, 0, *[0] * len(tables)))
            measure = jax.vmap(measure)

        def make_turn(state: Any, tables: Any) -> Any:
            outputs = []
            for now in zip(*tables, strict=True):
                state, output = step(pixels, state, *now)
                outputs.append(output)
            # The losses of all steps of a turn together take as many kernels as one.
            return state, jax.vmap(measure)(tables[_EXPECTED], jnp.stack(outputs))

        steps = len(tables[0])
        whole = steps - steps % turn
        losses = []
        for size, part in ((turn, slice(0, whole)), (1, slice(whole, steps))):
            if part.start < part.stop:
                turns = [table[part].reshape(-1, size, *table.shape[1:]) for table in tables]
                state, of_turns = jax.lax.scan(make_turn, state, turns)
                losses.append(of_turns.reshape(-1, *of_turns.shape[2:]))
        return state, jnp.concatenate(losses).T

    def _step(
        self,
        pixels: jax.Array,
        state: Any,
        batch: jax.Array,
        rate: jax.Array,
        momentum: jax.Array,
        expected: jax.Array,
        share: jax.Array | None = None,
    ) -> Any:
        """Make one step of one cell; return the state and what the model predicted before it."""
        trained, others, slots, averages = state
        images = jnp.take(pixels, batch, axis=0, mode="clip")

        def total(trained: Any) -> Any:
            with rewritten(self._model, **self._place):
                settings = {"return_losses": True, **mode(self._model, training=True)}
                outputs = self._model.stateless_call(trained, others, _scaled(images), **settings)
            predicted, left, extra = outputs
            loss = self._measure(expected, predicted)
            with keras.StatelessScope(zip(self._optimizer.variables, slots, strict=True)):
                scaled = self._optimizer.scale_loss(sum(extra, start=loss))
            return scaled, (predicted, left)

        gradients, (predicted, others) = jax.grad(total, has_aux=True)(trained)
        slots = [rate if k == self._rate else slot for k, slot in enumerate(slots)]
        if self._momentum is not None:
            self._momentum.now = momentum
        trained, slots = self._optimizer.stateless_apply(slots, gradients, trained)
        if share is not None:
            # Behind the barrier, XLA computes the weights themselves as it does without averages.
            trained = jax.lax.optimization_barrier(trained)
            averages = [a + share * (w - a) for a, w in zip(averages, trained, strict=True)]
        return (trained, others, slots, averages), predicted

    def _measure(self, expected: jax.Array, predicted: jax.Array) -> jax.Array:
        """Compute the mean loss of a batch."""
        weights = None if self._class_weights is None else self._class_weights[expected]
        return self._loss(expected, predicted, weights)

    def _see_images(self, network: Any, pixels: jax.Array, batch: jax.Array) -> Any:
        images = _scaled(jnp.take(pixels, batch, axis=0, mode="clip"))
        with rewritten(self._model, **self._place):
            _, others = self._model.stateless_call(
                *network, images, **mode(self._model, training=True)
            )
        return network[0], others

    def _score_images(self, network: Any, pixels: jax.Array, labels: jax.Array) -> Any:
        with rewritten(self._model, **self._place):
            predicted, _ = self._model.stateless_call(
                *network, _scaled(pixels), **mode(self._model, training=False)
            )
        losses = keras.losses.sparse_categorical_crossentropy(
            labels, predicted, from_logits=self._from_logits
        )
        return losses.sum(), predicted.argmax(axis=1) != labels


def _scaled(pixels: jax.Array) -> jax.Array:
    return pixels.astype(jnp.float32) * PIXEL_SCALE
