"""How does training read what stage `data` wrote? Needs NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lrcycles.errors import InputError

# Multiplied, not divided by 255: every compiler then gives the same bits.
PIXEL_SCALE = np.float32(1 / 255)


@dataclass(frozen=True)
class ImageSet:
    """A set of labelled images that stays in its file until it is read.

    Args:
        path: the file of the pool's pixels, uint8 (n, *shape).
        rows: which of them are of the set, ascending; None for all.
        labels: of the set, int32.
        shape: of one image.
    """

    path: Path
    rows: np.ndarray | None
    labels: np.ndarray
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_bytes(self) -> int:
        """Size of one image in the file."""
        return int(np.prod(self.shape))

    def first(self, count: int) -> ImageSet:
        """The set of its first `count` images."""
        rows = np.arange(len(self), dtype=np.int32) if self.rows is None else self.rows
        return replace(self, rows=rows[:count], labels=self.labels[:count])

    def first_of_each_class(self, count: int) -> np.ndarray:
        """Where the first `count` images of every class are, ascending."""
        found = [np.flatnonzero(self.labels == label)[:count] for label in np.unique(self.labels)]
        return np.sort(np.concatenate(found))

    def read(self, index: np.ndarray | slice) -> np.ndarray:
        """Pixels as they are stored, uint8 (n, *shape); an ascending index is read in one go."""
        # Opened anew each time: pages of a map that is kept open count as this process's memory.
        pool = np.load(self.path, mmap_mode="r")
        return np.asarray(pool[index] if self.rows is None else pool[self.rows[index]])

    def scaled(self) -> np.ndarray:
        """All of it in memory as networks take it: float32 in 0..1."""
        pixels = self.read(slice(None)).astype(np.float32)
        pixels *= PIXEL_SCALE
        return pixels


@dataclass(frozen=True)
class Sets:
    """What a cell trains, validates and tests on."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def read_sets(folder: Path, *, training_set: str) -> Sets:
    """Find the sets in what `prepare` wrote.

    Args:
        training_set: "split" gives the split's parts; "all" the whole pool in its published
            order with the test set as validation, as the tutorial had it.

    Raises:
        InputError: a file is missing.
    """
    if training_set not in ("split", "all"):
        raise ValueError(f"training_set must be split or all, got {training_set!r}")
    try:
        pool, test = (_images(folder, part) for part in ("train", "test"))
        with np.load(folder / "split.npz") as split:
            train, validation = split["train"], split["validation"]
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} must hold the data stage's files, but {Path(error.filename).name} is "
            "missing; run stage data first"
        ) from error
    if training_set == "all":
        return Sets(pool, test, test)
    split_train, split_validation = (
        replace(pool, rows=rows, labels=pool.labels[rows]) for rows in (train, validation)
    )
    return Sets(split_train, split_validation, test)


def _images(folder: Path, part: str) -> ImageSet:
    path = folder / f"{part}_images.npy"
    shape = np.load(path, mmap_mode="r").shape[1:]
    labels = np.load(folder / f"{part}_labels.npy").astype(np.int32)
    return ImageSet(path, None, labels, tuple(shape))
