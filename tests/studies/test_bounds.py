"""The study of bound rules is as its page describes it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from studies.bounds import images, judge, measure, tasks

DOCS = Path(__file__).parents[2] / "docs" / "study-bounds"
MOMENTUM = {"name": "sgd", "arguments": {"momentum": 0.9}}


def test_each_half_has_every_optimizer_once_with_other_data_and_another_network():
    halves = [tasks.read_tasks(half) for half in ("choose", "judge")]
    by_optimizer = [{repr(task.optimizer): task for task in half} for half in halves]
    assert [len(found) for found in by_optimizer] == [7, 7]
    assert by_optimizer[0].keys() == by_optimizer[1].keys()
    for key, one in by_optimizer[0].items():
        other = by_optimizer[1][key]
        assert (one.data, one.network) != (other.data, other.network)
        assert one.name != other.name
    assert repr(MOMENTUM) in by_optimizer[0]


def test_a_training_is_at_least_twice_a_range_test_in_steps():
    for task in [*tasks.read_tasks("choose"), *tasks.read_tasks("judge")]:
        assert task.epochs * task.steps_per_epoch >= 2 * tasks.SWEEP_STEPS * tasks.SWEEP_SEEDS


def test_the_grid_has_thirteen_constant_rates_four_a_decade_and_twelve_pairs_of_bounds():
    grid = tasks.grid(tasks.read_tasks("choose")[0])
    constant = [s["base_lr"] for s in grid if s["name"] == "constant"]
    pairs = [s for s in grid if s["name"] == "triangular"]
    assert (len(constant), len(pairs)) == (13, 12)
    np.testing.assert_allclose(np.diff(np.log10(constant)), 0.25, atol=1e-3)
    assert {round(s["max_lr"] / s["base_lr"]) for s in pairs} == {4, 40}


def test_the_noise_floor_is_the_mean_difference_between_two_halves_of_the_trainings():
    assert tasks.noise_floor(np.full(10, 0.25)) == 0
    # One of ten is 10 and the mean 1: whichever half has it lies 2 from the other.
    assert tasks.noise_floor(np.array([10.0] + [0.0] * 9)) == pytest.approx(2)


def test_a_schedule_that_diverged_once_is_no_oracle():
    rows = [
        {"schedule": "constant", "base_lr": lr, "max_lr": lr, "seed": seed, "test_loss": loss}
        for lr, losses in ((0.1, [0.1, 0.1, np.nan]), (0.01, [0.5, 0.5, 0.5]))
        for seed, loss in enumerate(losses)
    ]
    assert measure.oracle(pd.DataFrame(rows)) == {"name": "constant", "base_lr": 0.01}


@pytest.mark.parametrize("make", [images.digits, images.teacher, images.spirals])
def test_generated_data_are_the_same_every_time_and_have_every_class(make):
    first, second = make(), make()
    assert all((one == two).all() for one, two in zip(first, second, strict=True))
    assert set(np.unique(first[1])) == set(np.unique(first[3]))
    assert all(array.dtype == np.uint8 for array in first)


def test_no_digit_is_held_out_in_one_shift_and_trained_on_in_another():
    x_train, _, x_test, _ = images.digits()
    unshifted = [
        {image.tobytes() for image in part[: len(part) // 5]} for part in (x_train, x_test)
    ]
    assert not unshifted[0] & unshifted[1]


def test_the_committed_page_is_what_the_template_gives_for_the_committed_tables():
    summary, floors, regrets = (
        pd.read_csv(DOCS / f"{name}.csv") for name in ("summary", "tasks", "regrets")
    )
    committed = (DOCS / "README.md").read_text(encoding="utf-8")
    (measured,) = re.findall(r"^Measured on (.*), TensorFlow on the CPU", committed, re.MULTILINE)
    first = judge.regrets_of_first_version(floors)
    page = judge.page_text(summary, floors, regrets, first, measured=measured)
    assert len(page.splitlines()) == len(committed.splitlines())
    for now, then in zip(page.splitlines(), committed.splitlines(), strict=True):
        if then.startswith("| "):  # the files hold five digits: some last digits round otherwise
            now, then = (re.sub(r"[\d.]+", "N", line) for line in (now, then))
        assert now == then
