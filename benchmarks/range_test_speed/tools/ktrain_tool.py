"""Runs `Learner.lr_find` of ktrain, which needs Keras 2 (tf_keras), as its README says."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
# ktrain imports transformers, which would import PyTorch as well: slow, and it crashes.
os.environ |= {"USE_TF": "1", "USE_TORCH": "0"}

import ktrain
import tensorflow as tf

from benchmarks.range_test_speed.protocol import (
    BATCH_SIZE,
    CLASSES,
    MIN_LR,
    PIXELS,
    STEPS,
    UNITS,
    Found,
    Test,
    read,
)

PACKAGES = ("ktrain", "tensorflow", "tf_keras")


def prepare(folder: Path) -> Test:
    images, labels = read(folder)
    keras = tf.keras
    model = keras.Sequential(
        [
            keras.Input((PIXELS,)),
            keras.layers.Dense(UNITS, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.legacy.Adam(), loss="sparse_categorical_crossentropy")
    # lr_find counts epochs, not iterations: this many samples make one epoch of STEPS iterations.
    samples = slice(STEPS * BATCH_SIZE)
    data = images[samples], labels[samples]
    learner = ktrain.get_learner(model, train_data=data, batch_size=BATCH_SIZE)

    def test() -> Found:
        # lr_find always goes up to rate 10. It must not stop when the loss explodes.
        learner.lr_find(
            start_lr=MIN_LR,
            max_epochs=1,
            stop_factor=float("inf"),
            restore_weights_only=True,  # the faster of its two ways
            verbose=0,
        )
        valley = learner.lr_estimate()[-1]
        return Found(len(learner.lr_finder.lrs), f"{valley:.3g}")

    return test
