"""Counts what sweeps and probes take, against a budget in trainings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lrcycles.range_tests.length import Training
from lrcycles.range_tests.sweep import Rates


class Trial(Protocol):
    """What can be trained again and again from the same start, such as a Keras model."""

    def reset(self, seed: int) -> None:
        """Return to the start, with the mini-batches and random numbers of `seed`."""

    def advance(self, rates: Rates) -> list[float]:
        """Make one update per rate and return the losses up to the first that is not finite."""

    def evaluate(self) -> tuple[float, float]:
        """Return the held-out loss, and a metric."""


@dataclass
class Meter:
    """A trial that counts what it takes, in mini-batches of training.

    Attributes:
        training: the training that is advised. An evaluation counts as in `Training`.
        budget: what may be taken, in trainings.
    """

    trial: Trial
    training: Training
    budget: float
    spent: float = 0.0

    def advance(self, rates: Rates) -> list[float]:
        """Make one update per rate."""
        losses = self.trial.advance(rates)
        self.spent += len(losses) * self.training.batches_per_step
        return losses

    def evaluate(self) -> tuple[float, float]:
        """Evaluate the held-out samples."""
        self.spent += self.training.evaluation
        return self.trial.evaluate()

    @property
    def updates(self) -> int:
        """The updates of the training that is advised."""
        return self.training.batches // self.training.batches_per_step

    @property
    def left(self) -> float:
        """The mini-batches that may still be taken."""
        return self.budget * self.training.batches - self.spent

    @property
    def updates_left(self) -> float:
        """The updates of a probe that may still be made, after its evaluation is paid."""
        return (self.left - self.training.evaluation) / self.training.batches_per_step
