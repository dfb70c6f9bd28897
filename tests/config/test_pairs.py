"""Tests that every file of conf/ composes with every experiment that allows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrcycles.config import advice, compose
from lrcycles.errors import InputError

CONF = Path(__file__).parents[2] / "conf"
REPEATS_MNIST = {"attribution", "lenet"}  # docs/pipeline.md says so


def names(folder: str) -> list[str]:
    return sorted(path.stem for path in (CONF / folder).glob("*.yaml"))


def rows(experiment: str) -> list[list[str]]:
    """Choose files so that each file of each folder meets the experiment at least once."""
    folders = {
        f: names(f) for f in ("data", "model", "optimizer", "range_test", "bounds", "report")
    }
    if experiment in REPEATS_MNIST:
        folders["data"] = [name for name in folders["data"] if name.startswith("mnist")]
    most = max(map(len, folders.values()))
    return [
        [f"{folder}={files[row % len(files)]}" for folder, files in folders.items()]
        for row in range(most)
    ]


def compose_all(experiment: str, choices: list[list[str]]) -> None:
    for chosen in choices:
        config = compose.check(compose.compose(CONF, [f"experiment={experiment}", *chosen]))
        assert config.experiment == experiment
        advice.warnings(config)  # raises if the cycles of an arm are gone within an epoch


@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_composes_and_is_right(experiment):
    compose_all(experiment, [[], rows(experiment)[2]])


@pytest.mark.parametrize("experiment", ["tutorial", "smoke"])
def test_every_choice_composes_with_an_experiment(experiment):
    compose_all(experiment, rows(experiment))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_choice_composes_with_every_experiment(experiment):
    compose_all(experiment, rows(experiment))


@pytest.mark.parametrize("experiment", sorted(REPEATS_MNIST))
def test_an_experiment_that_repeats_published_figures_refuses_other_data(experiment):
    with pytest.raises(
        InputError, match=r"must train on mnist, .*Received: data\.name=digits with"
    ):
        compose.check(compose.compose(CONF, [f"experiment={experiment}", "data=digits"]))


@pytest.mark.parametrize("choice", ["data=digits", "model=own", "optimizer=sgd"])
def test_the_replay_belongs_to_the_published_data_network_and_optimizer(choice):
    controls = [compose.compose(CONF, o)["arms"]["controls"] for o in ([], [choice])]
    assert controls[0].keys() - controls[1].keys() == {"published_baseline", "published"}
