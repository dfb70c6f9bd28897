"""How does TensorFlow train whole epochs in one compiled call?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lrcycles import models
from lrcycles.training.compilation import cpu_name, use_xla

EVALUATION_BATCH = 5000


def prepare_device(*, device: str, threads: int) -> None:
    """Claim the device; call once per process, before anything else of TensorFlow.

    Raises:
        RuntimeError: `device` is gpu and TensorFlow sees none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif not gpus:
        raise RuntimeError("TensorFlow sees no GPU")
    else:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def device_name(device: str) -> str:
    """The processor's own name, for tables of times."""
    if device == "gpu":
        gpu = tf.config.list_physical_devices("GPU")[0]
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return cpu_name()


def put(images: np.ndarray, labels: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Lay a data set on the device."""
    return tf.constant(np.asarray(images)), tf.constant(np.asarray(labels))


class Engine:
    """A network with its optimizer, compiled once and reset for every cell of its shape.

    The data lies on the device, batches are gathered by index, and the rate of every step enters
    as data, so that neither a new seed nor a new schedule compiles anything.
    """

    def __init__(
        self,
        *,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        input_shape: Sequence[int],
        classes: int,
        batch_size: int,
        precision: str,
        compile: str,
        device: str,
    ) -> None:
        keras.config.set_dtype_policy(precision)
        self._build: Callable[[], Any] = lambda: models.build(
            model, input_shape=input_shape, classes=classes
        )
        self.model = self._build()
        self.xla = use_xla(compile, model=self.model, batch_size=batch_size, device=device)
        models.check_probabilities(self.model, input_shape=input_shape)
        chosen = models.build_optimizer(optimizer)
        if precision == "mixed_float16":
            chosen = keras.optimizers.LossScaleOptimizer(chosen)
        chosen.build(self.model.trainable_variables)
        self._optimizer = chosen
        self._fresh_slots = [variable.numpy() for variable in chosen.variables]
        self._loss = keras.losses.SparseCategoricalCrossentropy()
        self._steps = tf.function(self._run_steps, jit_compile=self.xla, reduce_retracing=False)
        self._score = tf.function(self._score_images, jit_compile=self.xla, reduce_retracing=False)

    def reset(self, seed: int, weights: list[np.ndarray] | None = None) -> None:
        """Start over: initial weights of `seed` (or `weights`), empty slots, step 0."""
        keras.utils.set_random_seed(seed)
        for variable, fresh in zip(self.model.variables, self._build().variables, strict=True):
            variable.assign(fresh)
        if weights is not None:
            self.model.set_weights(weights)
        for variable, value in zip(self._optimizer.variables, self._fresh_slots, strict=True):
            variable.assign(value)

    def compile(self, train: Any, order: np.ndarray, *evaluate: Any) -> float:
        """Compile for these shapes without training a step; the seconds it took."""
        start = time.perf_counter()
        self.run(train, order, np.zeros(len(order), np.float32), stop=0)
        for data in evaluate:
            self.evaluate(data)
        return time.perf_counter() - start

    def run(
        self,
        train: Any,
        order: np.ndarray,
        rates: np.ndarray,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> np.ndarray:
        """Train on the batches `order[start:stop]`, step i at `rates[i]`.

        Args:
            train: what `put` gave.
            order: indices of the images, int32, shape (steps, batch_size).
            rates: float32, shape (steps,).

        Returns:
            The raw mini-batch loss before each update, float32, shape (stop - start,).
        """
        stop = len(order) if stop is None else stop
        losses = self._steps(
            *train,
            tf.constant(order),
            tf.constant(rates),
            tf.constant(start, tf.int32),
            tf.constant(stop, tf.int32),
        )
        return np.asarray(losses.numpy()[start:stop])

    def evaluate(self, data: Any) -> tuple[float, float]:
        """Mean cross-entropy and error in percent over a data set."""
        images, labels = data
        loss, wrong = 0.0, 0
        for begin in range(0, len(images), EVALUATION_BATCH):
            end = begin + EVALUATION_BATCH
            part_loss, part_wrong = self._score(images[begin:end], labels[begin:end])
            loss += float(part_loss)
            wrong += int(part_wrong)
        return loss / len(images), 100 * wrong / len(images)

    def _run_steps(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        start: tf.Tensor,
        stop: tf.Tensor,
    ) -> tf.Tensor:
        variables = self.model.trainable_variables

        def step(i: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            batch = order[i]
            with tf.GradientTape() as tape:
                predicted = self.model(tf.gather(images, batch), training=True)
                loss = self._loss(tf.gather(labels, batch), predicted)
                total = tf.add_n([loss, *self.model.losses])
                scaled = self._optimizer.scale_loss(total)
            gradients = tape.gradient(scaled, variables)
            self._optimizer.learning_rate = rates[i]
            self._optimizer.apply(gradients, variables)
            return i + 1, losses.write(i, loss)

        losses = tf.TensorArray(tf.float32, size=order.shape[0], element_shape=())
        return tf.while_loop(lambda i, _: i < stop, step, [start, losses])[1].stack()

    def _score_images(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        predicted = self.model(images, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(labels, predicted)
        wrong = tf.argmax(predicted, axis=1, output_type=labels.dtype) != labels
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(wrong, tf.int32))
