"""Tests what the study of the verdicts draws and counts, and compares its page with its results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lrcycles.evidence import sign_flips
from lrcycles.evidence.families import Family
from lrcycles.files import read_json
from studies.verdicts import families, looks, page, real, two_arms
from studies.verdicts.rows import Goal, count
from studies.verdicts.trainings import World, draw_arms

FOLDER = Path(__file__).parents[2] / "docs/study-verdicts"


@pytest.fixture(autouse=True)
def _flips(monkeypatch):
    """Give back the number of random flips that the study lowers."""
    monkeypatch.setattr(sign_flips, "FLIPS", sign_flips.FLIPS)


@pytest.mark.parametrize("shape", looks.SHAPES)
def test_the_drawn_differences_have_the_mean_and_spread_that_the_truth_needs(shape):
    drawn = looks.SHAPES[shape](np.random.default_rng(0), 200_000)
    assert abs(drawn.mean()) < 0.01
    assert drawn.std() == pytest.approx(1, abs=0.02)


def test_the_drawn_arms_differ_by_the_effect_over_seeds_and_test_sets():
    rng = np.random.default_rng(0)
    world = World(effect=0.2, images_error=0.02, failing=(0.0, 0.25))
    means, failed = [], 0
    for _ in range(40):
        arms = draw_arms(rng, world, 10)
        one, other = (list(arms[name].values("test_error_percent").values()) for name in arms)
        means.append(np.mean(one) - np.mean(other))
        failed += len(arms["other"].failed)
    assert np.mean(means) == pytest.approx(0.2, abs=0.03)
    assert failed / 400 == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize(
    ("times", "repeats", "met"),
    [(50, 1000, False), (75, 1500, True), (130, 1500, False), (0, 1500, True), (1, 20, False)],
)
def test_a_promise_is_met_by_a_narrow_interval_that_does_not_lie_above_it(times, repeats, met):
    row = count(Goal.LOOKS, "", "", times, repeats, at_most=5, narrow=1.5)
    interval = stats.binomtest(times, repeats).proportion_ci(0.99)
    assert (row.low, row.high) == pytest.approx((100 * interval.low, 100 * interval.high))
    assert row.met is met


def test_every_part_of_the_study_counts_what_its_rows_say():
    rows = [
        *looks.look_errors("normal", looks.SD, 0, 20),
        *two_arms.images(0.02, 3),
        *two_arms.failures((0.0, 0.2), 3),
        *two_arms.equivalence(0.0, 0.1, 4),
        *two_arms.power(0.6, 0.02, 8, 4),
        *families.family_error(Family.SCHEDULES, "normal", [0.0, -4.0], (8, 16), 3),
        *families.at_defaults(2, 4.0, 3),
        *families.times(1.0, 2),
    ]
    assert {row.goal for row in rows} == set(Goal) - {Goal.REAL}
    shares = {(row.goal, row.counted): row.percent for row in rows}
    assert shares[Goal.POWER, "better"] == 100
    assert shares[Goal.COMPARE, "it is found"] == 100
    assert shares[Goal.TIME, "not comparable"] == 100


def test_arms_out_of_one_pool_seldom_differ():
    pool = np.random.default_rng(0).random((40, 200)) < 0.2
    decided, missed = real.same_against_same("made up", [pool], 10)
    assert decided.case == "made up; 40 trainings in 1 pools"
    assert decided.percent <= 20
    assert missed.percent <= 30


def test_the_page_holds_the_committed_results():
    assert page.render(read_json(FOLDER / "results.json")) == (FOLDER / "README.md").read_text()
