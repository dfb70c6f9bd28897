"""Makes every measurement of docs/performance.md, one part after another.

    PYTHONPATH=src python -m benchmarks.run             # all parts, as `make bench` does
    PYTHONPATH=src python -m benchmarks.run scaling     # these parts, measured again

A part that fails does not stop the others. outputs/bench/parts.json keeps which parts are finished
on this machine with this code; they are not measured again. outputs/bench/PART.log holds what a
part printed. With QUICK=1 the parts measure little, and all files go to outputs/bench/quick.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import shapes
from benchmarks.speed.tasks import TASKS
from lrcycles.errors import InputError
from lrcycles.files import read_json, write_json
from lrcycles.training.compilation import cpu_name

LIMIT_SECONDS = 3600.0  # of one part
PEERS = ".venv-bench/bin/python"  # its environment holds the other libraries


@dataclass(frozen=True)
class Part:
    """A command that measures one thing.

    Args:
        quick: further arguments with QUICK=1; None leaves the part out.
        file: what the part writes, in docs/performance; the part runs again if another run or git
            has changed it.
        task: the task of `benchmarks.speed`, which writes one file for all its tasks.
        always: the part costs little and runs every time.
    """

    name: str
    command: Sequence[str]
    quick: Sequence[str] | None = ()
    file: str = ""
    task: str = ""
    always: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def parts() -> list[Part]:
    """List all parts in their order."""
    own, peers = [sys.executable, "-m"], [PEERS, "-m"]

    def out(name: str) -> list[str]:
        return ["--out", str(shapes.OUT / name)]

    speed = [*peers, "benchmarks.speed.measure"]
    range_test = [*peers, "benchmarks.range_test_speed.measure", "--data", str(shapes.DATA)]
    small = ["--device", "cpu", "--cells", "8", "--images", "2000", "--rounds", "5"]
    streaming = ["--gigabytes", os.environ.get("GIGABYTES", "20")]
    return [
        Part("data", [sys.executable, "-m", "dvc", "repro", "data"], always=True),
        Part("libraries", ["make", ".venv-bench/ready"], always=True),
        Part("schedules", [PEERS, "benchmarks/schedule_references.py", "--check"]),
        Part("peer_rules", [*peers, "benchmarks.peer_rules_check", "--check"]),
        *(
            Part(
                f"speed_{task}",
                [*speed, task, *out("speed.json")],
                ["--rounds", "1"],
                "speed",
                task,
            )
            for task in TASKS
        ),
        Part(
            "range_test",
            [*range_test, *out("range_test.json")],
            ["--rounds", "1", "--wait", "0"],
            "range_test",
        ),
        Part("errors", [*own, "benchmarks.errors"], ["--seeds", "2", "--epochs", "1"], "errors"),
        Part("scaling", [*own, "benchmarks.scaling"], ["--rounds", "1"], "scaling"),
        Part(
            "side_by_side",
            [*own, "benchmarks.gpu", "--parts", "steps", *small],
            ["--rounds", "1"],
            "side_by_side",
            environment={"KERAS_BACKEND": "jax"},
        ),
        Part(
            "streaming",
            [*own, "benchmarks.streaming", *streaming],
            ["--gigabytes", "0.2", "--rounds", "1"],
            "streaming",
        ),
        Part("overhead", [*own, "benchmarks.overhead"], None, "overhead"),
        Part("page", [*own, "benchmarks.page"], always=True),
    ]


def run(wanted: Sequence[Part], folder: Path, *, quick: bool, again: bool) -> int:
    """Run the parts that are not finished yet; return the exit status.

    Args:
        folder: keeps the record of finished parts and a log of each part.
        again: run finished parts too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "parts.json"
    finished = _read(record)
    setting = {"cpu": cpu_name(), "code": shapes.code_digest()}
    kept, failed, left_out = [], [], []
    measured: dict[str, float] = {}
    begun = time.monotonic()
    try:
        for part in wanted:
            if quick and part.quick is None:
                left_out.append(part.name)
                continue
            known = finished.get(part.name) == {**setting, "output": _output(part)}
            if known and not again and not part.always:
                kept.append(part.name)
                continue
            print(f"bench: {part.name} ...", flush=True)
            start = time.monotonic()
            problem = _problem(part, folder / f"{part.name}.log", quick=quick)
            seconds = time.monotonic() - start
            if not problem and _output(part) is None:
                problem = f"it did not write {shapes.OUT}/{part.file}.json"
            if problem:
                failed.append(part.name)
                print(f"bench: {part.name} failed: {problem}", flush=True)
                continue
            measured[part.name] = seconds
            finished[part.name] = {**setting, "output": _output(part)}
            write_json(record, finished)
    except KeyboardInterrupt:
        failed.append(f"{part.name} (interrupted; the parts after it did not run)")
    print(_closing(measured, kept, failed, left_out, time.monotonic() - begun, folder))
    return 1 if failed else 0


def _output(part: Part) -> str | None:
    """Compute the SHA-256 of what a part has written; None if it is missing or damaged."""
    if not part.file:
        return ""
    content = _read(shapes.OUT / f"{part.file}.json")
    wanted = content.get("tasks", {}).get(part.task) if part.task else content
    return hashlib.sha256(json.dumps(wanted).encode()).hexdigest() if wanted else None


def _read(path: Path) -> dict[str, Any]:
    """Read a file of an earlier call, empty if it is missing or was not written to its end."""
    with contextlib.suppress(FileNotFoundError, InputError):
        return dict(read_json(path))
    return {}


def _problem(part: Part, log: Path, *, quick: bool) -> str:
    """Run a part; return why it failed, or nothing."""
    command = [*part.command, *((part.quick or ()) if quick else ())]
    paths = ["src", os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with log.open("w", encoding="utf-8") as file:
        try:
            process = subprocess.Popen(
                command,
                env=environment | part.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own can be ended with all its processes
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        try:
            status = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return f"it did not end within {LIMIT_SECONDS:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if not status:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"exit status {status}, {lines[-1] if lines else 'nothing printed'}"


def _closing(
    measured: Mapping[str, float],
    kept: Sequence[str],
    failed: Sequence[str],
    left_out: Sequence[str],
    seconds: float,
    folder: Path,
) -> str:
    spent = ", ".join(f"{name} {_minutes(each)}" for name, each in measured.items())
    sentences = [f"bench: {_minutes(seconds)}. Measured: {spent or 'nothing'}."]
    if kept:
        sentences.append(f"Measured before, on this machine with this code: {', '.join(kept)}.")
    if left_out:
        sentences.append(f"Left out by QUICK=1: {', '.join(left_out)}.")
    if failed:
        sentences.append(f"Failed: {', '.join(failed)}. What they printed is in {folder}/*.log.")
        sentences.append("The same command measures only what is missing.")
    return " ".join([*sentences, f"The page is {shapes.PAGE}."])


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def main() -> int:
    names = [part.name for part in parts()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"{', '.join(names)}; default: all")
    asked = parser.parse_args().parts
    if unknown := set(asked) - set(names):
        parser.error(
            f"parts must be among {', '.join(names)}. Received: {', '.join(sorted(unknown))}. "
            "Name no part to measure all."
        )
    # The processes of a part must end with this one, also where the shell lets it ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    wanted = [part for part in parts() if not asked or part.name in asked]
    return run(wanted, shapes.STATE, quick=shapes.QUICK, again=bool(asked))


if __name__ == "__main__":
    sys.exit(main())
