"""The report's figures of arms and comparisons show what they are given."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lrcycles import files
from lrcycles.report.figures import arms as arm_figures
from lrcycles.report.figures import comparisons as comparison_figures
from lrcycles.report.figures.comparisons import Row
from tests.figure_contents import legend, lines


def _labelled(figure: Figure) -> bool:
    return all(
        ax.get_ylabel() or any(tick.get_text() for tick in ax.get_yticklabels())
        for ax in figure.axes
    )


def history(errors: list[float]) -> list[tuple[int, float]]:
    return list(enumerate(errors, 1))


def test_one_sees_that_the_published_rate_never_turns():
    climb = 0.001 + (0.006 - 0.001) * np.arange(300) / 2000
    figure = arm_figures.rates_over_steps(
        {"baseline": np.full(3000, 0.001), "published": climb},
        {"baseline": None, "published": 2000},
    )
    assert [text.get_text() for text in figure.axes[0].texts] == []
    assert "15 % of one half-cycle" in figure.axes[1].texts[0].get_text()
    assert_allclose(lines(figure, 1)[1][-1], [2000, 0.006], rtol=0.01)


def test_a_warm_up_is_no_part_of_the_half_cycle_that_is_cut():
    lr = np.concatenate([np.linspace(0, 0.001, 101)[:-1], np.linspace(0.001, 0.002, 51)])
    figure = arm_figures.rates_over_steps({"a": lr}, {"a": 200}, warmups={"a": 100})
    assert_allclose(lines(figure, 0)[1][-1], [300, 0.005], rtol=0.02)


def test_an_arm_that_turns_is_not_told_to_stop_short():
    figure = arm_figures.rates_over_steps({"clr": [1.0, 2.0, 1.0, 2.0]}, {"clr": 1})
    assert not figure.axes[0].texts


def test_validation_curves_draw_the_mean_of_the_seeds_and_skip_what_diverged():
    figure = arm_figures.validation_curves({"clr": {0: history([4.0, 2.0]), 1: history([6.0])}})
    mean = next(line for line in figure.axes[0].lines if line.get_label() == "clr")
    assert_allclose(mean.get_xydata(), [[1, 5.0], [2, 2.0]])


def test_errors_by_arm_joins_the_seeds_that_two_arms_share():
    figure = arm_figures.errors_by_arm(
        {"a": {0: 1.0, 1: 2.0, 2: 3.0}, "b": {1: 1.5, 2: 2.5, 3: 9.0}},
        means={"a": (2.0, 1.0, 3.0), "b": (4.3, None, None)},
    )
    joins = [line for line in lines(figure, 0) if len(line) == 2 and line[0, 1] == 0 != line[1, 1]]
    assert [join[:, 0].tolist() for join in joins] == [[2.0, 1.5], [3.0, 2.5]]


def test_a_run_that_learned_nothing_leaves_the_others_their_axis():
    errors = {"a": {0: 1.0, 1: 1.1, 2: 1.2}, "b": {0: 0.9, 1: 1.3, 2: 88.65}}
    means = {"a": (1.1, 1.0, 1.2), "b": (30.3, -90.0, 150.0)}
    rows = {"b vs a": Row([-0.1, 0.2, 87.5]), "a vs b": Row([0.1, -0.2, 0.0])}
    figures = [
        arm_figures.errors_by_arm(errors, means=means, published={"a": (1.6, 1.4, 1.9)}),
        comparison_figures.forest(rows, margin=0.05),
    ]
    for figure, label in zip(figures, ("88.7 \u2192", "87.5 \u2192"), strict=True):
        (ax,) = figure.axes
        assert ax.get_xlim()[1] < 3
        assert [text.get_text() for text in ax.texts] == [label]
    assert figures[0].axes[0].get_xlim()[1] > 1.9  # what was published stays in sight


def test_equal_runs_push_no_difference_out_of_sight():
    rows = {f"same{k}": Row([0.0, 0.0]) for k in range(3)} | {"other": Row([-0.3, 0.1])}
    (ax,) = comparison_figures.forest(rows, margin=0.05).axes
    assert ax.get_xlim()[0] < -0.3
    assert not ax.texts


def test_a_time_that_was_not_measured_has_no_bar():
    figure = arm_figures.run_times({"a": {"published": 5.0, "here": 2.0}, "b": {"published": 4.0}})
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert sorted(widths) == [2.0, 4.0, 5.0]


def test_equal_figures_give_equal_bytes_and_no_warning(tmp_path: Path):
    for name in ("one", "two"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            row = Row([-0.1, 0.2], (0.05, 0.04), (-1.9, 2.0), (-2.0, 2.1))
            figure = comparison_figures.forest({"clr vs baseline": row}, margin=0.05)
            assert _labelled(figure)
            files.write_figure(tmp_path / name, figure)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_forest_shows_every_seed_and_both_intervals_of_every_comparison():
    rows = {
        f"arm{k} vs baseline": Row([-0.1 * k, 0.2, 0.3], (0.1, 0.2), (0.0, 0.2), (-0.3, 0.5))
        for k in range(12)
    }
    (ax,) = comparison_figures.forest(rows, margin=0.05).axes
    drawn = [line.get_xdata() for line in ax.lines]
    for name, row in rows.items():
        assert any(len(x) == 3 and np.allclose(x, row.values) for x in drawn), name
    widths = {
        line.get_linewidth(): list(line.get_xdata()) for line in ax.lines if len(line.get_xdata())
    }
    assert widths[3.2] == [0.0, 0.2]  # thick: the seeds
    assert widths[1.2] == [-0.3, 0.5]
    assert [text.get_text() for text in ax.get_yticklabels()] == list(rows)


def test_an_effect_without_seeds_of_its_own_stays_in_sight():
    rows = {"one": Row((), (-0.4, -0.4), (-0.5, -0.3)), "two": Row((), (0.1, 0.1))}
    (ax,) = comparison_figures.forest(rows, margin=0.05).axes
    assert ax.get_xlim()[0] < -0.5
    assert "one seed" not in legend(ax.figure)


def test_the_chosen_peak_of_every_schedule_is_marked_at_its_error():
    curves = {
        3: {"cosine": {0.001: (4.0, 3.9, 4.1), 0.01: (3.0, None, None)}},
        1: {"cosine": {0.001: (5.0, 4.9, 5.1), 0.01: (90.0, 80.0, 100.0)}},
    }
    figure = comparison_figures.errors_over_peaks(
        curves, chosen={3: {"cosine": 0.01}, 1: {"cosine": 0.001}}
    )
    marked = [
        [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_markerfacecolor() == "none"]
        for ax in figure.axes
    ]
    assert_allclose(marked, [[(0.01, 3.0)], [(0.001, 5.0)]])
    assert figure.axes[1].get_ylim()[1] < 90  # a steep end does not flatten the rest
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["3 epochs", "1 epoch"]


def test_curves_stand_beside_the_first_arms_with_their_cycles_marked():
    whole = history([5.0 / epoch for epoch in range(1, 5)])
    arms = {name: {0: whole, 1: whole[:2]} for name in ("baseline", "clr", "other")}
    figure = comparison_figures.anytime(arms, cycle_ends={"clr": [2.0, 4.0]})
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["clr", "other"]
    dotted = [
        [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] for ax in shown
    ]
    assert dotted == [[2.0, 4.0], []]
    assert legend(figure) == ["baseline", "clr", "other", "end of a cycle"]


def test_an_arm_has_one_colour_in_all_figures_of_arms():
    names = ("baseline", "clr")
    colours = {"clr": "#d55e00", "baseline": "#0173b2", "other": "#000000"}
    curves = {name: {0: history([5.0, 4.0])} for name in names}
    drawn = [
        comparison_figures.anytime(curves, cycle_ends={}, colours=colours),
        arm_figures.validation_curves(curves, colours=colours),
        arm_figures.rates_over_steps({name: [1.0, 2.0] for name in names}, colours=colours),
        arm_figures.errors_by_arm(
            {name: {0: 1.0} for name in names},
            means=dict.fromkeys(names, (1.0, None, None)),
            colours=colours,
        ),
    ]
    for figure in drawn:
        used = {
            line.get_color() for ax in figure.axes for line in ax.lines if len(line.get_xdata())
        }
        assert used & set(colours.values()) == {"#d55e00", "#0173b2"}
    rows = {"clr vs baseline": Row([-0.1, 0.2])}
    (ax,) = comparison_figures.forest(
        rows, margin=0.05, colours={"clr vs baseline": "#d55e00"}
    ).axes
    assert "#d55e00" in {line.get_color() for line in ax.lines}


def test_the_sensitivity_joins_the_means_in_the_order_of_their_rates():
    figure = comparison_figures.sensitivity(
        {"high": {0: 3.0, 1: 5.0}, "low": {0: 2.0, 1: 2.2}},
        rates={"high": 0.1, "low": 0.001},
        bounds={"base_lr": (0.001, None, None), "max_lr": (0.01, 0.005, 0.02)},
        cycles=("clr", (1.9, None, None)),
    )
    (ax,) = figure.axes
    assert len(legend(figure)) == 4  # seeds, means, bounds and the cycles
    (line,) = [
        line
        for line in ax.lines
        if line.get_linestyle() == "-"
        and len(line.get_xdata()) == 2
        and line.get_xdata()[0] == 0.001
    ]
    assert_allclose(line.get_ydata(), [2.1, 4.0])


@pytest.mark.parametrize(
    ("other", "label"), [("clr", "fewer errors than clr"), (None, "fewer errors ")]
)
def test_the_axis_of_a_forest_names_the_arm_that_is_subtracted(other, label):
    (ax,) = comparison_figures.forest(
        {"one vs clr": Row([0.1, 0.2])}, margin=0.05, other=other
    ).axes
    assert label in ax.get_xlabel()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["one\nvs clr"]
