"""The noise of a curve is estimated apart from its trend, and an exploded loss is found."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lrcycles.range_tests.noise import explosion_index, noise, running_median


def test_a_trend_does_not_count_as_noise():
    draw = np.random.default_rng(0)
    trend = 5 * np.sin(np.linspace(0, 3, 2000))
    assert noise(trend + 0.1 * draw.normal(size=2000)) == pytest.approx(0.1, rel=0.05)


def test_a_running_median_has_only_whole_windows():
    assert running_median(np.array([1.0, 9, 2, 3, 4]), 1).tolist() == [2, 3, 3]


def test_a_running_median_is_that_of_numpy_for_any_losses():
    draw = np.random.default_rng(0)
    for _ in range(200):
        half = int(draw.integers(0, 9))
        values = draw.normal(size=2 * half + int(draw.integers(1, 90))).round(1)
        values[draw.random(len(values)) < 0.1] = draw.choice([np.inf, -np.inf, np.nan])
        windows = np.lib.stride_tricks.sliding_window_view(values, 2 * half + 1)
        np.testing.assert_array_equal(running_median(values, half), np.median(windows, axis=1))


def test_a_running_median_of_a_long_curve_needs_no_copy_of_each_window():
    values = np.random.default_rng(0).normal(size=100_000)  # 5 GB in windows of 6,001
    tracemalloc.start()
    running_median(values, 3000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * values.nbytes


@pytest.mark.parametrize(
    ("loss", "index"),
    [
        ([1.0] * 30, 30),
        ([1.0] * 20 + [50.0] * 3, 20),
        ([1.0] * 20 + [np.nan] * 3, 20),
        ([1.0] * 20 + [50.0, 0.5] + [np.inf], 22),  # the loss recovers once
        ([np.nan] * 30, 0),
    ],
    ids=["never", "high", "nan", "recovers", "never finite"],
)
def test_a_loss_has_exploded_from_where_it_stays_far_above_its_start(loss, index):
    assert explosion_index(np.array(loss)) == index
