"""Are changes told against the experiment that was chosen?"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from lrcycles.config import compose, experiment

CONF = Path(__file__).parents[2] / "conf"
FILES = {
    "config.yaml": "defaults: [_self_, data: large, train: default, experiment: long]\narms: {}",
    "data/large.yaml": f"name: large\nimages: 50\nsha256: {'a' * 64}",
    "data/small.yaml": "name: small\nimages: 5\nsha256: null",
    "data/broken.yaml": "name: broken\nimages: ${nowhere}",
    "train/default.yaml": "epochs: 10\nseeds: 8",
    "experiment/long.yaml": "# @package _global_\nexperiment: long",
    "experiment/short.yaml": "# @package _global_\nexperiment: short\ntrain: {epochs: 2, seeds: 3}",
}


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "asked",
    [
        "experiment=long",
        "experiment=short",
        "experiment=short data=small",
        "experiment=long data=small data.images=7 train.seeds=4",
        "experiment=long data.name=other",
        "experiment=short train.epochs=10 train.seeds=8",
    ],
)
def test_the_changes_are_the_overrides_that_were_asked(conf, asked):
    values = compose.compose(conf, asked.split())
    name = values["experiment"]
    assert experiment.as_overrides(name, experiment.changes(conf, values)) == asked


def test_another_file_of_a_folder_is_one_change(conf):
    values = compose.compose(conf, ["data=small"])
    assert experiment.changes(conf, values) == {"data": {"conf": "large", "used": "small"}}


def test_an_experiment_without_a_file_is_compared_with_conf_as_it_stands(conf):
    values = {**compose.compose(conf), "experiment": "mine"}
    assert experiment.changes(conf, values) == {"experiment": {"conf": "long", "used": "mine"}}


def test_no_digest_and_no_branch_is_shown_to_a_reader():
    asked = ["+arm@arms.controls.clr_50=lenet_clr_50", f"data.sha256.test_images={'b' * 64}"]
    changed = experiment.changes(CONF, compose.compose(CONF, asked))
    assert [experiment.side(change, "used") for change in changed.values()] == ["...", "..."]


@pytest.mark.parametrize(
    "asked",
    [
        "optimizer.arguments.beta_1=0.8",
        "~arms.clr.clr",
        "~report.published.published",
        "~model.arguments.units",
        "+arms.clr.clr.epochs=3",
        "\"data.path='~/my images'\"",
        "train.class_weights=balanced",
    ],
)
def test_a_change_of_one_key_is_told_as_it_was_typed(asked):
    values = compose.compose(CONF, shlex.split(asked))
    changed = experiment.changes(CONF, values)
    assert experiment.as_overrides("tutorial", changed) == f"experiment=tutorial {asked}"


@pytest.mark.parametrize(
    "asked",
    [
        ["+arm@arms.controls.clr_50=lenet_clr_50"],
        ["++optimizer.layer_rates={*/bias:2.0}"],
        ["data.path='it\\'s (a b), c'"],
        ["data.path='12'"],
        ["train.seeds=[1, 2]", "data.classes=['a b', 'null', '1', \"it's\"]"],
        ["report.primary.clr=[]", "report.published.published.seconds=1.0e-12"],
    ],
)
def test_what_is_told_can_be_typed(asked):
    values = compose.compose(CONF, asked)
    told = experiment.as_overrides("tutorial", experiment.changes(CONF, values))
    assert compose.compose(CONF, shlex.split(told)) == values
