"""Trains a task again and again, with other rates and seeds, in one compiled program."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from lrcycles.range_tests.keras_model import reachable, state
from studies.networks.task import Array, Task, sample_order

CHECKS = 8  # evaluations of a training, the last one at its end


@dataclass(frozen=True)
class Outcome:
    """What a training reached on the held-out samples.

    Attributes:
        losses: at the end of each eighth of the training; NaN after it diverged.
        measure: the task's own metric at the end.
        seconds: of training, without evaluations.
    """

    losses: list[float]
    measure: float
    seconds: float

    @property
    def loss(self) -> float:
        return self.losses[-1]


class Trainer:
    """A compiled task that can be trained repeatedly from new weights."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model = task.compiled()
        self._x, self._y, *self._heldout = (tf.constant(part) for part in task.data())
        self.samples = int(self._x.shape[0])
        self.steps = self.samples // task.batch_size * task.epochs
        self.model.optimizer.build(self.model.trainable_variables)
        self.model.test_step(tuple(part[:2] for part in self._heldout))  # builds the metrics
        self._start = state.Snapshot(state.variables_of(self.model, reachable.parts_of(self.model)))
        self._weights: dict[int, list[Array]] = {}
        any_length = tf.TensorSpec([None, task.batch_size], tf.int32), tf.TensorSpec([None])
        self._steps = tf.function(self._advance, input_signature=any_length)
        self._test = tf.function(lambda: self.model.test_step(tuple(self._heldout)))
        self.initial_loss = self._evaluate(self.reset(0))["loss"]

    def reset(self, seed: int) -> Trainer:
        """Draw the weights of a seed and forget every update."""
        self._start.restore()
        state.seed_globals(seed)
        if seed not in self._weights:
            self._weights[seed] = state.fresh_values(self.model)
        for variable, value in zip(self.model.weights, self._weights[seed], strict=True):
            variable.assign(value)
        state.seed_layers(self.model, seed)
        return self

    def train(self, rates: Array, seed: int) -> Outcome:
        """Train with one rate for each update."""
        losses, measures, seconds = zip(*self.eighths(rates, seed), strict=True)
        missing = [np.nan] * (CHECKS - len(losses))
        return Outcome([*losses, *missing], measures[-1], sum(seconds))

    def eighths(self, rates: Array, seed: int) -> Iterator[tuple[float, float, float]]:
        """Train; yield the loss, the measure and the seconds of each eighth, up to a NaN loss."""
        order = sample_order(self.samples, self.task.batch_size, len(rates), seed)
        self.reset(seed)
        ends = np.linspace(0, len(rates), CHECKS + 1).round().astype(int)
        for begin, end in pairwise(ends):
            started = time.process_time()
            self._steps(tf.constant(order[begin:end]), tf.constant(rates[begin:end], tf.float32))
            seconds = time.process_time() - started
            logs = self._evaluate(self)
            loss = logs["loss"] if np.isfinite(logs["loss"]) else np.nan
            yield loss, logs[self.task.metric], seconds
            if np.isnan(loss):
                return

    def _evaluate(self, _: Trainer) -> dict[str, float]:
        self.model.reset_metrics()
        logs: dict[str, Any] = self._test()
        return {name: float(value) for name, value in logs.items()}

    def _advance(self, order: tf.Tensor, rates: tf.Tensor) -> None:
        for step in tf.range(tf.shape(rates)[0]):
            self.model.optimizer.learning_rate.assign(rates[step])
            batch = order[step]
            self.model.train_step((tf.gather(self._x, batch), tf.gather(self._y, batch)))
