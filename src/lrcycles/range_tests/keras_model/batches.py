"""Converts, counts, joins and checks mini-batches.

A batch is what `fit` hands to the train step: x, (x,), (x, y), (x, y, sample_weight) or whatever
else the train step takes. Keras's own conversion of arrays is used, so what `fit` takes is taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils

from lrcycles.errors import InputError

Batch = Any


def is_arrays(x: Any) -> bool:
    """Return whether `x` is an array, a tensor or a table, or a nested structure of these.

    An optional input may be None.
    """
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    return bool(leaves) and all(
        not isinstance(leaf, str) and array_slicing.can_slice_array(leaf) for leaf in leaves
    )


class Rows:
    """Arrays of any kind that Keras takes, of which any rows make a batch."""

    def __init__(self, x: Any, y: Any, sample_weight: Any) -> None:
        packed = _map(_text, keras.utils.pack_x_y_sample_weight(x, y, sample_weight))
        if not all(len(leaf.shape) for leaf in _leaves(packed)):
            raise _without_axis()
        self.count = samples(packed)
        self._arrays = array_slicing.convert_to_sliceable(packed)

    def take(self, index: np.ndarray) -> Batch:
        """Return these rows as one batch."""
        return keras.tree.map_structure(
            lambda array: None if array is None else _sliced(array, index), self._arrays
        )


def converted(batch: Any) -> Batch:
    """Return a batch with tensors of the backend in place of arrays."""
    if isinstance(batch, list):  # as a torch DataLoader yields them
        batch = tuple(batch)
    return _map(_tensor, batch)


def weighted(batch: Batch, class_weight: Mapping[int, float]) -> Batch:
    """Add the class weights to a batch as its sample weights, as `fit` does."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if sample_weight is not None:
        raise InputError(
            "Only one of sample weights and class_weight may be given. Received: batches with "
            "sample weights, and class_weight. Leave one out."
        )
    labels = keras.ops.convert_to_numpy(y)
    weights = data_adapter_utils.class_weight_to_sample_weights(labels, class_weight)
    return x, y, _tensor(np.asarray(weights, keras.config.floatx()))


def samples(batch: Batch) -> int:
    """Count the samples of a batch.

    Raises:
        InputError: arrays differ in their number of samples, or there are none.
    """
    counts = {int(leaf.shape[0]) for leaf in _leaves(batch) if len(leaf.shape)}
    if not counts:
        raise _without_axis()
    if len(counts) > 1:
        raise InputError(
            "All arrays of x, y and sample_weight must have the same number of samples. "
            f"Received: {', '.join(map(str, sorted(counts)))} samples. Check their first axes, "
            "and join a list of single samples with np.stack."
        )
    if counts == {0}:
        raise InputError(
            "There must be data to train on. Received: arrays without samples. Pass at least one "
            "mini-batch."
        )
    return counts.pop()


def _without_axis() -> InputError:
    return InputError(
        "The first axis of every array must count samples. Received: single numbers. "
        "Pass arrays with one row per sample."
    )


def joinable(batches: Sequence[Batch]) -> bool:
    """Return whether the batches hold only dense numbers of the same shapes behind the samples."""

    def shapes(batch: Batch) -> list[Any] | None:
        leaves = _leaves(batch)
        if not all(_is_dense_number(leaf) for leaf in leaves):
            return None
        return [(type(batch), *(tuple(leaf.shape[1:]) for leaf in leaves))]

    first = shapes(batches[0])
    return first is not None and all(shapes(batch) == first for batch in batches[1:])


def joined(batches: Sequence[Batch], at_most: int) -> Batch:
    """Join batches to one of at most so many samples."""

    def join(*parts: Any) -> Any:
        whole = np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])
        return _tensor(whole[:at_most])

    return keras.tree.map_structure(
        lambda *parts: None if parts[0] is None else join(*parts), *batches
    )


def exchanged(batch: Batch, other: Batch) -> Batch | None:
    """Return samples of another batch in the shapes of `batch`; None where they do not fit.

    Each array is turned by one sample more than the array before it, so that inputs and labels do
    not belong together, and give other gradients even if both batches hold the same samples.
    """
    if not joinable([batch, other]):
        return None
    count = samples(batch)
    turns = itertools.count()

    def fill(leaf: Any) -> Any:
        values = np.roll(keras.ops.convert_to_numpy(leaf), next(turns), axis=0)
        return _tensor(np.resize(values, (count, *values.shape[1:])))

    return _map(fill, other)


def not_finite(batch: Batch) -> bool:
    """Return whether a batch contains NaN or infinity."""
    return any(
        np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all()
        for values in map(_values, _leaves(batch))
    )


def _leaves(batch: Batch) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(batch) if hasattr(leaf, "shape")]


def _is_dense_number(leaf: Any) -> bool:
    if hasattr(leaf, "flat_values") or hasattr(leaf, "dense_shape") or not len(leaf.shape):
        return False
    with suppress(ValueError, TypeError):
        return bool(keras.backend.standardize_dtype(leaf.dtype) != "string")
    return False


def _values(leaf: Any) -> np.ndarray:
    """Return the numbers of a leaf, also of a sparse or ragged one."""
    for name in ("flat_values", "values"):
        leaf = getattr(leaf, name, leaf)
    return np.asarray(leaf)


def _text(leaf: Any) -> Any:
    """Return NumPy's text as objects, the only text that Keras converts to tensors."""
    is_text = isinstance(leaf, np.ndarray) and leaf.dtype.kind == "U"
    return leaf.astype(object) if is_text else leaf


def _sliced(array: Any, index: np.ndarray) -> Any:
    rows = array[index]
    if keras.backend.backend() == "jax":
        return array.convert_to_jax_compatible(rows)
    if keras.backend.backend() == "torch":
        return array.convert_to_torch_compatible(rows)
    if data_adapter_utils.is_scipy_sparse(rows):
        return data_adapter_utils.scipy_sparse_to_tf_sparse(rows)
    if data_adapter_utils.is_tensorflow_tensor(rows):
        return rows
    return _tensor(array.convert_to_numpy(rows))


def _tensor(leaf: Any) -> Any:
    """Return an array as a tensor of the backend; ragged and sparse tensors stay what they are."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if data_adapter_utils.is_scipy_sparse(leaf):
            return data_adapter_utils.scipy_sparse_to_tf_sparse(leaf)
        return leaf if data_adapter_utils.is_tensorflow_tensor(leaf) else tf.convert_to_tensor(leaf)
    if data_adapter_utils.is_tensorflow_tensor(leaf):
        leaf = leaf.to_tensor() if hasattr(leaf, "to_tensor") else leaf
        leaf = np.asarray(leaf)
    return keras.ops.convert_to_tensor(leaf)


def _map(function: Callable[[Any], Any], batch: Batch) -> Batch:
    return keras.tree.map_structure(lambda leaf: None if leaf is None else function(leaf), batch)
