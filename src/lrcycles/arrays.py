"""How does training read what stage `data` wrote? Needs NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrcycles.errors import InputError


@dataclass(frozen=True)
class Arrays:
    """What a cell trains, validates and tests on: pixels float32 in 0..1, labels int32."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def read_arrays(folder: Path, *, training_set: str) -> Arrays:
    """Read what `prepare` wrote, as training takes it.

    Args:
        training_set: "split" reads the split's parts; "all" the whole pool in its published
            order with the test set as validation, as the tutorial had it.
    """
    if training_set not in ("split", "all"):
        raise ValueError(f"training_set must be split or all, got {training_set!r}")
    names = ("train_images", "train_labels", "test_images", "test_labels")
    try:
        x_pool, y_pool, x_test, y_test = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in names
        )
        with np.load(folder / "split.npz") as split:
            train, validation = split["train"], split["validation"]
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} must hold the data stage's files, but {Path(error.filename).name} is "
            "missing; run stage data first"
        ) from error
    test = _pixels(x_test), y_test.astype(np.int32)
    if training_set == "all":
        return Arrays(_pixels(x_pool), y_pool.astype(np.int32), *test, *test)
    parts = [(_pixels(x_pool[i]), y_pool[i].astype(np.int32)) for i in (train, validation)]
    return Arrays(*parts[0], *parts[1], *test)


def _pixels(images: np.ndarray) -> np.ndarray:
    """uint8 0..255 as float32 0..1."""
    scaled = images.astype(np.float32)
    scaled /= np.float32(255)
    return scaled
