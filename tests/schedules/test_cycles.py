"""Tests that unwise cycles are reported and impossible ones are refused."""

from __future__ import annotations

import pytest

from lrcycles.errors import InputError
from lrcycles.schedules.cycles import check_cycles

EPOCH = 275  # steps
WISE = {"total_steps": 18 * EPOCH, "step_size": 3 * EPOCH, "steps_per_epoch": EPOCH}


@pytest.mark.parametrize("schedule", ["triangular", "triangular2", "welch", "hann"])
def test_three_whole_cycles_of_some_epochs_pass_without_a_warning(schedule):
    assert check_cycles(schedule, **WISE) == []


def test_fewer_than_three_cycles_are_reported_with_a_step_size_that_gives_three():
    (sentence,) = check_cycles("triangular", **WISE | {"step_size": 9 * EPOCH})
    assert sentence == (
        "The run has 1 cycle; Smith advises 3 or more. Lower step_size to 825, or train longer."
    )


def test_a_schedule_that_counts_its_cycles_is_advised_to_count_three():
    (sentence,) = check_cycles("triangular", **WISE, cycles=2)
    assert sentence == "The run has 2 cycles; Smith advises 3 or more. Raise cycles to 3."


def test_a_run_that_ends_in_mid_cycle_is_reported_with_a_better_end():
    (sentence,) = check_cycles("triangular", **WISE | {"total_steps": 21 * EPOCH})
    assert "50 % into a cycle" in sentence
    assert "multiple of 1,650 steps" in sentence


@pytest.mark.parametrize("left_over", [0, 40, -40])
def test_a_few_steps_more_or_less_than_whole_cycles_are_no_mid_cycle(left_over):
    assert check_cycles("triangular", **WISE | {"total_steps": 24 * EPOCH + left_over}) == []


def test_a_schedule_that_stays_at_base_lr_after_its_cycles_never_ends_in_mid_cycle():
    assert check_cycles("triangular", **WISE | {"total_steps": 21 * EPOCH}, cycles=3) == []


@pytest.mark.parametrize(("epochs", "length"), [(1, "is 1 epoch;"), (11, "is 11 epochs;")])
def test_a_half_cycle_outside_two_to_ten_epochs_is_reported(epochs, length):
    run = {"total_steps": 66 * EPOCH, "step_size": epochs * EPOCH, "steps_per_epoch": EPOCH}
    (sentence,) = check_cycles("triangular", **run)
    assert length in sentence
    assert "between 550 and 2,750 steps" in sentence


@pytest.mark.parametrize(
    ("run", "remedy", "followed"),
    [
        ({"epochs": 10, "cycles": 3}, "Train for at least 12 epochs.", {"epochs": 12}),
        (
            {"epochs": 14, "cycles": 5},
            "Lower cycles to 3, or train for at least 20 epochs.",
            {"cycles": 3},
        ),
        ({"epochs": 14, "cycles": 5}, "train for at least 20 epochs.", {"epochs": 20}),
        ({"epochs": 100, "cycles": 3}, "Raise cycles to 5.", {"cycles": 5}),
        (
            {"epochs": 10, "step_size": 50},
            "Set step_size=550 and train for at least 12 epochs.",
            {"epochs": 12, "step_size": 550},
        ),
    ],
)
def test_who_follows_the_remedy_is_not_warned_again(run, remedy, followed):
    def check(epochs: int, cycles: int | None = None, step_size: int = 0) -> list[str]:
        steps = epochs * EPOCH
        settings = {"step_size": step_size or steps // (2 * cycles), "cycles": cycles}
        return check_cycles("triangular", total_steps=steps, steps_per_epoch=EPOCH, **settings)

    [sentence] = [each for each in check(**run) if "Half a cycle" in each]
    assert sentence.endswith(remedy)
    assert check(**run | followed) == []


def test_the_rate_of_the_tutorials_own_cycle_never_turns():
    (sentence,) = check_cycles("triangular", total_steps=300, step_size=2000, steps_per_epoch=30)
    assert "The rate never turns: step_size=2000 is longer than the run of 300 steps" in sentence


def test_triangular2_is_reported_if_it_shrinks_within_an_epoch_and_refused_if_it_collapses():
    short = WISE | {"step_size": 55}  # five halves of a cycle in an epoch
    sentences = check_cycles("triangular2", **short)
    assert any("keeps 18 % of its amplitude after one epoch" in each for each in sentences)
    with pytest.raises(InputError, match="Raise step_size to 550 or more"):
        check_cycles("triangular2", **WISE | {"step_size": 5})


@pytest.mark.parametrize("schedule", ["exp_range", "exp_range_bounds"])
def test_exp_range_that_is_gone_within_an_epoch_is_refused(schedule):
    assert check_cycles(schedule, **WISE, gamma=0.9999) == []
    with pytest.raises(InputError, match=rf"{schedule} must keep 0\.1 %.*Raise gamma"):
        check_cycles(schedule, **WISE, gamma=0.9)


def test_the_gamma_of_a_schedule_that_takes_none_is_ignored():
    assert check_cycles("triangular", **WISE, gamma=0.9) == []
