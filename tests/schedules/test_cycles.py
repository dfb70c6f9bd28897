"""Tests that unwise cycles are reported and impossible ones are refused."""

from __future__ import annotations

import re

import pytest

from lrcycles.errors import InputError
from lrcycles.schedules.cycles import check_cycles

EPOCH = 275  # steps
WISE = {"total_steps": 18 * EPOCH, "step_size": 3 * EPOCH, "steps_per_epoch": EPOCH}


@pytest.mark.parametrize("schedule", ["triangular", "triangular2", "welch", "hann"])
def test_three_whole_cycles_of_some_epochs_pass_without_a_warning(schedule):
    assert check_cycles(schedule, **WISE) == []


def test_a_run_that_ends_in_mid_cycle_is_reported_with_a_better_end():
    (sentence,) = check_cycles("triangular", **WISE | {"total_steps": 21 * EPOCH})
    assert "50 % into a cycle" in sentence
    assert "multiple of 1,650 steps" in sentence


@pytest.mark.parametrize("left_over", [0, 40, -40])
def test_a_few_steps_more_or_less_than_whole_cycles_are_no_mid_cycle(left_over):
    assert check_cycles("triangular", **WISE | {"total_steps": 24 * EPOCH + left_over}) == []


def test_a_schedule_that_stays_at_base_lr_after_its_cycles_never_ends_in_mid_cycle():
    assert check_cycles("triangular", **WISE | {"total_steps": 21 * EPOCH}, cycles=3) == []


def test_a_warm_up_is_no_part_of_the_cycles():
    warmed = {**WISE, "total_steps": 19 * EPOCH, "warmup_steps": EPOCH}
    assert check_cycles("triangular", **warmed) == []
    (cut,) = check_cycles("triangular", **warmed | {"total_steps": 22 * EPOCH})
    assert "50 % into a cycle" in cut
    assert cut.endswith("after a multiple of 1,650 steps after the warm-up.")


# The run in epochs, the half-cycle in steps, the cycles; all but the last words of the remedy.
UNWISE = [
    (18, 9 * EPOCH, None, "The run has 1 cycle; Smith advises 3 or more.", "step_size to 825"),
    (18, 3 * EPOCH, 2, "The run has 2 cycles; Smith advises 3 or more.", "Set cycles to 3"),
    (10, 458, 3, "Half a cycle is 1.67 epochs; Smith advises 2 to 10.", "at least 12 epochs"),
    (10, 687, 2, "The run has 2 cycles; Smith advises 3 or more.", "12 epochs with 3 cycles"),
    (20, 392, 7, "Half a cycle is 1.43 epochs; Smith advises 2 to 10.", "Set cycles to 5"),
    (66, 11 * EPOCH, None, "Half a cycle is 11 epochs; Smith advises 2 to 10.", "to 2,268"),
    (66, EPOCH, None, "Half a cycle is 1 epoch; Smith advises 2 to 10.", "step_size to 567"),
    (10, EPOCH, None, "Half a cycle is 1 epoch; Smith advises 2 to 10.", "with step_size 550"),
    (
        10,
        2000,
        None,
        "The run has 0.688 cycles; Smith advises 3 or more.",
        "Train for at least 12 epochs with step_size 550",
    ),
]


@pytest.mark.parametrize(("epochs", "step_size", "cycles", "fault", "remedy"), UNWISE)
def test_unwise_cycles_are_reported_once_and_the_remedy_ends_the_report(
    epochs, step_size, cycles, fault, remedy
):
    run = {"steps_per_epoch": EPOCH, "step_size": step_size, "cycles": cycles}
    (sentence,) = check_cycles("triangular", **run, total_steps=epochs * EPOCH)
    assert fault in sentence
    assert remedy in sentence

    def named(words, otherwise):
        match = re.search(words, sentence)
        return int(match[1].replace(",", "")) if match else otherwise

    total = named(r"at least (\d+) epochs", epochs) * EPOCH
    cycles = cycles and named(r"(?:Set cycles to|with) (\d+)", cycles)
    step_size = named(r"step_size (?:to )?([\d,]+)", total // (2 * cycles) if cycles else None)
    run |= {"total_steps": total, "cycles": cycles, "step_size": step_size}
    assert check_cycles("triangular", **run) == []


def test_the_rate_of_the_tutorials_own_cycle_never_turns():
    (sentence,) = check_cycles("triangular", total_steps=300, step_size=2000, steps_per_epoch=30)
    assert sentence == (
        "The rate never turns: step_size=2000 is longer than the run of 300 steps. "
        "Train for at least 12 epochs with step_size 60."
    )


def test_triangular2_is_reported_if_it_shrinks_within_an_epoch_and_refused_if_it_collapses():
    short = WISE | {"step_size": 55}  # five halves of a cycle in an epoch
    sentences = check_cycles("triangular2", **short)
    assert any("keeps 18 % of its amplitude after one epoch" in each for each in sentences)
    with pytest.raises(InputError, match=r"keep 0\.1 %.* Set step_size to 618"):
        check_cycles("triangular2", **WISE | {"step_size": 5})


@pytest.mark.parametrize("schedule", ["exp_range", "exp_range_bounds"])
def test_exp_range_that_is_gone_within_an_epoch_is_refused(schedule):
    assert check_cycles(schedule, **WISE, gamma=0.9999) == []
    with pytest.raises(
        InputError, match=rf"{schedule} must keep 0\.1 %.*Raise gamma to 0\.997483 "
    ):
        check_cycles(schedule, **WISE, gamma=0.9)
    assert check_cycles(schedule, **WISE, gamma=0.997483) == []


def test_the_gamma_of_a_schedule_that_takes_none_is_ignored():
    assert check_cycles("triangular", **WISE, gamma=0.9) == []
