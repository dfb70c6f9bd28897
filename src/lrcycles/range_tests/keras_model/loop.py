"""How does a Keras model make many updates in one call, each at a rate of its own?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from lrcycles.range_tests.keras_model.batches import Batch
from lrcycles.range_tests.sweep import Rates

LEAST_UPDATES = 300
STACKED_BYTES = 64 << 20  # of mini-batches that lie in memory for one call

# Mini-batches and their rates; the losses, float32.
Loop = Callable[[Sequence[Batch], Rates], np.ndarray]


def compiled_loop(model: Any, *, updates: int) -> Loop | None:
    """A function that makes as many updates as it is given batches; None where none would help.

    On TensorFlow the model's own train step, compiled as `fit` compiles it, runs in a loop inside
    one call: that saves what Keras does between steps, a third of the time of a small network's
    step. A model that overrides what `train_on_batch` calls is left to it.

    Args:
        updates: how many there will be in all; compiling the loop costs as much as it saves in some
            300 of them.
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
            # The loss is this batch's own, no running mean.
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
        # Compiled for any number of batches, else the last few would be compiled for again.
        some = _each(lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype), data)
        key = repr(some)
        if key not in compiled:
            rate = tf.TensorSpec((None,), tf.float32)
            compiled[key] = function.get_concrete_function(some, rate)
        return np.asarray(compiled[key](data, tf.constant(rates, tf.float32)))

    return loop


def stackable(batches: Sequence[Batch]) -> int:
    """How many of the batches have the first one's shapes and fit into `STACKED_BYTES`."""
    shapes = [[(leaf.shape, leaf.dtype) for leaf in _leaves(batch)] for batch in batches]
    size = sum(_bytes(leaf) for leaf in _leaves(batches[0]))
    alike = next((k for k, found in enumerate(shapes) if found != shapes[0]), len(batches))
    return max(1, min(alike, STACKED_BYTES // max(size, 1)))


def _leaves(batch: Batch) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(batch) if leaf is not None]


def _bytes(leaf: Any) -> int:
    dtype = np.dtype(str(keras.backend.standardize_dtype(leaf.dtype)))
    return int(np.prod(leaf.shape)) * dtype.itemsize


def _each(function: Callable[..., Any], *batches: Any) -> Any:
    """Map over the leaves; no sample weights stay none."""
    return keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else function(*leaves), *batches
    )
