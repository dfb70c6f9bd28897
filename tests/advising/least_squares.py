"""A trial in NumPy: stochastic gradient descent on a noisy plane, from weights of 0."""

from __future__ import annotations

import numpy as np

from lrcycles.advising.meter import Meter
from lrcycles.range_tests.length import Training

CURVATURE = np.array([4.0, 1.0, 0.1])  # plain gradient descent diverges at rates above 2 / 4


class LeastSquares:
    """It diverges at high rates, and each of its batches is new.

    It counts what it is asked, independently of the meter.
    """

    metric, metric_rises, momentum, optimizer, notes = "heldout_loss", False, 0.0, "sgd", ()

    def __init__(self, slope=1.0):
        self.slope = slope  # of the plane; 0 leaves nothing to learn
        self.updates = self.evaluations = 0
        self.seeds = []

    def reset(self, seed):
        self.seeds.append(seed)
        self.draw = np.random.default_rng(seed)
        self.weights = np.zeros(3)

    def advance(self, rates):
        losses = []
        for rate in rates:
            x = self.draw.normal(size=(16, 3)) * np.sqrt(CURVATURE)
            wrong = x @ (self.weights - self.slope) + 0.1 * self.draw.normal(size=16)
            self.updates += 1
            with np.errstate(over="ignore", invalid="ignore"):
                losses.append(float(np.mean(wrong**2) / 2))
                self.weights = self.weights - rate * x.T @ wrong / 16
            if not np.isfinite(losses[-1]):
                break
        return losses

    def evaluate(self):
        self.evaluations += 1
        with np.errstate(over="ignore", invalid="ignore"):
            loss = float(CURVATURE @ (self.weights - self.slope) ** 2 / 2 + 0.005)
        return loss, -loss


def meter(trial, *, batches, budget, batches_per_step=1, evaluation=2.0):
    return Meter(trial, Training(batches, batches_per_step, evaluation), budget)


def silent(_updates):
    """Nobody watches the progress."""
