"""The calibrated rule finds a hand-made basin and corrects for pace and momentum."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.bounds.calibrated import calibrated
from lrcycles.range_tests.basin import Missing
from lrcycles.range_tests.curves import SeedCurve

BETWEEN = 10**-1.6  # a fifth of the way from the basin's centre, -2, to the explosion at 0
# log10 of the rate, loss: flat, down, and up again just as steeply.
BASIN = ([-6, -4, -2, 0, 1], [2.3, 2.3, 0.3, 2.3, 4.0])


def swept(corners=BASIN, *, lr=None, steps=505, noise=0.0, seed=0, momentum=0.0) -> SeedCurve:
    """A sweep along straight lines between `corners`."""
    if lr is None:
        lr = np.logspace(corners[0][0], corners[0][-1], steps)
    loss = np.interp(np.log10(lr), *corners)
    loss = loss + noise * np.random.default_rng(seed).normal(size=len(lr))
    nothing = np.full(len(lr), np.nan)
    return SeedCurve(
        seed=seed, lr=lr, loss=loss, heldout_loss=nothing, metric=nothing, momentum=momentum
    )


def decades(rate: float, expected: float) -> float:
    return abs(np.log10(rate / expected))


def test_at_the_neutral_pace_max_lr_is_a_fifth_of_the_way_from_basin_to_explosion():
    bounds = calibrated(swept(steps=1 + 7 * 78))
    assert decades(bounds.max_lr, BETWEEN) < 0.02
    assert_allclose(bounds.base_lr, bounds.max_lr / 40)


@pytest.mark.parametrize("faster", [4, 9])
def test_a_slower_sweep_points_higher(faster):
    slow = calibrated(swept(steps=1 + 88 * faster)).max_lr
    assert_allclose(slow / calibrated(swept(steps=89)).max_lr, faster**0.6, rtol=0.05)


def test_momentum_lowers_the_rate():
    plain = calibrated(swept()).max_lr
    assert_allclose(calibrated(swept(momentum=0.9)).max_lr / plain, 0.631, rtol=0.01)
    assert "momentum 0.9" in calibrated(swept(momentum=0.9)).max_lr_reason


def test_a_linear_ramp_is_corrected_by_its_pace_where_the_loss_is_least():
    # 1,500 equal steps of 1e-4: at the centre, 1e-2, a factor of ten takes 230 of them.
    curve = swept(([-6, -3, -2, -1, 1], [2.3, 2.3, 0.3, 2.3, 6.3]), lr=1e-4 * np.arange(1, 1501))
    between = 1e-2**0.8 * 1e-1**0.2
    assert calibrated(curve).max_lr == pytest.approx(between * (230 / 78) ** 0.6, rel=0.25)


def test_the_scale_and_the_offset_of_the_loss_do_not_matter():
    corners, values = BASIN
    stretched = (corners, [100 + 7 * value for value in values])
    assert_allclose(calibrated(swept(stretched)).max_lr, calibrated(swept()).max_lr)


def test_noise_moves_the_rate_by_less_than_a_tenth_of_a_decade():
    rates = [calibrated(swept(noise=0.05, seed=seed)).max_lr for seed in range(20)]
    assert np.std(np.log10(rates)) < 0.1
    assert decades(np.median(rates), calibrated(swept()).max_lr) < 0.1


@pytest.mark.parametrize("last", [np.nan, np.inf, 1e30])
def test_the_last_losses_of_a_sweep_do_not_matter(last):
    curve = swept()
    curve.loss[-20:] = last
    assert_allclose(calibrated(curve).max_lr, calibrated(swept()).max_lr, rtol=1e-6)


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        (([-5, 0], [2.3, 2.3]), "never fell by more than its noise"),
        (([-5, -2, 0], [2.3, 2.3, 0.3]), "still in its basin at the last rate, 1"),
        (
            ([-5, -4.8, -3, 0], [0.4, 0.3, 2.3, 4.0]),
            "already in its basin at the first rate, 1e-05",
        ),
    ],
)
def test_without_a_whole_basin_there_is_a_reason_and_no_rate(corners, reason):
    bounds = calibrated(swept(corners, noise=0.02))
    assert bounds.max_lr is None
    assert reason in bounds.max_lr_reason + bounds.base_lr_reason


def test_a_sweep_that_begins_in_the_basin_needs_a_lower_first_rate():
    begun = calibrated(swept(([-5, -4.8, -3, 0], [0.4, 0.3, 2.3, 4.0]), noise=0.02))
    flat = calibrated(swept(([-5, 0], [2.3, 2.3]), noise=0.02))
    assert (begun.missing, flat.missing) == (Missing.LOWER, Missing.HIGHER)


def test_a_loss_that_falls_until_it_becomes_nan_gives_a_max_lr():
    curve = swept(([-5, -2, 0], [2.3, 2.3, 0.3]), noise=0.01)
    curve.loss[-15:] = np.nan
    assert calibrated(curve).max_lr is not None


@pytest.mark.parametrize("steps", [100, 300, 1000])
def test_a_sweep_that_stopped_when_its_loss_exploded_gives_a_max_lr(steps):
    curve = swept(([-5, -2, 0], [2.3, 2.3, 0.3]), steps=steps, noise=0.01)
    curve.loss[-4:] = 3, 9, 27, 90  # a sweep that stops at four times the first loss ends so
    bounds = calibrated(curve)
    assert 1e-2 < bounds.max_lr <= curve.lr[-4]


def test_cycles_never_go_beyond_the_rate_at_which_the_loss_exploded():
    curve = swept(([-5, -2, 0], [2.3, 2.3, 0.3]), steps=3000, noise=0.01)
    curve.loss[-4:] = np.nan
    bounds = calibrated(curve)
    assert bounds.max_lr == curve.lr[-4]
    assert "must not go beyond" in bounds.max_lr_reason


def test_one_loss_that_is_not_finite_is_no_explosion():
    curve = swept()
    curve.loss[100] = np.nan
    assert_allclose(calibrated(curve).max_lr, calibrated(swept()).max_lr, rtol=0.01)


def test_too_few_losses_give_no_bounds():
    assert "19 losses are too few" in calibrated(swept(steps=19)).base_lr_reason
