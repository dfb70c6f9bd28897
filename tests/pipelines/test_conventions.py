"""Tests the conventions of names: each stage has one name everywhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from lrcycles.cells.code import source_files

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ROOTS = [ROOT / "src", ROOT]


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def test_a_stage_has_one_name_in_dvc_pipelines_mlproject_and_artifacts():
    modules = {path.stem for path in (ROOT / "pipelines").glob("[a-z]*.py")}
    entries = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    assert set(STAGES) == modules == set(entries) - {"main"}
    for stage in STAGES:
        assert body(stage)["cmd"].startswith(f"python -m pipelines.{stage}")
        outs = body(stage)["outs"]
        paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
        assert all(path.startswith(f"artifacts/{stage}") or path == "params.yaml" for path in paths)


def test_the_keys_of_cells_cover_everything_that_training_imports():
    training = source_files(
        ["lrcycles.training.chain", "lrcycles.training.tensorflow_engine"], ROOTS
    )
    names = {path.stem for path in training}
    assert names >= {"chain", "tensorflow_engine", "compilation", "image_sets", "table", "models"}
    assert not names & {"runs", "plots", "build", "run_stage", "compose", "sources"}


def test_params_yaml_in_git_is_what_conf_gives():
    from lrcycles.config import compose, params_file

    rendered = params_file.render(compose.compose(ROOT / "conf"))
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == rendered


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
