"""Measures what the stages take besides training: imports, files, MLflow and DVC.

    PYTHONPATH=src python -m benchmarks.overhead [experiment] [starts] [cells]

Every part works in a fresh clone of this checkout, which reuses only the downloaded images:

experiment   runs `dvc repro` with the default experiment
starts       runs experiment smoke, then measures each stage's time before its first useful work,
             and a `dvc repro` with nothing to do
cells        trains a thousand cells of experiment smoke in one stage

Seconds of a clock need a machine that does nothing else. Processor seconds are given beside them.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks import first_work as first_work_of
from benchmarks import shapes
from lrcycles.cells.result import read_result
from lrcycles.files import read_json
from lrcycles.training.compilation import cpu_name

BACKEND = "tensorflow"  # the default
WORKERS = min(2, os.cpu_count() or 1)
WORK = ("train", "compile", "evaluate")
STARTED = [
    ("config",),
    ("data",),
    ("range_test",),
    ("bounds",),
    *(("train", f"group={group}") for group in ("baseline", "clr", "controls")),
    ("report",),
]
IMPORTS = {
    "keras with tensorflow": "import keras, tensorflow",
    "mlflow": "import mlflow",
    "a stage's own modules": "import lrcycles.stages.run, lrcycles.stages.plan",
    "plots": "import matplotlib.pyplot, seaborn",
    "dvc": "import dvc.cli",
}


def stages(clone: Path, python: str) -> dict[str, float]:
    """Run `dvc repro`; return the seconds of each stage, and of DVC itself as `dvc`."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [python, "-m", "dvc", "repro"],
        cwd=clone,
        env=environment(python),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    marks: list[tuple[str, float]] = []
    assert process.stdout
    output = []
    for line in process.stdout:
        output.append(line)
        if started := re.match(r"Running stage '(.+)'", line):
            marks.append((started[1], time.perf_counter()))
        elif line.startswith(("Updating lock file", "Generating lock file")):
            marks.append(("dvc", time.perf_counter()))
    if process.wait():
        raise RuntimeError("".join(output[-20:]))
    ended = time.perf_counter()
    spent: dict[str, float] = {"dvc": (marks[0][1] if marks else ended) - begun}
    for (name, start), (_, stop) in pairwise([*marks, ("", ended)]):
        spent[name] = spent.get(name, 0.0) + stop - start
    return spent


def busy(clone: Path) -> dict[str, dict[str, float]]:
    """Read the seconds of training, compiling and evaluating, per stage, summed over its cells."""
    sweep = read_json(clone / "artifacts/range_test/range_test.json")
    seconds = {
        "range_test": {
            "train": sweep["train_seconds"],  # includes evaluating
            "compile": sweep["compile_seconds"],
            "evaluate": 0.0,
        }
    }
    for group in ("baseline", "clr", "controls"):
        folder = clone / "artifacts/train" / group
        cells = [read_result(path) for path in sorted(folder.glob("*/*/result.json"))]
        seconds[f"train@{group}"] = {
            key: sum(getattr(cell, f"{key}_seconds") for cell in cells)
            for key in ("train", "compile", "evaluate")
        }
    return seconds


def fit_seconds(clone: Path) -> float:
    """Read the seconds in which stage train@controls measures epochs of plain `fit`."""
    rows = read_json(clone / "artifacts/train/controls/fit_epochs.json")
    kinds = ("fit_seconds", "compiled_seconds", "step_seconds", "scheduled_step_seconds")
    return sum(row["compile_seconds"] + sum(sum(row[kind]) for kind in kinds) for row in rows)


def starts(clone: Path, python: str, _cells: int) -> dict[str, Any]:
    """Measure a `dvc repro` with nothing to do, and each stage up to its first useful work.

    The cell store is moved away, because a stage that finds all its trainings loads no backend.
    """
    run([python, "-m", "dvc", "exp", "run", "-S", "experiment=smoke"], clone)
    no_op = [run([python, "-m", "dvc", "repro"], clone) for _ in range(7)]
    (clone / ".lrcycles" / "cells").rename(clone / ".lrcycles" / "cells-away")
    load = [python, "-c", "import lrcycles.training.preload"]
    backend = median(run(load, clone / "src").seconds for _ in range(3))
    rows = []
    for stage, *arguments in STARTED:
        tries = [first_work(clone, python, stage, *arguments) for _ in range(3)]
        waited = backend if stage in first_work_of.TRAINS else 0.0
        seconds = median(took.seconds for took in tries)
        rows.append(
            {
                "stage": "@".join([stage, *(word.partition("=")[2] for word in arguments)]),
                "seconds": seconds,
                "own_seconds": max(0.0, seconds - waited),
                "cpu_seconds": median(took.cpu_seconds for took in tries),
            }
        )
    return {
        "no_op_seconds": median(took.seconds for took in no_op),
        "no_op_cpu_seconds": median(took.cpu_seconds for took in no_op),
        "slowest_seconds": max(row["own_seconds"] for row in rows),
        "backend_seconds": backend,
        "stages": rows,
        "imports": imports(python),
    }


