"""Reads mini-batches and held-out samples from arrays, datasets and generators."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.schedules.limits import need_count

# x, y and sample weights, nested as the model takes them; y and the weights may be None.
Batch = tuple[Any, Any, Any]
Order = np.random.Generator

BATCH_SIZE = 32  # Keras's own default
HELDOUT_SAMPLES = 1000  # the largest number by default
HELDOUT_SHARE = 5  # at most one sample in five is held out by default
SPLIT_SEED = 0  # the held-out samples are the same for every seed of the test


@dataclass(frozen=True)
class Source:
    """The mini-batches and held-out samples of a range test.

    Attributes:
        first: a mini-batch to build and compile the model with; `stream` also yields it.
        stream: returns endless mini-batches, in the order that the random generator decides.
        heldout: one batch of samples that no mini-batch contains.
        steps_per_epoch: mini-batches in an epoch of `fit` on all of the data, including a last
            short one; None where unknown.
    """

    first: Batch
    stream: Callable[[Order], Iterator[Batch]]
    heldout: Batch
    steps_per_epoch: int | None


def source(
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    heldout: Any,
    heldout_samples: int | None,
) -> Source:
    """Make a `Source` of arrays, of a dataset that is read by index, or of a stream of batches.

    Raises:
        InputError: there are too few data, arrays differ in length, or settings contradict.
    """
    for name, value in (("batch_size", batch_size), ("heldout_samples", heldout_samples)):
        if value is not None:
            need_count(name, value)
    if heldout is not None and heldout_samples is not None:
        raise InputError(
            "Only one of heldout and heldout_samples may be given. "
            f"Received: heldout and heldout_samples={heldout_samples}. Leave one out."
        )
    leaves = keras.tree.flatten(x)
    if leaves and all(hasattr(leaf, "shape") for leaf in leaves):
        return _arrays((x, y, sample_weight), batch_size or BATCH_SIZE, heldout, heldout_samples)
    if not hasattr(x, "__iter__") and not isinstance(x, keras.utils.PyDataset):
        raise InputError(
            "x must be arrays, a dataset or a generator of batches. "
            f"Received: {type(x).__name__}. Convert x to a NumPy array."
        )
    given = {"y": y, "sample_weight": sample_weight, "batch_size": batch_size}
    if extra := [name for name, value in given.items() if value is not None]:
        raise InputError(
            f"{', '.join(extra)} must be left out where x yields whole batches of (x, y). "
            f"Received: {', '.join(extra)} and x of type {type(x).__name__}. "
            "Leave them out, or pass arrays."
        )
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches is not None:
            return _by_index(x, heldout, heldout_samples)
        x = map(x.__getitem__, itertools.count())
    return _in_turn(x, heldout, heldout_samples)


def not_finite(batch: Batch) -> bool:
    """Return whether a batch contains NaN or infinity."""
    return any(
        np.issubdtype(leaf.dtype, np.floating) and not np.isfinite(leaf).all()
        for part in batch
        if part is not None
        for leaf in map(_host, keras.tree.flatten(part))
    )


def on_device(batch: Batch) -> Batch:
    """Return the batch as tensors, so that it is copied to the device only once."""
    return _map(lambda leaf: keras.ops.convert_to_tensor(_as_fit_casts(leaf)), batch)


def _arrays(data: Batch, batch_size: int, heldout: Any, heldout_samples: int | None) -> Source:
    data = _map(_host, data)
    count = _samples(data)
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    if heldout is not None:
        apart, train = _given(heldout), order
    else:
        size = heldout_samples or min(HELDOUT_SAMPLES, count // HELDOUT_SHARE)
        if not 0 < size < count:
            raise InputError(
                "There must be samples to hold out and samples to train on. "
                f"Received: {count} samples and heldout_samples={size}. "
                "Pass more data, or other held-out samples as heldout=(x, y)."
            )
        apart, train = _take(data, order[:size]), order[size:]
    if batch_size > len(train):
        raise InputError(
            f"batch_size must be at most {len(train)}, the samples left to train on. "
            f"Received: batch_size={batch_size} and {count} samples. "
            "Lower batch_size or heldout_samples."
        )

    def stream(draw: Order) -> Iterator[Batch]:
        while True:
            shuffled = draw.permutation(train)
            # The last short batch is dropped, because TensorFlow would compile again for its shape.
            for begin in range(0, len(shuffled) - batch_size + 1, batch_size):
                yield _take(data, shuffled[begin : begin + batch_size])

    first = _take(data, train[:batch_size])
    return Source(first, stream, apart, -(-count // batch_size))


def _by_index(dataset: Any, heldout: Any, heldout_samples: int | None) -> Source:
    count = dataset.num_batches

    def read(index: int) -> Batch:
        return _unpacked(dataset[index])

    if heldout is not None:
        apart, first = _given(heldout), 0
    else:
        apart, first = _first_batches(map(read, range(count)), count, heldout_samples)
    _need_batches(count - first, count)

    def stream(draw: Order) -> Iterator[Batch]:
        while True:
            for index in draw.permutation(np.arange(first, count)):
                yield read(int(index))

    return Source(read(first), stream, apart, count)


def _in_turn(batches: Iterable[Any], heldout: Any, heldout_samples: int | None) -> Source:
    """Read batches one after another: each seed continues where the seed before it stopped."""
    count = _length(batches)
    if count is not None:
        _need_batches(count - (heldout is None), count)
    numbered = _passes(batches)
    if heldout is not None:
        apart, first = _given(heldout), 0
    else:
        apart, first = _first_batches((batch for _, batch in numbered), count, heldout_samples)

    def training() -> Iterator[Batch]:
        idle = 0
        for number, batch in numbered:
            if number >= first:
                idle = 0
                yield batch
            elif (idle := idle + 1) > first:  # a whole pass had only held-out batches
                _need_batches(0, first)

    endless: Iterator[Batch] = training()
    peeked = next(endless)
    endless = itertools.chain([peeked], endless)
    return Source(peeked, lambda _: endless, apart, count)


def _passes(batches: Iterable[Any]) -> Iterator[tuple[int, Batch]]:
    """Yield the batches of one pass after another, each with its number in the pass."""
    while True:
        number = -1
        for number, batch in enumerate(batches):
            yield number, _unpacked(batch)
        if number < 0:
            raise InputError(
                "The data must yield batches until the range test ends. Received: an iterator that "
                "ended. Pass a generator that does not end, or a dataset that can be read again."
            )


def _first_batches(
    batches: Iterator[Batch], count: int | None, samples: int | None
) -> tuple[Batch, int]:
    """Join the first batches up to `samples` samples, and return also how many batches that took.

    By default at most a fifth of the `count` batches are joined.
    """
    wanted = samples or HELDOUT_SAMPLES
    most = max(1, (count or 50) // HELDOUT_SHARE) if samples is None else (count or wanted)
    taken: list[Batch] = []
    size = 0
    while size < wanted and len(taken) < most:
        taken.append(next(batches))
        size += _samples(taken[-1])
    joined = [
        None if parts[0] is None else keras.tree.map_structure(lambda *p: _joined(p), *parts)
        for parts in zip(*taken, strict=True)
    ]
    return _map(lambda part: part[:wanted], (joined[0], joined[1], joined[2])), len(taken)


def _joined(parts: Iterable[Any]) -> np.ndarray:
    return np.concatenate([_host(part) for part in parts])


def _need_batches(left: int, count: int) -> None:
    if left < 1:
        raise InputError(
            "There must be at least one batch besides the held-out ones. "
            f"Received: {count} batches in all. "
            "Pass more data, or held-out samples as heldout=(x, y)."
        )


def _given(heldout: Any) -> Batch:
    if not isinstance(heldout, tuple | list) or not 2 <= len(heldout) <= 3:
        raise InputError(
            "heldout must be (x, y) or (x, y, sample_weight) of arrays. "
            f"Received: {type(heldout).__name__}. Pass a tuple of two or three arrays."
        )
    batch = _map(_host, (heldout[0], heldout[1], heldout[2] if len(heldout) == 3 else None))
    _samples(batch)
    return batch


def _unpacked(batch: Any) -> Batch:
    """Split a batch into x, y and sample_weight, as Keras does; tensors stay tensors."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    mine = _map(lambda leaf: leaf if keras.ops.is_tensor(leaf) else _host(leaf), (x, y, weight))
    _samples(mine)
    return mine


