"""A probe falls to 0, pays for what it trains, and fails where it ends above its start."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.advising.probes import Probe, ProbeResult, as_table, train_probe
from tests.advising.least_squares import LeastSquares, meter


def test_a_probe_falls_in_a_straight_line_from_its_peak_to_0():
    rates = Probe(0.4, steps=40, warmup_steps=0, seed=0).rates()
    assert_allclose(rates, np.linspace(0.4, 0.0, 41)[:-1], rtol=1e-6)


def test_a_warm_up_rises_in_a_straight_line_to_the_peak_and_belongs_to_the_steps():
    rates = Probe(0.4, steps=40, warmup_steps=4, seed=0).rates()
    assert_allclose(rates[:5], [0.08, 0.16, 0.24, 0.32, 0.4], rtol=1e-6)
    assert_allclose(rates[4:], np.linspace(0.4, 0.0, 37)[:-1], rtol=1e-6)


def test_a_probe_pays_for_its_updates_and_one_evaluation():
    trial = LeastSquares()
    counted = meter(trial, batches=1000, budget=1.0, batches_per_step=3, evaluation=7.0)
    result = train_probe(Probe(0.1, 50, 0, seed=0), counted, seed=9)
    assert (trial.updates, trial.evaluations, trial.seeds) == (50, 1, [9])
    assert counted.spent == 3 * 50 + 7
    assert result.loss < 0.1


def test_a_probe_that_diverges_has_no_loss_and_pays_only_for_what_it_trained():
    trial = LeastSquares()
    counted = meter(trial, batches=10_000, budget=1.0)
    result = train_probe(Probe(1e3, 2000, 0, seed=0), counted, seed=0)
    assert math.isnan(result.loss)
    assert counted.spent == trial.updates < 500
    assert trial.evaluations == 0


@pytest.mark.parametrize(
    ("loss", "failed"), [(0.9, False), (1.0, False), (1.1, True), (math.nan, True)]
)
def test_a_probe_fails_where_it_diverges_or_ends_above_its_start(loss, failed):
    result = ProbeResult(Probe(0.1, 10, 0, 0), loss)
    assert result.failed(1.0) is failed
    assert as_table([result], 1.0)["failed"].tolist() == [failed]


def test_without_probes_the_table_has_its_columns():
    assert list(as_table([], 1.0)) == ["peak_lr", "steps", "warmup_steps", "seed", "loss", "failed"]
