"""Measures the time of a range test of 100 iterations, for each tool.

    PYTHONPATH=src python -m benchmarks.range_test_speed.measure --data artifacts/data --out x.json

Each run is a process of its own, and the tools take turns. A time during which other processes were
busy is measured again; it is used only if no other time exists. ktrain needs packages that would
slow the other tools down, because they would import them too. --ktrain-extras is their folder:
    pip install --no-deps --target FOLDER tf_keras langdetect jieba chardet charset-normalizer \
        syntok "transformers<5" "huggingface_hub<1" "tokenizers<0.23" safetensors sentencepiece \
        regex keras_bert tika whoosh
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.range_test_speed import protocol, quiet
from lrcycles.training.compilation import cpu_name

PEERS = ("fastai", "lightning", "torch_lr_finder", "ignite", "ktrain", "keras_fit")
OURS = ("lrcycles", "engine")  # the public function, and stage `range_test` of the pipeline
PARTS = ("import_seconds", "setup_seconds", "first_seconds", "answer_seconds")
Run = dict[str, Any]


def run(tool: str, data: Path, extras: Path | None, *, wait: float) -> Run:
    """Run a worker; return what it printed, or the last line of its error output as `error`."""
    paths = [os.environ.get("PYTHONPATH"), str(extras) if extras and tool == "ktrain" else None]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    module = "benchmarks.range_test_speed.worker"
    command = [sys.executable, "-m", module, "--tool", tool, "--data", str(data)]
    quiet.wait(wait)
    done = subprocess.run(
        [*command, "--started", str(time.time())], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        return {"tool": tool, "error": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    result: Run = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def summary(runs: list[Run]) -> Mapping[str, Any]:
    """Return the medians of one tool over its undisturbed times, or its error if it never ran."""
    good = [one for one in runs if "error" not in one]
    if not good:
        return {"error": runs[-1]["error"]}
    again = [
        pair
        for one in good
        for pair in zip(one["again_seconds"], one["again_cores_of_others"], strict=True)
    ]
    steady = [seconds for seconds, others in again if others <= quiet.BUSY]
    answers = [one for one in good if one["answer_cores_of_others"] <= quiet.BUSY]
    iterations = max(i for one in good for i in one["iterations"])
    median = statistics.median(steady or [seconds for seconds, _ in again])
    return {
        "undisturbed_tests": len(steady),
        "undisturbed_runs": len(answers),
        "steady_seconds": median,
        "steady_range": [min(steady), max(steady)] if steady else None,
        "iteration_ms": 1000 * median / iterations,
        **{part: statistics.median(one[part] for one in answers or good) for part in PARTS},
        "iterations": iterations,
        "suggestion": good[-1]["suggestion"],
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Format the seconds of each tool, and ours relative to the fastest other tool."""
    columns = {
        "steady s": "steady_seconds",
        "tests": "undisturbed_tests",
        "ms/iter": "iteration_ms",
        "answer s": "answer_seconds",
        "runs": "undisturbed_runs",
        "import": "import_seconds",
        "set-up": "setup_seconds",
        "first": "first_seconds",
        "iter": "iterations",
    }
    lines = [f"{'':16}" + "".join(f"{title:>9}" for title in columns) + "  suggestion"]
    for tool, row in rows.items():
        if "error" in row:
            lines.append(f"{tool:16}  {row['error']}")
            continue
        numbers = "".join(f"{row[name]:9.3g}" for name in columns.values())
        lines.append(f"{tool:16}{numbers}  {row['suggestion']}")
    ran = {tool: row for tool, row in rows.items() if "error" not in row}
    for key, what in (
        ("steady_seconds", "repeated test"),
        ("answer_seconds", "start to suggestion"),
    ):
        peers = {tool: ran[tool][key] for tool in PEERS if tool in ran}
        for tool in OURS:
            if peers and tool in ran:
                best = min(peers, key=lambda peer: peers[peer])
                ratio = ran[tool][key] / peers[best]
                lines.append(f"{what}: {tool} takes {ratio:.2f} times as long as {best}")
    return "\n".join(lines)


def record(runs: list[Run]) -> Mapping[str, Any]:
    """Build the content of the file: machine, settings, medians and every run."""
    versions: dict[str, str] = {}
    for one in runs:
        versions |= one.get("versions", {})
    tools = dict.fromkeys(one["tool"] for one in runs)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "hardware": cpu_name(),
        "threads": protocol.THREADS,
        "versions": dict(sorted(versions.items())),
        "steps": protocol.STEPS,
        "batch_size": protocol.BATCH_SIZE,
        "rates": [protocol.MIN_LR, protocol.MAX_LR],
        "medians": {tool: summary([one for one in runs if one["tool"] == tool]) for tool in tools},
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train_*.npy")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--wait", type=float, default=60, help="most seconds to wait for a quiet start"
    )
    parser.add_argument("--tools", nargs="+", default=[*PEERS, *OURS])
    parser.add_argument("--ktrain-extras", type=Path, help="folder of the packages ktrain needs")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    for number in range(options.rounds):
        for tool in options.tools:
            result = run(tool, options.data, options.ktrain_extras, wait=options.wait)
            runs.append({"round": number, **result})
            # Written after every run, so that nothing is lost if a later run hangs.
            options.out.write_text(json.dumps(record(runs), indent=2) + "\n")
            if sys.stderr.isatty():
                print(f"Round {number + 1} of {options.rounds}: {tool}", file=sys.stderr)
    print(table(record(runs)["medians"]))


if __name__ == "__main__":
    main()
