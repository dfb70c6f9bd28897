"""Measures the grid of every task on one GPU, which may be on another machine.

python -m studies.networks.on_gpu pack FOLDER                     # code and data to take there
python -m studies.networks.on_gpu run data.npz OUT --seconds 480  # there
on_gpu.read(OUT)                                                  # all trainings in one table
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

from studies.networks import choosing, gpu_results, judging
from studies.networks.runs import MORE, SCHEDULES, Run
from studies.networks.task import Four, Task

LOOK = [1e-5 * 2**k for k in range(20)]  # a first look, up to 5.2, with a quarter of the steps
LOOK_PARTS = 4
FINE = [2 ** (k / 2) for k in range(-8, 9)]  # of the best of `LOOK`
DECAYS = ("linear_decay", "warmup_decay")
SHORT_PARTS = (8, 4, 2, 1)  # sixteenths of the training: the lengths of the short decays
SEEDS, SEEDS_AT_ONCE = 16, 8
FIRST_SHORT_SEED = 100
WORK = Path(tempfile.gettempdir()) / "on_gpu"
GRACE_SECONDS = 30  # for the parts that have begun
# The longest first: the machine then has work for all of its processes until the end.
ORDER = [
    "waves_residual_momentum",
    "sums_language_muon",
    "images_residual_momentum",
    "brackets_language_adamw",
    "tokens_encoder_adamw",
    "pieces_transformer_lion",
    "counting_gru_adamw_clipped",
    "adding_gru_adam_clipped",
    "scenes_convolutions_adafactor",
    "checkerboard_deep_momentum",
    "graphs_messages_muon_bfloat16",
    "labels_dropout_adamw",
    "points_sets_adafactor",
    "friedman_deep_lion",
    "mnist_convolutions_momentum",
    "mnist_convolutions_rmsprop",
    "mnist_dense_adam",
    "mnist_dense_sgd",
    "mnist_dense_adagrad",
    "topics_embedding_adam",
    "ratings_embedding_adam",
]
TASKS = sorted(
    [*choosing.TASKS, *judging.TASKS, *choosing.EARLIER], key=lambda task: ORDER.index(task.name)
)


def pack(folder: Path) -> None:
    """Copy the code of this study and the data of all tasks into a folder."""
    for part in ("src/lrcycles", "studies"):
        ignored = shutil.ignore_patterns("__pycache__", "*.npz")
        shutil.copytree(part, folder / part, ignore=ignored, dirs_exist_ok=True)
    functions = {task.data.__name__: task.data for task in TASKS}
    arrays: dict[str, Any] = {
        f"{name}/{place}": part
        for name, function in functions.items()
        for place, part in enumerate(function())
    }
    np.savez_compressed(folder / "data.npz", **arrays)


def measure(
    task: Task,
    data: Four,
    folder: Path,
    stop: float,
    first: int = 0,
    seeds_at_once: int = SEEDS_AT_ONCE,
    peaks: Sequence[float] = FINE,
) -> None:
    """Train a pass of one task: the first look if there is none, and the grid for some seeds.

    Args:
        stop: the time, in seconds since 1970, after which no further part begins.
        first: of the seeds.
        peaks: of the grid, as multiples of the best of the first look.
    """
    from studies.networks import side_by_side

    begun = time.time()
    networks = side_by_side.Networks(task, data)
    size = networks.part_steps
    # The seeds after the last one of the grid are its first ones, for more schedules.
    seeds = range(first % SEEDS, first % SEEDS + seeds_at_once)
    short_seeds = [FIRST_SHORT_SEED + seed for seed in seeds]
    networks.draw([*seeds, *short_seeds])
    drawn = time.time()
    count = seeds_at_once * len(peaks) * (len(SCHEDULES) + len(DECAYS))
    networks.compile(count)
    compiled = time.time()
    print(f"{task.name} {first}: weights {drawn - begun:.1f} s", flush=True)
    print(f"{task.name} {first}: compiled {compiled - drawn:.1f} s", flush=True)

    def train(lanes: Sequence[side_by_side.Lane], name: str) -> list[dict[str, Any]]:
        begun, results = time.time(), list(side_by_side.train(networks, lanes, stop))
        spent = time.time() - begun
        print(f"{task.name} {name}: {len(results)} trainings, {spent:.1f} s", flush=True)
        gpu_results.save(
            _path(task, folder, name),
            [{**row, "look": name == "look"} for row in results],
            whole=size * side_by_side.PARTS,
            compile_seconds=compiled - drawn,
            train_seconds=spent,
            networks=len(lanes),
            complete=time.time() < stop,
        )
        return results

    look = _path(task, folder, "look")
    if not look.exists():
        train(look_lanes([*seeds, *short_seeds], size, count), "look")
    if not look.exists():
        return
    best = gpu_results.best_of(look)
    grid = [float(f"{best * factor:.4g}") for factor in peaks]
    if first >= SEEDS:
        train(more_lanes(seeds, grid, size), str(first))
    else:
        train(grid_lanes(seeds, short_seeds, grid, size), str(first))


def _path(task: Task, folder: Path, name: str) -> Path:
    return folder / f"{task.name}-{task.digest}-{name}.npz"


def look_lanes(seeds: Sequence[int], size: int, count: int) -> list[Any]:
    """Return decays of a quarter of the steps for as many seeds as `count` networks allow."""
    lanes = [
        [(Run(schedule, peak, LOOK_PARTS * size, seed), place)]
        for place, seed in enumerate(seeds)
        for schedule in DECAYS
        for peak in LOOK
    ]
    return (lanes + [[] for _ in range(count)])[:count]


def grid_lanes(
    seeds: Sequence[int], short_seeds: Sequence[int], peaks: Sequence[float], size: int
) -> list[Any]:
    """Return the networks of a pass: whole trainings, and short decays one after another."""
    whole = [
        [(Run(schedule, peak, 16 * size, seed), place)]
        for place, seed in enumerate(seeds)
        for schedule in SCHEDULES
        for peak in peaks
    ]
    short = [
        [(Run(schedule, peak, part * size, seed), place) for part in SHORT_PARTS]
        for place, seed in enumerate(short_seeds, start=len(seeds))
        for schedule in DECAYS
        for peak in peaks
    ]
    return whole + short


def more_lanes(seeds: Sequence[int], peaks: Sequence[float], size: int) -> list[Any]:
    """Return the networks of a pass with `MORE` schedules: as many as in a pass of the grid."""
    return [
        [(Run(schedule, peak, 16 * size, seed), place)]
        for place, seed in enumerate(seeds)
        for schedule in MORE
        for peak in peaks
    ]


def run(
    data: Path, out: Path, seconds: float, at_once: int, names: Sequence[str], *, more: bool
) -> None:
    """Measure tasks in processes of their own, and keep all that is done in one archive.

    First come the first seeds of all tasks. A process that fails, for want of memory for
    example, is started again with half of the seeds. A second call goes on after the first.
    """
    stop = time.time() + seconds
    WORK.mkdir(exist_ok=True)
    tasks = [task for task in TASKS if task.name in names]
    waiting = [
        (task, first, SEEDS_AT_ONCE)
        for first in ([SEEDS] if more else range(0, SEEDS, SEEDS_AT_ONCE))
        for task in tasks
        if not _is_complete(_path(task, WORK, str(first)))
    ]
    running: dict[subprocess.Popen[bytes], tuple[Task, int, int]] = {}
    # Tasks share the memory of the GPU, and later seeds use what the first ones compiled.
    environment = {
        **os.environ,
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_COMPILATION_CACHE_DIR": str(WORK / "programs"),
    }
    archived = time.time()
    while (waiting or running) and time.time() < stop + GRACE_SECONDS:
        # Later seeds have the peaks of the first look.
        ready = [one for one in waiting if one[1] == 0 or _path(one[0], WORK, "look").exists()]
        while ready and len(running) < at_once and time.time() < stop:
            task, first, seeds = one = ready.pop(0)
            waiting.remove(one)
            command = [sys.executable, "-m", "studies.networks.on_gpu", "task", task.name]
            command += [str(data), str(stop), str(first), str(seeds)]
            with (WORK / f"{task.name}-{first}.log").open("ab") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            running[process] = one
        time.sleep(0.2)
        for process in [one for one in running if one.poll() is not None]:
            task, first, seeds = running.pop(process)
            left = stop - time.time()
            print(f"{left:.0f} s left: {task.name} {first} exit {process.returncode}", flush=True)
            if process.returncode and seeds > 1:
                half = seeds // 2
                waiting += [(task, first, half), (task, first + half, half)]
        if time.time() > archived + 30:
            _archive(out)
            archived = time.time()
    for process in running:
        process.kill()
    _archive(out)


def _is_complete(path: Path) -> bool:
    if not path.exists():
        return False
    with np.load(path) as kept:
        return bool(kept["complete"])


def _archive(out: Path) -> None:
    new = out / "on_gpu.new"
    with tarfile.open(new, "w:gz") as archive:
        for path in [*WORK.glob("*.npz"), *WORK.glob("*.log")]:
            if not path.name.endswith(".new.npz"):
                archive.add(path, path.name)
    new.rename(out / "on_gpu.tar.gz")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("folder", type=Path)
    running = commands.add_parser("run")
    running.add_argument("data", type=Path)
    running.add_argument("out", type=Path)
    running.add_argument("--seconds", type=float, default=480)
    running.add_argument("--at-once", type=int, default=8)
    running.add_argument("--more", action="store_true", help="more schedules, after the grid")
    running.add_argument("--tasks", nargs="*", default=ORDER)
    one = commands.add_parser("task")
    one.add_argument("name", choices=ORDER)
    one.add_argument("data", type=Path)
    one.add_argument("stop", type=float)
    one.add_argument("first", type=int)
    one.add_argument("seeds", type=int)
    given = parser.parse_args()
    if given.command == "pack":
        pack(given.folder)
    elif given.command == "run":
        run(given.data, given.out, given.seconds, given.at_once, given.tasks, more=given.more)
    else:
        task = next(task for task in TASKS if task.name == given.name)
        with np.load(given.data) as arrays:
            name = task.data.__name__
            x, y, x_heldout, y_heldout = (arrays[f"{name}/{place}"] for place in range(4))
        measure(task, (x, y, x_heldout, y_heldout), WORK, given.stop, given.first, given.seeds)


if __name__ == "__main__":
    main()
