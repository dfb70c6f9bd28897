"""Which mini-batches does a range test train on, and which samples does it keep apart?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError

Batch = tuple[Any, Any, Any]  # x, y, sample weights, nested as the model takes them; y or None
Order = np.random.Generator

BATCH_SIZE = 32  # as Keras's own
HELDOUT_SAMPLES = 1000  # at most, unless told
HELDOUT_SHARE = 5  # at most one sample in so many
SPLIT_SEED = 0  # the held-out samples are the same for every seed of the test


@dataclass(frozen=True)
class Source:
    """Where a range test takes its batches from.

    Attributes:
        first: a mini-batch to build and compile with; the streams give it all the same.
        stream: endless mini-batches in an order that follows from the generator it is given.
        heldout: samples that no mini-batch holds, as one batch.
        steps_per_epoch: mini-batches of an epoch of `fit` on all of the data, a last short one
            included; None where that is unknown.
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
    """Tell arrays, datasets that are read by index and streams of batches apart.

    Raises:
        InputError: no data, too few of them, arrays of unequal lengths, settings that contradict.
    """
    _need_count("batch_size", batch_size)
    _need_count("heldout_samples", heldout_samples)
    if heldout is not None and heldout_samples is not None:
        raise InputError(
            f"need either heldout or heldout_samples, got both ({heldout_samples}): leave one out"
        )
    leaves = keras.tree.flatten(x)
    if leaves and all(hasattr(leaf, "shape") for leaf in leaves):
        return _arrays((x, y, sample_weight), batch_size or BATCH_SIZE, heldout, heldout_samples)
    if not hasattr(x, "__iter__") and not isinstance(x, keras.utils.PyDataset):
        raise InputError(
            f"need x to be arrays, a dataset or a generator of batches, got {type(x).__name__}"
        )
    given = {"y": y, "sample_weight": sample_weight, "batch_size": batch_size}
    if extra := [name for name, value in given.items() if value is not None]:
        raise InputError(
            f"a {type(x).__name__} gives whole batches of (x, y), got {', '.join(extra)} as well: "
            "leave it out, or give arrays"
        )
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches is not None:
            return _by_index(x, heldout, heldout_samples)
        x = map(x.__getitem__, itertools.count())
    return _in_turn(x, heldout, heldout_samples)


def not_finite(batch: Batch) -> bool:
    """Whether a batch holds NaN or infinity."""
    return any(
        np.issubdtype(leaf.dtype, np.floating) and not np.isfinite(leaf).all()
        for part in batch
        if part is not None
        for leaf in map(_host, keras.tree.flatten(part))
    )


def on_device(batch: Batch) -> Batch:
    """The same batch as tensors, so that using it again moves nothing."""
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
                f"need some samples to hold out and some to train on, got {count} samples and "
                f"heldout_samples={size}: give more data, or held-out samples as heldout=(x, y)"
            )
        apart, train = _take(data, order[:size]), order[size:]
    if batch_size > len(train):
        raise InputError(
            f"need batch_size <= the {len(train)} samples left to train on (of {count}), got "
            f"batch_size={batch_size}: lower batch_size or heldout_samples"
        )

    def stream(draw: Order) -> Iterator[Batch]:
        while True:
            shuffled = draw.permutation(train)
            # The last short batch is dropped: another shape would be compiled for it.
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
    """Batches as they come: each seed goes on where the one before it stopped."""
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
            elif (idle := idle + 1) > first:  # a whole pass went by
                _need_batches(0, first)

    endless: Iterator[Batch] = training()
    peeked = next(endless)
    endless = itertools.chain([peeked], endless)
    return Source(peeked, lambda _: endless, apart, count)


def _passes(batches: Iterable[Any]) -> Iterator[tuple[int, Batch]]:
    """Batches with their number in the pass, pass after pass."""
    while True:
        number = -1
        for number, batch in enumerate(batches):
            yield number, _unpacked(batch)
        if number < 0:
            raise InputError(
                "need more batches than the data gave before they ended: give a generator that "
                "does not end, or a dataset that can be read again"
            )


def _first_batches(
    batches: Iterator[Batch], count: int | None, samples: int | None
) -> tuple[Batch, int]:
    """Join the first batches up to `samples`, by default at most a fifth of `count`; how many."""
    wanted = samples or HELDOUT_SAMPLES
    most = max(1, (count or 50) // HELDOUT_SHARE) if samples is None else (count or wanted)
    taken: list[Batch] = []
    found = 0
    while found < wanted and len(taken) < most:
        taken.append(next(batches))
        found += _samples(taken[-1])
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
            f"need at least one batch to train on beside the held-out ones, got {count} batches "
            "in all: give more data, or held-out samples as heldout=(x, y)"
        )


def _given(heldout: Any) -> Batch:
    if not isinstance(heldout, tuple | list) or not 2 <= len(heldout) <= 3:
        raise InputError(
            "need heldout to be (x, y) or (x, y, sample_weight) of arrays, got "
            f"{type(heldout).__name__}"
        )
    batch = _map(_host, (heldout[0], heldout[1], heldout[2] if len(heldout) == 3 else None))
    _samples(batch)
    return batch


def _unpacked(batch: Any) -> Batch:
    """Read (x, y, sample_weight), (x, y) or x, as Keras does; its own tensors stay as they are."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    mine = _map(lambda leaf: leaf if keras.ops.is_tensor(leaf) else _host(leaf), (x, y, weight))
    _samples(mine)
    return mine


def _samples(batch: Batch) -> int:
    leaves = [leaf for part in batch if part is not None for leaf in keras.tree.flatten(part)]
    if not leaves or any(len(leaf.shape) == 0 for leaf in leaves):
        raise InputError("need arrays whose first axis counts samples, got single numbers")
    counts = {int(leaf.shape[0]) for leaf in leaves}
    if len(counts) > 1:
        raise InputError(
            f"need as many samples in every array of x, y and sample_weight, got {sorted(counts)}"
        )
    if counts == {0}:
        raise InputError("need data to train on, got arrays without a sample")
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


def _need_count(name: str, value: int | None) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"need {name} to be a whole number >= 1, got {name}={value!r}")
