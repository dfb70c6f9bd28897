"""Chooses how long a range test is: its steps, seeds and evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS, SEEDS, EVALUATE_EVERY_STEPS = 360, 3, 10
FEWEST_STEPS = 120  # with fewer, the bounds differ too much between seeds
SHARE = 0.25  # of the training that comes
EVALUATION_SHARE = 0.2  # of a sweep
EVALUATIONS = 8  # of a sweep, at least: with fewer, noise looks like a trend


@dataclass(frozen=True)
class Training:
    """The training that a range test is paid for.

    Attributes:
        batches: its mini-batches.
        batches_per_step: mini-batches of one update.
        evaluation: what evaluating the held-out samples once takes, in mini-batches of training.
    """

    batches: int
    batches_per_step: int = 1
    evaluation: float = 0.0


@dataclass(frozen=True)
class Length:
    """The length of a range test."""

    steps: int
    seeds: Sequence[int]
    evaluate_every_steps: int

    def batches(self, training: Training) -> float:
        """Return what the range test takes before it is widened, in mini-batches of training."""
        evaluations = 1 + math.ceil(self.steps / self.evaluate_every_steps)
        of_seed = self.steps * training.batches_per_step + evaluations * training.evaluation
        return len(self.seeds) * of_seed

    def notes(self, training: Training) -> list[str]:
        """Say what a range test takes that is too long for the training."""
        share = self.batches(training) / training.batches
        if share <= SHARE:
            return []
        return [
            f"The range test takes about {100 * share:.0f} % of the time of the training. To take "
            f"{100 * SHARE:.0f} % or less, train longer, or give fewer steps, seeds or held-out "
            "samples."
        ]


def choose(
    steps: int | None,
    seeds: Sequence[int] | None,
    evaluate_every_steps: int | None,
    training: Training | None = None,
) -> Length:
    """Choose what is None: as usual, or so that the range test takes a quarter of the training.

    The seeds are reduced first, then the steps: one slow sweep finds better bounds than several
    fast ones.

    >>> choose(None, None, None, Training(batches=2750)).seeds
    [0]
    """
    if training is None:
        return Length(
            STEPS if steps is None else steps,
            list(range(SEEDS)) if seeds is None else seeds,
            EVALUATE_EVERY_STEPS if evaluate_every_steps is None else evaluate_every_steps,
        )
    budget, every = SHARE * training.batches, evaluate_every_steps
    counts = range(STEPS, FEWEST_STEPS - 1, -10) if steps is None else [steps]
    lists = [list(range(k)) for k in range(SEEDS, 0, -1)] if seeds is None else [seeds]
    lengths = [
        Length(count, numbers, _every(count, training) if every is None else every)
        for count in counts
        for numbers in lists
    ]
    return next((one for one in lengths if one.batches(training) <= budget), lengths[-1])


def _every(steps: int, training: Training) -> int:
    """Choose the steps between evaluations, so that these take a fifth of the sweep."""
    wanted = math.ceil(training.evaluation / training.batches_per_step / EVALUATION_SHARE)
    return max(1, min(max(EVALUATE_EVERY_STEPS, wanted), steps // EVALUATIONS))
