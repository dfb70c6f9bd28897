"""What is the same for every tool: data, network, rates, number of iterations?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STEPS, BATCH_SIZE, THREADS = 100, 200, 2
MIN_LR, MAX_LR = 1e-5, 1.0  # every tool is told not to stop where the loss diverges
PIXELS = UNITS = 784
CLASSES = 10


@dataclass(frozen=True)
class Found:
    """What one range test gave: iterations really done, and the answer it is run for."""

    iterations: int
    suggestion: str


Test = Callable[[], Found]  # from the network and the data in memory to the answer


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Training images as float32 rows in 0 to 1, labels as int64."""
    images = np.load(folder / "train_images.npy")
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows /= 255  # in place: as fast as it goes
    return rows, np.load(folder / "train_labels.npy").astype(np.int64)
