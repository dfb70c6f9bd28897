from pathlib import Path

import pytest

from lrcycles import config, plan
from lrcycles.errors import InputError

CONF = Path(__file__).parents[1] / "conf"
DATA = {"digest": "d", "class_counts": {"train": [300, 100], "validation": [100, 0]}}
BOUNDS = {"base_lr": 0.0002, "max_lr": 0.004}


def cells(group: str, *overrides: str):
    checked = config.check(config.compose(CONF, list(overrides)))
    bounds = None if group == "baseline" else BOUNDS
    return plan.group_cells(checked, group, data=DATA, bounds=bounds)


def test_the_selected_bounds_are_filled_in():
    assert cells("clr")[0].schedule == {
        "name": "triangular",
        "base_lr": 0.0002,
        "max_lr": 0.004,
        "cycles": 3,
    }


def test_the_published_arm_keeps_its_literals_and_continues_the_baseline_of_its_seed():
    by_name = {(cell.arm, cell.seed): cell for cell in cells("controls", "train.epochs=3")}
    published = by_name["published", 5]
    assert published.parent == by_name["published_baseline", 5].key
    assert (published.batch_size, published.epochs) == (2000, 10)
    assert published.schedule["step_size"] == 2000


def test_a_new_seed_adds_cells_and_changes_none():
    few, more = (
        {cell.key for cell in cells("clr", f"train.seeds={seeds}")} for seeds in ("2", "[0,1,9]")
    )
    assert few < more
    assert len(more) == 3


def test_the_number_of_workers_and_kept_networks_changes_no_key():
    plain = [cell.key for cell in cells("clr")]
    changed = cells("clr", "train.workers=1", "train.save_models=none", "train.reuse=false")
    assert [cell.key for cell in changed] == plain


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(plan.shutil, "which", lambda _: None)
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has an NVIDIA driver")
    with pytest.raises(InputError, match=r"train\.device=gpu, but no NVIDIA driver was found: "):
        cells("clr", "train.device=gpu")


def test_one_range_test_per_seed():
    checked = config.check(config.compose(CONF, ["range_test.seeds=[3,1]"]))
    assert [cell.seed for cell in plan.sweep_cells(checked, data=DATA)] == [3, 1]
