"""Checks the cells that a configuration asks for."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from lrcycles.cells.cell import chains, teams
from lrcycles.config import compose
from lrcycles.config.resolve import with_advice
from lrcycles.errors import InputError
from lrcycles.stages import outlook, plan

CONF = Path(__file__).parents[2] / "conf"
DATA = {"digest": "d", "class_counts": {"train": [300, 100], "validation": [100, 0]}}
BALANCED = "train.class_weights=balanced"
BOUNDS = {"base_lr": 0.0002, "max_lr": 0.004}


def cells(group: str, *overrides: str):
    checked = compose.check(compose.compose(CONF, list(overrides)))
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
    with pytest.raises(
        InputError,
        match=r"Received: train\.device=gpu \(no NVIDIA driver was found\)\. "
        r"Install the driver and run `\.venv/bin/pip install -e '\.\[gpu\]'`, or set train\.device",
    ):
        cells("clr", "train.device=gpu")


def test_tf32_is_for_gpus_only(monkeypatch):
    monkeypatch.setattr(plan, "_device", lambda *_: "cpu")
    with pytest.raises(InputError, match=r"no CPU multiplies in TF32.*precision=float32"):
        cells("clr", "train.precision=tf32")
    with pytest.raises(InputError, match=r"no CPU multiplies in TF32"):
        compose.check(compose.compose(CONF, ["train.precision=tf32", "train.device=cpu"]))
    monkeypatch.setattr(plan, "_device", lambda *_: "gpu")
    tf32, float32 = (cells("clr", f"train.precision={name}") for name in ("tf32", "float32"))
    assert {cell.key for cell in tf32}.isdisjoint(cell.key for cell in float32)


def test_with_a_driver_only_the_package_that_sees_the_gpu_is_asked_for(monkeypatch):
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has an NVIDIA driver")
    monkeypatch.setattr(plan.shutil, "which", lambda _: "nvidia-smi")
    with pytest.raises(
        InputError,
        match=r"\(jax sees no GPU\)\. Run `\.venv/bin/pip install -e '\.\[jax-cuda\]'`, or set",
    ):
        cells("clr", "train.backend=jax", "train.device=gpu")


def test_one_range_test_per_seed():
    checked = compose.check(compose.compose(CONF, ["range_test.seeds=[3,1]"]))
    assert [cell.seed for cell in plan.sweep_cells(checked, data=DATA)] == [3, 1]


def test_a_constant_rate_may_be_either_of_the_selected_bounds_or_lie_between_them():
    names = ("base", "geometric_mean", "mean", "max")
    overrides = [f"+arm@arms.clr.{name}=constant_{name}" for name in names]
    found = {cell.arm: cell for cell in cells("clr", *overrides, "train.seeds=1")}
    rates = [found[name].schedule["base_lr"] for name in names]
    assert rates == pytest.approx([0.0002, (0.0002 * 0.004) ** 0.5, 0.0021, 0.004])
    assert all(cell.uses_bounds for cell in found.values())


@pytest.mark.parametrize(("percent", "warmup"), [(10.0, {"warmup_steps": 275}), (0.0, {})])
def test_an_advised_arm_is_the_training_with_the_numbers_of_the_advice(percent, warmup):
    one = ["train.seeds=1", "+arm@arms.controls.best=linear_decay_advice"]
    asking = compose.check(compose.compose(CONF, one))
    advice = {"peak_lr": 0.0458, "warmup_percent": percent}
    advised = with_advice(asking, advice)
    *_, cell = plan.group_cells(advised, "controls", data=DATA, bounds=BOUNDS)
    rates = {"base_lr": 0, "max_lr": 0.0458}
    assert cell.schedule == {"name": "linear_decay", **rates, **warmup}  # of 2,750 updates
    assert not cell.uses_bounds
    literal = ["arms.controls.best.max_lr=0.0458", f"arms.controls.best.warmup_percent={percent}"]
    assert cell.key == cells("controls", *one, *literal)[-1].key
    others = [cell.key for cell in cells("clr", "train.seeds=1")]
    assert [c.key for c in plan.group_cells(advised, "clr", data=DATA, bounds=BOUNDS)] == others
    assert "an advice for at most 1.5 trainings" in outlook.to_do(asking)
    assert "advice" not in outlook.to_do(advised)


def test_an_arm_may_have_an_optimizer_and_seeds_of_its_own():
    own = ["+arm@arms.clr.other=rmsprop_clr", "+arm@arms.clr.rmsprop_fixed=rmsprop_fixed"]
    found = cells("clr", *own, "+arms.clr.other.seeds=[1,9]", "train.seeds=2")
    assert sorted((cell.arm, cell.seed) for cell in found) == [
        *(("clr", 0), ("clr", 1), ("other", 1), ("other", 9)),
        *(("rmsprop_fixed", 0), ("rmsprop_fixed", 1)),
    ]
    names = {cell.arm: cell.optimizer["name"] for cell in found}
    assert names == {"clr": "adam", "other": "rmsprop", "rmsprop_fixed": "rmsprop"}


def test_balanced_class_weights_give_every_class_the_same_part_of_the_loss():
    split = cells("clr", BALANCED)[0]
    (pool, *_) = (cell for cell in cells("controls", BALANCED) if cell.training_set == "all")
    for cell, counts in ((split, [300, 100]), (pool, [400, 100])):
        parts = [weight * count for weight, count in zip(cell.class_weights, counts, strict=True)]
        assert parts == [sum(counts) / 2] * 2
    assert cells("clr")[0].class_weights is None


def test_large_data_is_streamed_and_small_data_lies_in_memory():
    large = ["data.train_images=2000000", "data.source=local", "data.path=images"]
    assert cells("clr", *large)[0].streamed
    assert not cells("clr", *large, "train.feeding=resident")[0].streamed
    assert not cells("clr")[0].streamed
    assert cells("clr", "train.feeding=streamed")[0].streamed


def test_cells_of_equal_shape_share_a_program_and_no_more_than_are_asked_for():
    jax = ["train.backend=jax", "train.side_by_side=3", "train.seeds=4"]
    found = [[cell.seed for (cell,) in team] for team in teams(chains(cells("clr", *jax)))]
    assert found == [[0, 1, 2], [3]]
    by_tensorflow = teams(chains(cells("clr", "train.seeds=4")))
    assert [len(team) for team in by_tensorflow] == [1, 1, 1, 1]


def test_a_backend_that_is_not_installed_is_named_with_what_installs_it(monkeypatch):
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(plan, "version", missing)
    with pytest.raises(
        InputError,
        match=r"without the package jax\. Run `\.venv/bin/pip install -e '\.\[jax\]'`, or set",
    ):
        cells("clr", "train.backend=jax")
    with pytest.raises(
        InputError, match=r"package tensorflow\. Run `\.venv/bin/pip install -e \.`\.$"
    ):
        cells("clr", "train.backend=tensorflow")


def test_an_arm_that_cycles_momentum_hands_both_ends_to_its_cells():
    found = cells("clr", "+arm@arms.clr.cycled=clr_momentum", "train.seeds=1")
    assert [cell.momentum for cell in found] == [
        None,
        {"base_momentum": 0.85, "max_momentum": 0.95},
    ]
    assert found[0].schedule == found[1].schedule
    assert found[0].shape != found[1].shape
