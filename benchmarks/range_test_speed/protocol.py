"""Defines what is the same for every tool: data, network, rates and number of iterations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STEPS, BATCH_SIZE, THREADS = 100, 200, 2
MIN_LR, MAX_LR = 1e-5, 1.0  # no tool may stop when the loss diverges
PIXELS = UNITS = 784
CLASSES = 10


@dataclass(frozen=True)
class Found:
    """The iterations that a range test made, and the rate or bounds that it suggests."""

    iterations: int
    suggestion: str


Test = Callable[[], Found]  # starts with the network and the data in memory


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the training images as float32 rows in 0 to 1, and the labels as int64."""
    images = np.load(folder / "train_images.npy")
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows /= 255  # in place, which is fastest
    return rows, np.load(folder / "train_labels.npy").astype(np.int64)
