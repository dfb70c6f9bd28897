"""Summarises hand-made tasks on which schedules differ by known ratios."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.advising import choices
from studies.networks import gpu_grid, gpu_results, schedules_compared
from studies.networks.runs import MORE, SCHEDULES


def table(**ratios):
    """Return rows of tasks, with these ratios of the loss and a best peak as many times higher."""
    return pd.DataFrame(
        {"schedule": schedule, "log": np.log(ratio), "octaves": np.log2(ratio)}
        for schedule, values in ratios.items()
        for ratio in values
    )


def test_a_summary_has_geometric_means_and_the_interval_of_student():
    (row,) = schedules_compared.summary(table(cycles=[0.5, 2.0, 4.0])).to_dict("records")
    # Logarithms to base 2: -1, 1, 2. Mean 2/3, standard error 0.8819, t 4.3027.
    expected = [100 * (2**octaves - 1) for octaves in (2 / 3, 2 / 3 - 3.7946, 2 / 3 + 3.7946, 2)]
    names = ["percent", "low_percent", "high_percent", "worst_percent"]
    assert_allclose([row[name] for name in names], expected, rtol=1e-3)
    assert (row["better"], row["tasks"], row["peak_ratio"]) == (1, 3, 2.0)


def test_a_verdict_needs_an_interval_on_one_side():
    rows = table(one_cycle=[0.9, 0.91, 0.92], constant=[1.5, 1.6, 1.7], shrinking=[0.5, 1, 1.1])
    found = schedules_compared.verdicts(schedules_compared.summary(rows))
    assert found == {"better": ["one cycle"], "worse": ["constant"]}


def test_the_landscapes_of_the_study_have_its_four_schedules_only():
    assert {frozenset(task.losses) for task in gpu_grid.landscapes().values()} == {
        frozenset(SCHEDULES)
    }


def test_schedules_are_compared_on_the_seeds_that_all_of_them_have(tmp_path, monkeypatch):
    rows = [
        {
            "schedule": "constant", "peak": 0.1, "steps": 16, "seed": seed, "losses": [float(seed)],
            "measure": 0.5, "initial_loss": 20.0, "look": False,
        }
        for seed in range(16)
    ]  # fmt: skip
    path = tmp_path / "task-digest-0.npz"
    gpu_results.save(path, rows, whole=16, compile_seconds=1.0, train_seconds=2.0)
    monkeypatch.setattr(gpu_grid, "FILE", tmp_path / "gpu.csv")
    gpu_grid.keep(tmp_path)
    alone = gpu_grid.landscapes()["task"], gpu_grid.landscapes(column="common_loss")["task"]
    assert [task.best("constant")[1] for task in alone] == [7.5, 3.5]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("cosine", "warmup_cosine"),
        ("warmup_stable_decay", "warmup_stable"),
        ("one_cycle", "one_cycle"),
        ("triangular", "cycles"),
        ("triangular2", "triangular2"),
        ("exp_range_bounds", "shrinking"),
        ("constant", "constant"),
    ],
)
def test_the_ratios_of_advise_are_those_of_the_tasks_that_choose(name, kept, chosen):
    row, measured = choices.SCHEDULES[name], chosen.loc[kept]
    assert row.peak == float(f"{measured['peak_ratio']:.2g}")
    assert row.octaves == round(measured["octaves_deviation"], 2)
    assert row.loss == float(f"{1 + measured['percent'] / 100:.3g}")
    assert measured["tasks"] == choices.TASKS


@pytest.fixture(scope="module")
def chosen():
    rows = schedules_compared.by_task()
    assert set(rows["schedule"]) == {*SCHEDULES, *MORE} - {schedules_compared.REFERENCE}
    return schedules_compared.summary(rows).set_index("schedule")
