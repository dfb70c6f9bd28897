"""Networks with what a Keras model can contain, for tests of the engines."""

from __future__ import annotations

from typing import Any


def everything(input_shape: tuple[int, ...], classes: int, *, dropout: float = 0.25) -> Any:
    """Dropout, batch normalisation and a penalty on the weights."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(12, "relu", kernel_regularizer=keras.regularizers.L2(0.01), name="wide"),
            layers.BatchNormalization(),
            layers.Dropout(dropout),
            layers.Dense(classes, "softmax", dtype="float32", name="last"),
        ]
    )
