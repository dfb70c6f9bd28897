"""Measures the time that the default experiment spends outside training and compiling.

    PYTHONPATH=src python -m benchmarks.overhead

Runs `dvc repro` in a fresh clone of this checkout. The clone reuses only the downloaded images.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from benchmarks import shapes
from lrcycles.cells.result import read_result
from lrcycles.files import read_json

IMPORTS = {
    "keras with tensorflow": "import keras, tensorflow",
    "mlflow": "import mlflow",
    "a stage's own modules": "import lrcycles.stages.run, lrcycles.stages.plan",
    "plots": "import matplotlib.pyplot, seaborn",
    "dvc": "import dvc.cli",
}


def stages(clone: Path, python: str) -> dict[str, float]:
    """Run `dvc repro`; return the seconds of each stage, and of DVC itself as `dvc`."""
    environment = {
        **os.environ,
        "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.pop("PYTHONPATH", None)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [python, "-m", "dvc", "repro"],
        cwd=clone,
        env=environment,
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
    spent: dict[str, float] = {"dvc": marks[0][1] - begun}
    for (name, start), (_, stop) in zip(marks, [*marks[1:], ("", ended)], strict=True):
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


def mlflow_per_cell(clone: Path) -> float:
    """Return the median seconds between the ends of runs, which are written one after another."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{clone / 'mlflow.db'}")
    runs = mlflow.search_runs(search_all_experiments=True)
    cells = runs[runs["params.key"].notna()].sort_values("end_time")
    gaps = cells.groupby("tags.mlflow.parentRunId")["end_time"].diff().dropna()
    return float(median(pd.to_timedelta(gaps).dt.total_seconds()))


def imports(python: str) -> dict[str, float]:
    """Import what the stages need, each in a new process; return median seconds of five tries."""
    medians = {}
    for name, code in IMPORTS.items():
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run([python, "-c", code], check=True, capture_output=True, cwd="src")
            seconds.append(time.perf_counter() - begun)
        medians[name] = median(seconds)
    return medians


def main() -> None:
    root, python = Path.cwd(), sys.executable
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", root, clone], check=True)
        images = root / ".lrcycles" / "data"
        if images.exists():
            shutil.copytree(images, clone / ".lrcycles" / "data")
        spent, work = stages(clone, python), busy(clone)
        workers = min(2, os.cpu_count() or 1)
        rows: list[dict[str, Any]] = []
        for name, seconds in spent.items():
            parts = {key: value / workers for key, value in work.get(name, {}).items()}
            other = fit_seconds(clone) if name == "train@controls" else 0.0
            outside = seconds - sum(parts.values()) - other
            rows.append(
                {"stage": name, "seconds": seconds, **parts, "fit": other, "outside": outside}
            )
        shapes.write(
            "overhead",
            {
                "workers": workers,
                "stages": rows,
                "seconds": sum(spent.values()),
                "outside_seconds": sum(row["outside"] for row in rows),
                "mlflow_seconds_per_cell": mlflow_per_cell(clone),
                "imports": imports(python),
            },
        )


if __name__ == "__main__":
    main()
