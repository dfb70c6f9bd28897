"""Makes many updates of a Keras model in one TensorFlow call, each at its own learning rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from lrcycles.range_tests.keras_model.batches import Batch
from lrcycles.range_tests.sweep import Rates

LEAST_UPDATES = 300
STACKED_BYTES = 64 << 20  # mini-batches of one call may take so much memory together

# Takes mini-batches and one rate for each, and returns their losses as float32.
Loop = Callable[[Sequence[Batch], Rates], np.ndarray]


def compiled_loop(model: Any, *, updates: int) -> Loop | None:
    """Return a function that makes one update per mini-batch in one call, or None.

    On TensorFlow the model's train step, compiled as `fit` compiles it, runs in a loop inside one
    call. That saves the work of Keras between steps, a third of the time of a small network's step.
    The result is None on other backends, for few updates, and for a model that overrides what
    `train_on_batch` calls.

    Args:
        updates: the updates of the whole range test. Compiling the loop costs as much time as it
            saves in about 300 updates.
    """
    own = (keras.Model.train_step, keras.Model.train_on_batch, keras.Model.make_train_function)
    plain = all(getattr(type(model), method.__name__) is method for method in own)
    if keras.backend.backend() != "tensorflow" or updates < LEAST_UPDATES or not plain:
        return None
    if model.run_eagerly or model.distribute_strategy.num_replicas_in_sync > 1:
        return None
    return _on_tensorflow(model)


def _on_tensorflow(model: Any) -> Loop:
    import tensorflow as tf

    step: Any = tf.autograph.experimental.do_not_convert(lambda data: model.train_step(data))
    if model.jit_compile:
        step = tf.function(step, jit_compile=True, reduce_retracing=True)

    def run(data: Any, rates: Any) -> Any:
        def update(i: Any, losses: Any) -> Any:
            model.optimizer.learning_rate = rates[i]
            # Without the reset, the loss would be a running mean over the batches.
            for metric in model.metrics:
                metric.reset_state()
            logs = step(_each(lambda leaf: leaf[i], data))
            return i + 1, losses.write(i, tf.cast(logs["loss"], tf.float32))

        count = tf.shape(rates)[0]
        losses = tf.TensorArray(tf.float32, size=count, element_shape=())
        return tf.while_loop(lambda i, _: i < count, update, [0, losses])[1].stack()

    function = tf.function(run)
    compiled: dict[Any, Any] = {}

    def loop(batches: Sequence[Batch], rates: Rates) -> np.ndarray:
        data = _each(lambda *leaves: tf.stack(leaves), *batches)
        # Compile for any number of batches: the last call has fewer.
        signature = _each(lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype), data)
        key = repr(signature)
        if key not in compiled:
            rate = tf.TensorSpec((None,), tf.float32)
            compiled[key] = function.get_concrete_function(signature, rate)
        return np.asarray(compiled[key](data, tf.constant(rates, tf.float32)))

    return loop


def stackable(batches: Sequence[Batch]) -> int:
    """Count the first batches that have the same shapes and together fit into `STACKED_BYTES`."""
    shapes = [[(leaf.shape, leaf.dtype) for leaf in _leaves(batch)] for batch in batches]
    size = sum(_bytes(leaf) for leaf in _leaves(batches[0]))
    alike = next((k for k, shape in enumerate(shapes) if shape != shapes[0]), len(batches))
    return max(1, min(alike, STACKED_BYTES // max(size, 1)))


def _leaves(batch: Batch) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(batch) if leaf is not None]


def _bytes(leaf: Any) -> int:
    dtype = np.dtype(str(keras.backend.standardize_dtype(leaf.dtype)))
    return int(np.prod(leaf.shape)) * dtype.itemsize


def _each(function: Callable[..., Any], *batches: Any) -> Any:
    """Map over the leaves; leaves of None stay None."""
    return keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else function(*leaves), *batches
    )
