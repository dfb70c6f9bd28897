import re
from pathlib import Path

import pytest
import yaml

from lrcycles import config
from lrcycles.errors import InputError

CONF = Path(__file__).parents[1] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def composed(*overrides: str) -> config.Config:
    return config.check(config.compose(CONF, list(overrides)))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_is_right(experiment):
    assert composed(f"experiment={experiment}").experiment == experiment


@pytest.mark.parametrize("folder", ["data", "range_test", "optimizer"])
def test_every_choice_of_a_folder_composes(folder):
    for path in (CONF / folder).glob("*.yaml"):
        composed("experiment=smoke", f"{folder}={path.stem}")


def test_the_default_is_the_tutorial_with_the_documented_values():
    train = composed().train
    assert (train.epochs, train.batch_size, train.seeds, train.cycles) == (10, 200, 8, 3)
    assert (train.backend, train.device, train.precision) == ("tensorflow", "auto", "float32")


def test_the_published_arms_follow_neither_train_nor_the_split():
    controls = composed("train.epochs=3", "train.batch_size=50").arms.controls
    lengths = {name: config.arm_length(composed(), arm) for name, arm in controls.items()}
    assert lengths == {"published_baseline": (10, 200, 60000), "published": (10, 2000, 60000)}


def test_rendering_is_what_dvc_itself_writes(tmp_path):
    from dvc.utils.hydra import compose_and_dump

    for overrides in [], ["experiment=quick", "train.epochs=3"]:
        compose_and_dump(tmp_path / "p.yaml", str(CONF), None, "config", "", overrides)
        ours = config.render(config.compose(CONF, overrides))
        assert (tmp_path / "p.yaml").read_text(encoding="utf-8") == ours


BAD = {
    "unknown key": ("+train.epohcs=3", r"unknown key train\.epohcs; known keys of train: epochs"),
    "unknown key, not appended": ("train.epohcs=3", r"Could not override 'train\.epohcs'"),
    "unknown key in an arm": ("+arms.clr.clr.maxlr=1", r"unknown key .*maxlr; known keys .*max_lr"),
    "unknown option": ("experiment=nope", r"Could not find 'experiment/nope'.*quick.*tutorial"),
    "wrong type": ("train.epochs=three", r"train\.epochs: Value 'three'.*could not be.*[Ii]nteger"),
    "wrong choice": ("train.device=tpu", r"train\.device: Invalid value 'tpu'.*auto, cpu, gpu"),
    "zero epochs": ("train.epochs=0", r"need train\.epochs >= 1, got 0"),
    "negative epochs": ("train.epochs=-2", r"need train\.epochs >= 1, got -2"),
    "zero seeds": ("train.seeds=0", r"need train\.seeds to be a count >= 1 or a list .*got 0"),
    "seed twice": ("train.seeds=[1,1]", r"different seeds >= 0, got \[1, 1\]"),
    "bounds out of order": (
        "arms.controls.published.base_lr=0.1 arms.controls.published.max_lr=0.01",
        r"need 0 < base_lr < max_lr, got base_lr=0\.1, max_lr=0\.01 in arms\.controls\.published",
    ),
    "no rate": ("arms.baseline.baseline.base_lr=fast", r"to be a rate > 0 or `bounds`, got 'fast'"),
    "zero rate": ("arms.baseline.baseline.base_lr=0", r"rate > 0 or `bounds`, got 0"),
    "ramp out of order": (
        "range_test.min_lr=1 range_test.max_lr=0.1",
        r"need 0 < min_lr < max_lr, got min_lr=1\.0, max_lr=0\.1 in range_test",
    ),
    "batch larger than the split": (
        "train.batch_size=55001",
        r"need batch_size <= 55000 training images, got 55001",
    ),
    "too short for its cycles": (
        "train.batch_size=20000 train.epochs=2",
        r"arms\.clr\.clr: need total_steps >= 2 \* cycles, got total_steps=4, cycles=3: raise",
    ),
    "unknown schedule": (
        "arms.clr.clr.schedule=zigzag",
        r"arms\.clr\.clr\.schedule: Invalid value 'zigzag'.*constant, triangular",
    ),
    "two arms of one name": (
        "+arm@arms.controls.clr=baseline",
        r"arm names are unique, got 'clr' in both clr and controls: rename one",
    ),
    "continues nothing": (
        "arms.controls.published.continues=nobody",
        r"arms\.controls\.published continues 'nobody', which is not in group controls",
    ),
    "continues itself": (
        "+arms.controls.published_baseline.continues=published",
        r"published_baseline -> published -> published_baseline continue in a circle",
    ),
    "continues an arm of another group": (
        "arms.controls.published.continues=baseline",
        r"continues 'baseline', which is not in group controls",
    ),
    "bounds before there are any": (
        "arms.baseline.baseline.base_lr=bounds",
        r"arms\.baseline\.baseline asks for bounds, but group baseline trains before",
    ),
    "cycles and step_size": (
        "+arms.controls.published.cycles=2",
        r"need either cycles or step_size >= 1, got cycles=2, step_size=2000",
    ),
    "a constant with an end": (
        "+arms.baseline.baseline.max_lr=0.1",
        r"a constant schedule takes base_lr only",
    ),
    "held-out images": (
        "range_test.heldout_images=5001",
        r"range_test\.heldout_images <= data\.validation_images, got 5001 > 5000",
    ),
    "no such module": ("model.function=nowhere:build", r'model\.function as "module:function"'),
    "no function": ("model.function=lrcycles.models", r'as "module:function".*lrcycles\.models'),
    "workers": ("train.workers=many", r"train\.workers to be auto or a count >= 1, got 'many'"),
    "seeds of the wrong type": ("train.seeds=[a]", r"different seeds >= 0, got \['a'\]"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "_"))
