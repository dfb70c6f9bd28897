"""Do the figures show what they are given?"""

from __future__ import annotations

import base64
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lrcycles import drawing, files
from lrcycles.bounds import plots as bounds_plots
from lrcycles.bounds.select import select_bounds
from lrcycles.data import plots as data_plots
from lrcycles.range_tests import plots as range_plots
from lrcycles.range_tests.curves import Curves
from lrcycles.report import arm_plots, comparison_plots
from tests import report_inputs


def _lines(figure: Figure, panel: int) -> list[np.ndarray]:
    return [np.asarray(line.get_xydata()) for line in figure.axes[panel].lines]


def _mosaic(figure: Figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


def _legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def _labelled(figure: Figure) -> bool:
    return all(
        ax.get_ylabel() or any(tick.get_text() for tick in ax.get_yticklabels())
        for ax in figure.axes
    )


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (32, 32, 3)], ids=str)
def test_sample_digits_draws_ten_images_of_every_class(shape):
    images = np.random.default_rng(0).integers(0, 256, (60, *shape)).astype(np.uint8)
    labels = np.arange(60) % 5

    drawn = np.asarray(
        data_plots.sample_digits(images, labels, list("abcde")).axes[0].images[0].get_array()
    )

    first_of_b = images[1].reshape(shape[:2]) if shape[2:] == (1,) else images[1]
    top = shape[0] + 2
    assert drawn.shape[2:] == (shape[2:] if shape[2:] == (3,) else ())
    assert_allclose(drawn[top : top + shape[0], : shape[1]], first_of_b)


def test_pixels_as_fractions_give_the_same_picture_as_whole_numbers(tmp_path: Path):
    whole = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8)
    labels = np.arange(20) % 2
    files.write_figure(tmp_path / "whole", data_plots.sample_digits(whole, labels, ["a", "b"]))
    scaled = whole.astype(np.float32) / np.float32(255)
    files.write_figure(tmp_path / "scaled", data_plots.sample_digits(scaled, labels, ["a", "b"]))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "scaled").read_bytes()


def test_a_class_with_few_images_leaves_its_row_unfilled():
    images = np.zeros((3, 4, 4), np.uint8)
    drawn = (
        data_plots.sample_digits(images, np.array([0, 0, 1]), ["a", "b"])
        .axes[0]
        .images[0]
        .get_array()
    )
    assert np.asarray(drawn)[6:10, 6:].min() == 255


def test_class_balance_draws_percent_of_each_split():
    figure = data_plots.class_balance({"train": [30, 10], "test": [1, 1]}, ["cat", "dog"])
    assert [bar.get_height() for bar in figure.axes[0].patches] == [75, 25, 50, 50]
    assert _legend(figure) == ["train (40 images)", "test (2 images)"]


def test_range_curves_follow_the_ramp_on_their_axis():
    curves = report_inputs.range_curves()
    assert range_plots.range_curves(curves).axes[1].get_xscale() == "log"
    linear = curves.assign(lr=curves["step"] * 1e-4)
    assert range_plots.range_curves(linear).axes[1].get_xscale() == "linear"


def test_range_curves_draw_every_seed_and_their_median():
    curves = report_inputs.range_curves(seeds=3)
    losses = _lines(range_plots.range_curves(curves), 0)
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
    (first, second), (third, fourth), last = range_plots._phases(loss)
    assert (first, last[1]) == (rates[0], rates[-1])
    assert second == third == pytest.approx(1e-3, rel=0.03)
    assert fourth == last[0] == pytest.approx(1e-1, rel=0.03)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_range_test_without_a_finite_loss_is_drawn_without_phases(steps, loss, tmp_path: Path):
    rows = [(seed, step, 1e-3 * step, loss, 0.1) for seed in (0, 1) for step in range(1, steps + 1)]
    curves = pd.DataFrame(rows, columns=["seed", "step", "lr", "loss", "accuracy"])
    figure = range_plots.range_curves(curves)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no finite loss"]
    assert _legend(figure) == []
    files.write_figure(tmp_path / "range_test.png", figure)


def test_a_phase_that_does_not_happen_is_not_in_the_legend():
    rates = np.geomspace(1e-4, 1e-1, 200)
    falling = {"loss": np.linspace(3.0, 1.0, 200), "accuracy": np.nan}
    figure = range_plots.range_curves(pd.DataFrame({"seed": 0, "step": 1, "lr": rates, **falling}))
    assert _legend(figure) == ["hardly any change", "steep fall, then flat"]


