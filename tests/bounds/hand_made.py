"""Range-test curves drawn by hand, whose bounds are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from lrcycles.bounds import select
from lrcycles.bounds.select import Bounds
from lrcycles.range_tests.curves import Curves

HALF_WINDOW = 0.25  # decades: a window is ten of a hundred measurements over five decades
TRAINING = {"cycles": 3, "total_steps": 3600, "steps_per_epoch": 300}
BEFORE = dict.fromkeys(range(5), 0.1)


def select_bounds(
    table, *, rule="smith", initial_accuracy=None, steps_per_epoch=None, **training
) -> Bounds:
    curves = Curves(table, initial_metric=initial_accuracy or {}, steps_per_epoch=steps_per_epoch)
    return select.select_bounds(curves, rule=rule, **training)


# log10 of the rate, accuracy: flat, rise, plateau, fall.
HILL = ([-5, -4, -2, -1, 0], [0.1, 0.1, 0.9, 0.9, 0.1])


def one_curve(corners, *, seed=0, noise=0.004, count=101, every=4):
    """Accuracy along straight lines between `corners`, measured every few of the steps."""
    steps = np.arange(1, every * count + 1)
    exponent = np.linspace(corners[0][0], corners[0][-1], len(steps))
    random = np.random.default_rng(seed)
    accuracy = np.interp(exponent, *corners) + noise * random.normal(size=len(steps))
    loss = 2.3 * (1 - np.interp(exponent, *corners))
    accuracy[steps % every != 0] = np.nan
    return pd.DataFrame(
        {"seed": seed, "step": steps, "lr": 10**exponent, "loss": loss, "accuracy": accuracy}
    )


def curves(corners, seeds=range(5), **settings):
    return pd.concat([one_curve(corners, seed=seed, **settings) for seed in seeds])


def decades(rate, expected):
    return abs(math.log10(rate / expected))
