"""The rule scaled moves the rate of calibrated for the optimizer and the length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.bounds.calibrated import calibrated
from lrcycles.bounds.scaled import scaled
from lrcycles.bounds.select import select_bounds
from lrcycles.range_tests.curves import Curves, SeedCurve

LR = np.logspace(-6, 1, 505)


def swept(levels, optimizer=None, total_steps=None, momentum=0.0) -> SeedCurve:
    """A sweep along straight lines: the loss at 1e-6, 1e-4, 1e-2, 1 and 10."""
    loss = np.interp(np.log10(LR), [-6, -4, -2, 0, 1], levels)
    nothing = np.full(len(LR), np.nan)
    return SeedCurve(
        0, LR, loss, nothing, nothing, None, None, momentum, optimizer, total_steps=total_steps
    )


BASIN = [2.3, 2.3, 0.3, 2.3, 4.0]
STAYS_LOW = [2.3, 2.3, 0.3, 0.3, 0.3]


@pytest.mark.parametrize("optimizer", [None, "one_of_my_own"])
def test_an_optimizer_that_is_not_known_changes_nothing(optimizer):
    assert scaled(swept(BASIN, optimizer)) == calibrated(swept(BASIN, optimizer))


def test_optimizers_that_divide_by_the_size_of_the_gradients_get_lower_rates():
    before = calibrated(swept(BASIN)).max_lr
    assert scaled(swept(BASIN, "adamw")).max_lr < before / 3
    assert scaled(swept(BASIN, "sgd")).max_lr > before
    rolling = swept(BASIN, "sgd", momentum=0.9)
    assert 0.5 < scaled(rolling).max_lr / calibrated(rolling).max_lr < 1


def test_a_training_that_is_ten_times_longer_gets_a_lower_rate_with_adam_only():
    def ratio(optimizer):
        short, long = (scaled(swept(BASIN, optimizer, steps)) for steps in (1000, 10_000))
        return long.max_lr / short.max_lr

    assert_allclose(ratio("adam"), 10**-0.3)
    assert_allclose(ratio("sgd"), 1.0)


def test_a_loss_that_stays_low_gets_bounds_and_a_warning():
    bounds = scaled(swept(STAYS_LOW, "adam"))
    assert 3e-3 < bounds.max_lr < 1e-1  # around the end of the fall, not at the last rate
    assert_allclose(bounds.base_lr, bounds.max_lr / 40)
    assert "stays low up to the last rate, 10" in bounds.warning
    assert calibrated(swept(STAYS_LOW, "adam")).max_lr is None


def test_max_lr_is_never_above_the_explosion():
    curve = swept([2.3, 2.3, 0.3, 0.3, 1e6], "sgd")
    assert scaled(curve).max_lr <= 1.3


def test_a_curve_without_a_fall_has_no_bounds():
    flat = swept([2.3] * 5, "adam")
    assert scaled(flat).max_lr is None
    assert scaled(replace(flat, optimizer=None)).max_lr is None


def test_selected_bounds_say_what_was_not_seen():
    curve = swept(STAYS_LOW)
    table = pd.DataFrame(
        {"seed": 0, "step": np.arange(1, len(LR) + 1), "lr": LR, "loss": curve.loss}
    )
    bounds = select_bounds(Curves(table, optimizer="adam"), total_steps=1000)
    assert bounds.status == "warned"
    assert any("no rate shows as too high" in warning for warning in bounds.warnings)
    assert bounds.max_lr == pytest.approx(scaled(swept(STAYS_LOW, "adam", 1000)).max_lr, rel=0.01)
