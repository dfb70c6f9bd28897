"""Measures the speed of a GPU, for one cell and for many cells side by side.

    PYTHONPATH=src KERAS_BACKEND=jax python -m benchmarks.gpu

Needs Keras and a backend that sees the GPU (jax; tensorflow is untested), but no DVC and no MLflow.
If stage `data` has not run, the images are random. The speed does not depend on the images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import shapes
from lrcycles.cells.cell import Cell
from lrcycles.data.image_sets import ImageSet

IMAGES, SHAPE = 60_000, (28, 28)
DATA = Path("artifacts/data")


def images(folder: Path) -> ImageSet:
    """Return the training images of MNIST, or random images if stage `data` has not run."""
    path = DATA / "train_images.npy"
    if path.exists():
        labels = np.load(DATA / "train_labels.npy").astype(np.int32)
    else:
        random = np.random.default_rng(0)
        path = folder / "train_images.npy"
        np.save(path, random.integers(0, 256, (IMAGES, *SHAPE), np.uint8))
        labels = random.integers(0, 10, IMAGES).astype(np.int32)
    return ImageSet(path, None, labels, SHAPE)


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


def plan(backend: str, most: int) -> Sequence[tuple[str, Any, int, int]]:
    """List network, settings, batch size and number of cells of each measurement."""
    counts = [1, 8, 64] if backend == "jax" else [1]
    counts = [count for count in counts if count <= most]
    return [
        *(("MLP 784-784-10", shapes.MLP, 200, count) for count in counts),
        ("MLP 784-784-10", shapes.MLP, 2000, 1),
        *(("LeNet", shapes.LENET, 512, count) for count in counts[:2]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--precision", default="float32", help="a value of train.precision")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--cells", type=int, default=64, help="most cells side by side")
    parser.add_argument("--images", type=int, default=IMAGES, help="most images per epoch")
    arguments = parser.parse_args()
    from lrcycles.training.engine import backend_module
    from lrcycles.training.feeding import Resident

    backend = shapes.cell().runtime.backend
    module = backend_module(backend)
    module.prepare_device(arguments.device, 2, arguments.precision)
    with tempfile.TemporaryDirectory() as folder:
        train = Resident(images(Path(folder)).first(arguments.images), module.put)
    rows = []
    for network, model, batch_size, cells in plan(backend, arguments.cells):
        runtime = {"device": arguments.device, "precision": arguments.precision}
        runtime["side_by_side"] = cells
        cell = shapes.cell(model=model, batch_size=batch_size, runtime=runtime)
        rows.append({"network": network, **measure(cell, train, rounds=arguments.rounds)})
        print(rows[-1], flush=True)
    name = "gpu" if arguments.device == "gpu" else "side_by_side"
    device = module.device_name(arguments.device)
    about = {"precision": arguments.precision, "images": len(train)}
    shapes.write(name, {"device": device, "backend": backend, **about, "rows": rows})


if __name__ == "__main__":
    main()
