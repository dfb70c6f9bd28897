"""The range of a sweep is widened where its curves miss the start or the end of learning."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.bounds.calibrated import calibrated
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.sweep import Range
from lrcycles.range_tests.widening import (
    MissingEnds,
    missing_ends,
    missing_for_bounds,
    missing_in_most,
    sweep_and_widen,
)

FACTOR = 4.0


# Hand-made curves over five decades: the metric climbs between two rates and then falls or rests.
LR = np.geomspace(1e-5, 1, 100)


def curve(metric, *, loss=None, seed=0, initial=0.1, noise=0.01, lr=LR):
    draw = np.random.default_rng(seed)
    metric = np.asarray(metric) + noise * draw.normal(size=len(lr))
    loss = 2.3 - metric if loss is None else np.asarray(loss)
    missing = np.full(len(lr), np.nan)
    return SeedCurve(seed, lr, loss, missing, metric, None, initial)


def climb(begin, end, *, lr=LR):
    """A metric from 0.1 to 0.9, linear in the logarithm of the rate."""
    return np.interp(np.log10(lr), np.log10([begin, end]), [0.1, 0.9])


def fall(values, begin, *, lr=LR):
    return np.where(lr > begin, 0.1 + (values - 0.1) * (begin / lr), values)


def judged(of, steps=100):
    """Whether the start and the end show."""
    missing = missing_ends(of, steps=steps, stop_factor=FACTOR)
    return missing.start is None, missing.end is None


SEEDS = range(20)


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.03])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_whole_climb_that_falls_in_the_end_shows_both_ends(seed, noise):
    falls = fall(climb(1e-3, 1e-2), 1e-1)
    assert judged(curve(falls, seed=seed, noise=noise)) == (True, True)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_metric_that_rests_shows_an_end_once_the_loss_has_risen(seed):
    rests = climb(1e-3, 1e-2)
    rises = 2.3 - rests + 0.2 * (LR > 0.3) + 0.01 * np.random.default_rng(seed).normal(size=100)
    assert judged(curve(rests, seed=seed)) == (True, False)
    assert judged(curve(rests, seed=seed, loss=rises)) == (True, True)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ragged_metric_is_no_end_while_the_loss_still_falls(seed):
    draw = np.random.default_rng(seed)
    ragged = climb(1e-2, 1.0) - (LR > 0.1) * np.abs(draw.normal(size=100)) / 5
    falls = 2.3 - climb(1e-2, 1.0) + 0.02 * draw.normal(size=100)
    assert judged(curve(ragged, seed=seed, loss=falls)) == (True, False)


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.03])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_climb_that_began_before_the_lowest_rate_shows_no_start(seed, noise):
    begun = fall(climb(1e-7, 1e-3), 1e-1)
    assert judged(curve(begun, seed=seed, noise=noise)) == (False, True)


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_climb_that_goes_on_at_the_highest_rate_shows_no_end(seed, noise):
    assert judged(curve(climb(1e-2, 3.0), seed=seed, noise=noise)) == (True, False)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_curve_that_never_moves_shows_no_end(seed):
    assert judged(curve(np.full(100, 0.1), seed=seed)) == (True, False)


def test_a_trained_model_that_only_falls_shows_both_ends():
    falls = fall(np.full(100, 0.95), 3e-2)
    assert judged(curve(falls, initial=0.95)) == (True, True)


def test_a_sweep_that_stopped_has_an_end_even_while_the_metric_climbed():
    short = curve(climb(1e-3, 1e-1)[:70], lr=LR[:70], noise=0)
    assert judged(short) == (True, True)
    assert judged(short, steps=70) == (True, False)


def test_a_sweep_that_stops_at_its_first_rates_shows_no_start():
    dead = curve(np.full(12, 0.1), lr=LR[:12], loss=[2.3] * 11 + [np.nan], noise=0)
    assert judged(dead) == (False, True)


def test_a_training_loss_that_ends_above_its_start_is_an_end():
    loss = np.where(LR > 0.3, 3.0, 2.3 - climb(1e-2, 3.0))
    assert judged(curve(climb(1e-2, 3.0), loss=loss, noise=0)) == (True, True)


def test_a_linear_ramp_is_not_lowered_because_of_its_loss_but_a_note_says_what_helps():
    def sweeps(span):
        lr = span.rates().astype(float)
        loss = 0.3 + 2 * np.exp(-np.arange(len(lr))) + 3 * (lr > 0.015)
        yield curve(np.full(len(lr), np.nan), loss=loss, lr=lr)

    span = Range("linear", min_lr=1e-5, max_lr=0.02, steps=200)
    assert sweep_and_widen(span, sweeps, widen=3, stop_factor=20)[::2] == (
        span,
        [
            "The range 1e-05 to 0.02 does not show both ends of learning, because the loss fell "
            "during the first steps of a linear ramp (seed 0). Set ramp to exponential."
        ],
    )


def test_with_few_measurements_the_range_is_not_widened():
    assert judged(curve([0.1, 0.2, 0.3], lr=LR[:3]), steps=3) == (True, True)


def test_more_than_half_of_the_seeds_decide():
    none, cut, dead = MissingEnds(), MissingEnds(end="it is cut"), MissingEnds(start="it is dead")
    assert missing_in_most({4: cut, 5: none, 6: cut}) == MissingEnds(end="it is cut (seed 4)")
    assert missing_in_most({4: cut, 5: none}) == none
    assert missing_for_bounds({4: cut, 5: none}) == MissingEnds(end="it is cut (seed 4)")
    assert missing_for_bounds({4: cut, 5: none, 6: none}) == none
    # select_bounds needs seeds that show both ends.
    both = MissingEnds("it is dead (seed 6)", "it is cut (seed 4)")
    assert missing_for_bounds({4: cut, 5: none, 6: dead}) == both


SHAPES = {
    "rises by a seventh": 2.3 - climb(1e-3, 1e-2) + 0.11 * (LR > 0.3),
    "rises by a quarter": 2.3 - climb(1e-3, 1e-2) + 0.2 * (LR > 0.3),
    "falls to the end": 2.3 - climb(1e-2, 3.0),
    "never falls": np.full(100, 2.3),
    "only rises": 0.2 + climb(1e-2, 1.0),
    "begins low": 2.3 - climb(1e-7, 1e-4) + 2 * (LR > 0.1),
    "ends in a few high losses": 2.3 - climb(1e-2, 1.0) + 4 * (LR > 0.7) * (np.arange(100) % 2),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stopped", [False, True])
def test_the_range_test_misses_what_the_default_rule_misses(shape, seed, stopped):
    loss = SHAPES[shape] + 0.02 * np.random.default_rng(seed).normal(size=100)
    unmeasured = curve(np.full(100, np.nan), loss=loss)
    missing = missing_ends(unmeasured, steps=120 if stopped else 100, stop_factor=FACTOR)
    assert (missing == MissingEnds()) == (calibrated(unmeasured).max_lr is not None)


@pytest.mark.parametrize("ramp", ["exponential", "linear"])
def test_a_wider_range_has_rates_as_close_to_each_other(ramp):
    narrow = Range(ramp, min_lr=1e-4, max_lr=1e-1, steps=31)
    distance = np.diff if ramp == "linear" else lambda rates: np.diff(np.log(rates))
    for wider in (narrow.raised(), narrow.raised().raised()):
        assert_allclose(distance(wider.rates())[0], distance(narrow.rates())[0], rtol=1e-2)
    assert narrow.lowered().min_lr == pytest.approx(1e-5)


def test_a_range_is_widened_as_soon_as_the_first_seed_shows_it_is_too_narrow():
    tried = []

    def sweeps(span):
        for seed in (0, 1, 2):
            tried.append((str(span), seed))
            lr = span.rates().astype(float)
            yield curve(fall(climb(1e-1, 1.0, lr=lr), 3, lr=lr), lr=lr, seed=seed)

    narrow = Range("exponential", min_lr=1e-3, max_lr=1e-1, steps=50)
    span, curves, notes = sweep_and_widen(narrow, sweeps, widen=5, stop_factor=FACTOR)
    narrower = [("0.001 to 0.1", 0), ("0.001 to 1", 0)]
    assert tried == narrower + [("0.001 to 10", seed) for seed in (0, 1, 2)]
    assert len(curves) == 3
    assert span.max_lr == 10
    assert notes == [
        "The range 0.001 to 0.1 was widened to 0.001 to 1, because the model learned nothing at "
        "rates up to 0.1 (seed 0).",
        "The range 0.001 to 1 was widened to 0.001 to 10, because the model was still improving at "
        "the highest rate, 1 (seed 0).",
    ]


def test_a_range_that_stays_too_narrow_is_kept_and_a_note_says_so():
    def sweeps(span):
        lr = span.rates().astype(float)
        yield curve(climb(1e-2, 1e5, lr=lr), lr=lr, noise=0.001)

    narrow = Range("exponential", min_lr=1e-3, max_lr=1.0, steps=100)
    span, curves, notes = sweep_and_widen(narrow, sweeps, widen=1, stop_factor=FACTOR)
    assert (span.max_lr, len(curves)) == (10.0, 1)
    assert notes[1] == (
        "The range 0.001 to 10 does not show where learning ends, because the model was still "
        "improving at the highest rate, 10 (seed 0). Raise max_lr to 100."
    )
