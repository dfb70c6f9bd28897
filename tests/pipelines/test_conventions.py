"""One word names a stage everywhere, and what dvc.yaml says is what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lrcycles.cells import source_files

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ROOTS = [ROOT / "src", ROOT]
TRAINS = {"range_test", "train"}


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def test_a_stage_has_one_name_in_dvc_pipelines_mlproject_and_artifacts():
    modules = {path.stem for path in (ROOT / "pipelines").glob("[a-z]*.py")}
    entries = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    assert set(STAGES) == modules == set(entries) - {"main"}
    for stage in STAGES:
        assert body(stage)["cmd"].startswith(f"python -m pipelines.{stage}")
        outs = [*body(stage)["outs"], *body(stage).get("metrics", [])]
        paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
        assert all(path.startswith(f"artifacts/{stage}") or path == "params.yaml" for path in paths)


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_depends_on_exactly_the_files_that_a_stage_imports(stage):
    modules = [f"pipelines.{stage}", "lrcycles"]
    if stage in TRAINS:  # the backend's engine is imported by name
        modules += ["lrcycles.training.tensorflow_engine", "lrcycles.training.jax_engine"]
    files = {path.relative_to(ROOT).as_posix() for path in source_files(modules, ROOTS)}
    listed = {dep for dep in body(stage)["deps"] if dep.endswith(".py")}
    assert listed == files


def test_the_store_of_cells_forgets_nothing_that_training_imports():
    training = source_files(
        ["lrcycles.training.chain", "lrcycles.training.tensorflow_engine"], ROOTS
    )
    names = {path.stem for path in training}
    assert names >= {"chain", "tensorflow_engine", "compilation", "arrays", "schedules", "models"}
    assert not names & {"tracking", "plots", "reporting", "stage", "config", "sources"}


def test_params_yaml_in_git_is_what_conf_gives():
    from lrcycles import config

    rendered = config.render(config.compose(ROOT / "conf"))
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == rendered


def test_only_owners_import_what_they_own():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID251", "src", "pipelines"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_no_file_names_a_registry_or_a_folder_of_one_machine():
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    pattern = re.compile(r"https?://[^\s\"']*/simple|--(extra-)?index-url |--find-links")
    found = [
        name
        for name in tracked
        if not name.endswith((".png", ".lock")) and name != "tests/pipelines/test_conventions.py"
        if pattern.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []
