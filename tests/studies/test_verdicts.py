"""Tests what the study of the verdicts counts, and compares its page with its results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrcycles.files import read_json
from studies.verdicts import page, simulate

FOLDER = Path(__file__).parents[2] / "docs/study-verdicts"


@pytest.mark.parametrize("shape", simulate.SHAPES)
def test_the_drawn_differences_have_the_mean_and_spread_that_the_truth_needs(shape):
    drawn = simulate.SHAPES[shape](np.random.default_rng(0), 200_000)
    assert abs(drawn.mean()) < 0.01
    assert drawn.std() == pytest.approx(1, abs=0.02)


def test_a_large_difference_is_always_found_and_no_difference_seldom():
    strong = simulate.run(simulate.Case("normal", 8, 3 * simulate.SD, repeats=5))
    assert strong["decided"]["percent"] == 100
    assert strong["wrong_way"]["percent"] == 0
    assert strong["predicted_power_percent"] == pytest.approx(100)
    none = simulate.run(simulate.Case("normal", 8, 0.0, repeats=25))
    assert none["decided"]["percent"] < 20
    assert none["covered"]["percent"] > 80


def test_real_runs_are_compared_in_disjoint_groups_and_the_rest_is_left_out():
    errors = [*np.random.default_rng(1).normal(5, 1, 40), 1e9]
    counted = simulate.run_real(errors, pairs=6)
    assert (counted["comparisons"], counted["trainings"]) == (3, 36)
    assert counted["sd_of_differences"] < 3


def test_the_page_holds_the_committed_results():
    assert page.render(read_json(FOLDER / "results.json")) == (FOLDER / "README.md").read_text()


@pytest.mark.slow
def test_times_of_equal_arms_seldom_get_a_verdict():
    assert simulate.run_times(6, never=0.2, repeats=25)["decided"]["percent"] < 20
