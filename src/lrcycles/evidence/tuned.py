"""Tunes a constant rate at the price of the range test, from the trainings that were made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lrcycles.cells.result import CellResult, ScheduleResult
from lrcycles.config.schema import FEWEST_RATES, TUNED
from lrcycles.evidence.arms import Arm

_ALIKE = ("optimizer", "model", "batch_size", "epochs", "training_set", "class_weights", "momentum")


@dataclass(frozen=True)
class Tuned:
    """An arm made of other arms' cells: each seed has the rate that led after `epochs`.

    Attributes:
        candidates: the arms with a constant rate, the baseline first.
        chosen: by seed the name of the candidate.
        tried_steps: what the trials of the candidates that were dropped took.
        at_length: by seed the test error, in percent, of the candidate that leads after whole
            trainings, which cost as many trainings as there are candidates.
    """

    arm: Arm
    candidates: list[str]
    epochs: int
    chosen: dict[int, str]
    tried_steps: int
    at_length: dict[int, float]


def constant_rates(controlled: Sequence[Arm]) -> list[Arm]:
    """Pick the arms with a constant rate that differ from the first arm in nothing else."""
    first = controlled[0].settings
    return [
        arm
        for arm in controlled
        if arm.settings.schedule.name == "constant"
        and arm.settings.continues is None
        and all(getattr(arm.settings, key) == getattr(first, key) for key in _ALIKE)
    ]


def tune(controlled: Sequence[Arm], *, budget_steps: int) -> Tuned | None:
    """Choose among the constant rates by the validation error after a short trial of each.

    The trials together take as many steps as the range test took, rounded up to whole epochs, and
    at most whole trainings. Rates that the range test selected are no candidates.

    Args:
        controlled: the arms of the controlled comparison, the baseline first.
        budget_steps: the steps of the whole range test.

    Returns:
        None if there are fewer than three candidates.
    """
    first = controlled[0].settings
    candidates = [arm for arm in constant_rates(controlled) if not arm.settings.uses_bounds]
    if len(candidates) < FEWEST_RATES:
        return None
    steps_per_epoch = controlled[0].steps_per_epoch
    epochs = math.ceil(budget_steps / (len(candidates) * steps_per_epoch))
    epochs = min(max(epochs, 1), first.epochs)
    chosen: dict[int, Arm] = {}
    for seed in controlled[0].cells:
        after = {
            arm.cells[seed].history[epochs - 1].validation_error_percent: arm
            for arm in reversed(candidates)  # of equal errors the first candidate wins
            if seed in arm.cells and len(arm.cells[seed].history) >= epochs
        }
        if after:
            chosen[seed] = after[min(after)]
    if not chosen:
        return None
    schedule = ScheduleResult(name=f"constant, best of {len(candidates)}")
    (usual, _), *_ = Counter(arm.name for arm in chosen.values()).most_common(1)
    arm = Arm(
        name=TUNED,
        group="controls",
        cells={
            seed: replace(arm.cells[seed], arm=TUNED, schedule=schedule)
            for seed, arm in chosen.items()
        },
        rates=next(arm.rates for arm in candidates if arm.name == usual),
    )
    return Tuned(
        arm=arm,
        candidates=[arm.name for arm in candidates],
        epochs=epochs,
        chosen={seed: arm.name for seed, arm in chosen.items()},
        tried_steps=(len(candidates) - 1) * epochs * steps_per_epoch,
        at_length=_at_length(candidates, list(chosen)),
    )


def _at_length(candidates: Sequence[Arm], seeds: Sequence[int]) -> dict[int, float]:
    errors = {}
    for seed in seeds:
        finished = [arm.finished[seed] for arm in candidates if seed in arm.finished]
        if finished:
            best = min(finished, key=_validation_error)
            assert best.test_error_percent is not None
            errors[seed] = best.test_error_percent
    return errors


def _validation_error(cell: CellResult) -> float:
    assert cell.validation_error_percent is not None
    return cell.validation_error_percent
