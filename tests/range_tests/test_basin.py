"""A loss that never falls has no basin, and the right rates are looked for."""

from __future__ import annotations

import numpy as np
import pytest

from lrcycles.range_tests.basin import Basin, Missing, NoBasin, find_basin
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.widening import missing_ends

LR = np.geomspace(1e-5, 1, 200)
SHAPES = {
    "only rises": (np.linspace(1, 5, 200), Missing.LOWER, "rises from the first rates on"),
    "rises as the rate": (2.3 + 100 * LR / LR[0], Missing.LOWER, "rises from the first rates on"),
    "constant": (np.full(200, 2.3), Missing.HIGHER, "never fell by more than its noise, from 2."),
    "constant 0": (np.zeros(200), Missing.HIGHER, "never fell by more than its noise, from "),
    "rounding": (2.3 - 1e-9 * np.arange(200), Missing.HIGHER, "never fell by more than its noise"),
    "rises late": (2.3 + np.maximum(50 * LR - 0.5, 0), Missing.NONE, "and rose at higher rates"),
    "lost at once": (np.where(LR[1] < LR, np.nan, 2.3), Missing.LOWER, "not finite above 1.06e-05"),
    "never finite": (np.full(200, np.inf), Missing.LOWER, "the loss is not finite at any rate"),
}


def curve(loss, noise=0.0, seed=0) -> SeedCurve:
    nothing = np.full(200, np.nan)
    loss = loss + noise * np.random.default_rng(seed).normal(size=200)
    return SeedCurve(seed, LR, loss, nothing, nothing, None)


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_loss_that_never_falls_is_said_to_do_what_it_does(shape, noise):
    loss, missing, words = SHAPES[shape]
    for seed in range(5):
        basin = find_basin(curve(loss, noise, seed))
        assert isinstance(basin, NoBasin)
        assert (basin.falls, basin.missing) == (False, missing)
        assert words in basin.reason


def test_a_loss_that_falls_in_its_first_updates_is_not_said_to_rise():
    falls_at_once = np.interp(np.arange(200), [0, 5, 40, 199], [2.3, 0.3, 0.3, 5.0])
    for noise in (0.0, 0.02):
        basin = find_basin(curve(falls_at_once, noise))
        assert isinstance(basin, NoBasin)
        assert (basin.falls, basin.missing) == (True, Missing.LOWER)
        assert basin.reason == "the loss fell in the first steps only, at 1e-05"


def test_a_loss_that_falls_from_the_first_rate_on_is_in_its_basin_there():
    basin = find_basin(curve(np.interp(np.arange(200), [0, 30, 60, 199], [2.3, 0.3, 0.3, 5.0])))
    assert isinstance(basin, Basin)
    assert 0 < basin.first < 30


def test_a_range_test_looks_for_lower_rates_only_if_the_loss_rises_from_the_first_on():
    def missing(shape):
        found = missing_ends(curve(SHAPES[shape][0], 0.02), steps=200, stop_factor=100)
        return [side for side in ("start", "end", "either") if getattr(found, side)]

    assert missing("only rises") == ["start"]
    assert missing("constant") == ["end"]
    assert missing("rises late") == ["either"]
