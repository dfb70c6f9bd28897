"""Checks how the peak rate of an arm is chosen, and what is counted before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrcycles.bounds.calibrated import RATIO
from lrcycles.cells.cell import Cell
from lrcycles.cells.result import write_result
from lrcycles.cells.store import CellStore
from lrcycles.config import compose
from lrcycles.config.schema import ArmConfig, Arms
from lrcycles.errors import InputError
from lrcycles.schedules.names import ScheduleName
from lrcycles.stages import groups, outlook, peaks, plan, remaining
from tests.cell_results import cell_result

CONF = Path(__file__).parents[2] / "conf"
DATA = {"digest": "d", "class_counts": {"train": [300, 100], "validation": [100, 0]}}
BOUNDS = {"base_lr": 0.0002, "max_lr": 0.004}
DIVERGED = None


OVERRIDES = [
    *("experiment=smoke", "+arm@arms.clr.best=triangular_peak"),
    *("+arm@arms.baseline.flat=constant_peak", "train.save_models=none"),
    *("train.peaks=[0.001,0.01,0.1]", "train.tuning_seeds=2"),
]
ASKING = compose.check(compose.compose(CONF, OVERRIDES))


def fill(store: CellStore, cells: list[Cell], errors: Mapping[str, list[float | None]]) -> None:
    """Give the store a result per cell: by arm, the validation errors of its seeds."""
    left = {arm: iter(of_arm) for arm, of_arm in errors.items()}
    for cell in cells:
        error = next(left[cell.arm])
        status = "diverged" if error is DIVERGED else "finished"
        with store.adding(cell.key) as folder:
            result = cell_result(key=cell.key, status=status, validation_error_percent=error)
            write_result(folder / "result.json", result)
            np.save(folder / "steps.npy", np.zeros(2))


def chosen(tmp_path: Path, small: list, middle: list, large: list) -> list[peaks.Choice]:
    """Choose among three peaks by the validation errors of their two trainings each."""
    store, cells = CellStore(tmp_path), plan.tuning_cells(ASKING, "clr", data=DATA)
    fill(store, cells, {"best@0.001": small, "best@0.01": middle, "best@0.1": large})
    return peaks.choose(cells, store)


@pytest.mark.parametrize(
    ("errors", "peak"),
    [
        (([5.0, 5.0], [1.0, 6.0], [2.0, 9.0]), 0.01),  # means 5, 3.5, 5.5
        (([3.0, 4.0], [4.0, 3.0], [9.0, 9.0]), 0.001),  # a tie
        (([50.0, 60.0], [1.0, DIVERGED], [90.0, 80.0]), 0.01),  # 50.5 counts as below 55
        (([40.0, 60.0], [1.0, DIVERGED], [90.0, 80.0]), 0.001),
        (([DIVERGED] * 2, [DIVERGED] * 2, [DIVERGED, 100.0]), 0.1),  # the only one that ends
    ],
)
def test_the_peak_has_the_least_mean_error_and_a_divergence_counts_as_all_wrong(
    tmp_path, errors, peak
):
    assert peaks.peaks_of(chosen(tmp_path, *errors)) == {"best": peak}


def test_an_arm_that_diverges_at_every_peak_is_named(tmp_path):
    lost = chosen(tmp_path, *[[DIVERGED, DIVERGED]] * 3)
    with pytest.raises(InputError, match=r"of best with train\.peaks=\[0\.001,0\.01,0\.1\]\. Set"):
        peaks.need_peaks(lost)


@pytest.mark.parametrize(
    ("errors", "warned"),
    [
        (([1.0] * 2, [2.0] * 2, [3.0] * 2), "0.001, the first, for best. Set train.peaks=[0.0001,"),
        (([3.0] * 2, [2.0] * 2, [1.0] * 2), "0.1, the last, for best. Set train.peaks=[0.001,0.01"),
        (([3.0] * 2, [1.0] * 2, [3.0] * 2), ""),
    ],
)
def test_a_peak_at_an_end_of_the_grid_is_warned_of_in_one_line(tmp_path, capsys, errors, warned):
    choices = chosen(tmp_path, *errors)
    peaks.need_peaks(choices)
    printed = capsys.readouterr().err
    assert warned in printed
    assert printed.count("\n") == bool(warned)
    peaks.write_choices(choices, tmp_path / "peaks.json")
    written = json.loads((tmp_path / "peaks.json").read_text())["best"]
    assert written["at_end_of_grid"] is bool(warned)
    assert [trial["peak"] for trial in written["trials"]] == [0.001, 0.01, 0.1]


def test_a_trial_is_the_training_that_an_arm_of_these_rates_would_get():
    arm = ArmConfig(ScheduleName("triangular"), base_lr=0.01 / RATIO, max_lr=0.01)
    train = replace(ASKING.train, seeds=[1000, 1001], peaks=[])
    literal = replace(ASKING, arms=Arms(clr={"other": arm}), train=train)
    wanted = {cell.key for cell in plan.group_cells(literal, "clr", data=DATA, bounds=BOUNDS)}
    trials = plan.tuning_cells(ASKING, "clr", data=DATA)
    assert {cell.key for cell in trials if cell.arm == "best@0.01"} == wanted
    assert {cell.arm for cell in trials} == {"best@0.001", "best@0.01", "best@0.1"}
    assert not any(cell.uses_bounds or groups.keeps_model(cell, ASKING.train) for cell in trials)


def test_an_arm_without_a_chosen_peak_has_no_cells_and_then_those_of_its_peak():
    def schedules(**known: float) -> dict[str, dict]:
        cells = plan.group_cells(ASKING, "baseline", data=DATA, bounds=None, chosen=known)
        return {cell.arm: dict(cell.schedule) for cell in cells}

    assert schedules().keys() == {"baseline"}
    assert schedules(flat=0.1)["flat"] == {"name": "constant", "base_lr": 0.1}


def test_the_trainings_that_choose_a_peak_are_counted_as_work(tmp_path):
    # Smoke has two seeds; each of the two new arms adds 3 peaks x 2 tuning seeds, and two seeds.
    assert "(baseline 10, clr 10, controls 4), 12 of them to choose peak" in outlook.to_do(ASKING)
    store = CellStore(tmp_path)
    steps = ASKING.train.epochs * (ASKING.data.train_images // ASKING.train.batch_size)

    def left() -> remaining.Remaining:
        return remaining.of_group(ASKING, "baseline", data=DATA, bounds=None, store=store)

    assert (left().in_store, left().steps, left().tuning_steps) == (0, 10 * steps, 6 * steps)
    trials = plan.tuning_cells(ASKING, "baseline", data=DATA)
    fill(store, trials, {"flat@0.001": [2.0] * 2, "flat@0.01": [1.0] * 2, "flat@0.1": [3.0] * 2})
    assert (left().in_store, left().steps, left().tuning_steps) == (6, 4 * steps, 0)
    best = {"flat": 0.01}
    cells = plan.group_cells(ASKING, "baseline", data=DATA, bounds=None, chosen=best)
    fill(store, [cell for cell in cells if cell.arm == "flat"], {"flat": [1.0, 1.0]})
    assert (left().in_store, left().steps) == (8, 2 * steps)
