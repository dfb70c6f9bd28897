"""Runs a range test by hand: Keras `fit` with a callback, as in recipes on the web."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.range_test_speed import keras_parts
from benchmarks.range_test_speed.protocol import (
    BATCH_SIZE,
    MAX_LR,
    MIN_LR,
    STEPS,
    Found,
    Test,
    read,
)

PACKAGES = ("keras", "tensorflow")


class Ramp(keras.callbacks.Callback):
    """Sets the rate before each batch and keeps the loss after it."""

    def __init__(self) -> None:
        super().__init__()
        self.rates, self.losses = np.geomspace(MIN_LR, MAX_LR, STEPS), []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.model.optimizer.learning_rate = self.rates[batch]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.losses.append(logs["loss"])  # the mean over the epoch so far, as in the recipes


def prepare(folder: Path) -> Test:
    images, labels = read(folder)
    model = keras_parts.network()

    def test() -> Found:
        ramp, before = Ramp(), model.get_weights()
        samples = slice(STEPS * BATCH_SIZE)
        model.fit(
            images[samples], labels[samples], batch_size=BATCH_SIZE, verbose=0, callbacks=[ramp]
        )
        model.set_weights(before)
        steepest = int(np.argmin(np.gradient(ramp.losses)))
        return Found(len(ramp.losses), f"{ramp.rates[steepest]:.3g}")

    return test
