"""Does a sweep stop where it should, and is a range widened exactly where its curve is cut off?"""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.errors import InputError
from lrcycles.range_tests import sweep
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.sweep import Range, as_curves, check_sweep, diverged, run_sweep
from lrcycles.range_tests.widening import Missing, missing_ends, most_miss, sweep_and_widen

FACTOR = 4.0


def test_the_examples_in_the_docstrings_hold():
    tried = doctest.testmod(sweep)
    assert tried.attempted >= 4
    assert tried.failed == 0


class Scripted:
    """Gives the losses it was told to, and counts the updates at each evaluation."""

    def __init__(self, losses, heldout=lambda _: 1.0):
        self.losses = list(losses)
        self.heldout = heldout
        self.rates = []

    def advance(self, rates):
        begin = len(self.rates)
        self.rates.extend(rates)
        return self.losses[begin : len(self.rates)]

    def evaluate(self):
        return self.heldout(len(self.rates)), float(len(self.rates))


def swept(script, *, steps, every=1):
    rates = np.geomspace(1e-3, 1, steps, dtype=np.float32)
    return run_sweep(
        5,
        rates,
        advance=script.advance,
        evaluate=script.evaluate,
        evaluate_every_steps=every,
        stop_factor=FACTOR,
    )


def test_a_sweep_measures_before_the_first_update_after_every_few_and_after_the_last():
    curve = swept(Scripted(range(1, 8)), steps=7, every=3)
    assert (curve.seed, curve.initial_loss, curve.initial_metric) == (5, 1.0, 0.0)
    assert_array_equal(curve.loss, range(1, 8))
    assert_array_equal(curve.metric, [np.nan, np.nan, 3, np.nan, np.nan, 6, 7])
    assert_allclose(curve.lr, np.geomspace(1e-3, 1, 7), rtol=1e-6)


def test_a_loss_that_is_not_finite_ends_the_sweep_and_stays_on_the_curve():
    curve = swept(Scripted([3.0, 2.0, np.nan]), steps=9, every=4)
    assert_array_equal(curve.loss, [3.0, 2.0, np.nan])
    assert np.isnan(curve.metric).all()


def test_a_held_out_loss_that_is_not_finite_ends_the_sweep_and_voids_the_metric():
    script = Scripted(np.ones(9), heldout=lambda step: np.nan if step >= 4 else 1.0)
    curve = swept(script, steps=9, every=2)
    assert len(curve.loss) == 4
    assert_array_equal(curve.metric, [np.nan, 2, np.nan, np.nan])


def test_a_loss_that_rose_by_the_factor_ends_the_sweep():
    losses = [1.0] * 20 + [6.0] * 30
    # The mean of the last ten passes 4 with the seventh loss of six: 7 * 6 + 3 > 40 > 6 * 6 + 4.
    assert len(swept(Scripted(losses), steps=50).loss) == 27


def test_one_wild_batch_near_zero_loss_is_no_divergence():
    assert not diverged([1.0] * 20 + [0.01] * 20 + [2.0] + [0.01] * 5, FACTOR)
    assert diverged([1.0] * 20 + [5.0] * 10, FACTOR)
    assert diverged([-1.0] * 20 + [3.0] * 10, FACTOR)
    assert not diverged([-1.0] * 20 + [-4.0] * 10, FACTOR)


# Hand-made curves over five decades: the metric climbs between two rates and then falls or rests.
LR = np.geomspace(1e-5, 1, 100)


def curve(metric, *, loss=None, seed=0, initial=0.1, noise=0.01, lr=LR):
    draw = np.random.default_rng(seed)
    metric = np.asarray(metric) + noise * draw.normal(size=len(lr))
    loss = 2.3 - metric if loss is None else np.asarray(loss)
    missing = np.full(len(lr), np.nan)
    return SeedCurve(seed, lr, loss, missing, metric, None, initial)


def climb(begin, end, *, lr=LR):
    """From .1 to .9, linear in the logarithm of the rate."""
    return np.interp(np.log10(lr), np.log10([begin, end]), [0.1, 0.9])


def fall(values, begin, *, lr=LR):
    return np.where(lr > begin, 0.1 + (values - 0.1) * (begin / lr), values)


def judged(of, steps=100):
    found = missing_ends(of, steps=steps, stop_factor=FACTOR)
    return found.start is None, found.end is None


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


def test_a_sweep_that_dies_at_its_first_rates_shows_no_start():
    dead = curve(np.full(12, 0.1), lr=LR[:12], loss=[2.3] * 11 + [np.nan], noise=0)
    assert judged(dead) == (False, True)