def test_bad_input_is_one_line_that_names_rule_and_value(case):
    overrides, message = BAD[case]
    with pytest.raises(InputError) as caught:
        composed(*overrides.split())
    text = str(caught.value)
    assert re.search(message, text), text
    assert "\n" not in text


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("train: [1, 2\n")
    with pytest.raises(InputError, match=r"params\.yaml is not readable YAML"):
        config.read(path)


def test_a_missing_value_is_an_error():
    values = config.compose(CONF)
    values["train"]["epochs"] = "???"
    with pytest.raises(InputError, match=r"train\.epochs"):
        config.check(values)
    del values["train"]["epochs"]
    with pytest.raises(InputError, match=r"train\.epochs"):
        config.check(values)


def test_differences_name_branches_that_one_side_lacks_once():
    used, conf = config.compose(CONF, ["experiment=quick"]), config.compose(CONF)
    found = config.differences(used, conf)
    assert found["experiment"] == {"conf": "tutorial", "used": "quick"}
    assert found["train.epochs"] == {"conf": 10, "used": 2}
    assert [key for key in found if key.startswith("arms")] == ["arms.controls"]
    assert config.differences(conf, conf) == {}


def test_many_comparisons_with_few_seeds_are_warned_of():
    def warned(seeds: int) -> bool:
        values = config.compose(CONF, [f"train.seeds={seeds}"])
        arms = values["arms"]["controls"]
        arms |= {f"other_{i}": values["arms"]["baseline"]["baseline"] for i in range(6)}
        return bool(config.warnings(config.check(values)))

    assert warned(11)
    assert not warned(12)
    assert not config.warnings(composed())


def test_params_written_by_somebody_else_than_the_pipeline_are_noticed(tmp_path):
    import hashlib

    (tmp_path / "params.yaml").write_text("a: 1\n")
    digest = hashlib.md5(b"a: 1\n").hexdigest()
    lock = {"stages": {"config": {"outs": [{"path": "params.yaml", "md5": digest}]}}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    assert not config.edited_by_hand(tmp_path)
    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert config.edited_by_hand(tmp_path)
