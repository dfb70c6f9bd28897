"""Measures the speed by workers and threads, by the way of compiling and by the number of epochs.

PYTHONPATH=src python -m benchmarks.scaling
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks import shapes
from lrcycles.cells.cell import Cell
from lrcycles.training import pool

SPLITS = {
    "1 worker x 1 thread": (1, 1),
    "2 workers x 1 thread": (2, 1),
    "1 worker x 2 threads": (1, 2),
}
DENSE = {
    "mlp 784": shapes.MLP,
    "mlp 2048": {"function": "lrcycles.models:mlp", "arguments": {"units": [2048]}},
    "mlp 784, batch norm": {
        "function": "lrcycles.models:mlp",
        "arguments": {"units": [784], "batch_norm": True},
    },
}


def splits(rounds: int) -> dict[str, Any]:
    """Measure images per second for each way to use two cores, with four cells of two epochs."""
    speeds: dict[str, list[float]] = {name: [] for name in SPLITS}
    for turn in range(rounds):
        for name, (workers, threads) in SPLITS.items():
            cells = [
                shapes.cell(seed=4 * turn + k, epochs=2, runtime={"threads": threads})
                for k in range(4)
            ]
            results = shapes.train(cells, workers=workers)
            seconds = median(result.train_seconds for result in results)
            speeds[name].append(workers * 2 * results[0].images / seconds)
    return {name: {"images_per_second": median(values)} for name, values in speeds.items()}


def ways_of_compiling(rounds: int) -> list[dict[str, Any]]:
    """Measure milliseconds per step with XLA and with a graph, and what `compile: auto` chooses."""
    rows = [
        *((name, model, batch) for batch in (200, 2000) for name, model in DENSE.items()),
        ("lenet", shapes.LENET, 64),
    ]
    runtime = shapes.cell().runtime
    with pool.workers(1, runtime=runtime) as run:
        jobs = [shapes.cell(model=model, batch_size=batch) for _, model, batch in rows]
        times = dict(run(partial(_time, rounds=rounds), jobs))
    return [
        {"network": name, "batch_size": batch, **times[job.key]}
        for (name, _, batch), job in zip(rows, jobs, strict=True)
    ]


def _time(cell: Cell, _notify: Any, *, rounds: int) -> tuple[str, dict[str, Any]]:
    from lrcycles.training import chain

    train, _, _ = chain.laid_out(cell, shapes.DATA)
    steps = max(2, 20_000 // cell.batch_size)
    if "lenet" in cell.model["function"]:
        steps, rounds = 2, 1  # XLA takes seconds per step
    order = chain.orders([cell], 0, train)[:, :steps]
    rates = np.full(order.shape[:2], 1e-3, np.float32)
    engines = {}
    for way in ("xla", "graph"):
        engines[way], _ = chain.compiled(replace(cell, compile=way), train, order)
        engines[way].reset([0])
        engines[way].run(train, order, rates)
    seconds: dict[str, list[float]] = {way: [] for way in engines}
    for _ in range(rounds):
        for way, engine in engines.items():
            begun = time.perf_counter()
            list(engine.epoch(train, order, rates))
            seconds[way].append((time.perf_counter() - begun) / steps)
    auto, _ = chain.compiled(cell, train, order)
    milliseconds = {f"{way}_ms": 1e3 * median(values) for way, values in seconds.items()}
    return cell.key, {**milliseconds, "auto": "xla" if auto.xla else "graph"}


def sizes(rounds: int) -> Iterator[dict[str, Any]]:
    """Measure microseconds per image and seconds of compilation, by the number of epochs."""
    for epochs in (1, 4):
        cells = [shapes.cell(seed=k, epochs=epochs) for k in range(rounds)]
        results = shapes.train(cells, workers=1)
        images = results[0].images * epochs
        yield {
            "epochs": epochs,
            "microseconds_per_image": median(1e6 * r.train_seconds / images for r in results),
            "compile_seconds": results[0].compile_seconds,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    shapes.write(
        "scaling",
        {
            "splits": splits(rounds),
            "compiling": ways_of_compiling(rounds + 2),
            "epochs": list(sizes(1)),
        },
    )


if __name__ == "__main__":
    main()