def test_a_training_loss_that_ends_above_its_start_is_an_end():
    loss = np.where(LR > 0.3, 3.0, 2.3 - climb(1e-2, 3.0))
    assert judged(curve(climb(1e-2, 3.0), loss=loss, noise=0)) == (True, True)


def test_a_handful_of_measurements_is_no_ground_to_widen():
    assert judged(curve([0.1, 0.2, 0.3], lr=LR[:3]), steps=3) == (True, True)


def test_more_than_half_of_the_seeds_decide():
    whole, cut = fall(climb(1e-3, 1e-2), 1e-1), climb(1e-2, 3.0)
    two_of_three = [curve(cut, seed=4), curve(whole, seed=5), curve(cut, seed=6)]
    found = most_miss(two_of_three, steps=100, stop_factor=FACTOR)
    assert found.start is None
    assert found.end == "learning was still under way at 1 (seed 4)"
    assert most_miss(two_of_three[:2], steps=100, stop_factor=FACTOR) == Missing()


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
    span, curves, notes = sweep_and_widen(narrow, sweeps, extensions=5, stop_factor=FACTOR)
    narrower = [("0.001 to 0.1", 0), ("0.001 to 1", 0)]
    assert tried == narrower + [("0.001 to 10", seed) for seed in (0, 1, 2)]
    assert len(curves) == 3
    assert span.max_lr == 10
    assert notes == [
        "the range was widened from 0.001 to 0.1 to 0.001 to 1: nothing was learned up to 0.1 "
        "(seed 0)",
        "the range was widened from 0.001 to 1 to 0.001 to 10: learning was still under way at 1 "
        "(seed 0)",
    ]


def test_a_range_that_stays_too_narrow_is_kept_and_a_note_says_so():
    def sweeps(span):
        lr = span.rates().astype(float)
        yield curve(climb(1e-2, 1e5, lr=lr), lr=lr, noise=0.001)

    narrow = Range("exponential", min_lr=1e-3, max_lr=1.0, steps=100)
    span, curves, notes = sweep_and_widen(narrow, sweeps, extensions=1, stop_factor=FACTOR)
    assert (span.max_lr, len(curves)) == (10.0, 1)
    assert notes[1] == (
        "no end shows over 0.001 to 10: learning was still under way at 10 (seed 0); raise max_lr"
    )


def test_joined_curves_give_back_what_each_seed_measured_whichever_way_is_better():
    span = Range("linear", min_lr=0.1, max_lr=0.3, steps=3)
    lr = span.rates().astype(float)
    nothing = np.full(3, np.nan)
    first = SeedCurve(7, lr, np.array([3.0, 2, 1]), nothing, np.array([-3.0, -2, -1]), 9.0, -5.0)
    second = SeedCurve(2, lr[:2], np.array([3.0, np.nan]), nothing[:2], nothing[:2], 9.0, -5.0)
    curves = as_curves(
        [first, second],
        span,
        metric="mae",
        metric_rises=False,
        stop_factor=FACTOR,
        steps_per_epoch=10,
        momentum=0.9,
        seconds=1.5,
        notes=["a note"],
    )
    assert list(curves.table["mae"][:3]) == [3, 2, 1]
    assert curves.initial_metric == {7: 5.0, 2: 5.0}
    again = list(curves.by_seed())[1]
    assert_array_equal(again.metric, first.metric)
    assert again.initial_metric == first.initial_metric
    assert again.momentum == 0.9
    assert curves.notes == [
        "a note",
        "seed 2 diverged at step 2 of 3, rate 0.2: its loss was not finite",
    ]


def test_the_held_out_loss_may_be_the_metric_itself():
    span = Range("linear", min_lr=0.1, max_lr=0.3, steps=3)
    loss = np.array([3.0, 2, 1])
    only = SeedCurve(0, span.rates().astype(float), loss, loss, -loss, 4.0, -4.0)
    curves = as_curves(
        [only],
        span,
        metric="heldout_loss",
        metric_rises=False,
        stop_factor=FACTOR,
        steps_per_epoch=None,
        seconds=None,
    )
    assert list(curves.table) == ["seed", "step", "lr", "loss", "heldout_loss"]
    assert list(curves.table["heldout_loss"]) == [3, 2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate_every_steps": 2.5}, "got evaluate_every_steps=2.5"),
        ({"stop_factor": float("nan")}, "got stop_factor=nan"),
        ({"extensions": True}, "got widen=True"),
    ],
)
def test_settings_that_make_no_sense_are_named(changes, message):
    good = {"evaluate_every_steps": 1, "stop_factor": 4.0, "extensions": 0}
    check_sweep(**good)
    with pytest.raises(InputError, match=message):
        check_sweep(**{**good, **changes})
