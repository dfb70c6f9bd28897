"""Is a constant rate tuned as somebody would who may spend no more than the range test?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lrcycles.cells.result import CellResult, ScheduleResult
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.tuned import tune
from tests.report_inputs import EPOCHS, STEPS_PER_EPOCH, planted_result


def arm(name: str, errors: dict[int, list[float]], **more: Any) -> Arm:
    """A constant arm with these validation errors after its first epochs, the rest repeated."""
    cells = {}
    for seed, first in errors.items():
        planted = {"errors": {seed: first[-1]}, "base_lr": 0.1}
        result = CellResult.from_dict(planted_result("controls", name, seed, first[-1], planted))
        padded = [*first, *[first[-1]] * (EPOCHS - len(first))]
        history = [
            replace(epoch, validation_error_percent=error)
            for epoch, error in zip(result.history, padded, strict=True)
        ]
        cells[seed] = replace(result, history=history, **more)
    return Arm(name, "controls", cells, [0.1] * EPOCHS * STEPS_PER_EPOCH)


LOW = arm("low", {0: [9.0, 1.0], 1: [9.0, 1.0]})
MIDDLE = arm("middle", {0: [8.0, 2.0], 1: [5.0, 2.0]})
HIGH = arm("high", {0: [7.0, 3.0], 1: [6.0, 3.0]})


def test_each_seed_takes_the_rate_that_led_after_trials_as_long_as_the_range_test():
    one_epoch_each = tune([LOW, MIDDLE, HIGH], budget_steps=3 * STEPS_PER_EPOCH)
    assert one_epoch_each is not None
    assert one_epoch_each.chosen == {0: "high", 1: "middle"}
    assert (one_epoch_each.epochs, one_epoch_each.tried_steps) == (1, 2 * STEPS_PER_EPOCH)
    longer = tune([LOW, MIDDLE, HIGH], budget_steps=3 * STEPS_PER_EPOCH + 1)
    assert longer is not None
    assert longer.chosen == {0: "low", 1: "low"}
    assert (longer.epochs, longer.tried_steps) == (2, 4 * STEPS_PER_EPOCH)


def test_the_tuned_arm_has_the_chosen_cells_under_its_own_name():
    found = tune([LOW, MIDDLE, HIGH], budget_steps=1)
    assert found is not None
    assert found.arm.cells[1].history == MIDDLE.cells[1].history
    assert {cell.arm for cell in found.arm.cells.values()} == {"tuned"}
    assert found.arm.settings.schedule.name == "constant, best of 3"


@pytest.mark.parametrize(
    "other",
    [
        {"optimizer": {"name": "sgd"}},
        {"batch_size": 2000},
        {"epochs": 5},
        {"uses_bounds": True},
        {"continues": "low"},
        {"schedule": ScheduleResult(name="cosine")},
    ],
)
def test_what_differs_in_more_than_its_rate_is_no_candidate(other):
    stranger = arm("stranger", {0: [0.1], 1: [0.1]}, **other)
    assert tune([LOW, MIDDLE, stranger], budget_steps=1) is None
    found = tune([LOW, MIDDLE, HIGH, stranger], budget_steps=1)
    assert found is not None
    assert found.candidates == ["low", "middle", "high"]


def test_a_rate_at_which_a_seed_diverged_early_is_not_chosen_for_it():
    short = arm("short", {0: [0.5], 1: [0.5]})
    short.cells[0] = replace(short.cells[0], history=[])
    found = tune([LOW, MIDDLE, short], budget_steps=1)
    assert found is not None
    assert found.chosen == {0: "middle", 1: "short"}


def test_more_trials_than_epochs_end_with_the_training():
    found = tune([LOW, MIDDLE, HIGH], budget_steps=10**9)
    assert found is not None
    assert found.epochs == EPOCHS
    assert found.tried_steps == 2 * EPOCHS * STEPS_PER_EPOCH
