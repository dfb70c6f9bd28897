"""Tests when stage `config` writes params.yaml, and that it keeps edits by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lrcycles.config import compose, params_file
from tests.pipelines.project import Project

NO_MLFLOW = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def fresh(clone: Project) -> Iterator[Project]:
    """A clone without dvc.lock, with the params.yaml of another experiment, as in git."""
    yield clone
    clone.run("git", "checkout", "-q", "params.yaml")
    (clone.root / "params.yaml.orig").unlink(missing_ok=True)


def test_a_fresh_clone_without_a_lock_is_not_an_edit_even_after_a_failure(fresh):
    committed = (fresh.root / "params.yaml").read_bytes()
    fresh.edit("conf/tracking/default.yaml", "required: false", "required: true")
    assert fresh.stage_here("config", ok=False, **NO_MLFLOW).returncode == 1
    fresh.run("git", "checkout", "-q", "conf")
    assert (fresh.root / "params.yaml").read_bytes() == committed
    done = fresh.stage_here("config")
    assert "edited by hand" not in done.stderr
    assert "changed: experiment: tutorial -> smoke" in done.stdout
    assert not (fresh.root / "params.yaml.orig").exists()
    assert fresh.params() == compose.compose(fresh.root / "conf")


def test_an_edit_that_is_no_text_is_kept_byte_by_byte(fresh):
    (fresh.root / "params.yaml").write_bytes(b"train: [\xff\n")
    done = fresh.stage_here("config")
    assert "params.yaml was edited by hand" in done.stderr
    assert "It is restored from conf/" in done.stderr
    assert "The edit could not be read: " in done.stderr
    assert "codec can't decode byte 0xff" in done.stderr
    assert "dvc repro config" not in done.stderr  # this stage has just restored the file
    assert (fresh.root / "params.yaml.orig").read_bytes() == b"train: [\xff\n"
    assert fresh.params() == compose.compose(fresh.root / "conf")


def test_overrides_by_hand_write_their_own_params_and_need_no_others(fresh):
    (fresh.root / "params.yaml").unlink()
    fresh.stage_here("config", "train.epochs=3")
    assert not (fresh.root / "params.yaml").exists()
    (written,) = (fresh.root / "outputs" / "config").glob("[0-9]*/params.yaml")
    assert params_file.read(written) == compose.compose(fresh.root / "conf", ["train.epochs=3"])
    logged = fresh.root.glob("mlartifacts/**/params.yaml")
    assert [path.read_bytes() for path in logged].count(written.read_bytes()) == 1
