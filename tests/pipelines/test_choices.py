"""Runs the whole pipeline with choices of conf/ that depend on one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrcycles.cells.result import read_result
from tests.pipelines.project import Project

SHORT = ["train.seeds=2", "train.compile=graph", "train.save_models=none"]
SHORT += ["range_test.seeds=1", "range_test.steps=100"]
LARGE = ["data.train_images=2000", "data.validation_images=500", "data.test_images=500"]
CHOICES = [
    ["experiment=tutorial", "data=digits"],
    ["experiment=schedules", "data=digits"],
    ["experiment=optimizers", "data=digits"],
    ["experiment=quick", "data=digits"],
    ["experiment=quick", *LARGE],
    ["experiment=tutorial", *LARGE, "model=own", "train.epochs=2"],
    ["experiment=smoke", "model=lenet"],
    ["experiment=smoke", "model=own", "data=own", "train.save_models=all"],
    ["experiment=smoke", "optimizer=sgd", "range_test=linear", "bounds=smith"],
    ["experiment=smoke", "optimizer=caffe", "range_test=accuracy"],
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("choices"))


@pytest.mark.slow
@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: "-".join(choices))
def test_choices_run_to_the_report(clone: Project, choices: list[str]):
    overrides = [word for choice in [*SHORT, *choices] for word in ("-S", choice)]
    clone.dvc("exp", "run", *overrides)
    arms = {(group, name) for group, named in clone.params()["arms"].items() for name in named}
    results = (clone.root / "artifacts" / "train").glob("*/*/*/result.json")
    trained = {(path.parts[-4], path.parts[-3]): read_result(Path(path)) for path in results}
    assert trained.keys() == arms
    assert (clone.root / "artifacts" / "report" / "report.html").exists()
