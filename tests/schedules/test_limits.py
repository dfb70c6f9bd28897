"""Is what makes no sense said before the run, and what cannot work refused?"""

from __future__ import annotations

import doctest

import pytest

from lrcycles.errors import InputError
from lrcycles.schedules import limits as schedule_checks
from lrcycles.schedules.limits import check_cycles, check_settings

EPOCH = 275  # steps
WISE = {"total_steps": 18 * EPOCH, "step_size": 3 * EPOCH, "steps_per_epoch": EPOCH}


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(schedule_checks) == (0, 2)


@pytest.mark.parametrize("schedule", ["triangular", "triangular2", "welch", "hann"])
def test_three_whole_cycles_of_some_epochs_pass_without_a_word(schedule):
    assert check_cycles(schedule, **WISE) == []


def test_fewer_than_three_cycles_are_said_with_the_step_size_that_would_do():
    (said,) = check_cycles("triangular", **WISE | {"step_size": 9 * EPOCH})
    assert said == (
        "cycles in the run: 1, three or more are advised: lower step_size to 825 or train longer"
    )


def test_fewer_than_three_cycles_that_the_schedule_counts_itself_are_told_to_be_more():
    (said,) = check_cycles("triangular", **WISE, cycles=2)
    assert said == "cycles in the run: 2, three or more are advised: raise cycles to 3"


def test_a_run_that_ends_in_mid_cycle_says_where_it_should_end():
    (said,) = check_cycles("triangular", **WISE | {"total_steps": 21 * EPOCH})
    assert "50% into a cycle" in said
    assert "multiple of 1650 steps" in said


@pytest.mark.parametrize("left_over", [0, 40, -40])
def test_a_few_steps_more_or_less_than_whole_cycles_are_no_mid_cycle(left_over):
    assert check_cycles("triangular", **WISE | {"total_steps": 24 * EPOCH + left_over}) == []


def test_a_schedule_that_rests_after_its_cycles_never_ends_in_one():
    assert check_cycles("triangular", **WISE | {"total_steps": 21 * EPOCH}, cycles=3) == []


@pytest.mark.parametrize(("epochs", "told"), [(1, "epochs: 1,"), (11, "epochs: 11,")])
def test_a_half_cycle_outside_two_to_ten_epochs_is_said(epochs, told):
    run = {"total_steps": 66 * EPOCH, "step_size": epochs * EPOCH, "steps_per_epoch": EPOCH}
    (said,) = check_cycles("triangular", **run)
    assert told in said
    assert "between 550 and 2750 steps" in said


def test_the_tutorials_own_cycle_never_turns():
    (said,) = check_cycles("triangular", total_steps=300, step_size=2000, steps_per_epoch=30)
    assert "the rate never turns: step_size=2000" in said


def test_triangular2_that_halves_within_an_epoch_is_said_and_one_that_collapses_refused():
    short = WISE | {"step_size": 55}  # five halves of a cycle in an epoch
    said = check_cycles("triangular2", **short)
    assert any("keeps 18% of its amplitude after one epoch" in sentence for sentence in said)
    with pytest.raises(InputError, match="raise step_size to 550 or more"):
        check_cycles("triangular2", **WISE | {"step_size": 5})


def test_exp_range_that_is_gone_within_an_epoch_is_refused():
    assert check_cycles("exp_range", **WISE, gamma=0.9999) == []
    with pytest.raises(InputError, match=r"need exp_range to keep.*raise gamma"):
        check_cycles("exp_range", **WISE, gamma=0.9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_size": 0}, "need step_size to be a whole number >= 1, got step_size=0"),
        ({"cycles": True}, "need cycles to be a whole number"),
        ({"rise_steps": -1.0}, "need rise_steps to be a positive finite number, got"),
        ({"factor": 1.5}, r"need 0 < factor <= 1, got factor=1\.5"),
        ({"base_lr": 0.0, "max_lr": 1.0}, "need base_lr to be a positive"),
        ({"base_lr": 2.0, "max_lr": 1.0}, r"need 0 < base_lr < max_lr, got base_lr=2\.0"),
        ({"max_lr": 1.0, "final_lr": 1.0}, r"need final_lr < max_lr, got final_lr=1\.0"),
        ({"final_lr": -1.0, "max_lr": 1.0}, r"need final_lr to be a finite number >= 0"),
    ],
)
def test_a_value_that_its_setting_cannot_have_is_named(settings, message):
    with pytest.raises(InputError, match=message):
        check_settings(**settings)


def test_a_decay_may_end_at_0():
    check_settings(base_lr=0.0, max_lr=1.0, total_steps=5)
