"""Measures how fast each library trains the same networks on this machine.

    PYTHONPATH=src .venv-bench/bin/python -m benchmarks.speed.measure --out speed.json

Each contender runs in its own process. In every round each contender trains one epoch, in a new
random order, so that a slow minute of the machine affects all. Epochs during which other processes
were busy are measured again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import shapes
from benchmarks.speed.tasks import TASKS
from benchmarks.speed.worker import CONTENDERS
from lrcycles.errors import InputError
from lrcycles.files import read_json
from lrcycles.training.compilation import cpu_name

LIMIT = 600.0  # seconds, for compiling or for an epoch
CALM = 0.1  # cores; an epoch does not count if other processes kept more busy
PATIENCE = 3  # at most this many times `rounds`, until all have enough calm epochs


class Worker:
    """A contender in a process of its own."""

    def __init__(self, contender: str, task: str, *, threads: int, data: Path) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        command = [sys.executable, "-m", "benchmarks.speed.worker", contender, task]
        self._process = subprocess.Popen(
            [*command, "--threads", str(threads), "--data", str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.ready = self._read()
        except RuntimeError:
            self.stop()
            raise

    def epoch(self) -> tuple[float, float]:
        """Train one epoch; return its seconds and how many cores other processes kept busy.

        Raises:
            RuntimeError: the process ended or took longer than `LIMIT`.
        """
        assert self._process.stdin
        with suppress(BrokenPipeError):  # _read raises the reason
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        answer = self._read()
        return answer["seconds"], answer["others"]

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        timer = threading.Timer(LIMIT, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if line:
            return dict(json.loads(line))
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        raise RuntimeError(
            f"ended with status {self._process.returncode}: {lines[-1] if lines else 'no message'}"
        )


def measure(
    task: str, contenders: Sequence[str], *, threads: int, rounds: int, data: Path
) -> dict[str, dict[str, Any]]:
    """Train `rounds` calm epochs with each contender in turn; keep the error of one that fails.

    The result has all epochs, each with the cores that other processes kept busy. On two cores,
    another busy process made an epoch of TensorFlow twice as long. It made an epoch of PyTorch six
    times as long, because its threads wait for the slowest thread.
    """
    results: dict[str, dict[str, Any]] = {}
    workers: dict[str, Worker] = {}
    try:
        for name in contenders:
            _report_progress(f"{task}: start {name}")
            try:
                workers[name] = Worker(name, task, threads=threads, data=data)
            except RuntimeError as error:
                results[name] = {"error": str(error)}
            else:
                results[name] = {**workers[name].ready, "seconds": [], "others": []}
        for turn in range(PATIENCE * rounds):
            lacking = [name for name in workers if len(calm(results[name])) < rounds]
            if not lacking:
                break
            _report_progress(f"{task}: round {turn + 1} with {len(lacking)} contenders")
            for name in random.Random(turn).sample(lacking, len(lacking)):
                try:
                    seconds, others = workers[name].epoch()
                except RuntimeError as error:
                    results[name]["error"] = str(error)
                    workers.pop(name).stop()
                else:
                    results[name]["seconds"].append(seconds)
                    results[name]["others"].append(others)
    finally:
        for worker in workers.values():
            worker.stop()
    for result in results.values():
        if result.get("seconds"):
            counted = calm(result)
            result["calm"] = len(counted)
            result["median_seconds"] = median(counted or result["seconds"])
            result["compile_seconds"] = result["first_seconds"] - result["median_seconds"]
    return results


def calm(result: dict[str, Any]) -> list[float]:
    """Return the seconds of the epochs during which no other process was busy."""
    pairs = zip(result["seconds"], result["others"], strict=True)
    return [seconds for seconds, others in pairs if others <= CALM]


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Format the results of one task, the fastest contender first.

    `calm` is the number of epochs behind a median. If it is 0, the median is over disturbed epochs.
    """
    medians = {
        name: result["median_seconds"] for name, result in results.items() if "error" not in result
    }
    floor = min((s for name, s in medians.items() if name.startswith("floor_")), default=None)
    bases = (floor, medians.get("tutorial_fit"), medians.get("plain_fit"))

    def ratio(above: float | None, below: float | None) -> str:
        return f"{above / below:10.2f}" if above and below else f"{'-':>10}"

    lines = [
        f"{'contender':16}{'median s':>10}{'best s':>10}{'us/image':>10}{'x floor':>10}"
        f"{'tutorial/':>10}{'plain/':>10}{'compile s':>10}{'import s':>10}"
        f"{'MB':>7}{'acc':>7}{'calm':>6}"
    ]
    for name in sorted(medians, key=lambda name: medians[name]):
        own, result = medians[name], results[name]
        accuracy = "-" if result["accuracy"] is None else f"{result['accuracy']:.3f}"
        lines.append(
            f"{name:16}{own:10.3f}{min(result['seconds']):10.3f}"
            f"{own / result['images'] * 1e6:10.2f}"
            f"{ratio(own, bases[0])}{ratio(bases[1], own)}{ratio(bases[2], own)}"
            f"{result['compile_seconds']:10.1f}{result['import_seconds']:10.1f}"
            f"{result['peak_mb']:7.0f}{accuracy:>7}{result['calm']:6}"
        )
    lines += [f"{name:16} {r['error']}" for name, r in results.items() if "error" in r]
    return lines


def other_tasks(path: Path, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Read the tasks that an earlier call measured with the same code, machine and settings."""
    try:
        report = read_json(path)
    except (FileNotFoundError, InputError):  # an interrupted call leaves half a file
        return {}
    same = all(report.get(name) == value for name, value in setting.items())
    return dict(report["tasks"]) if same else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", help=f"{', '.join(TASKS)}; default: all")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path("artifacts/data"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if unknown := set(arguments.tasks) - set(TASKS):
        parser.error(
            f"tasks must be among {', '.join(TASKS)}. Received: {', '.join(sorted(unknown))}. "
            "Name no task to measure all."
        )
    if arguments.rounds < 1:
        parser.error(
            f"--rounds must be at least 1. Received: {arguments.rounds}. Set --rounds 1 or more."
        )
    setting = {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "code": shapes.code_digest(),
    }
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **setting,
        "load_before": os.getloadavg()[0],
        "tasks": other_tasks(arguments.out, setting),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for task in arguments.tasks or TASKS:
        report["tasks"][task] = measure(
            task,
            arguments.contenders,
            threads=arguments.threads,
            rounds=arguments.rounds,
            data=arguments.data,
        )
        if all("error" in result for result in report["tasks"][task].values()):
            raise SystemExit(
                f"A contender of {task} must run. Received: errors from all, listed above. Run "
                "`dvc repro data` if the images are missing."
            )
        # Written after every task, so that nothing is lost if a later task fails.
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"\n{task}, {arguments.threads} threads, {report['cpu']}")
        print("\n".join(table(report["tasks"][task])), flush=True)


def _report_progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
