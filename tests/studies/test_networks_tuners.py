"""The tuners' searches cost what they train, and are compared at equal cost."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import islice
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from studies.networks import costs, search
from studies.networks.measure import SCHEDULES, Run
from studies.networks.task import Task

NAN = math.nan


class Losses:
    """Stands for the trainings of a task: 1 at the first eighth, 1/2 at the second, and so on."""

    trainer = SimpleNamespace(steps=80)

    def __init__(self, diverges_after: int = 8) -> None:
        self.asked: list[tuple[float, int]] = []
        self._diverges_after = diverges_after

    def losses(self, run):
        self.asked.append((run.peak, run.seed))
        for eighth in range(1, 9):
            yield NAN if eighth > self._diverges_after else run.peak / eighth
            if eighth > self._diverges_after:
                return


def asked(budget: int = 80, **arguments) -> search.Search:
    return search.Search(Losses(**arguments), seed=5, budget=budget)


def test_a_search_pays_for_the_eighths_it_sees():
    one = asked()
    assert list(islice(one.losses("constant", 1.0), 3)) == [1, 1 / 2, 1 / 3]
    assert one.spent == 3


def test_a_continued_training_pays_for_the_new_eighths_only():
    one = asked()
    list(one.losses("constant", 1.0, 0, 3))
    assert list(one.losses("constant", 1.0, 3, 8)) == [1 / n for n in range(4, 9)]
    assert one.spent == 8
    assert one._trials.asked == [(1.0, 5), (1.0, 5)]


def test_each_new_setting_has_the_next_seed():
    one = asked()
    for schedule, peak in (("constant", 1.0), ("cycles", 1.0), ("constant", 2.0)):
        list(one.losses(schedule, peak))
    assert one._trials.asked == [(1.0, 5), (1.0, 6), (2.0, 7)]


def test_a_diverged_training_costs_up_to_its_divergence():
    one = asked(diverges_after=2)
    losses = list(one.losses("constant", 1.0))
    np.testing.assert_array_equal(losses, [1, 0.5, *[NAN] * 6])
    assert one.spent == 3


def test_a_search_ends_inside_the_training_that_its_budget_does_not_pay():
    one = asked(budget=12)
    list(one.losses("constant", 1.0))
    seen = []
    with pytest.raises(search.OutOfBudgetError):
        seen.extend(one.losses("constant", 2.0))
    assert one.spent == 12


def test_the_answer_is_the_tuners_best_at_that_cost():
    one = asked()
    for peak in (1.0, 3.0, 2.0):
        list(one.losses("constant", peak))
        one.answer_is("constant", min(peak, 2.0))
    answers = [one.answer_at(eighths)[1] for eighths in (8, 15, 16, 24)]
    assert answers == [1.0, 1.0, 2.0, 2.0]


def test_without_a_finished_trial_the_answer_is_the_least_loss_so_far():
    one = asked(diverges_after=1)
    for peak in (3.0, 1.0, 2.0):
        list(one.losses("constant", peak))
    assert one.answer_at(2) == ("constant", 3.0)
    assert one.answer_at(6) == ("constant", 1.0)


def table(ratios: dict[str, list[float]], **columns) -> pd.DataFrame:
    rows = [
        {"task": task, "repeat": repeat, "ratio": ratio, **columns}
        for task, values in ratios.items()
        for repeat, ratio in enumerate(values)
    ]
    return pd.DataFrame(rows)


ANSWERS = pd.concat(
    [
        table({"a": [1.0, 4.0], "b": [8.0, 8.0]}, tuner="one", cost=1.0),
        table({"a": [1.0, 1.0], "b": [1.0, 4.0]}, tuner="one", cost=3.0),
    ]
)
ADVISED = table({"a": [3.0], "b": [3.0]}, cost=1.5)


def test_a_tuner_is_compared_by_the_geometric_mean_over_its_repeats():
    first, later = costs.summary(ANSWERS, ADVISED).to_dict("records")
    # Task a: the root of 1 x 4 is 2, below 3; task b: 8, above 3. Over both: the root of 2 x 8.
    assert (first["advise_better"], first["tasks"], first["worst"]) == (1, 2, pytest.approx(8))
    assert first["geometric_mean"] == pytest.approx(4)
    assert (later["advise_better"], later["p"]) == (0, pytest.approx(0.5))


def test_a_tuner_has_caught_up_where_it_stays_at_least_as_good():
    assert costs.caught_up(ANSWERS, ADVISED) == {"one": 3.0}
    better = table({"a": [1.1], "b": [1.1]}, cost=1.5)
    assert costs.caught_up(ANSWERS, better) == {"one": np.inf}


def test_the_interval_of_equal_ratios_is_one_number():
    equal = table({"a": [2.0, 2.0], "b": [2.0, 2.0]})
    np.testing.assert_allclose(costs.interval(equal), [2, 2])


def test_the_figure_has_a_curve_for_each_tuner_and_a_point_for_advise():
    (ax,) = costs.figure(ANSWERS, ADVISED).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "advise"]
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [300, 41.4], atol=0.1)


def line() -> Task:
    x = np.linspace(-1, 1, 64, dtype="float32")[:, None]

    def network() -> keras.Model:
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    return Task(
        "line",
        lambda: (x, 3 * x, x, 3 * x),
        network,
        lambda: keras.optimizers.SGD(),
        "mean_squared_error",
        "mean_absolute_error",
        batch_size=8,
        epochs=2,
    )


def test_a_stopped_training_is_continued_from_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "OUT", tmp_path)
    run = Run("linear_decay", 0.1, 16, 3)
    first = search.Trials(line())
    begun = list(islice(first.losses(run), 3))
    whole = first.trainer.train(run.rates(), run.seed).losses
    assert whole[:3] == begun
    again = search.Trials(line())
    again.trainer = first.trainer  # compiled already
    assert list(again.losses(run)) == whole
    assert len(first.path.read_text().splitlines()) == 8


def tuners():
    pytest.importorskip("optuna")
    pytest.importorskip("keras_tuner")
    from studies.networks import tuners

    return tuners.TUNERS


@pytest.mark.parametrize("name", ["random search", "Optuna", "KerasTuner"])
def test_a_tuner_spends_its_budget_and_finds_the_least_loss_it_saw(name):
    one = asked()
    with suppress(search.OutOfBudgetError):
        tuners()[name](one)
    assert one.spent == 80
    peaks = [peak for peak, _ in one._trials.asked]
    assert one.answer_at(80)[1] < np.median(peaks)


@pytest.mark.filterwarnings("ignore:All-NaN")  # of KerasTuner
@pytest.mark.parametrize("name", ["random search", "Optuna", "KerasTuner"])
def test_a_tuner_whose_trainings_all_diverge_ends_with_an_answer(name):
    one = asked(diverges_after=0)
    with suppress(search.OutOfBudgetError):
        tuners()[name](one)
    assert one.spent == 80
    assert one.answer_at(80)[0] in SCHEDULES
