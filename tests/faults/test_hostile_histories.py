"""Gives hostile files to the real commands `lrcycles suggest` and `plot`, with limits."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lrcycles
from tests.faults.conftest import Faults

pytestmark = [pytest.mark.faults, pytest.mark.counts("hostile histories")]

_SOURCES = str(Path(lrcycles.__file__).parents[1])
CPU_SECONDS = 5.0  # of a command, after its imports
LONG_CPU_SECONDS = 20.0  # for a million points
WALL_SECONDS = 90.0  # other work may run beside
MOST_KB = 500_000  # of memory, above that of the imports

# Runs commands from lines of JSON in one process, as the imports take seconds.
WORKER = """
import contextlib, io, json, resource, sys
from lrcycles.cli import main
answers, sys.stdout = sys.stdout, io.StringIO()
main(["suggest", sys.argv[1]])
main(["plot", sys.argv[1], "-o", "warm.png"])
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss
for line in iter(sys.stdin.readline, ""):
    seconds, _ = used()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(json.loads(line))
        except BaseException:
            import traceback
            traceback.print_exc()
            status = 2
    ended, peak = used()
    answer = [status, out.getvalue(), err.getvalue(), ended - seconds, peak]
    print(json.dumps(answer), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    status: int
    out: str
    err: str
    cpu_seconds: float
    kb: int


class Worker:
    """A process that runs one command after another."""

    def __init__(self, clean: Path, folder: Path) -> None:
        self._command = [sys.executable, "-W", "always", "-c", WORKER, str(clean)]
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._base = 0

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": _SOURCES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._process, self._base = process, 0
        first = self.run("suggest", "nothing")
        assert first is not None
        self._base = first.kb
        return process

    def run(self, *arguments: str) -> Ended | None:
        """Run a command; None if it does not end."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(arguments) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], WALL_SECONDS)[0]:
            self.stop()
            return None
        line = process.stdout.readline()
        if not line:
            self.stop()
            return Ended(-1, "", "Traceback: the process died", 0.0, 0)
        status, out, err, seconds, peak = json.loads(line)
        ended = Ended(status, out, err, seconds, peak - self._base)
        if ended.kb > 100_000 and self._base:
            self.stop()  # the peak of a process never falls
        return ended

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    from tests.faults import hostile_files

    clean = hostile_files.written("clean.csv", hostile_files.CSV)(tmp_path)
    worker = Worker(clean, tmp_path)
    yield worker
    worker.stop()
    assert not list(tmp_path.rglob("trapped"))  # what the objects in pickles and YAML would make


def _fault(ended: Ended | None, cpu_seconds: float = CPU_SECONDS) -> str | None:
    if ended is None or ended.cpu_seconds > cpu_seconds:
        return "hangs"
    if "Traceback" in ended.err or ended.status not in (0, 1) or ended.kb > MOST_KB:
        return "traceback"
    return None


def _refused(ended: Ended | None) -> str:
    if fault := _fault(ended):
        return fault
    assert ended is not None
    one_line = ended.err.endswith("\n") and ended.err[:-1].isprintable()
    named = ended.status == 1 and one_line and ended.err.count("Received:") == 1
    return "named" if named and not ended.out else "silently used"


def _content(ended: Ended) -> dict[str, Any] | None:
    if ended.status or ended.err:
        return None

    def refuse(text: str) -> None:
        raise ValueError(f"JSON has no {text}")

    return dict(json.loads(ended.out, parse_constant=refuse))


def _make(make: Callable[[Path], Path], folder: Path, place: int) -> str:
    own = folder / str(place)
    own.mkdir()
    return str(make(own))


def _kinds() -> list[str]:
    return ["binary", "bombs", "deep", "numbers", "parquet", "places", "range_test.json"]


@pytest.mark.parametrize("kind", _kinds())
def test_a_file_without_a_range_test_is_refused_in_one_line(worker, tmp_path, kind, faults: Faults):
    from tests.faults import hostile_files

    for place, (name, make) in enumerate(hostile_files.REFUSED[kind].items()):
        path = _make(make, tmp_path, place)
        ended = worker.run("suggest", path)
        faults.add(f"{kind}: {name}: {ended}"[:600], _refused(ended))
        if place % 4 == 0:
            ended = worker.run("plot", path, "-o", "picture.png")
            faults.add(f"plot {kind}: {name}: {ended}"[:600], _refused(ended))
            assert not (tmp_path / "picture.png").exists()


def test_an_unusual_file_gives_the_answer_of_a_usual_one(worker, tmp_path, faults: Faults):
    from tests.faults import hostile_files

    usual = _content(worker.run("suggest", str(tmp_path / "clean.csv"), "--json"))
    assert usual is not None
    for place, (name, make) in enumerate(hostile_files.ANSWERED.items()):
        path = _make(make, tmp_path, place)
        ended = worker.run("suggest", path, "--json")
        outcome = _fault(ended)
        if outcome is None:
            content = _content(ended) or {"rules": {}, "bounds": {}}
            equal = content["bounds"].items() >= {"max_lr": usual["bounds"]["max_lr"]}.items()
            rates = {rule: one["lr"] for rule, one in content["rules"].items()}
            equal &= rates == {
                rule: pytest.approx(one["lr"], rel=1e-5) for rule, one in usual["rules"].items()
            }
            outcome = "harmless" if equal else "silently used"
        faults.add(f"{name}: {ended}"[:600], outcome)


def test_an_extreme_range_test_gets_an_answer_or_a_reason(worker, tmp_path, faults: Faults):
    from tests.faults import hostile_files

    for place, (name, make) in enumerate(hostile_files.EXTREME.items()):
        path = _make(make, tmp_path, place)
        for rule in ("calibrated", "smith", "thirds", "valley"):
            ended = worker.run("suggest", path, "--json", "--rule", rule)
            outcome = _fault(ended)
            if outcome is None and ended.status == 1:
                outcome = _refused(ended)
            elif outcome is None:
                content = _content(ended)
                whole = content and (content["bounds"] is None) != (content["no_bounds"] is None)
                outcome = "harmless" if whole else "silently used"
            faults.add(f"{name}, rule {rule}: {ended}"[:600], outcome)
        ended = worker.run("plot", path, "-o", f"{place}.png")
        drawn = (tmp_path / f"{place}.png").exists()
        outcome = _fault(ended)
        if outcome is None:
            outcome = "harmless" if drawn and not ended.err else _refused(ended)
        faults.add(f"plot {name}: {ended}"[:600], outcome)


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet", "json", "jsonl", "rows.json"])
def test_a_million_points_are_answered(worker, tmp_path, form, faults: Faults):
    from tests.faults import hostile_files

    path = str(hostile_files.long_file(1_000_000, form, tmp_path))
    for arguments in (("suggest", path, "--json"), ("plot", path, "-o", "long.png")):
        ended = worker.run(*arguments)
        outcome = _fault(ended, LONG_CPU_SECONDS)
        if outcome is None:
            outcome = "harmless" if ended.status == 0 and not ended.err else "silently used"
        faults.add(f"a million points, {form}: {ended}"[:600], outcome)
    assert ", 1000000 points" in ended.out or "1 of every 200 points" in ended.out


@pytest.mark.parametrize("stdin", ["/dev/zero", "/dev/null", None])
def test_hostile_standard_input_is_refused(stdin, faults: Faults):
    program = "import sys; from lrcycles.cli import main; sys.exit(main(['suggest', '-']))"
    command = [sys.executable, "-c", program]
    opened = None if stdin is None else os.open(stdin, os.O_RDONLY)
    if stdin is None:
        command = ["sh", "-c", 'exec "$0" "$@" <&-', *command]
    environment = {**os.environ, "PYTHONPATH": _SOURCES}
    done = subprocess.run(
        command, stdin=opened, capture_output=True, text=True, timeout=WALL_SECONDS, env=environment
    )
    faults.add(f"{stdin}: {done}", _refused(Ended(done.returncode, done.stdout, done.stderr, 0, 0)))