def _samples(batch: Batch) -> int:
    leaves = [leaf for part in batch if part is not None for leaf in keras.tree.flatten(part)]
    if not leaves or any(len(leaf.shape) == 0 for leaf in leaves):
        raise InputError(
            "The first axis of every array must count samples. Received: single numbers. "
            "Pass arrays with one row per sample."
        )
    counts = {int(leaf.shape[0]) for leaf in leaves}
    if len(counts) > 1:
        raise InputError(
            "All arrays of x, y and sample_weight must have the same number of samples. "
            f"Received: {', '.join(map(str, sorted(counts)))} samples. Check their first axes."
        )
    if counts == {0}:
        raise InputError(
            "There must be data to train on. Received: arrays without samples. Pass at least one "
            "mini-batch."
        )
    return counts.pop()


def _map(function: Callable[[Any], Any], batch: Batch) -> Batch:
    x, y, weight = (
        None if part is None else keras.tree.map_structure(function, part) for part in batch
    )
    return x, y, weight


def _take(data: Batch, index: np.ndarray) -> Batch:
    return _map(lambda leaf: _as_fit_casts(leaf[index]), data)


def _as_fit_casts(leaf: np.ndarray) -> np.ndarray:
    if np.issubdtype(leaf.dtype, np.floating):
        return leaf.astype(keras.config.floatx(), copy=False)
    return leaf


def _host(leaf: Any) -> np.ndarray:
    array = keras.ops.convert_to_numpy(leaf) if keras.ops.is_tensor(leaf) else np.asarray(leaf)
    return np.asarray(array)


def _length(batches: Any) -> int | None:
    try:
        return len(batches)
    except TypeError:  # a generator, or a dataset of unknown or infinite length
        return None
