"""Beliefs about the best peak, from losses that were made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.advising import belief
from lrcycles.advising.probes import Probe, ProbeResult, StartingPoint

TOTAL = 1600
START = StartingPoint(
    0.02, low=1e-6, high=10.0, explosion=None, initial_loss=2.3, slope=0.3, octaves=1.8
)


def probes(losses, steps=400):
    """Return a probe for each peak and its loss."""
    return [
        ProbeResult(Probe(peak, steps, warmup_steps=steps // 10, seed=0), loss)
        for peak, loss in losses.items()
    ]


def believed(done, start=START):
    found = belief.believe(done, start, TOTAL)
    assert found is not None
    return found


def octaves(rates):
    low, high = rates
    return math.log2(high / low)


@pytest.mark.parametrize(("a", "b"), [(0.5, 1.0), (1.4, 0.7), (2.0, 4.0)])
def test_the_loss_is_floor_learning_and_disturbance(a, b):
    floor, learning, disturbance = 0.2, 0.003, 5.0

    def loss(peak, share):
        return floor + learning * (peak * share) ** -a + disturbance * peak**b

    peaks = np.geomspace(1e-6, 1e2, 400_001)
    best = peaks[loss(peaks, 1.0).argmin()]
    least = loss(best, 1.0)
    share_of_disturbance = disturbance * best**b / least
    for share in (1.0, 0.25):
        tried = best * 2.0 ** np.array([-2.0, -0.5, 0.0, 1.5])
        excess = belief._excess(np.log2(tried / best), share, np.array(a), np.array(b))
        assert_allclose(least * (1 + share_of_disturbance * excess), loss(tried, share), rtol=1e-3)


def test_where_all_peaks_end_alike_the_range_test_decides_and_the_interval_is_wide():
    flat = believed(probes({0.005: 0.5, 0.012: 0.5, 0.03: 0.5}))
    assert abs(math.log2(flat.peak / START.peak_lr)) < 1
    steep = believed(probes({0.005: 0.7, 0.012: 0.5, 0.03: 0.8}))
    assert octaves(flat.interval) > octaves(steep.interval) + 2


def test_an_unsure_range_test_counts_less():
    done = probes({0.002: 0.40, 0.005: 0.50, 0.012: 0.65})
    sure, unsure = (believed(done, replace(START, octaves=one)) for one in (1.0, 4.0))
    assert unsure.peak < sure.peak


def test_the_best_peak_of_short_probes_is_lowered_where_the_optimizer_says_so():
    short = probes({0.01: 1.2, 0.024: 0.50, 0.058: 1.2}, steps=100)
    kept, falling = (believed(short, replace(START, slope=one)) for one in (0.0, 0.5))
    assert falling.peak < kept.peak


def test_probes_of_two_lengths_show_how_fast_the_best_peak_falls():
    short = probes({0.01: 0.9, 0.04: 0.8, 0.16: 0.9}, steps=100)
    same = believed(short + probes({0.01: 0.6, 0.04: 0.5, 0.16: 0.6}))
    lower = believed(short + probes({0.0025: 0.6, 0.01: 0.5, 0.04: 0.6}))
    assert lower.peak < 0.5 * same.peak


def test_where_short_trainings_learn_little_the_long_ones_decide():
    # No power of the length joins these: the loss falls tenfold between the two lengths.
    short = probes({0.003: 1.13, 0.018: 0.98, 0.10: 0.62}, steps=100)
    long = probes({0.14: 0.073, 0.33: 0.068, 0.80: 0.071})
    unsure = replace(START, peak_lr=0.003, octaves=3.5)
    found = believed(short + long, unsure)
    assert 0.14 < found.peak < 0.8
    assert found.interval[0] > unsure.peak_lr


def test_no_answer_is_above_a_probe_that_failed():
    done = probes({0.005: 0.6, 0.012: 0.5, 0.03: math.nan})
    assert believed(done).peak <= 0.03
    assert believed(done, replace(START, peak_lr=0.5)).peak <= 0.03


def test_a_chance_is_high_only_where_the_best_peak_is_clear_or_does_not_matter():
    flat = believed(probes({0.005: 0.5, 0.012: 0.5, 0.03: 0.5}))
    short = believed(probes({0.01: 1.2, 0.024: 0.5, 0.058: 1.2}, steps=100))
    assert flat.chance > 0.6 > short.chance


def test_without_a_probe_that_has_learned_nothing_is_believed():
    assert belief.believe(probes({0.01: 2.29, 0.02: math.nan}), START, TOTAL) is None
