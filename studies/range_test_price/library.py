"""Measures the library's range test beside the `fit` that it is told of, and prints JSON.

PYTHONPATH=src python -m studies.range_test_price.library NAME
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

# Epochs, batch size, units, images.
SIZES = {
    "library, 784 units": (10, 200, 784, 55_000),
    "library, 64 units": (12, 50, 64, 10_000),
}


def measure(data: Path, name: str) -> list[dict[str, Any]]:
    import keras

    import lrcycles

    epochs, batch_size, units, images = SIZES[name]
    x = np.load(data / "train_images.npy")[:images].reshape(images, -1).astype("float32") / 255
    y = np.load(data / "train_labels.npy")[:images].astype("int32")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Dense(units, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    begun = time.perf_counter()
    curves = lrcycles.range_test(model, x, y, batch_size=batch_size, epochs=epochs, verbose=False)
    seconds = time.perf_counter() - begun
    lrcycles.select_bounds(curves, epochs=epochs)
    begun = time.perf_counter()
    model.fit(x[:batch_size], y[:batch_size], batch_size=batch_size, verbose=0)
    compiled = time.perf_counter() - begun
    begun = time.perf_counter()
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
    training = time.perf_counter() - begun
    assert curves.seconds is not None
    row = {
        "what": name,
        "seconds": curves.seconds,
        "compile_seconds": seconds - curves.seconds,
        "steps": len(curves.table),
    }
    fit = {
        "what": f"training of {name}",
        "seconds": training,
        "compile_seconds": compiled,
        "steps": epochs * -(-images // batch_size),
    }
    return [fit, row]


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from lrcycles.training.compilation import cpu_name

    device = {"device": cpu_name(), "backend": "tensorflow", "threads": os.cpu_count()}
    rows = measure(Path("artifacts/studies/range_test_price/tutorial"), sys.argv[1])
    print(json.dumps([row | device for row in rows]))
