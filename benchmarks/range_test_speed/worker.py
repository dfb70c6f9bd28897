"""Measures one tool in its own process and prints one line of JSON at the end.

PYTHONPATH=src python -m benchmarks.range_test_speed.worker --tool fastai --data artifacts/data
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import time
from pathlib import Path

from benchmarks.range_test_speed import protocol, quiet

MOST_AGAIN = 3  # up to this many times as many repeated tests if others disturb them


def main() -> None:
    begun = time.time()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--again", type=int, default=4, help="undisturbed repeated tests")
    parser.add_argument("--started", type=float, default=begun, help="time.time() at the start")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: protocol.THREADS]
    os.sched_setaffinity(0, cores)  # before a framework counts the cores
    watch = quiet.Watch()
    tool = importlib.import_module(f"benchmarks.range_test_speed.tools.{options.tool}_tool")
    imported = time.time()
    test = tool.prepare(options.data)
    prepared = time.time()
    results = [test()]
    answered = time.time()
    _, others = watch.read()
    again: list[tuple[float, float]] = []
    while len(again) < MOST_AGAIN * options.again:
        quiet.wait(2.0)
        watch = quiet.Watch()
        results.append(test())
        again.append(watch.read())
        if sum(disturbed <= quiet.BUSY for _, disturbed in again) == options.again:
            break
    line = {
        "tool": options.tool,
        "import_seconds": imported - options.started,
        "setup_seconds": prepared - imported,
        "first_seconds": answered - prepared,
        "answer_seconds": answered - options.started,
        "answer_cores_of_others": others,
        "again_seconds": [seconds for seconds, _ in again],
        "again_cores_of_others": [disturbed for _, disturbed in again],
        "iterations": sorted({result.iterations for result in results}),
        "suggestion": results[0].suggestion,
        "versions": {name: importlib.metadata.version(name) for name in tool.PACKAGES},
        "threads": len(cores),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
