"""Rules and oracles on tasks made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from studies.networks import rules
from studies.networks.landscape import Landscape


def regrets(**ratios):
    """Return one range test of each task, with these ratios by rule."""
    return pd.DataFrame(
        {"rule": rule, "use": "linear_decay", "task": f"task {place}", "ratio": ratio}
        for rule, values in ratios.items()
        for place, ratio in enumerate(values)
    )


def test_a_peer_is_beaten_if_it_loses_on_all_of_eight_tasks():
    rows = regrets(scaled=8 * [1.1], valley=8 * [1.2], minimum=[1.0, *7 * [1.2]], slide=8 * [1.05])
    assert rules.beaten(rows) == (
        "By the sign test it is better than valley (p < 0.05), and not shown to be better than "
        "slide, minimum."
    )


def test_a_rule_is_compared_in_the_way_that_suits_it_best():
    worse = regrets(scaled=8 * [1.1], valley=8 * [1.2])
    better = worse.assign(use="cycles", ratio=8 * [1.3] + 8 * [1.0])
    assert rules.beaten(pd.concat([worse, better])) == (
        "By the sign test it is not shown to be better than valley."
    )


def test_the_loss_of_the_oracle_is_measured_by_the_seeds_that_did_not_choose_it():
    # Without the first seed the second peak is best, without the second seed the first peak.
    losses = {"constant": np.array([[1.0, 5.0], [4.0, 2.0]])}
    task = Landscape("task", 100, np.array([0.1, 0.2]), losses, 9.0)
    assert task.oracle[2] == 2.5
    assert task.unchosen_loss == pytest.approx((5.0 + 4.0) / 2)
