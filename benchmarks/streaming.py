"""Compares images streamed from disk with images in memory, in speed and in memory use.

    PYTHONPATH=src python -m benchmarks.streaming --gigabytes 20 --folder FOLDER

Generates FOLDER/train_images.npy, and deletes it at the end. The pixels are random, because the
measurement does not depend on what is learnt.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import shapes
from lrcycles.data.image_sets import ImageSet

SHAPE = (28, 28)
RESIDENT_IMAGES = 60_000
STEPS = 2000  # per turn: 400,000 images


def generate(path: Path, images: int) -> None:
    """Write a file of random images, a part at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_suffix(".part")
    random = np.random.default_rng(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (images, *SHAPE)}
    with temporary_path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for begin in range(0, images, 100_000):
            count = min(100_000, images - begin)
            file.write(random.bytes(count * SHAPE[0] * SHAPE[1]))
    temporary_path.rename(path)


def peak_bytes() -> int:
    """Return the peak memory of this process; getrusage would count its parent as well."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) << 10


def worker(path: Path, kind: str, threads: int) -> None:
    """Train one turn for each line on stdin; print seconds per step and peak memory as JSON."""
    from lrcycles.training.engine import Engine, backend_module
    from lrcycles.training.feeding import Resident, Streamed, Windows, epoch_order

    backend = backend_module("tensorflow")
    backend.prepare_device("cpu", threads, "float32")
    cell = shapes.cell(runtime={"threads": threads})
    count = len(np.load(path, mmap_mode="r"))
    labels = np.random.default_rng(1).integers(0, 10, count, np.int32)
    images = ImageSet(path, None, labels, SHAPE)
    if kind == "resident":
        train = Resident(images.first(RESIDENT_IMAGES), backend.put)
        parts = [epoch_order(0, epoch, RESIDENT_IMAGES, 200) for epoch in range(10)]
        order = np.concatenate(parts)[None]
    else:
        windows = Windows.of(batch_size=200, image_bytes=images.image_bytes)
        train = Streamed(images, backend.put, windows=windows)
        order = epoch_order(0, 0, count, 200, windows)[None]
    engine = Engine(cell, input_shape=SHAPE)
    rates = np.full(order.shape[:2], 1e-3, np.float32)
    engine.compile(train, order)
    done, size = 0, min(STEPS, order.shape[1])
    print("ready", flush=True)
    for _ in sys.stdin:
        start = done % (order.shape[1] - size + 1)
        begun = time.perf_counter()
        engine.run(train, order, rates, start=start, stop=start + size)
        seconds = time.perf_counter() - begun
        done += size
        print(json.dumps([seconds / size, peak_bytes()]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=Path("outputs/streaming"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--worker", nargs=2, metavar=("KIND", "THREADS"))
    arguments = parser.parse_args()
    path = arguments.folder / "train_images.npy"
    if arguments.worker:
        worker(path, arguments.worker[0], int(arguments.worker[1]))
        return
    images = int(arguments.gigabytes * 1e9) // (SHAPE[0] * SHAPE[1])
    generate(path, images)
    results = {}
    for threads in arguments.threads:
        workers = {}
        for kind in ("resident", "streamed"):
            command = [
                sys.executable,
                "-m",
                "benchmarks.streaming",
                "--folder",
                str(arguments.folder),
            ]
            workers[kind] = subprocess.Popen(
                [*command, "--worker", kind, str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            if workers[kind].stdout.readline() != "ready\n":
                raise RuntimeError(f"the process that trains on {kind} images ended")
        turns: dict[str, list[list[float]]] = {kind: [] for kind in workers}
        for _ in range(arguments.rounds):
            for kind, process in workers.items():
                process.stdin.write("\n")
                process.stdin.flush()
                turns[kind].append(json.loads(process.stdout.readline()))
        for process in workers.values():
            process.kill()
            process.communicate()
        seconds = {kind: median(s for s, _ in values) for kind, values in turns.items()}
        results[f"{threads} threads"] = {
            "seconds_per_step": seconds,
            "speed_of_resident": seconds["resident"] / seconds["streamed"],
            "peak_bytes": {kind: values[-1][1] for kind, values in turns.items()},
        }
    gigabytes = path.stat().st_size / 1e9
    path.unlink()
    shapes.write(
        "streaming",
        {
            "gigabytes": gigabytes,
            "steps": arguments.rounds * STEPS,
            "batch_size": 200,
            "rounds": arguments.rounds,
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
