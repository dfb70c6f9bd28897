"""Small Keras models and data on which range tests are tried."""

from __future__ import annotations

from typing import ClassVar

import keras
import numpy as np

SAMPLES, FEATURES, CLASSES = 64, 4, 3
FEW = {"steps": 3, "seeds": 1, "batch_size": 16, "evaluate_every_steps": 2, "widen": 0}


def clusters():
    """Return samples of three clusters that a small network can separate, and their labels."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, CLASSES, SAMPLES)
    x = draw.normal(size=(SAMPLES, FEATURES)) + 2 * np.eye(CLASSES, FEATURES)[y]
    return x.astype("float32"), y


def network(*middle, policy="float32"):
    first = keras.layers.Dense(8, activation="relu", dtype=policy)
    last = keras.layers.Dense(CLASSES, activation="softmax", dtype="float32")
    return keras.Sequential([keras.Input((FEATURES,)), first, *middle, last])


def compiled(optimizer="sgd", *middle, model=None, **settings):
    model = model or network(*middle)
    model.compile(
        optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **{"run_eagerly": True, **settings},
    )
    return model


def line():
    """Samples of a noisy plane."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(SAMPLES, 2)).astype("float32")
    y = x @ np.array([[1.0], [-2.0]], "float32") + 0.1 * draw.normal(size=(SAMPLES, 1))
    return x, y.astype("float32")


def linear(momentum=0.0, **settings):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.layers[0].set_weights([np.array([[0.5], [0.5]]), np.array([0.25])])
    optimizer = keras.optimizers.SGD(0.5, momentum=momentum, **settings)
    model.compile(optimizer, loss="mse", run_eagerly=True)
    return model


class Watched(keras.Model):
    """Remembers the samples it was trained on, which count themselves in their first feature."""

    seen: ClassVar[set[int]] = set()  # on the class: a range test restores the model's own

    def __init__(self):
        super().__init__()
        self.last = keras.layers.Dense(1)
        self.seen.clear()

    def call(self, x):
        return self.last(x)

    def train_step(self, data):
        self.seen.update(int(number) for number in data[0][:, 0])
        return super().train_step(data)


class Pairs(keras.utils.PyDataset):
    """Batches of eight by index."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, index):
        return self.x[8 * index : 8 * index + 8], self.y[8 * index : 8 * index + 8]


class Loader:
    """Batches that can be read in turn, again and again."""

    def __init__(self, batches):
        self.batches = list(batches)

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)
