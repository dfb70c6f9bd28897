"""A small convolutional network. Replace it with yours, and run `dvc exp run -S model=own`."""

import keras


def build(input_shape, classes, *, filters=8):
    """Return a new network: images of shape (n, *input_shape) in, probabilities (n, classes) out.

    Pixels come as float32 from 0 to 1. Grey images come without channels, as (n, height, width).
    Set an argument with `-S model.arguments.filters=16`.
    """
    height, width, *channels = input_shape
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Reshape((height, width, *(channels or [1]))),
            keras.layers.Conv2D(filters, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            # Half precision would lose small probabilities, so the last layer is in float32.
            keras.layers.Dense(classes, activation="softmax", dtype="float32"),
        ]
    )
