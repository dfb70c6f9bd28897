"""Checks that a stage that runs again measures nothing again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.project import Project

STAGES = {"range_test", "bounds", "train@baseline", "train@clr", "train@controls", "report"}


def seconds_of(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every number below a key that ends in _seconds, by its path."""
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in inner:
            yield from seconds_of(part, f"{name}/{key}")
    elif "_seconds" in name:
        yield name, value


def measured(root: Path) -> dict[str, Any]:
    """All measured seconds of the results, by file and path."""
    artifacts = root / "artifacts"
    files = [
        *artifacts.rglob("result.json"),
        *artifacts.glob("range_test/range_test.json"),
        *artifacts.glob("train/*/fit_epochs.json"),
        *artifacts.glob("report/metrics.json"),
    ]
    found = {
        f"{path.relative_to(artifacts)}{name}": value
        for path in files
        for name, value in seconds_of(json.loads(path.read_text()))
    }
    for path in artifacts.glob("train/*/cells.csv"):
        header, *rows = (line.split(",") for line in path.read_text().splitlines())
        for place, name in enumerate(header):
            if name.endswith("_seconds"):
                found[f"{path.relative_to(artifacts)}/{name}"] = [row[place] for row in rows]
    return found


def kept(root: Path) -> dict[str, int]:
    """The files of the cell store, and when they were written."""
    files = (root / ".lrcycles" / "cells").glob("*/[!m]*")  # not mlflow.json and model.keras
    return {str(path): path.stat().st_mtime_ns for path in files}


def pictures(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "artifacts").rglob("*.png")}


def range_test_json(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "range_test.json").read_text())
    return content


def test_a_range_test_that_runs_again_repeats_its_seconds(project: Project):
    first = range_test_json(project.root / "artifacts" / "range_test")
    project.stage_here("range_test", "report.margin_percent=0.1")
    assert range_test_json(project.latest_folder("range_test")) == first


@pytest.mark.slow
def test_reuse_false_measures_the_range_test_again(project: Project, tmp_path: Path):
    project = Project.copy_of(project.root, tmp_path / "copy")  # its store gets other seconds
    first = range_test_json(project.root / "artifacts" / "range_test")
    project.stage("range_test", "train.reuse=false")
    again = range_test_json(project.latest_folder("range_test"))
    assert again["train_seconds"] != first["train_seconds"]
    seconds = ("train_seconds", "compile_seconds")
    assert again | dict.fromkeys(seconds) == first | dict.fromkeys(seconds)


@pytest.mark.slow
def test_editing_figures_and_sentences_trains_nothing_and_changes_no_second(
    project: Project, tmp_path: Path
):
    project = Project.copy_of(project.root, tmp_path / "copy")
    first = "  - /arm@arms.controls.first: baseline\n"
    replay = "  - /arm@arms.controls.published_baseline: published_baseline\n"
    project.edit("conf/experiment/smoke.yaml", first, first + replay)  # it times plain `fit`
    project.repro()
    seconds, store, drawn = measured(project.root), kept(project.root), pictures(project.root)
    for kind in ("range_test.json", "result.json", "fit_epochs.json", "cells.csv", "metrics.json"):
        assert any(kind in name for name in seconds), kind

    package = project.root / "src" / "lrcycles"
    project.edit("src/lrcycles/drawing.py", "WIDTH = 6.4", "WIDTH = 6.5")
    plots = [*package.glob("data/plots.py"), *package.glob("range_tests/plots.py")]
    for path in [*plots, *package.glob("report/figures/*.py"), package / "report" / "verdicts.py"]:
        path.write_text(path.read_text(encoding="utf-8") + "\nEDITED = True\n", encoding="utf-8")
    assert set(project.repro()) >= STAGES
    assert pictures(project.root) != drawn
    assert measured(project.root) == seconds
    assert kept(project.root) == store
    for group in ("baseline", "clr", "controls"):
        assert project.cells(group)["reused"].all()
