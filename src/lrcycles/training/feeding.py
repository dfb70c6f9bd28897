"""Draws the order of the images, and brings them to the device, all at once or by windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lrcycles.data.image_sets import ImageSet

EVALUATION_IMAGES = 5000  # scored at a time
EVALUATION_BYTES = 16 << 20  # of uint8 pixels; float32 and a network's first layer take much more

WINDOW_BYTES = 32 << 20  # of pixels that are shuffled, read and laid on the device together
BLOCK_BYTES = 256 << 10  # of neighbours in the file that stay in one window and are read together

Put = Callable[[np.ndarray, np.ndarray], Any]  # uint8 pixels and int32 labels onto the device


@dataclass(frozen=True)
class Windows:
    """How an epoch is cut into windows, for data that does not fit in memory.

    Args:
        steps: the number of steps of a window.
        block: the number of neighbouring images that stay together.
    """

    steps: int
    block: int

    @classmethod
    def of(cls, *, batch_size: int, image_bytes: int) -> Windows:
        """Cut by sizes alone, so that the order depends on nothing else."""
        steps = max(1, WINDOW_BYTES // (batch_size * image_bytes))
        return cls(steps=steps, block=max(1, BLOCK_BYTES // image_bytes))


def epoch_order(
    seed: int, epoch: int, images: int, batch_size: int, windows: Windows | None = None
) -> np.ndarray:
    """Draw the images' order in one epoch, int32 (steps, batch_size); equal for all arms of a seed.

    The last short batch is dropped. With `windows`, the blocks of the whole file are shuffled, then
    the images inside each window. This shuffle reads the file in long stretches.

    Args:
        images: the number of images.
    """
    steps = images // batch_size
    random = np.random.default_rng([seed, epoch])
    if windows is None:
        order = random.permutation(images).astype(np.int32)
        return order[: steps * batch_size].reshape(steps, batch_size)
    starts = random.permutation(np.arange(0, images, windows.block, dtype=np.int32))
    order = (starts[:, None] + np.arange(windows.block, dtype=np.int32)).ravel()
    order = order[order < images][: steps * batch_size]  # the last block may be short
    for begin in range(0, len(order), windows.steps * batch_size):
        random.shuffle(order[begin : begin + windows.steps * batch_size])
    return order.reshape(steps, batch_size)


@dataclass(frozen=True)
class Part:
    """Some steps of an epoch, with the images they need.

    Args:
        data: images and labels on the device, as `put` returned them.
        order: the places of a step's images in `data`, int32 (cells, steps, batch_size).
        first: the step of the epoch that `order` begins with.
        start, stop: the steps of `order` to make.
    """

    data: Any
    order: np.ndarray
    first: int
    start: int
    stop: int


class Resident:
    """Images that lie on the device as long as the process lives."""

    def __init__(self, images: ImageSet, put: Put, *, windows: Windows | None = None) -> None:
        self.images = images
        self.windows = windows
        self._data = put(images.read(slice(None)), images.labels)
        self._put = put

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> Resident:
        """Make a set of the first `count` images."""
        return Resident(self.images.first(count), self._put)

    def sizes(self, steps: int) -> set[int]:
        """List the numbers of steps that the parts of an epoch have."""
        return {steps}

    def parts(self, order: np.ndarray, start: int, stop: int) -> Iterator[Part]:
        """Give the steps `start` to `stop` of an epoch in one part."""
        yield Part(self._data, order, 0, start, stop)

    def batches(self) -> Iterator[Any]:
        """Give all images in their own order, as many at a time as are scored at once."""
        pixels, labels = self._data
        count = _scored_at_once(self.images)
        for begin in range(0, len(self), count):
            yield pixels[begin : begin + count], labels[begin : begin + count]


class Streamed:
    """Images that stay in their file; while one window trains, the next window is read."""

    def __init__(self, images: ImageSet, put: Put, *, windows: Windows) -> None:
        self.images = images
        self.windows = windows
        self._put = put
        self._steps = windows.steps
        self._held: tuple[np.ndarray, Part] | None = None  # the last window, for the next call

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> Streamed:
        """Make a set of the first `count` images."""
        return Streamed(self.images.first(count), self._put, windows=self.windows)

    def sizes(self, steps: int) -> set[int]:
        """List the numbers of steps that the parts of an epoch have."""
        return {min(self._steps, steps), steps % self._steps} - {0}

    def parts(self, order: np.ndarray, start: int, stop: int) -> Iterator[Part]:
        """Give the steps `start` to `stop` of an epoch, window by window.

        All windows have one shape, the last one too, so that one compiled program serves all.
        """
        firsts = range(start - start % self._steps, stop, self._steps)
        with ThreadPoolExecutor(1) as reader:
            coming = None
            for index, first in enumerate(firsts):
                if self._held is None or self._held[0] is not order or self._held[1].first != first:
                    self._held = order, coming.result() if coming else self._window(order, first)
                window = self._held[1]
                later = firsts[index + 1 : index + 2]
                coming = reader.submit(self._window, order, later[0]) if later else None
                begin, end = max(start - first, 0), min(stop - first, window.stop)
                yield replace(window, start=begin, stop=end)

    def batches(self) -> Iterator[Any]:
        """Give all images in their own order, as many at a time as are scored at once."""
        count = _scored_at_once(self.images)
        for begin in range(0, len(self), count):
            rows = slice(begin, begin + count)
            yield self._put(self.images.read(rows), self.images.labels[rows])

    def _window(self, order: np.ndarray, first: int) -> Part:
        wanted = order[:, first : first + self._steps]
        rows = np.unique(wanted)
        # Pad to the shape of a window: the last window is short, and cells may share images.
        size = order.shape[0] * self._steps * order.shape[2]
        pixels, labels = self.images.read(rows), self.images.labels[rows]
        if missing := size - len(rows):
            empty = np.zeros((missing, *self.images.shape), np.uint8)
            pixels = np.concatenate([pixels, empty])
            labels = np.concatenate([labels, np.zeros(missing, np.int32)])
        place = np.zeros((order.shape[0], self._steps, order.shape[2]), np.int32)
        place[:, : wanted.shape[1]] = np.searchsorted(rows, wanted)
        return Part(self._put(pixels, labels), place, first, 0, wanted.shape[1])


def _scored_at_once(images: ImageSet) -> int:
    return max(1, min(EVALUATION_IMAGES, EVALUATION_BYTES // images.image_bytes))