def test_bounds_stand_on_the_curves_with_their_values_in_the_legend():
    bounds = report_inputs.bounds()
    figure = bounds_plots.bounds_on_curve(report_inputs.range_curves(), bounds)
    at = [line[0, 0] for line in _lines(figure, 0)[-2:]]
    assert at == [bounds["base_lr"], bounds["max_lr"]]
    assert {"base_lr = 0.00032", "max_lr = 0.0064"} <= set(_legend(figure))


@pytest.fixture
def shell(monkeypatch):
    """A notebook's shell, of IPython only what plots use; `shown` is what its cells show."""
    published = []
    shell = SimpleNamespace(
        execution_count=1, display_pub=SimpleNamespace(publish=published.append), shown=published
    )
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


def _plotted_bounds() -> Figure:
    curves = Curves(report_inputs.range_curves())
    return bounds_plots.plot_bounds(curves, select_bounds(curves, rule="smith"))


def test_a_notebook_shows_the_bounds_wherever_in_a_cell_they_are_plotted(shell):
    _plotted_bounds()
    (shown,) = shell.shown
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")


def test_a_figure_that_ends_a_cell_is_not_shown_twice_but_again_in_a_later_one(shell):
    figure = _plotted_bounds()
    figure._ipython_display_()  # what IPython calls for the value of a cell
    assert len(shell.shown) == 1
    for count in (2, 3):
        shell.execution_count = count
        figure._ipython_display_()
        figure._ipython_display_()
        assert len(shell.shown) == count


def test_a_script_that_has_loaded_ipython_shows_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not hasattr(_plotted_bounds(), "_ipython_display_")


def test_a_plot_of_bounds_leaves_no_open_figure():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    _plotted_bounds()
    assert pyplot.get_fignums() == before


def test_one_sees_that_the_published_rate_never_turns():
    climb = 0.001 + (0.006 - 0.001) * np.arange(300) / 2000
    figure = arm_plots.rates_over_steps(
        {"baseline": np.full(3000, 0.001), "published": climb},
        {"baseline": None, "published": 2000},
    )
    assert [text.get_text() for text in figure.axes[0].texts] == []
    assert "15 % of one half-cycle" in figure.axes[1].texts[0].get_text()
    assert_allclose(_lines(figure, 1)[1][-1], [2000, 0.006], rtol=0.01)


def test_an_arm_that_turns_is_not_told_to_stop_short():
    figure = arm_plots.rates_over_steps({"clr": [1.0, 2.0, 1.0, 2.0]}, {"clr": 1})
    assert not figure.axes[0].texts


def test_validation_curves_draw_the_mean_of_the_seeds_and_skip_what_diverged():
    def history(errors):
        return [
            {"epoch": place, "validation_error_percent": error}
            for place, error in enumerate(errors, 1)
        ]

    figure = arm_plots.validation_curves(
        {"clr": {0: history([4.0, 2.0]), 1: history([6.0, None])}}, target=1.9
    )
    mean = next(line for line in figure.axes[0].lines if line.get_label() == "clr")
    assert_allclose(mean.get_xydata(), [[1, 5.0], [2, 2.0]])
    assert "target 1.9 %" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_errors_by_arm_joins_the_seeds_that_two_arms_share():
    figure = arm_plots.errors_by_arm(
        {"a": {0: 1.0, 1: 2.0, 2: 3.0}, "b": {1: 1.5, 2: 2.5, 3: 9.0}},
        means={"a": (2.0, 1.0, 3.0), "b": (4.3, None, None)},
    )
    joins = [line for line in _lines(figure, 0) if len(line) == 2 and line[0, 1] == 0 != line[1, 1]]
    assert [join[:, 0].tolist() for join in joins] == [[2.0, 1.5], [3.0, 2.5]]


def test_a_run_that_learned_nothing_leaves_the_others_their_axis():
    errors = {"a": {0: 1.0, 1: 1.1, 2: 1.2}, "b": {0: 0.9, 1: 1.3, 2: 88.65}}
    means = {"a": (1.1, 1.0, 1.2), "b": (30.3, -90.0, 150.0)}
    differences = {"b vs a": {0: -0.1, 1: 0.2, 2: 87.5}, "a vs b": {0: 0.1, 1: -0.2, 2: 0.0}}
    figures = [
        arm_plots.errors_by_arm(errors, means=means, published={"a": (1.6, 1.4, 1.9)}),
        comparison_plots.forest(
            differences, intervals=dict.fromkeys(differences, (0, -1, 1)), margin=0.05
        ),
    ]
    for figure, told in zip(figures, ("88.7 \u2192", "87.5 \u2192"), strict=True):
        (ax,) = figure.axes
        assert ax.get_xlim()[1] < 3
        assert [text.get_text() for text in ax.texts] == [told]
    assert figures[0].axes[0].get_xlim()[1] > 1.9  # what was published stays in sight