def first_work(clone: Path, python: str, stage: str, *arguments: str) -> Took:
    """Run a stage up to its first useful work.

    The processor seconds are those of the stage's own process, without the backend's. Where the
    stage waits for the backend, they include those of MLflow, which is loaded meanwhile.
    """
    command = [python, first_work_of.__file__, repr(time.time()), stage, *arguments]
    took = run(command, clone)
    return took._replace(seconds=float(re.findall(r"first work: (.+)", took.output)[0]))


class Took(NamedTuple):
    """What a command took and printed."""

    seconds: float
    cpu_seconds: float
    output: str


def run(command: Sequence[str], folder: Path, **more: str) -> Took:
    """Run a command."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment(command[0]), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(seconds, used, done.stdout)


def environment(python: str) -> dict[str, str]:
    """Give the variables of a user who has the environment of this Python."""
    hidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "MLFLOW_TRACKING_URI")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    # Packages may lie there, but a clone must import its own src.
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [path for path in paths if path and Path(path).resolve() != Path("src").resolve()]
    if paths:
        kept["PYTHONPATH"] = os.pathsep.join(paths)
    path = f"{Path(python).parent}:{kept['PATH']}"
    named = {
        f"GIT_{who}_{what}": "lrcycles@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return {**kept, **named, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": BACKEND}


def cells(clone: Path, python: str, number: int) -> dict[str, Any]:
    """Train so many cells of experiment smoke, and then write them to another MLflow store.

    The second run takes all trainings from the cell store: it copies files and writes to MLflow.
    A run of one cell tells how long everything else takes.
    """
    run([python, "-m", "dvc", "exp", "run", "-S", "experiment=smoke", "data"], clone)
    train = [python, "-m", "pipelines.train", "group=baseline", "experiment=smoke"]
    seconds = run([*train, f"train.seeds={number}"], clone).seconds
    paths = (clone / "outputs" / "train").glob("*/*/*/result.json")
    results = [read_result(path) for path in paths]
    parts = {
        key: sum(getattr(result, f"{key}_seconds") for result in results) / WORKERS for key in WORK
    }
    again, one = (
        run([*train, f"train.seeds={seeds}"], clone, MLFLOW_TRACKING_URI=f"sqlite:///{seeds}.db")
        for seeds in (number, 1)
    )
    for table in (clone / "outputs" / "train").glob("*/cells.csv"):
        rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
        if not all(row["run_id"] for row in rows):
            raise RuntimeError("MLflow did not get all runs in time: is the machine busy?")
    return {
        "number": number,
        "seconds": seconds,
        **parts,
        "outside_seconds": seconds - sum(parts.values()),
        "per_cell_seconds": (again.seconds - one.seconds) / (number - 1),
        "per_cell_cpu_seconds": (again.cpu_seconds - one.cpu_seconds) / (number - 1),
    }


def imports(python: str) -> dict[str, float]:
    """Import what the stages need, each in a new process; return median seconds of five tries."""
    return {
        name: median(run([python, "-c", code], Path("src")).seconds for _ in range(5))
        for name, code in IMPORTS.items()
    }


def experiment(clone: Path, python: str, _cells: int) -> dict[str, Any]:
    """Run the default experiment, and measure what is outside training."""
    spent, work = stages(clone, python), busy(clone)
    rows: list[dict[str, Any]] = []
    for name, seconds in spent.items():
        parts = {key: value / WORKERS for key, value in work.get(name, {}).items()}
        other = fit_seconds(clone) if name == "train@controls" else 0.0
        outside = seconds - sum(parts.values()) - other
        rows.append({"stage": name, "seconds": seconds, **parts, "fit": other, "outside": outside})
    return {
        "stages": rows,
        "seconds": sum(spent.values()),
        "outside_seconds": sum(row["outside"] for row in rows),
    }


@contextmanager
def fresh_clone(commit: str) -> Iterator[Path]:
    """Clone this checkout, with the images that it has downloaded."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", Path.cwd(), clone], check=True)
        subprocess.run(["git", "checkout", "-q", commit], cwd=clone, check=True)
        images = Path.cwd() / ".lrcycles" / "data"
        if images.exists():
            shutil.copytree(images, clone / ".lrcycles" / "data")
        yield clone


PARTS = {"experiment": experiment, "starts": starts, "cells": cells}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*PARTS])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--commit", help="print the measurements of an earlier commit")
    chosen = parser.parse_args()
    found: dict[str, Any] = {"workers": WORKERS}
    for name in chosen.parts:
        moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        load = os.getloadavg()[0]  # of the machine; about 0 if it does nothing else
        with fresh_clone(chosen.commit or "HEAD") as clone:
            measured = PARTS[name](clone, sys.executable, chosen.cells)
        found[name] = {"date": moment, "cpu": cpu_name(), "load": load, **measured}
    kept = shapes.OUT / "overhead.json"
    if chosen.commit:
        print(json.dumps(found, indent=1))
    else:  # the parts take minutes each, and may be measured one after another
        earlier = read_json(kept) if kept.exists() else {}
        kept_parts = {name: earlier[name] for name in ("before", *PARTS) if name in earlier}
        shapes.write("overhead", kept_parts | found)


if __name__ == "__main__":
    main()
