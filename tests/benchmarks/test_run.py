"""Checks that the measurements go on after a failure and are not made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import run, shapes
from benchmarks.run import Part
from benchmarks.speed.measure import other_tasks
from lrcycles.files import write_json

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(shapes, "OUT", tmp_path)
    return tmp_path


def part(name: str, command: str, **settings: object) -> Part:
    return Part(name, ["sh", "-c", command], **settings)  # type: ignore[arg-type]


def measure(folder: Path, *parts: Part, quick: bool = False) -> int:
    return run.run(parts, folder / "state", quick=quick, again=False)


def test_a_part_that_fails_stops_no_other_and_is_the_only_one_made_again(folder, capsys):
    lines = folder / "lines"
    parts = [
        part("first", f"echo first >> {lines}"),
        part("broken", f"echo broken >> {lines}; echo no room; test -e {folder}/room"),
        Part("missing", ["no-such-program"]),
        part("last", f"echo last >> {lines}"),
    ]
    assert measure(folder, *parts) == 1
    assert lines.read_text().split() == ["first", "broken", "last"]
    printed = capsys.readouterr().out
    assert "broken failed: exit status 1, no room" in printed
    assert "no-such-program: No such file or directory" in printed
    assert "Failed: broken, missing." in printed.splitlines()[-1]

    (folder / "room").touch()
    assert measure(folder, *parts[:2], parts[3]) == 0
    assert lines.read_text().split()[3:] == ["broken"]
    assert (
        "Measured before, on this machine with this code: first, last." in capsys.readouterr().out
    )


def test_a_part_is_made_again_if_its_file_is_no_longer_what_it_wrote(folder):
    lines, file = folder / "lines", folder / "speed.json"
    speed = f"""echo x >> {lines}; echo '{{"tasks": {{"mlp": 1, "lenet": 2}}}}' > {file}"""
    parts = [part("speed", speed, file="speed", task="mlp")]
    for content, runs in (
        (None, 1),
        (None, 1),
        ({"tasks": {"mlp": 1, "lenet": 3}}, 1),  # another task of the same file
        ({"tasks": {"mlp": 4}}, 2),
    ):
        if content:
            write_json(file, content)
        assert measure(folder, *parts) == 0
        assert len(lines.read_text().split()) == runs
    file.write_text('{"tasks": ')  # not to its end
    assert measure(folder, *parts) == 0
    assert len(lines.read_text().split()) == 3
    file.unlink()
    assert measure(folder, *parts) == 0
    assert len(lines.read_text().split()) == 4


def test_a_part_that_writes_nothing_or_does_not_end_has_failed(folder, capsys, monkeypatch):
    monkeypatch.setattr(run, "LIMIT_SECONDS", 0.05)
    parts = [part("silent", "true", file="silent"), part("endless", "sleep 60 & sleep 60")]
    assert measure(folder, *parts) == 1
    printed = capsys.readouterr().out
    assert "silent failed: it did not write" in printed
    assert "endless failed: it did not end within" in printed


def test_a_trial_leaves_out_what_takes_long(folder, capsys):
    parts = [
        part("long", "exit 1", quick=None),
        part("short", 'test "$0" = small', quick=["small"]),
    ]
    assert measure(folder, *parts, quick=True) == 0
    assert "Left out by QUICK=1: long." in capsys.readouterr().out


def test_every_part_is_a_module_of_this_folder_and_every_file_is_on_the_page(monkeypatch):
    from benchmarks import page

    monkeypatch.chdir(ROOT)
    for each in run.parts():
        if "-m" in each.command and (module := each.command[2]) != "dvc":
            assert Path(*module.split(".")).with_suffix(".py").exists(), module
        assert not each.file or each.file in page.measured()


def test_speed_keeps_the_tasks_that_were_measured_alike(tmp_path):
    setting = {"cpu": "x", "code": "1"}
    write_json(tmp_path / "speed.json", {**setting, "date": "today", "tasks": {"mlp_200": {}}})
    assert other_tasks(tmp_path / "speed.json", setting) == {"mlp_200": {}}
    assert other_tasks(tmp_path / "speed.json", {**setting, "code": "2"}) == {}
    assert other_tasks(tmp_path / "none.json", setting) == {}
    (tmp_path / "speed.json").write_text("{")
    assert other_tasks(tmp_path / "speed.json", setting) == {}
