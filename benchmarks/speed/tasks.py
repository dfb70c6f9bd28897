"""Defines the tasks that every library trains, and loads their data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

CLASSES = 10
SHAPE = (28, 28)


@dataclass(frozen=True)
class Task:
    """A network, trained with Adam at rate 0.001; the last short batch is left out."""

    network: str  # mlp or lenet
    batch_size: int

    def steps(self, images: int) -> int:
        """Return the number of batches in an epoch."""
        return images // self.batch_size


TASKS = {
    "mlp_200": Task("mlp", 200),
    "mlp_2000": Task("mlp", 2000),
    "lenet_512": Task("lenet", 512),
}


class Data(NamedTuple):
    """Images of shape (n, 28, 28) in 0..1, float32; labels int32."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class Prepared(NamedTuple):
    """The functions of a contender; a floor trains nothing and has no accuracy."""

    train_epoch: Callable[[], None]
    accuracy: Callable[[], float] | None  # on the test set, 0..1


def load(folder: Path) -> Data:
    """Load MNIST from the folder of stage `data`."""

    def images(part: str) -> np.ndarray:
        return np.load(folder / f"{part}_images.npy").astype(np.float32) / np.float32(255)

    def labels(part: str) -> np.ndarray:
        return np.load(folder / f"{part}_labels.npy").astype(np.int32)

    return Data(images("train"), labels("train"), images("test"), labels("test"))
