"""Runs the study of networks that nobody tuned on, and writes docs/study-networks.

PYTHONPATH=src python -m studies.networks [PART ...]

Parts: grid, sweeps, rules, advice, tuners, page; all of them by default. Every training is kept in
artifacts/studies/networks as soon as it is finished, so a study that was stopped goes on where it
was. A new rule needs the parts rules and page only, which train nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PARTS = ("grid", "sweeps", "rules", "advice", "tuners", "page")
TRAINS = ("grid", "sweeps", "advice", "tuners")


def main() -> None:
    """Run the parts one after another, the tasks of a part side by side, one thread each."""
    parts = sys.argv[1:] or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        sys.exit(f"PART must be one of {', '.join(PARTS)}. Received: {unknown[0]}.")
    if not Path("artifacts/data/train_images.npy").exists():
        sys.exit("The study needs MNIST. Received: no artifacts/data. Run dvc repro data first.")
    for part in parts:
        started = time.perf_counter()
        if part in TRAINS:
            _side_by_side(part)
        else:
            _here(part)
        print(f"{part}: {time.perf_counter() - started:.0f} s", flush=True)


def _side_by_side(part: str) -> None:
    """Run a part of every task, each in a process of its own."""
    from studies.networks import tasks

    names = [task.name for task in tasks.of_part(part)]
    one_thread = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    environment = {**os.environ, **one_thread, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def run(name: str) -> int:
        command = [sys.executable, "-m", "studies.networks.one", part, name]
        return subprocess.run(command, env=environment, check=False).returncode

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = [name for name, code in zip(names, pool.map(run, names), strict=True) if code]
    if failed:
        sys.exit(f"{part} failed for {', '.join(failed)}. Run the command again to go on.")


def _here(part: str) -> None:
    from studies.networks import page

    {"rules": page.apply_rules, "page": page.main}[part]()


if __name__ == "__main__":
    main()
