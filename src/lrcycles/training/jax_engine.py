"""Trains whole epochs of many cells side by side with JAX in one compiled call."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from lrcycles.data.image_sets import PIXEL_SCALE
from lrcycles.training.compilation import XLA_CPU_FLAGS, add_xla_flags, cpu_name
from lrcycles.training.feeding import Part

_PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32"}  # JAX's names


def prepare_device(device: str, threads: int, precision: str) -> None:
    """Set up the device; call it once per process, before any other use of JAX.

    Raises:
        RuntimeError: `device` is gpu and JAX sees no GPU.
    """
    os.environ["NPROC"] = str(threads)  # the number of threads that JAX's CPU client starts
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # By default JAX multiplies float32 in TF32 where the GPU can.
    jax.config.update("jax_default_matmul_precision", _PRODUCTS.get(precision))
    if device == "cpu":
        add_xla_flags(XLA_CPU_FLAGS)
        jax.config.update("jax_platforms", "cpu")
        return
    add_xla_flags("--xla_gpu_deterministic_ops=true")
    if not has_gpu():
        raise RuntimeError("JAX sees no GPU")


def has_gpu() -> bool:
    """Return whether JAX sees a GPU."""
    return any(device.platform == "gpu" for device in jax.devices())


def device_name(device: str) -> str:
    """Get the model name of the device, for tables of times."""
    return str(jax.devices()[0].device_kind) if device == "gpu" else cpu_name()


def put(pixels: np.ndarray, labels: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Lay images on the device."""
    return jnp.asarray(pixels), jnp.asarray(labels)


def has_one_kernel(_optimizer: Any, _variables: Any) -> bool:
    """Return False: XLA makes every update."""
    return False


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
    ) -> None:
        assert xla, "JAX compiles with XLA only"
        self._model = model
        self._optimizer = optimizer
        self._momentum = momentum
        self._class_weights = class_weights and jnp.asarray(class_weights, jnp.float32)
        self._network = (model.trainable_variables, model.non_trainable_variables)
        self._rate = [v is optimizer.learning_rate for v in optimizer.variables].index(True)
        self._empty_slots = [variable.numpy() for variable in optimizer.variables]
        self._loss = keras.losses.SparseCategoricalCrossentropy()
        self._starts: list[Any] = [None] * cells
        self._compiled: dict[Any, Any] = {}
        self._score = jax.jit(jax.vmap(self._score_images, in_axes=(0, None, None)))

    def begin(self, cell: int) -> None:
        """Start the cell from the network's variables, with empty slots."""
        trained, others = ([np.asarray(v) for v in part] for part in self._network)
        self._starts[cell] = (trained, others, self._empty_slots)
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
            self._executable(size, self._arguments(part, rates, rates))

    def steps(self, part: Part, rates: np.ndarray, momenta: np.ndarray) -> np.ndarray:
        """Make the part's steps and return their losses, float32 (cells, steps)."""
        arguments = self._arguments(part, rates, momenta)
        run = self._executable(part.stop - part.start, arguments)
        self._state, losses = run(*arguments)
        return np.asarray(losses).T

    def score(self, pixels: jax.Array, labels: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        """Sum the losses and count the errors, each of shape (cells,)."""
        loss, wrong = self._score(self._state[:2], pixels, labels)
        return np.asarray(loss), np.asarray(wrong)

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

    def _arguments(self, part: Part, rates: np.ndarray, momenta: np.ndarray) -> tuple[Any, ...]:
        return self._state, *part.data, part.order, rates, momenta, np.int32(part.start)

    def _executable(self, steps: int, arguments: tuple[Any, ...]) -> Any:
        shapes = (steps, *(np.shape(array) for array in arguments[1:]))
        if shapes not in self._compiled:
            run = jax.jit(self._run_steps(steps), donate_argnums=0)
            self._compiled[shapes] = run.lower(*arguments).compile()
        return self._compiled[shapes]

    def _run_steps(self, steps: int) -> Any:
        every_cell = jax.vmap(self._step, in_axes=(0, 0, 0, 0, None, None))

        def run(
            state: Any,
            pixels: jax.Array,
            labels: jax.Array,
            order: jax.Array,
            rates: jax.Array,
            momenta: jax.Array,
            start: jax.Array,
        ) -> Any:
            def step(state: Any, i: jax.Array) -> Any:
                return every_cell(state, order[:, i], rates[:, i], momenta[:, i], pixels, labels)

            return jax.lax.scan(step, state, start + jnp.arange(steps))

        return run

    def _step(
        self,
        state: Any,
        batch: jax.Array,
        rate: jax.Array,
        momentum: jax.Array,
        pixels: jax.Array,
        labels: jax.Array,
    ) -> Any:
        trained, others, slots = state
        images, expected = (jnp.take(data, batch, axis=0, mode="clip") for data in (pixels, labels))
        weights = None if self._class_weights is None else self._class_weights[expected]

        def total(trained: Any) -> Any:
            predicted, left, extra = self._model.stateless_call(
                trained, others, _scaled(images), return_losses=True, **self._mode(training=True)
            )
            loss = self._loss(expected, predicted, weights)
            with keras.StatelessScope(zip(self._optimizer.variables, slots, strict=True)):
                scaled = self._optimizer.scale_loss(sum(extra, start=loss))
            return scaled, (loss, left)

        gradients, (loss, others) = jax.grad(total, has_aux=True)(trained)
        slots = [rate if k == self._rate else slot for k, slot in enumerate(slots)]
        if self._momentum is not None:
            self._momentum.now = momentum
        trained, slots = self._optimizer.stateless_apply(slots, gradients, trained)
        return (trained, others, slots), loss

    def _mode(self, *, training: bool) -> dict[str, bool]:
        """Pass `training` only to a `call` that takes it: a user's own may not."""
        takes = inspect.signature(self._model.call).parameters
        return {"training": training} if "training" in takes else {}

    def _score_images(self, network: Any, pixels: jax.Array, labels: jax.Array) -> Any:
        predicted, _ = self._model.stateless_call(
            *network, _scaled(pixels), **self._mode(training=False)
        )
        losses = keras.losses.sparse_categorical_crossentropy(labels, predicted)
        return losses.sum(), (predicted.argmax(axis=1) != labels).sum()


def _scaled(pixels: jax.Array) -> jax.Array:
    return pixels.astype(jnp.float32) * PIXEL_SCALE
