"""Damages stored trainings, results of stages and DVC's cache, then runs the pipeline on them."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from lrcycles.errors import InputError
from lrcycles.stages import inputs
from tests.faults.conftest import Faults
from tests.faults.results import numbers
from tests.pipelines.project import STAGES, Project

pytestmark = [pytest.mark.faults, pytest.mark.counts("damaged files")]

READERS = {  # a stage that reads the results of another
    "data": ["range_test"],
    "range_test": ["bounds"],
    "bounds": ["train", "group=clr"],
    "train@baseline": ["report"],
    "train@clr": ["report"],
    "train@controls": ["report"],
    "config": ["report"],
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"loss": [0.0]}))


def _missing(path: Path) -> None:
    path.unlink()


DAMAGES: list[Callable[[Path], None]] = [_cut, _empty, _flip, _pickled, _missing]


@contextmanager
def _restored(folder: Path, keep: Path) -> Iterator[None]:
    """Put a folder back after the block, whatever happened to it."""
    shutil.rmtree(keep, ignore_errors=True)
    shutil.copytree(folder, keep)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        shutil.copytree(keep, folder)


def _folder(project: Project, stage: str) -> Path:
    return project.root / "artifacts" / stage.replace("@", "/")


def _outcome(error: str, file: str) -> str:
    if "Traceback" in error:
        return "traceback"
    named = file in error and error.count("Received:") == 1
    return "named" if named else "silently used"


@pytest.mark.parametrize("stage", READERS)
def test_every_damaged_file_of_a_stage_is_named(project, stage, tmp_path, faults: Faults):
    folder = _folder(project, stage)
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    for index, name in enumerate(names):
        for damage in (DAMAGES[index % len(DAMAGES)], _flip):
            with _restored(folder, tmp_path / "kept"):
                damage(folder / name)
                try:
                    inputs.checked(project.root, stage)
                    message = ""
                except InputError as error:
                    message = str(error)
            faults.add(f"{damage.__name__} {stage}/{name}", _outcome(message, name.as_posix()))


@pytest.mark.parametrize("stage", READERS)
def test_a_stage_run_by_hand_refuses_damaged_results(project, stage, tmp_path, faults: Faults):
    folder = _folder(project, stage)
    name = max(path for path in folder.rglob("*") if path.suffix in {".npy", ".parquet", ".json"})
    with _restored(folder, tmp_path / "kept"):
        _flip(name)
        script, *arguments = READERS[stage]
        done = project.stage(script, *arguments, ok=False)
    assert done.returncode == 1
    assert f"dvc repro --force --single-item {stage}`" in done.stderr
    faults.add(f"flipped {stage}/{name.name}", _outcome(done.stderr, name.name))


def test_results_of_two_seeds_that_were_swapped_are_named(project, tmp_path, faults: Faults):
    folder = _folder(project, "train@clr")
    with _restored(folder, tmp_path / "kept"):
        first, second = (folder / "clr" / seed / "result.json" for seed in ("0", "1"))
        one, other = first.read_bytes(), second.read_bytes()
        first.write_bytes(other), second.write_bytes(one)
        done = project.stage("report", ok=False)
    faults.add("swapped result.json", _outcome(done.stderr, "result.json"))


def test_damaged_files_in_the_cache_of_dvc_are_named_with_the_way_back(project, faults: Faults):
    for stage, name in (
        ("data", "train_images.npy"),
        ("data", "test_labels.npy"),
        ("range_test", "curves.parquet"),
        ("bounds", "bounds.json"),
        ("train@baseline", "cells.csv"),
    ):
        path = _folder(project, stage) / name
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        stored = project.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        whole = stored.read_bytes()
        stored.chmod(0o644)
        _flip(stored)
        stored.chmod(0o444)
        shutil.rmtree(path.parent)
        project.dvc("checkout", "--quiet", stage)
        script, *arguments = READERS[stage]
        done = project.stage(script, *arguments, ok=False)
        assert f"Delete {stored.relative_to(project.root)}" in done.stderr
        stored.unlink()
        project.dvc("repro", "--force", "--single-item", stage)
        faults.add(f"damaged cache of {stage}/{name}", _outcome(done.stderr, name))
        if stage == "data":  # the other results have seconds in them
            assert path.read_bytes() == whole
    project.dvc("repro")
    assert "up to date" in project.dvc("status").stdout


@pytest.mark.parametrize("group", ["baseline", "clr", "controls"])
@pytest.mark.parametrize("file", ["result.json", "steps.npy", "model.keras", "manifest.json"])
def test_a_damaged_stored_training_is_set_aside_and_trained_again(
    project, group, file, faults: Faults
):
    folder = _folder(project, f"train@{group}")
    before = {path.parent: numbers(path.parent) for path in folder.rglob("result.json")}
    damage = DAMAGES[len(group + file) % len(DAMAGES)]
    keys = {cell["key"] for cell in before.values()}
    store = project.root / ".lrcycles" / "cells"
    for key in keys:
        damage(store / key / file)
    done = project.stage("train", f"group={group}")
    assert done.stderr.count(f"Received: {file} ") == len(keys)
    assert {path: numbers(path) for path in before} == before
    for key in keys:
        faults.add(f"{damage.__name__} {file} of {group} {key[:8]}", "recovered")


def test_stored_trainings_in_each_others_folders_are_not_believed(project, faults: Faults):
    folder = _folder(project, "train@clr")
    before = {path.parent: numbers(path.parent) for path in folder.rglob("result.json")}
    first, second = (project.root / ".lrcycles" / "cells" / cell["key"] for cell in before.values())
    first.rename(first.with_name("x")), second.rename(first), first.with_name("x").rename(second)
    done = project.stage("train", "group=clr")
    assert done.stderr.count("belongs to") == 2
    assert {path: numbers(path) for path in before} == before
    for _ in range(2):
        faults.add("swapped folders of two seeds", "recovered")


def test_a_damaged_kept_sweep_is_measured_again(project, faults: Faults):
    curves = pd.read_parquet(_folder(project, "range_test") / "curves.parquet")
    sweeps = list((project.root / ".lrcycles" / "cells").glob("*/sweep.npz"))
    for damage, path in zip((_cut, _flip), sweeps, strict=True):
        damage(path)
    done = project.stage("range_test")
    assert done.stderr.count("Received: sweep.npz ") == len(sweeps)
    again = pd.read_parquet(_folder(project, "range_test") / "curves.parquet")
    pd.testing.assert_frame_equal(again, curves)
    for path in sweeps:
        faults.add(f"damaged sweep {path.parent.name[:8]}", "recovered")


def test_the_project_is_whole_after_all_that(project):
    assert STAGES[-1] in project.repro() or "up to date" in project.dvc("status").stdout