def test_equal_runs_push_no_difference_out_of_sight():
    differences = {f"same{k}": {0: 0.0, 1: 0.0} for k in range(3)} | {"other": {0: -0.3, 1: 0.1}}
    (ax,) = comparison_plots.forest(
        differences, intervals=dict.fromkeys(differences, (0, -0.1, 0.1)), margin=0.05
    ).axes
    assert ax.get_xlim()[0] < -0.3
    assert not ax.texts


def test_a_run_that_never_reached_the_target_is_hollow():
    figure = arm_plots.times_to_target({"a": {0: (3.0, False), 1: (9.0, True)}}, extra={"a": 1.0})
    faces = [line.get_markerfacecolor() for line in figure.axes[0].lines[:2]]
    assert faces[0] != "none"
    assert faces[1] == "none"


def test_a_time_that_was_not_measured_has_no_bar():
    figure = arm_plots.run_times({"a": {"published": 5.0, "here": 2.0}, "b": {"published": 4.0}})
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert sorted(widths) == [2.0, 4.0, 5.0]


def test_every_arm_of_a_long_list_has_its_own_colour():
    arms = [f"arm{number}" for number in range(14)]
    assert len({tuple(colour) for colour in drawing.palette(arms).values()}) == 14
    assert len({tuple(colour) for colour in drawing.palette(arms[:9]).values()}) == 9


def test_equal_figures_give_equal_bytes_and_no_warning(tmp_path: Path):
    for name in ("one", "two"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = comparison_plots.forest(
                {"clr vs baseline": {0: -0.1, 1: 0.2}},
                intervals={"clr vs baseline": (0.05, -1.9, 2.0)},
                margin=0.05,
            )
            assert _labelled(figure)
            files.write_figure(tmp_path / name, figure)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_forest_shows_every_seed_of_every_comparison():
    differences = {f"arm{k} vs baseline": {0: -0.1 * k, 3: 0.2, 5: 0.3} for k in range(12)}
    intervals = dict.fromkeys(differences, (0.1, -0.3, 0.5))
    (ax,) = comparison_plots.forest(differences, intervals=intervals, margin=0.05).axes
    shown = [row.get_offsets()[:, 0] for row in ax.collections if len(row.get_offsets())]
    assert_allclose(shown, [list(by_seed.values()) for by_seed in differences.values()])
    assert [text.get_text() for text in ax.get_yticklabels()] == list(differences)


def test_every_step_of_a_waterfall_begins_where_the_one_above_ends():
    means = {"first": (2.0, 1.9, 2.1), "second": (1.7, None, None), "third": (1.9, 1.8, 2.0)}
    changes = {"second": (-0.3, -0.4, -0.2), "third": (0.2, None, None)}
    (ax,) = comparison_plots.waterfall(
        means, changes, published={"first": 1.95}, quantity="error"
    ).axes
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches[:2]]
    assert_allclose(bars, [(2.0, 1.7), (1.7, 1.9)])
    said = [text.get_text() for text in ax.texts]
    assert said == ["\u22120.30  [\u22120.40, \u22120.20]", "+0.20"]


def test_curves_stand_beside_the_first_arms_with_their_cycles_marked():
    history = [{"epoch": epoch, "validation_error_percent": 5.0 / epoch} for epoch in range(1, 5)]
    arms = {name: {0: history, 1: history[:2]} for name in ("baseline", "clr", "other")}
    figure = comparison_plots.anytime(arms, cycle_ends={"clr": [2.0, 4.0]}, target=1.5)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["clr", "other"]
    dotted = [
        [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] for ax in shown
    ]
    assert dotted == [[2.0, 4.0], []]


def test_the_sensitivity_joins_the_means_in_the_order_of_their_rates():
    (ax,) = comparison_plots.sensitivity(
        {"high": {0: 3.0, 1: 5.0}, "low": {0: 2.0, 1: 2.2}},
        rates={"high": 0.1, "low": 0.001},
        bounds={"base_lr": (0.01, 0.005, 0.02)},
        clr=(1.9, None, None),
    ).axes
    (line,) = [
        line
        for line in ax.lines
        if line.get_linestyle() == "-"
        and len(line.get_xdata()) == 2
        and line.get_xdata()[0] == 0.001
    ]
    assert_allclose(line.get_ydata(), [2.1, 4.0])
