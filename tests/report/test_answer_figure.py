"""Does the figure of the answer hold every seed, each mean and both intervals?"""

from __future__ import annotations

import numpy as np
import pytest

from lrcycles.cells.result import ScheduleResult
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.paired import compare_pairs
from lrcycles.report.figures.answer import Row, errors_and_differences
from lrcycles.report.formatting import rates_of
from lrcycles.report.names import to_use, with_noun
from lrcycles.schedules.table import SCHEDULES
from tests.cell_results import cell_result


def _by_image() -> np.ndarray:
    by_image = np.zeros((5, 1000), dtype=np.int8)
    by_image[:, :20] = 1  # the same images in every seed
    for seed in range(5):
        by_image[seed, 100 : 100 + seed] = -1
    return by_image


def _row(name: str, values: list[float]) -> Row:
    return Row(name, "note", "a", values)


def test_every_seed_is_a_dot_and_the_intervals_are_those_of_the_estimate():
    found = compare_pairs((100 * _by_image().mean(axis=1)).tolist(), _by_image())
    values = [2.0, 1.9, 1.8, 1.7, 1.6]
    figure = errors_and_differences(
        [_row("a", values)], [(_row("a vs b", values), found)], margin=0.05
    )
    errors, differences = figure.axes
    (dots,) = [line for line in errors.lines if line.get_marker() == "o"]
    assert list(dots.get_xdata()) == values
    assert [list(line.get_xdata()) for line in errors.lines if line.get_linewidth() == 2.4] == [
        [pytest.approx(1.8)] * 2
    ]
    (whole,) = (line for line in differences.lines if line.get_linewidth() == 4)
    (of_seeds,) = (line for line in differences.lines if line.get_marker() == "|")
    assert list(whole.get_xdata()) == pytest.approx(found.interval())
    half = 2.7764451 * np.std([0, 0.1, 0.2, 0.3, 0.4], ddof=1) / np.sqrt(5)  # t(0.975, 4)
    assert list(of_seeds.get_xdata()) == pytest.approx([1.8 - half, 1.8 + half])
    assert whole.get_xdata()[0] < of_seeds.get_xdata()[0]


def test_one_pair_has_dots_and_no_interval():
    figure = errors_and_differences(
        [_row("a", [1.0])], [(_row("a vs b", [0.1]), compare_pairs([0.1]))], margin=0.05
    )
    for ax in figure.axes:
        assert not [line for line in ax.lines if line.get_linewidth() in (2.4, 4)]


def test_equal_errors_do_not_hide_each_other():
    figure = errors_and_differences([_row("a", [1.0] * 16)], [], margin=0.05)
    (dots,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(set(np.round(dots.get_ydata(), 3))) == 16


def test_every_schedule_has_words():
    for name in SCHEDULES:
        schedule = ScheduleResult(name=name, base_lr=0.001, max_lr=0.01)
        arm = Arm("x", "clr", {0: cell_result(schedule=schedule)}, [0.001])
        assert "0.01" in to_use([arm])[0]
        assert with_noun(arm) != "x"


def test_what_to_use_names_the_warm_up_and_gives_the_rates_in_their_order_after_it():
    warm = ScheduleResult(name="linear_decay", base_lr=0.0, max_lr=0.01, warmup_steps=2)
    arm = Arm("x", "controls", {0: cell_result(schedule=warm)}, [0.003, 0.006, 0.01, 0.005])
    assert to_use([arm]) == ["a linear decay from 0.01 after a warm-up"]
    assert rates_of(arm) == "0.01 to 0"


def test_a_rate_that_never_falls_is_not_called_cycles():
    rising = ScheduleResult(name="triangular", base_lr=0.001, max_lr=0.01, step_size=2500)
    arm = Arm("up", "clr", {0: cell_result(schedule=rising)}, [0.001])
    assert arm.total_steps == 2500
    assert with_noun(arm) == "up (rising rate)"
    assert to_use([arm]) == ["a rate that rises to 0.01"]
