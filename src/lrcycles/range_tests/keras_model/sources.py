"""Reads mini-batches and held-out samples from arrays, datasets and generators."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.keras_model import batches
from lrcycles.range_tests.keras_model.batches import Batch, Rows
from lrcycles.range_tests.keras_model.request import Request, kind, need_batches
from lrcycles.range_tests.keras_model.steps import explained

Order = np.random.Generator

BATCH_SIZE = 32  # Keras's own default
HELDOUT_SAMPLES = 1000  # the largest number by default
HELDOUT_SHARE = 5  # at most one sample in five is held out by default
MOST_COUNTED = 50  # the first batches of data without a length are counted up to this number
SPLIT_SEED = 0  # the held-out samples are the same for every seed of the test


_ARRAYS = (
    "x, y and sample_weight must be arrays that Keras takes.",
    "Convert each to a NumPy array of numbers, such as np.asarray(y).",
)
_DATA = ("The data must yield batches.", "Correct what reads the data.")
_END = object()


@dataclass(frozen=True)
class Source:
    """The mini-batches and held-out samples of a range test.

    Attributes:
        first: a mini-batch to build and compile the model with; `stream` also yields it.
        stream: returns endless mini-batches, in the order that the random generator decides.
        heldout: samples that no mini-batch contains: one batch, or several where they cannot be
            joined.
        steps_per_epoch: mini-batches in an epoch of `fit` on all of the data, including a last
            short one; None where unknown.
        heldout_parts: the batches that were joined to `heldout`, as they came.
    """

    first: Batch
    stream: Callable[[Order], Iterator[Batch]]
    heldout: list[Batch]
    steps_per_epoch: int | None
    heldout_parts: Sequence[Batch] = ()


def source(x: Any, y: Any, sample_weight: Any, request: Request) -> Source:
    """Make a `Source` of arrays, of a dataset that is read by index, or of a stream of batches.

    Raises:
        InputError: there are too few data, arrays differ in length, or settings contradict.
    """
    if batches.is_arrays(x):
        with explained(*_ARRAYS):
            return _arrays(Rows(x, y, sample_weight), request)
    by_index = isinstance(x, keras.utils.PyDataset)
    if not by_index:
        need_batches(x)
    given = {"y": y, "sample_weight": sample_weight, "batch_size": request.batch_size}
    if extra := [name for name, value in given.items() if value is not None]:
        raise InputError(
            f"{', '.join(extra)} must be left out where x yields whole batches of (x, y). "
            f"Received: {', '.join(extra)} and x of type {type(x).__name__}. "
            "Leave them out, or pass arrays."
        )
    if not by_index:
        return _in_turn(x, request)
    if x.num_batches is not None:
        return _by_index(x, request)
    return _in_turn(map(x.__getitem__, itertools.count()), request)


def _arrays(rows: Rows, request: Request) -> Source:
    batch_size = request.batch_size or request.fixed_size or BATCH_SIZE
    count = rows.count
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    if request.heldout is not None:
        apart, train = _given(request), order
    else:
        size = request.heldout_samples or min(HELDOUT_SAMPLES, count // HELDOUT_SHARE)
        part = request.fixed_size or size
        if request.fixed_size:
            size = max(size // part, 1) * part
        if not 0 < size < count:
            raise InputError(
                "There must be samples to hold out and samples to train on. "
                f"Received: {count} samples and heldout_samples={size}. "
                "Pass more data, or other held-out samples as heldout=(x, y)."
            )
        apart = [rows.take(order[begin : begin + part]) for begin in range(0, size, part)]
        train = order[size:]
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
                yield rows.take(shuffled[begin : begin + batch_size])

    return Source(rows.take(train[:batch_size]), stream, apart, -(-count // batch_size))


def _by_index(dataset: Any, request: Request) -> Source:
    count = dataset.num_batches
    _need_batches(count - (request.heldout is None), count)

    def read(index: int) -> Batch:
        with explained(*_DATA):
            return _checked(dataset[index])

    if request.heldout is not None:
        parts = _given(request)
        first = 0
    else:
        parts = _first_batches(map(read, range(count)), count, request)
        first = len(parts)
    _need_batches(count - first, count)

    def stream(draw: Order) -> Iterator[Batch]:
        while True:
            for index in draw.permutation(np.arange(first, count)):
                yield read(int(index))

    return Source(read(first), stream, _joined(parts, request), count, parts)


def _in_turn(data: Iterable[Any], request: Request) -> Source:
    """Read batches one after another: each seed continues where the seed before it stopped."""
    count = _length(data)
    if count is None and iter(data) is not data:
        with explained(*_DATA):
            few = sum(1 for _ in itertools.islice(data, MOST_COUNTED))
        count = few if few < MOST_COUNTED else None
    if count is not None:
        _need_batches(count - (request.heldout is None), count)
    _need_enough(data, request)
    numbered = _passes(data)
    if request.heldout is not None:
        parts = _given(request)
        first = 0
    else:
        parts = _first_batches((batch for _, batch in numbered), count, request)
        first = len(parts)

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
    return Source(peeked, lambda _: endless, _joined(parts, request), count, parts)


def _passes(data: Iterable[Any]) -> Iterator[tuple[int, Batch]]:
    """Yield the batches of one pass after another, each with its number in the pass."""
    read = 0
    while True:
        number = -1
        with explained(*_DATA):
            iterator = iter(data)
        while True:
            with explained(*_DATA):
                batch = next(iterator, _END)
            if batch is _END:
                break
            number += 1
            read += 1
            yield number, _checked(batch)
        if number < 0:
            raise InputError(
                "The data must yield batches until the range test ends. Received: an iterator that "
                f"ended after {read} batches. Pass a generator that does not end, or a dataset "
                "that can be read again."
            )


def _first_batches(data: Iterator[Batch], count: int | None, request: Request) -> list[Batch]:
    """Read the first batches up to the held-out samples.

    By default at most a fifth of the `count` batches are held out.
    """
    wanted = request.heldout_samples or HELDOUT_SAMPLES
    most = max(1, (count or 50) // HELDOUT_SHARE)
    if request.heldout_samples is not None:
        most = count or wanted
    taken: list[Batch] = []
    size = 0
    while size < wanted and len(taken) < most:
        taken.append(next(data))
        size += batches.samples(taken[-1])
    return taken


def _joined(parts: list[Batch], request: Request) -> list[Batch]:
    """Join held-out batches to one where they can be."""
    if request.heldout is not None or request.fixed_size or not batches.joinable(parts):
        return parts
    return [batches.joined(parts, request.heldout_samples or HELDOUT_SAMPLES)]


def _need_batches(left: int, count: int) -> None:
    if left < 1:
        raise InputError(
            "There must be at least one batch besides the held-out ones. "
            f"Received: {count} batches in all. "
            "Pass more data, or held-out samples as heldout=(x, y)."
        )


def _need_enough(data: Iterable[Any], request: Request) -> None:
    """Refuse an iterator that is known to end before the range test does."""
    left = operator.length_hint(data, 0) if iter(data) is data else 0
    if 0 < left < request.needed:
        raise InputError(
            f"The iterator must yield at least {request.needed} batches, one for each update of "
            f"each seed. Received: {left} batches. Pass a dataset that can be read again, or ask "
            "for fewer steps, fewer seeds or a smaller budget."
        )


def _given(request: Request) -> list[Batch]:
    heldout = request.heldout
    if isinstance(heldout, tuple | list) and 2 <= len(heldout) <= 3:
        if not all(part is None or batches.is_arrays(part) for part in heldout):
            raise _wrong_heldout(heldout)
        with explained(*_ARRAYS):
            return _parts(Rows(*heldout, *[None] * (3 - len(heldout))), request.fixed_size)
    if isinstance(heldout, tuple | list | str | dict) or batches.is_arrays(heldout):
        raise _wrong_heldout(heldout)
    if _length(heldout) is None:
        raise _wrong_heldout(heldout)
    with explained(*_DATA):
        read = [_checked(batch) for batch in heldout]
    if not read:
        raise _wrong_heldout(heldout)
    return read


def _parts(rows: Rows, size: int | None) -> list[Batch]:
    if size and rows.count % size:
        raise InputError(
            f"heldout must hold a multiple of {size} samples, the only batch size that the "
            f"model takes. Received: {rows.count} samples. Leave some out."
        )
    part = size or rows.count
    places = range(0, rows.count, part)
    return [rows.take(np.arange(begin, begin + part)) for begin in places]


def _wrong_heldout(heldout: Any) -> InputError:
    return InputError(
        "heldout must be (x, y) or (x, y, sample_weight) of arrays, or a dataset of known length. "
        f"Received: {kind(heldout)}. Pass a tuple of two or three arrays."
    )


def _checked(batch: Any) -> Batch:
    converted = batches.converted(batch)
    batches.samples(converted)
    return converted


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:  # a generator, or a dataset of unknown or infinite length
        return None
