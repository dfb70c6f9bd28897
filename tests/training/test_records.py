"""Tests the rate and the momentum of every step of a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose

from lrcycles.cells.result import EpochResult
from lrcycles.training.records import reduce_rates, step_settings
from tests.training.cases import CELL


def test_momentum_waits_at_its_highest_until_the_warm_up_of_the_rate_is_over():
    settings = {"name": "triangular", "base_lr": 0.01, "max_lr": 0.1, "cycles": 1}
    cell = replace(
        CELL,
        schedule={**settings, "warmup_steps": 3},
        momentum={"base_momentum": 0.8, "max_momentum": 0.9},
    )
    _, momenta = step_settings([cell], 7)
    assert_allclose(momenta, [[0.9, 0.9, 0.9, 0.9, 0.85, 0.8, 0.85]], rtol=1e-6)


def test_a_rate_that_falls_on_plateaus_first_rises_to_the_end_of_its_warm_up():
    plateau = {"name": "reduce_on_plateau", "base_lr": 0.8, "factor": 0.5, "patience_epochs": 1}
    cell = replace(CELL, schedule={**plateau, "warmup_steps": 7})
    rates, _ = step_settings([cell], 12)
    epochs = [
        EpochResult(epoch=k, step=4 * k, validation_loss=1.0, validation_error_percent=9.0)
        for k in (1, 2)
    ]
    reduce_rates(rates[0, 4:], cell, epochs[:1])
    assert_allclose(rates[0], [*np.arange(1, 8) / 10, *[0.8] * 5], rtol=1e-6)
    reduce_rates(rates[0, 8:], cell, epochs)
    assert_allclose(rates[0, 8:], [0.4] * 4, rtol=1e-6)
