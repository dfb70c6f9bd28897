"""Damages files that DVC keeps and results of stages, and reads what is said of them."""

import json

import pytest

from lrcycles import files
from lrcycles.stages.checkup import problems


@pytest.fixture
def root(tmp_path):
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".dvc" / "tmp" / "rwlock").write_text("{}")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  data: {cmd: x}\n")
    for stage in ("data", "train/clr"):
        (tmp_path / "artifacts" / stage).mkdir(parents=True)
        (tmp_path / "artifacts" / stage / "numbers.json").write_text("[1, 2]")
        files.seal(tmp_path / "artifacts" / stage, stage.replace("/", "@"))
    return tmp_path


def test_a_whole_project_has_no_problem(root):
    assert list(problems(root)) == []


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (".dvc/tmp/rwlock", '{"artifacts/da', "rm .dvc/tmp/rwlock"),
        ("dvc.lock", "schema: '2.0'\nstages:\n  data: {cmd", "git checkout dvc.lock"),
        ("dvc.lock", "schema: '2.0'\nsta", "git checkout dvc.lock"),
        ("artifacts/data/numbers.json", "[1, 3]", "dvc repro --force --single-item data`"),
        ("artifacts/train/clr/numbers.json", "", "--single-item train@clr`"),
        ("artifacts/data/manifest.json", "[]", "Received: manifest.json is damaged"),
        (
            "artifacts/data/manifest.json",
            '{"schema": 1, "key": "data", "files": {"numbers.json": {"bytes": "x", "sha256": 1}}}',
            "numbers.json has 6 bytes instead of x",
        ),
        ("artifacts/data/manifest.json", '{"schema": 9, "key": "data", "files": {}}', "schema 9"),
        ("artifacts/data/manifest.json", '{"schema": 1, "key": "x", "files": {}}', "belongs to x"),
    ],
)
def test_a_damaged_file_is_named_with_the_command_that_mends_it(root, file, content, words):
    (root / file).write_text(content)
    [line] = problems(root)
    assert file.rpartition("/")[0] in line
    assert words in line


def test_a_file_of_a_stage_that_is_gone_is_named_and_a_new_one_is_not(root):
    (root / "artifacts/data/notes.txt").write_text("mine")
    assert list(problems(root)) == []
    (root / "artifacts/data/numbers.json").unlink()
    [line] = problems(root)
    assert "numbers.json cannot be read (No such file or directory)" in line


def test_the_manifest_lists_every_file_of_the_folder(root):
    manifest = json.loads((root / "artifacts/data/manifest.json").read_text())
    # printf '[1, 2]' | sha256sum
    digest = "3a316d6d3226f84c1e46e4447fa8d5fd800bff4a1bc6498152523cd4a602b69b"
    assert manifest["files"] == {"numbers.json": {"bytes": 6, "sha256": digest}}
