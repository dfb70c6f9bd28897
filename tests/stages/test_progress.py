"""Tests what is said about the work that remains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from lrcycles.cells.result import write_result
from lrcycles.cells.store import CellStore
from lrcycles.config import compose
from lrcycles.stages import outlook, plan, remaining
from lrcycles.stages.progress import Pace
from tests.cell_results import cell_result

ROOT = Path(__file__).parents[2]
CONFIG = compose.check(compose.compose(ROOT / "conf", ["experiment=smoke", "train.epochs=3"]))
DATA = {"digest": "d", "class_counts": {"train": [300, 100], "validation": [100, 0]}}
BOUNDS = {"base_lr": 0.0002, "max_lr": 0.004}


def test_the_time_left_is_that_of_the_steps_measured_after_the_first_epoch():
    pace = Pace(left=1000, later=3000)
    assert pace.text(5.0) == ""
    pace.add(100, 20.0)  # with the seconds of compilation
    assert pace.text(25.0) == ""
    pace.add(100, 30.0)
    assert pace.text(30.0) == "about 80 s left in this stage, about 6 min left in all trainings"


def test_the_last_training_leaves_only_the_later_groups_and_the_last_group_nothing():
    pace = Pace(left=200, later=100)
    pace.add(100, 0.0)
    pace.add(100, 7.0)
    assert pace.text(7.0) == "about 7 s left in all trainings"
    assert replace(pace, later=0).text(7.0) == ""


def test_the_stages_are_counted_as_dvc_runs_them():
    listed = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    names = {
        f"{name}@{key}" if "foreach" in stage else name
        for name, stage in listed.items()
        for key in stage.get("foreach", [None])
    }
    assert set(outlook.ORDER) == names
    assert [outlook.place(name)[-6:] for name in ("config", "report")] == ["1 of 9", "9 of 9"]


def test_the_work_is_counted_before_anything_runs():
    # Smoke has two seeds, one arm in baseline, one in clr and two in controls.
    assert outlook.to_do(CONFIG).startswith(
        "To do: 2 sweeps of the range test and 8 trainings (baseline 2, clr 2, controls 4)"
    )


@pytest.mark.parametrize("bounds", [BOUNDS, None])
def test_a_training_in_the_store_is_not_counted_as_remaining(tmp_path, bounds):
    store = CellStore(tmp_path)
    cell = plan.group_cells(CONFIG, "clr", data=DATA, bounds=BOUNDS)[0]
    with store.adding(cell.key) as folder:
        result = cell_result(key=cell.key)
        write_result(folder / "result.json", result)
        np.save(folder / "steps.npy", np.zeros(result.steps))
        (folder / "model.keras").touch()
    left = remaining.of_group(CONFIG, "clr", data=DATA, bounds=bounds, store=store)
    steps = 3 * (CONFIG.data.train_images // CONFIG.train.batch_size)
    if bounds is None:
        assert str(left) == "clr unknown before stage bounds (2 in all)"
        assert left.steps == 2 * steps
    else:
        assert str(left) == "clr 1 of 2"
        assert left.steps == steps
