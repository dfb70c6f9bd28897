"""Builds the compiled network for the tools on Keras 3."""

from __future__ import annotations

import keras
import tensorflow as tf

from benchmarks.range_test_speed.protocol import CLASSES, PIXELS, THREADS, UNITS

tf.config.threading.set_intra_op_parallelism_threads(THREADS)


def network() -> keras.Model:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((PIXELS,)),
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
