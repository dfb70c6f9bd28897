"""Describes a task: data, network, optimizer, loss, batch size and length."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

Array = np.ndarray
Four = tuple[Array, Array, Array, Array]  # x and y to train on, x and y held out
HELDOUT = 2000


@dataclass(frozen=True)
class Task:
    """One thing to learn.

    Attributes:
        metric: the task's own measure, by the name of a Keras metric.
        epochs: of a whole training; the last short batch of each is dropped.
        policy: Keras's name for the numbers that the network computes with.
    """

    name: str
    data: Callable[[], Four]
    network: Callable[[], keras.Model]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    loss: str
    metric: str
    batch_size: int
    epochs: int
    policy: str = "float32"

    @property
    def digest(self) -> str:
        """Name what decides the outcome of a training, besides the trainer."""
        parts = [inspect.getsource(one) for one in (self.data, self.network, self.optimizer)]
        rest = (self.loss, self.metric, self.batch_size, self.policy)
        return hashlib.sha256(repr([*parts, *rest]).encode()).hexdigest()[:12]

    def compiled(self, seed: int = 0) -> keras.Model:
        """Build the network and compile it."""
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(self.policy)
        try:
            model = self.network()
        finally:
            keras.config.set_dtype_policy("float32")
        model.compile(self.optimizer(), loss=self.loss, metrics=[self.metric])
        return model


def parted(x: Array, y: Array) -> Four:
    """Hold out the first samples."""
    return x[HELDOUT:], y[HELDOUT:], x[:HELDOUT], y[:HELDOUT]


def with_noise(labels: Array, classes: int, share: float, random: np.random.Generator) -> Array:
    """Replace a share of the labels by random ones, so that no network reaches a loss near 0."""
    wrong = random.random(labels.shape) < share
    return np.where(wrong, random.integers(0, classes, labels.shape), labels).astype("int32")


def sample_order(samples: int, batch_size: int, steps: int, seed: int) -> Array:
    """Shuffle the samples anew in each epoch; the last short batch is dropped."""
    draw = np.random.default_rng([seed, 7])
    whole = samples // batch_size
    epochs = [draw.permutation(samples)[: whole * batch_size] for _ in range(-(-steps // whole))]
    return np.concatenate(epochs).reshape(-1, batch_size)[:steps].astype("int32")
