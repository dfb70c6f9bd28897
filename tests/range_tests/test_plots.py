"""The figure of a range test shows every seed's curve, their median and the three phases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles import files
from lrcycles.range_tests import plots
from tests import report_inputs
from tests.figure_contents import legend, lines


def test_range_curves_follow_the_ramp_on_their_axis():
    curves = report_inputs.range_curves()
    assert plots.range_curves(curves).axes[1].get_xscale() == "log"
    linear = curves.assign(lr=curves["step"] * 1e-4)
    assert plots.range_curves(linear).axes[1].get_xscale() == "linear"


def test_range_curves_draw_every_seed_and_their_median():
    curves = report_inputs.range_curves(seeds=3)
    losses = lines(plots.range_curves(curves), 0)
    assert len(losses) == 4
    one = curves[curves["seed"] == 0]
    assert_allclose(losses[0], one[["lr", "loss"]])
    low, high = losses[3][:, 1].min(), losses[3][:10, 1].mean()
    assert 0.3 < low < 0.45
    assert 2.2 < high < 2.5  # as planted: from 2.35 down to 0.35


def test_the_three_phases_cover_the_whole_range_in_order():
    rates = np.geomspace(1e-4, 1.0, 401)
    fall, rise = (rates > 1e-3) & (rates < 1e-1), rates >= 1e-1
    loss = pd.Series(np.where(fall, 0.5, np.where(rise, 3.0, 2.0)), index=rates)
    (first, second), (third, fourth), last = plots._phases(loss)
    assert (first, last[1]) == (rates[0], rates[-1])
    assert second == third == pytest.approx(1e-3, rel=0.03)
    assert fourth == last[0] == pytest.approx(1e-1, rel=0.03)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_range_test_without_a_finite_loss_is_drawn_without_phases(steps, loss, tmp_path: Path):
    rows = [(seed, step, 1e-3 * step, loss, 0.1) for seed in (0, 1) for step in range(1, steps + 1)]
    curves = pd.DataFrame(rows, columns=["seed", "step", "lr", "loss", "accuracy"])
    figure = plots.range_curves(curves)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no finite loss"]
    assert legend(figure) == []
    files.write_figure(tmp_path / "range_test.png", figure)


def test_a_phase_that_does_not_happen_is_not_in_thelegend():
    rates = np.geomspace(1e-4, 1e-1, 200)
    falling = {"loss": np.linspace(3.0, 1.0, 200), "accuracy": np.nan}
    figure = plots.range_curves(pd.DataFrame({"seed": 0, "step": 1, "lr": rates, **falling}))
    assert legend(figure) == ["loss hardly changes", "loss falls, then stays flat"]
