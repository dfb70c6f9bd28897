"""Reads the images that stage `data` wrote, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lrcycles.errors import InputError

# A factor and not a division by 255: every compiler then gives the same bits.
PIXEL_SCALE = np.float32(1 / 255)


@dataclass(frozen=True)
class ImageSet:
    """A set of labelled images that stays in its file until it is read.

    Args:
        path: the file of the pool's pixels, uint8 (n, *shape).
        rows: the set's rows of the pool, ascending; None for all.
        labels: one per image of the set, int32.
        shape: the shape of one image.
    """

    path: Path
    rows: np.ndarray | None
    labels: np.ndarray
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_bytes(self) -> int:
        """The size of one image in the file."""
        return int(np.prod(self.shape))

    def first(self, count: int) -> ImageSet:
        """Make a set of the first `count` images."""
        rows = np.arange(len(self), dtype=np.int32) if self.rows is None else self.rows
        return replace(self, rows=rows[:count], labels=self.labels[:count])

    def first_of_each_class(self, count: int) -> np.ndarray:
        """Find the rows of the first `count` images of every class, ascending."""
        rows = [np.flatnonzero(self.labels == label)[:count] for label in np.unique(self.labels)]
        return np.sort(np.concatenate(rows))

    def read(self, index: np.ndarray | slice) -> np.ndarray:
        """Read pixels as they are stored, uint8 (n, *shape); an ascending index reads fastest."""
        # Map the file for each call: the pages of an open map count as this process's memory.
        pool = np.load(self.path, mmap_mode="r")
        return np.asarray(pool[index] if self.rows is None else pool[self.rows[index]])

    def scaled(self) -> np.ndarray:
        """Read all images as networks take them: float32 from 0 to 1."""
        pixels = self.read(slice(None)).astype(np.float32)
        pixels *= PIXEL_SCALE
        return pixels


@dataclass(frozen=True)
class Sets:
    """The images that a cell trains, validates and tests on."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def read_sets(folder: Path, *, training_set: str) -> Sets:
    """Find the sets in the folder that `prepare` wrote.

    Args:
        training_set: "split" gives the parts of the split. "all" gives the whole pool in its
            published order, with the test set as the validation set, as the tutorial did.

    Raises:
        InputError: a file is missing.
    """
    if training_set not in ("split", "all"):
        raise ValueError(
            f"training_set must be split or all. Received: {training_set!r}. Pass split or all."
        )
    try:
        pool, test = (_images(folder, part) for part in ("train", "test"))
        with np.load(folder / "split.npz") as split:
            train, validation = split["train"], split["validation"]
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} must hold the files of stage data. Received: a folder without "
            f"{Path(error.filename).name}. Run `dvc repro data`."
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
