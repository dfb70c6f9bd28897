"""Trains with Keras `fit`, as the tutorial calls it and as fast as we could make it."""

from __future__ import annotations

from typing import Any

import keras

from benchmarks.speed.tasks import CLASSES, SHAPE, Data, Prepared, Task
from lrcycles import models


def _network(task: Task, shape: tuple[int, ...]) -> keras.Model:
    if task.network == "mlp":
        return models.mlp(shape, CLASSES, units=[784])
    return models.lenet(shape, CLASSES)


def tutorial_fit(task: Task, data: Data, threads: int) -> Prepared:
    """Train as the tutorial: flat images, one-hot labels, the test set evaluated every epoch."""
    return _fit(task, data, threads, validate=True)


def plain_fit(task: Task, data: Data, threads: int) -> Prepared:
    """Train as `tutorial_fit` without validation, as all other contenders do."""
    return _fit(task, data, threads, validate=False)


def stepped_fit(task: Task, data: Data, threads: int) -> Prepared:
    """Train as `plain_fit`, 50 steps per call of the compiled function."""
    return _fit(task, data, threads, validate=False, steps_per_execution=50)


def jax_fit(task: Task, data: Data, threads: int) -> Prepared:
    """Train as `plain_fit` on the JAX backend."""
    return _fit(task, data, threads, validate=False)


def jax_stepped_fit(task: Task, data: Data, threads: int) -> Prepared:
    """Train as `stepped_fit` on the JAX backend; Keras after 3.15.1 makes a scan of the steps."""
    return _fit(task, data, threads, validate=False, steps_per_execution=50)


def _fit(
    task: Task, data: Data, threads: int, *, validate: bool, steps_per_execution: int = 1
) -> Prepared:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
    elif task.network == "lenet":
        raise ValueError("XLA convolutions take 40 times as long as the graph on a CPU. Left out.")
    keras.utils.set_random_seed(0)
    shape = (784,) if task.network == "mlp" else SHAPE  # LeNet takes images
    used = task.steps(len(data.y)) * task.batch_size
    x, x_test = data.x[:used].reshape(-1, *shape), data.x_test.reshape(-1, *shape)
    y, y_test = (keras.utils.to_categorical(labels) for labels in (data.y[:used], data.y_test))
    network = _network(task, shape)
    network.compile(
        loss="categorical_crossentropy",
        optimizer="adam",
        metrics=["accuracy"],
        steps_per_execution=min(steps_per_execution, task.steps(len(data.y))),
    )
    validation = {"validation_data": (x_test, y_test)} if validate else {}

    def train_epoch() -> None:
        network.fit(x, y, epochs=1, batch_size=task.batch_size, verbose=0, **validation)

    return Prepared(
        train_epoch, lambda: network.evaluate(x_test, y_test, batch_size=1000, verbose=0)[1]
    )


def tuned_fit(task: Task, data: Data, threads: int) -> Prepared:
    """Train with the fastest `fit` that we found: a pipeline of indices, one call per epoch.

    Variants that were measured for the MLP at batch 200, in seconds per epoch: this one 1.96; with
    XLA 1.99; 30 steps per call 2.05; a pipeline that caches and shuffles single images 2.09; with
    the autotuning of tf.data 2.56. With autotuning, single epochs took 2.55 or 5.11 s, probably
    because they waited for its thread. At batch 2000 and for LeNet, no variant was measured: there
    XLA is slower in our own engine too (compilation.py).
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    keras.utils.set_random_seed(0)
    steps = task.steps(len(data.y))
    network = _network(task, SHAPE)
    network.compile(
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        jit_compile=False,
        steps_per_execution=steps,
    )
    x, y = tf.constant(data.x), tf.constant(data.y)

    def orders(_: Any) -> tf.data.Dataset:
        order = tf.random.shuffle(tf.range(len(data.y)))[: steps * task.batch_size]
        return tf.data.Dataset.from_tensor_slices(tf.reshape(order, (steps, task.batch_size)))

    options = tf.data.Options()
    options.autotune.enabled = False
    batches = (
        tf.data.Dataset.range(1)
        .flat_map(orders)
        .map(lambda order: (tf.gather(x, order), tf.gather(y, order)))
        .apply(tf.data.experimental.assert_cardinality(steps))
        .prefetch(2)
        .with_options(options)
    )

    def train_epoch() -> None:
        network.fit(batches, epochs=1, verbose=0)

    def accuracy() -> float:
        predicted = network.predict(data.x_test, batch_size=1000, verbose=0).argmax(axis=1)
        return float((predicted == data.y_test).mean())

    return Prepared(train_epoch, accuracy)
