"""How do loss and held-out accuracy move with the rate? The LR range test.

Source: Smith 2017, sec. 3.3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells import Cell
from lrcycles.schedules import ramp_table
from lrcycles.training import pool


@dataclass(frozen=True)
class Sweep:
    """The settings of a range test; `conf/range_test/` says what each means."""

    ramp: str
    min_lr: float
    max_lr: float
    steps: int
    evaluate_every_steps: int
    heldout_images: int
    stop_factor: float


@dataclass(frozen=True)
class Curve:
    """One seed's sweep: what was measured at each step, and what it cost."""

    seed: int
    initial_loss: float  # on the held-out images, as heldout_loss is
    initial_accuracy: float
    lr: np.ndarray
    loss: np.ndarray  # raw mini-batch loss before the update
    heldout_loss: np.ndarray  # on the held-out images after the update; NaN where not measured
    accuracy: np.ndarray  # likewise
    stopped_at: int | None  # step at which it diverged
    train_seconds: float
    evaluate_seconds: float  # on the held-out images: part of the test's price as well
    compile_seconds: float


def sweep_seeds(
    cells: Sequence[Cell],
    sweep: Sweep,
    *,
    data: Path,
    workers: Any,
) -> list[Curve]:
    """Run one sweep per cell (they differ by seed), over processes; curves in the cells' order."""
    runtime = cells[0].runtime
    count = pool.worker_count(
        workers, jobs=len(cells), device=runtime.device, threads=runtime.threads
    )
    with pool.workers(count, runtime=runtime) as run:
        curves = list(run(partial(sweep_one, sweep=sweep, data=data), cells))
    seeds = [cell.seed for cell in cells]
    return sorted(curves, key=lambda curve: seeds.index(curve.seed))


def sweep_one(
    cell: Cell, _notify: Callable[[str, str], None], *, sweep: Sweep, data: Path
) -> Curve:
    """Raise the rate after every mini-batch until the ramp ends or the loss diverges."""
    from lrcycles.training import chain

    train, (x_validation, y_validation), _ = chain.resident(cell.runtime.backend, data, "split")
    heldout = x_validation[: sweep.heldout_images], y_validation[: sweep.heldout_images]
    order = _order(cell.seed, len(train[0]), cell.batch_size, sweep.steps)
    engine, compile_seconds = chain.compiled(cell, train, order, heldout)
    engine.reset(cell.seed)
    rates = ramp_table(sweep.ramp, min_lr=sweep.min_lr, max_lr=sweep.max_lr, steps=sweep.steps)
    losses: list[np.ndarray] = []
    heldout_loss, accuracy = np.full((2, sweep.steps), np.nan)
    stopped_at = None
    train_seconds = 0.0
    started = time.perf_counter()
    initial_loss, initial_accuracy = _score(engine, heldout)
    for begin in range(0, sweep.steps, sweep.evaluate_every_steps):
        end = min(begin + sweep.evaluate_every_steps, sweep.steps)
        resumed = time.perf_counter()
        losses.append(engine.run(train, order, rates, start=begin, stop=end))
        train_seconds += time.perf_counter() - resumed
        heldout_loss[end - 1], accuracy[end - 1] = _score(engine, heldout)
        if diverged(np.concatenate(losses), sweep.stop_factor):
            stopped_at = end
            break
    loss = np.concatenate(losses)
    return Curve(
        seed=cell.seed,
        initial_loss=initial_loss,
        initial_accuracy=initial_accuracy,
        lr=rates[: len(loss)],
        loss=loss,
        heldout_loss=heldout_loss[: len(loss)],
        accuracy=accuracy[: len(loss)],
        stopped_at=stopped_at,
        train_seconds=train_seconds,
        evaluate_seconds=time.perf_counter() - started - train_seconds,
        compile_seconds=compile_seconds,
    )


def diverged(loss: np.ndarray, stop_factor: float, window: int = 10) -> bool:
    """Whether the loss is not finite, or its recent mean exceeds the first by `stop_factor`.

    Compared with the loss at the start and not with the best: near zero loss, one bad batch is
    many times the best without being divergence.
    """
    if not np.isfinite(loss).all():
        return True
    return bool(loss[-window:].mean() > stop_factor * loss[:window].mean())


def _score(engine: Any, heldout: Any) -> tuple[float, float]:
    """Loss and accuracy on the held-out images."""
    loss, error_percent = engine.evaluate(heldout)
    return loss, 1 - error_percent / 100


def _order(seed: int, images: int, batch_size: int, steps: int) -> np.ndarray:
    from lrcycles.training.chain import epoch_order

    epochs = -(-steps // (images // batch_size))
    parts = [epoch_order(seed, epoch, images, batch_size) for epoch in range(epochs)]
    return np.concatenate(parts)[:steps]


def as_table(curves: Sequence[Curve]) -> Any:
    """Curves as one table: seed, step (from 1), lr, loss, heldout_loss, accuracy."""
    import pandas as pd

    return pd.concat(
        [
            pd.DataFrame(
                {
                    "seed": curve.seed,
                    "step": np.arange(1, len(curve.lr) + 1),
                    "lr": curve.lr,
                    "loss": curve.loss,
                    "heldout_loss": curve.heldout_loss,
                    "accuracy": curve.accuracy,
                }
            )
            for curve in curves
        ],
        ignore_index=True,
    )


def summary(
    curves: Sequence[Curve], sweep: Sweep, *, batch_size: int, subject: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What range_test.json says beside the curves.

    Args:
        subject: model and optimizer, as configured.
    """
    return {
        "schema": 1,
        "ramp": sweep.ramp,
        "min_lr": sweep.min_lr,
        "max_lr": sweep.max_lr,
        "steps": sweep.steps,
        "seeds": [curve.seed for curve in curves],
        **subject,
        "batch_size": batch_size,
        "evaluate_every_steps": sweep.evaluate_every_steps,
        "heldout_images": sweep.heldout_images,
        "initial_loss": {str(curve.seed): curve.initial_loss for curve in curves},
        "initial_accuracy": {str(curve.seed): curve.initial_accuracy for curve in curves},
        "train_seconds": sum(curve.train_seconds + curve.evaluate_seconds for curve in curves),
        "compile_seconds": sum(curve.compile_seconds for curve in curves),
        "stopped_at": {str(curve.seed): curve.stopped_at for curve in curves},
    }
