"""Measures lrcycles on a GPU: steps of one and of many networks, a range test, an experiment.

    PYTHONPATH=src KERAS_BACKEND=jax python -m benchmarks.gpu --precision tf32 float32
    PYTHONPATH=src KERAS_BACKEND=jax python -m benchmarks.gpu --device cpu --images 2000

Needs Keras and a backend that sees the GPU (jax; tensorflow is untested). A part that needs more
packages is skipped, and the file names the reason. If stage `data` has not run, the images are
random. The speed does not depend on the images.

The result is docs/performance/gpu.json, or side_by_side.json with --device cpu.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import shapes
from lrcycles.cells.cell import Cell
from lrcycles.data.image_sets import read_sets

IMAGES, SHAPE = 60_000, (28, 28)
PARTS = ("steps", "range_test", "experiment")
PACKAGES = ("jax", "jaxlib", "keras", "numpy", "tensorflow")
SWEEP_SEEDS, SWEEP_STEPS, SWEEP_EVERY, SWEEP_HELDOUT = 3, 360, 10, 1000


def random_data(folder: Path) -> None:
    """Write random images as stage `data` writes MNIST."""
    random = np.random.default_rng(0)
    for part, count in (("train", IMAGES), ("test", 10_000)):
        np.save(folder / f"{part}_images.npy", random.integers(0, 256, (count, *SHAPE), np.uint8))
        labels = random.integers(0, 10, count).astype(np.uint8)
        np.save(folder / f"{part}_labels.npy", labels)
    rows = np.arange(IMAGES, dtype=np.int32)
    np.savez(folder / "split.npz", train=rows[:55_000], validation=rows[55_000:])


def measure(cell: Cell, train: Any, *, rounds: int) -> dict[str, Any]:
    """Measure an epoch of all cells of one compiled program, in seconds."""
    from lrcycles.training.engine import Engine

    cells, steps = cell.runtime.side_by_side, len(train) // cell.batch_size
    random = np.random.default_rng(0)
    order = np.stack([random.permutation(len(train)) for _ in range(cells)])
    order = order[:, : steps * cell.batch_size].astype(np.int32)
    order = order.reshape(cells, steps, cell.batch_size)
    rates = np.full((cells, steps), 1e-3, np.float32)
    begun = time.perf_counter()
    engine = Engine(cell, input_shape=SHAPE)
    engine.reset(range(cells))
    built = time.perf_counter() - begun
    compiled = engine.compile(train, order)
    list(engine.epoch(train, order, rates))
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        list(engine.epoch(train, order, rates))
        seconds.append(time.perf_counter() - begun)
    return {
        "batch_size": cell.batch_size,
        "cells": cells,
        "epoch_seconds": median(seconds),
        "us_per_step": 1e6 * median(seconds) / steps,
        "build_seconds": built,
        "compile_seconds": compiled,
    }


def plan(backend: str, device: str, most: int) -> Sequence[tuple[str, Any, int, int]]:
    """List network, settings, batch size and number of cells of each measurement.

    On a CPU, XLA takes seconds for one step of LeNet: there it is measured alone.
    """
    counts = [1, 8, 16, 64] if backend == "jax" else [1]
    counts = [count for count in counts if count <= most]
    return [
        *(("MLP 784-784-10", shapes.MLP, 200, count) for count in counts),
        ("MLP 784-784-10", shapes.MLP, 2000, 1),
        *(("LeNet", shapes.LENET, 512, count) for count in counts[: 2 if device == "gpu" else 1]),
    ]


def steps(train: Any, runtime: Mapping[str, Any], options: Any, result: dict[str, Any]) -> None:
    """Add a row for every network of `plan` whose batch the images fill; name the others."""
    precision = runtime["precision"]
    networks = plan(runtime["backend"], runtime["device"], options.cells)
    for network, model, batch_size, cells in networks:
        name = f"{network}, batch {batch_size}, {cells} side by side, {precision}"
        settings = {**runtime, "side_by_side": cells}
        cell = shapes.cell(model=model, batch_size=batch_size, runtime=settings)
        try:
            if batch_size > len(train):
                raise ValueError(f"a batch needs {batch_size} images")
            row = measure(cell, train, rounds=options.rounds)
        except Exception as error:  # such as too little memory: the other rows still count
            result["skipped"][name] = _reason(error)
        else:
            result["rows"].append({"network": network, "precision": precision, **row})
            print(result["rows"][-1], flush=True)


def range_test(data: Path, runtime: Mapping[str, Any]) -> dict[str, Any]:
    """Measure sweeps of the tutorial's network, side by side, in a process that has compiled them.

    The divisor of their share is a training of ten epochs, 2,750 steps, at the pace of `steps`.
    """
    sweeps = importlib.import_module("lrcycles.range_tests.cell_sweep")
    settings = {**runtime, "side_by_side": SWEEP_SEEDS}
    cells = [
        shapes.cell(seed=seed, training_set="split", runtime=settings)
        for seed in range(SWEEP_SEEDS)
    ]
    sweep = sweeps.Sweep(
        ramp="exponential",
        min_lr=1e-5,
        max_lr=1.0,
        steps=SWEEP_STEPS,
        evaluate_every_steps=SWEEP_EVERY,
        heldout_images=SWEEP_HELDOUT,
        stop_factor=math.inf,
    )
    first, *again = (
        sweeps.sweep_team(sweeps.Team(cells), lambda *_: None, sweep=sweep, data=data)
        for _ in range(4)
    )
    return {
        "seeds": SWEEP_SEEDS,
        "steps": SWEEP_STEPS,
        "evaluate_every_steps": SWEEP_EVERY,
        "heldout_images": SWEEP_HELDOUT,
        "seconds": median(sum(curve.seconds for curve in test) for test in again),
        "compile_seconds": sum(curve.compile_seconds for curve in first),
    }


def experiment(backend: str, device: str) -> list[dict[str, Any]]:
    """Run the default experiment in a fresh clone; return the seconds of each stage by cause."""
    overhead = importlib.import_module("benchmarks.overhead")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", Path.cwd(), clone], check=True)
        if (held := Path(".lrcycles/data")).exists():
            shutil.copytree(held, clone / held)
        values = clone / "conf/train/default.yaml"
        text = re.sub(r"^backend: \w+", f"backend: {backend}", values.read_text(), flags=re.M)
        values.write_text(re.sub(r"^device: \w+", f"device: {device}", text, flags=re.M))
        spent, work = overhead.stages(clone, sys.executable), overhead.busy(clone)
        fit = {"train@controls": overhead.fit_seconds(clone)}
    return [
        {"stage": stage, "seconds": seconds, **work.get(stage, {}), "fit": fit.get(stage, 0.0)}
        for stage, seconds in spent.items()
    ]


def about(module: Any, options: Any, backend: str) -> dict[str, Any]:
    """Describe the device and the software."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    driver = None
    if options.device == "gpu":
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
            driver = subprocess.run(command, capture_output=True, check=True, text=True).stdout
            driver = driver.split()[0]
    return {
        "device": module.device_name(options.device),
        "driver": driver,
        "backend": backend,
        "versions": versions,
        "deterministic": True,  # prepare_device sees to it
        "images": options.images,
        "code": shapes.code_digest(),
    }


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:200]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--precision", nargs="+", help="values of train.precision")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--cells", type=int, default=64, help="most cells side by side")
    parser.add_argument("--images", type=int, default=IMAGES, help="most images per epoch")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    from lrcycles.training.engine import backend_module
    from lrcycles.training.feeding import Resident

    backend = shapes.cell().runtime.backend
    precisions = options.precision or ["float32"]
    module = backend_module(backend)
    module.prepare_device(options.device, 2, precisions[0])
    setting = about(module, options, backend)
    runtime = {"backend": backend, "device": options.device, "precision": precisions[0]}
    result: dict[str, Any] = {**setting, "precision": precisions[0], "rows": [], "skipped": {}}
    with tempfile.TemporaryDirectory() as folder:
        data = shapes.DATA
        if not data.exists():
            data = Path(folder)
            random_data(data)
        measures: dict[str, Callable[[], Any]] = {
            "range_test": lambda: range_test(data, runtime),
            "experiment": lambda: experiment(backend, options.device),
        }
        for part in [part for part in measures if part in options.parts]:
            print(f"{part} ...", flush=True)
            try:
                result[part] = measures[part]()
            except (Exception, SystemExit) as error:
                result["skipped"][part] = _reason(error)
        if "steps" in options.parts:
            images = read_sets(data, training_set="all").train
            train = Resident(images.first(options.images), module.put)
            for precision in precisions:
                module.prepare_device(options.device, 2, precision)  # its other settings stay
                steps(train, {**runtime, "precision": precision}, options, result)
    shapes.write("gpu" if options.device == "gpu" else "side_by_side", result)
    for part, reason in result["skipped"].items():
        print(f"Not measured: {part}. {reason}")


if __name__ == "__main__":
    main()
