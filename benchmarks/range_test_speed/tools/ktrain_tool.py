"""How is ktrain's `Learner.lr_find` run? Only with the Keras of old, as its own README says."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
# ktrain imports transformers, which would import PyTorch into the same process: slow, and a crash.
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
    # It counts epochs, no iterations: an epoch of so many samples is as many.
    samples = slice(STEPS * BATCH_SIZE)
    data = images[samples], labels[samples]
    learner = ktrain.get_learner(model, train_data=data, batch_size=BATCH_SIZE)

    def test() -> Found:
        # It always ends at rate 10: the loss may explode, and must not stop it.
        learner.lr_find(
            start_lr=MIN_LR,
            max_epochs=1,
            stop_factor=float("inf"),
            restore_weights_only=True,  # the cheaper of its two ways
            verbose=0,
        )
        valley = learner.lr_estimate()[-1]
        return Found(len(learner.lr_finder.lrs), f"{valley:.3g}")

    return test
