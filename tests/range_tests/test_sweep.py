"""A sweep stops where its loss is too high, and the sweeps of all seeds are joined."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.sweep import Range, as_curves, check_sweep, run_sweep, should_stop

FACTOR = 4.0


class Scripted:
    """Returns given losses, and counts the updates at each evaluation."""

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


def test_one_bad_batch_near_zero_loss_does_not_stop_a_sweep():
    assert not should_stop([1.0] * 20 + [0.01] * 20 + [2.0] + [0.01] * 5, FACTOR)
    assert should_stop([1.0] * 20 + [5.0] * 10, FACTOR)
    assert should_stop([-1.0] * 20 + [3.0] * 10, FACTOR)
    assert not should_stop([-1.0] * 20 + [-4.0] * 10, FACTOR)


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
        "The sweep of seed 2 stopped at step 2 of 3 (learning rate 0.2): the loss was not finite.",
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
        ({"evaluate_every_steps": 2.5}, r"evaluate_every_steps.*2\.5"),
        ({"stop_factor": float("nan")}, "stop_factor.*nan"),
        ({"widen": True}, "widen.*True"),
    ],
)
def test_settings_that_make_no_sense_are_named(changes, message):
    good = {"evaluate_every_steps": 1, "stop_factor": 4.0, "widen": 0}
    check_sweep(**good)
    with pytest.raises(InputError, match=message):
        check_sweep(**{**good, **changes})
