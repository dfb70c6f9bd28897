"""Runs one part of the study for one task: python -m studies.networks.one PART TASK."""

from __future__ import annotations

import json
import sys
import time

from studies.networks import measure, sweeps, tasks
from studies.networks.task import Task


def main() -> None:
    part, name = sys.argv[1:]
    {"grid": _grid, "sweeps": _sweeps, "advice": _advice, "tuners": _tuners}[part](
        tasks.named(name)
    )
    seconds = time.process_time()
    with (measure.OUT / "seconds.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"part": part, "task": name, "seconds": seconds}) + "\n")
    print(f"{part} {name}: {seconds:.0f} s of one core", flush=True)


def _grid(task: Task) -> None:
    measure.measure(task)


def _sweeps(task: Task) -> None:
    for length in sweeps.REPEATS:
        sweeps.range_tests(task, length)


def _advice(task: Task) -> None:
    from studies.networks import advised

    advised.ask(task)


def _tuners(task: Task) -> None:
    from studies.networks import tuners

    tuners.search(task)


if __name__ == "__main__":
    main()
