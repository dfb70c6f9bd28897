"""Writes docs/reliability.md from the faults that `make test-faults` has counted.

python -m studies.reliability
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from lrcycles.training.compilation import cpu_name

# a line for each test: kind, test, outcomes, and perhaps figures
COUNTS = Path("docs/reliability/counts.jsonl")
SOAK = Path("docs/reliability/soak.jsonl")  # a line for each round of `make soak`
PAGE = Path("docs/reliability.md")

# What may come of a planted fault.
OUTCOMES = {
    "harmless": "the results are those of an undisturbed run, without a word",
    "recovered": "one line says it, and the results are those of an undisturbed run",
    "named": "one line names the fault and the remedy, and the exit status is not 0",
    "lost": "finished work is gone",
    "silently used": "a wrong value is taken for a result",
    "traceback": "the user sees Python's traceback",
    "hangs": "the command does not end",
}
FORBIDDEN = ("lost", "silently used", "traceback", "hangs")


@dataclass(frozen=True)
class Promise:
    """What users can rely on, and the kind of the faults that test it."""

    kind: str
    text: str
    least: int  # faults that `make test-faults` plants; 0: it measures instead


PROMISES = [
    Promise(
        "kill -9",
        "A killed pipeline loses no finished training. A training in progress continues at its "
        "last checkpoint. The results equal those of an undisturbed run bit for bit.",
        50,
    ),
    Promise(
        "signals",
        "Ctrl-C and SIGTERM end a stage with one line and no process left. A rerun gives the "
        "results of an undisturbed run.",
        20,
    ),
    Promise(
        "training processes that die or hang",
        "A training process that is killed, crashes or stops is replaced, and its training runs "
        "once more. If it fails again, one line names the training.",
        10,
    ),
    Promise(
        "tracking",
        "MLflow never stops a training. A store that does not answer is named once. "
        "`lrcycles sync` then makes the store equal to that of an undisturbed run.",
        25,
    ),
    Promise(
        "damaged files",
        "A stored training that changed is set aside and trained again. A changed result of a "
        "stage is named with the command that makes it again.",
        60,
    ),
    Promise(
        "full disk",
        "A full disk ends a stage with one line. The pipeline continues when there is space.",
        5,
    ),
    Promise(
        "configurations",
        "A configuration is refused in one line that names the key, or it can be run.",
        500,
    ),
    Promise(
        "hostile histories",
        "`lrcycles suggest` and `plot` answer or refuse any file within 5 seconds of processor "
        "time (20 for a million points) and 500 MB.",
        150,
    ),
    Promise(
        "long stages",
        "A stage of a thousand trainings uses no more memory and files at its end than before, and "
        "MLflow has a run of each.",
        0,
    ),
]


@dataclass
class Counted:
    """What all tests of a kind of faults have counted and measured."""

    outcomes: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)  # the largest of each name


def read(path: Path) -> dict[str, Counted]:
    """Add up the outcomes of each kind; of a test that ran again, the last run counts."""
    latest = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        latest[entry["kind"], entry["test"]] = entry
    kinds: dict[str, Counted] = {}
    for (kind, _), entry in latest.items():
        counted = kinds.setdefault(kind, Counted())
        counted.outcomes.update(entry["outcomes"])
        for name, value in entry.get("figures", {}).items():
            counted.figures[name] = max(value, counted.figures.get(name, value))
    return kinds


def page(
    kinds: dict[str, Counted], rounds: list[dict[str, Any]], *, date: str, machine: str
) -> str:
    """Write the page: what users can rely on, and how often it was tried.

    Args:
        rounds: the lines of soak.jsonl.
    """
    lines = [
        "# What you can rely on",
        "",
        "People leave these pipelines running overnight. `make test-faults` plants faults against "
        "real processes, files and servers, and counts what comes of them. This page is made from "
        f"the counts of {date} ({machine}).",
        "",
        "| fault | planted | " + " | ".join(OUTCOMES) + " |",
        "|---|" + "---:|" * (len(OUTCOMES) + 1),
    ]
    for promise in filter(lambda promise: promise.least, PROMISES):
        counted = kinds.get(promise.kind, Counted()).outcomes
        cells = [str(counted[outcome]) for outcome in OUTCOMES]
        lines.append(f"| {promise.kind} | {counted.total()} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- **{name}**: {text}." for name, text in OUTCOMES.items())]
    for promise in PROMISES:
        of_kind = kinds.get(promise.kind, Counted())
        planted = of_kind.outcomes.total()
        lines += ["", f"## {promise.kind.capitalize()}", "", promise.text]
        if of_kind.figures:
            figures = (f"| {name} | {_short(value)} |" for name, value in of_kind.figures.items())
            lines += ["", "| measured | largest value |", "|---|---:|", *figures]
        if planted < promise.least:
            lines += ["", f"At least {promise.least} faults are asked for. Planted: {planted}."]
    return "\n".join([*lines, *_soak(rounds)]) + "\n"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _soak(rounds: list[dict[str, Any]]) -> list[str]:
    """Show what grew while pipelines ran for hours: the first round, the median and the last."""
    if not rounds:
        return []
    minutes = sum(one["seconds"] for one in rounds) / 60
    rows = {
        "most memory (MB)": [one["peak_bytes"] / 1e6 for one in rounds],
        "most open files": [one["peak_files"] for one in rounds],
        "processes left": [one["open_processes"] for one in rounds],
        "entries of the temporary folder": [one["temporary_entries"] for one in rounds],
        "entries of the cell store": [one["entries"] for one in rounds],
        **{
            f"{name} (MB)": [one["bytes"][name] / 1e6 for one in rounds]
            for name in rounds[0]["bytes"]
        },
    }
    return [
        "",
        "## Hours of pipelines",
        "",
        f"`make soak` ran {len(rounds)} pipelines in {minutes:.0f} minutes. Each trains with "
        "another number of epochs, from 3 to 59, and the stores grow by its results. Later "
        "pipelines repeat these numbers, and take their results from the stores.",
        "",
        "| after a pipeline | first | median | largest | last |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {values[0]:,.0f} | {median(values):,.0f} | {max(values):,.0f} | "
            f"{values[-1]:,.0f} |"
            for name, values in rows.items()
        ),
    ]


if __name__ == "__main__":
    PAGE.write_text(
        page(
            read(COUNTS),
            [json.loads(line) for line in SOAK.read_text(encoding="utf-8").splitlines()]
            if SOAK.exists()
            else [],
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            machine=f"{cpu_name()}, {platform.system()}, Python {platform.python_version()}",
        ),
        encoding="utf-8",
    )
