"""The range test of an advice keeps to its budget and gives every curve a starting point."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from lrcycles.advising.of_model import probe_peaks
from lrcycles.advising.sweeps import choose_length, run_range_test, starting_point
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves
from lrcycles.range_tests.length import Training
from tests.advising.least_squares import LeastSquares, meter, silent


@pytest.mark.parametrize("batches", [60, 300, 1000, 5000])
@pytest.mark.parametrize("budget", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("slope", [1.0, 0.0], ids=["learns", "has nothing to learn"])
def test_range_test_and_probes_never_take_more_than_the_budget(batches, budget, slope):
    trial = LeastSquares(slope)
    counted = meter(trial, batches=batches, budget=budget)
    start = run_range_test(counted, trial, None, None, expect=silent).start
    done = probe_peaks(counted, start, None, expect=silent)
    taken = trial.updates + 2.0 * trial.evaluations
    assert counted.spent == pytest.approx(taken)
    assert taken <= budget * batches
    assert start.low <= start.peak_lr <= start.high
    assert done or batches * budget < 200


def test_the_range_test_is_as_long_as_15_percent_of_the_training_allow():
    chosen = choose_length(Training(batches=8000), budget=1.5, seeds=None)
    assert chosen.batches(Training(batches=8000)) <= 1200
    assert (chosen.steps, len(chosen.seeds)) == (360, 3)


def test_at_most_the_users_seeds_are_swept_and_the_first_ones_first():
    assert choose_length(Training(batches=10_000), 1.5, [7]).seeds == [7]
    assert choose_length(Training(batches=1000), 1.5, [7, 3, 5]).seeds == [7]


def test_a_budget_that_pays_for_no_range_test_is_refused_with_one_that_does():
    with pytest.raises(
        InputError, match=r"budget=0\.1.*100 mini-batches.*Set budget=0\.4 "
    ) as raised:
        choose_length(Training(batches=100), budget=0.1, seeds=None)
    assert "\n" not in str(raised.value)
    assert choose_length(Training(batches=100), budget=0.4, seeds=None).steps == 40


@pytest.mark.parametrize("batches", [1, 20])
def test_a_training_that_is_too_short_is_refused_with_a_length_that_is_enough(batches):
    with pytest.raises(InputError, match=r"[Tt]rain for (\d+) mini-batches") as raised:
        choose_length(Training(batches=batches), budget=1.5, seeds=None)
    longer = int(re.search(r"rain for (\d+)", str(raised.value))[1])
    assert choose_length(Training(batches=longer), 1.5, None).steps == 40
    assert ("Set budget" in str(raised.value)) == (batches == 20)


def curves(loss, low=1e-5, high=1.0):
    """One sweep over exponential rates with these losses."""
    lr = np.geomspace(low, high, len(loss))
    table = pd.DataFrame({"seed": 0, "step": np.arange(1, len(lr) + 1), "lr": lr, "loss": loss})
    return Curves(table, initial_loss={0: 2.3})


FALL = np.linspace(2.3, 0.3, 100)


@pytest.mark.parametrize(
    ("loss", "lowest", "highest"),
    [
        (np.concatenate([np.full(100, 2.3), FALL, np.full(100, 0.3)]), 1e-2, 0.2),  # no end
        (np.full(300, 2.3), 1e-3, 1e-2),  # no fall at all
        (np.geomspace(2.3, 1e4, 300), 1e-5, 1e-4),  # rises from the start
        (np.concatenate([FALL, np.full(200, 0.3)]), 1e-5, 1e-1),  # no start and no end
    ],
    ids=["no end", "level", "rises", "no start"],
)
def test_curves_without_bounds_still_give_a_rate_to_start_from(loss, lowest, highest):
    rng = np.random.default_rng(0)
    start = starting_point(curves(loss * (1 + 0.01 * rng.normal(size=len(loss)))), None)
    assert lowest <= start.peak_lr <= highest
    assert start.initial_loss == 2.3


def test_the_explosion_is_the_lowest_rate_at_which_a_sweep_explodes():
    loss = np.concatenate([np.full(100, 2.3), FALL, np.full(50, 0.3), np.full(50, 1e6)])
    start = starting_point(curves(loss + 0.01 * np.sin(np.arange(300))), None)
    assert start.explosion == pytest.approx(np.geomspace(1e-5, 1.0, 300)[250])
