"""Runs smoke pipelines for hours and records what grows: `make soak MINUTES=120`.

python -m studies.soak MINUTES FOLDER

FOLDER becomes a clone of this checkout. Each round changes the number of epochs, so that it trains
until the numbers repeat, and ends with a line in docs/reliability/soak.jsonl.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

OUT = Path("docs/reliability/soak.jsonl")
_GROWING = {
    "cell store": ".lrcycles",
    "DVC cache": ".dvc/cache",
    "MLflow's files": "mlartifacts",
    "MLflow's database": "mlflow.db",
}
_EPOCHS = range(3, 60)


def main(minutes: float, root: Path) -> None:
    """Clone the checkout to `root` and run pipelines there until the time is over."""
    subprocess.run(["git", "clone", "-q", ".", root], check=True)
    temporary = root.with_name(f"{root.name}-tmp")
    temporary.mkdir()
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "TMPDIR": str(temporary)}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("", encoding="utf-8")
    begun = time.monotonic()
    for number in _rounds():
        epochs = _EPOCHS[number % len(_EPOCHS)]
        settings = ["-S", "experiment=smoke", "-S", f"train.epochs={epochs}"]
        started = time.monotonic()
        peak_bytes, peak_files = _peaks(["dvc", "exp", "run", *settings], root, environment)
        line = {
            "round": number,
            "seconds": round(time.monotonic() - started, 1),
            "peak_bytes": peak_bytes,
            "peak_files": peak_files,
            "open_processes": sum(_is_ours(process, root) for process in psutil.process_iter()),
            "temporary_entries": len(list(temporary.iterdir())),
            "bytes": {name: _size(root / folder) for name, folder in _GROWING.items()},
            "entries": len(list((root / ".lrcycles" / "cells").iterdir())),
        }
        with OUT.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if time.monotonic() - begun > 60 * minutes:
            return


def _rounds() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _peaks(command: list[str], root: Path, environment: dict[str, str]) -> tuple[int, int]:
    """Run a command; return the most memory and open files that it and its children had."""
    most = (0, 0)
    with psutil.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            used = files = 0
            for process in [running, *running.children(recursive=True)]:
                try:
                    used += process.memory_info().rss
                    files += process.num_fds()
                except psutil.Error:  # it has just ended
                    continue
            most = max(most[0], used), max(most[1], files)
            time.sleep(0.5)
    if running.returncode:
        raise SystemExit(f"soak: {' '.join(command)} must succeed. Received: its failure.")
    return most


def _is_ours(process: psutil.Process, root: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(root)
    except psutil.Error:
        return False


def _size(path: Path) -> int:
    files = [path, *path.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]).resolve())
