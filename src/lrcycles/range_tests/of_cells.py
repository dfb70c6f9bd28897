"""How do loss and held-out accuracy move with the rate? The LR range test.

Source: Smith 2017, sec. 3.3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.range_tests import widening
from lrcycles.range_tests.curves import Curves, SeedCurve
from lrcycles.range_tests.sweep import Range, as_curves, run_sweep
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

    @property
    def range(self) -> Range:
        """The rates alone."""
        return Range(self.ramp, self.min_lr, self.max_lr, self.steps)


@dataclass(frozen=True)
class TimedCurve:
    """One seed's sweep, and what it cost; evaluation is part of a range test's price."""

    curve: SeedCurve
    train_seconds: float
    evaluate_seconds: float
    compile_seconds: float


def sweep_seeds(
    cells: Sequence[Cell],
    sweep: Sweep,
    *,
    data: Path,
    workers: Any,
) -> list[TimedCurve]:
    """Run one sweep per cell (they differ by seed), over processes; curves in the cells' order."""
    runtime = cells[0].runtime
    count = pool.worker_count(
        workers, jobs=len(cells), device=runtime.device, threads=runtime.threads
    )
    with pool.workers(count, runtime=runtime) as run:
        curves = list(run(partial(sweep_one, sweep=sweep, data=data), cells))
    seeds = [cell.seed for cell in cells]
    return sorted(curves, key=lambda timed: seeds.index(timed.curve.seed))


def sweep_one(
    cell: Cell, _notify: Callable[[str, str], None], *, sweep: Sweep, data: Path
) -> TimedCurve:
    """Raise the rate after every mini-batch until the ramp ends or the loss diverges."""
    from lrcycles.training import chain

    train, validation, _ = chain.laid_out(cell, data)
    heldout = validation.first(sweep.heldout_images)
    epochs = -(-sweep.steps // (len(train) // cell.batch_size))
    parts = [chain.orders([cell], epoch, train) for epoch in range(epochs)]
    order = np.concatenate(parts, axis=1)[:, : sweep.steps]
    chunk = sweep.evaluate_every_steps
    engine, compile_seconds = chain.compiled(cell, train, order, heldout, chunk=chunk)
    engine.reset([cell.seed])
    # As train_cells does, and says why.
    compile_seconds += engine.compile(train, order, heldout, chunk=chunk)
    rates = sweep.range.rates()
    started = time.perf_counter()
    done = 0
    evaluate_seconds = 0.0

    def advance(part: np.ndarray) -> np.ndarray:
        nonlocal done
        stop = done + len(part)
        losses: np.ndarray = engine.run(train, order, rates[None], start=done, stop=stop)[0]
        done = stop
        return losses

    def evaluate() -> tuple[float, float]:
        nonlocal evaluate_seconds
        begun = time.perf_counter()
        loss, error_percent = engine.evaluate(heldout)[0]
        evaluate_seconds += time.perf_counter() - begun
        return loss, 1 - error_percent / 100

    curve = run_sweep(
        cell.seed,
        rates,
        advance=advance,
        evaluate=evaluate,
        evaluate_every_steps=sweep.evaluate_every_steps,
        stop_factor=sweep.stop_factor,
    )
    return TimedCurve(
        curve,
        train_seconds=time.perf_counter() - started - evaluate_seconds,
        evaluate_seconds=evaluate_seconds,
        compile_seconds=compile_seconds,
    )


@dataclass(frozen=True)
class Measured:
    """What a range test found: `sweep` is the one that its curves are of, widened or not."""

    curves: Curves
    sweep: Sweep
    compile_seconds: float


def measure(
    cells: Sequence[Cell], sweep: Sweep, *, data: Path, workers: Any, widen: int
) -> Measured:
    """Sweep every seed, over a wider range where the curves show no start or no end.

    Args:
        widen: how often the range may be widened; what that costs counts.
    """
    spent: list[TimedCurve] = []

    def sweeps(over: Range) -> list[SeedCurve]:
        timed = sweep_seeds(cells, replace(sweep, **asdict(over)), data=data, workers=workers)
        spent.extend(timed)
        return [one.curve for one in timed]

    span, curves, notes = widening.sweep_and_widen(
        sweep.range, sweeps, extensions=widen, stop_factor=sweep.stop_factor
    )
    joined = as_curves(
        curves,
        span,
        metric="accuracy",
        metric_rises=True,
        stop_factor=sweep.stop_factor,
        steps_per_epoch=None,
        seconds=sum(one.train_seconds + one.evaluate_seconds for one in spent),
        notes=notes,
    )
    compile_seconds = sum(one.compile_seconds for one in spent)
    return Measured(joined, replace(sweep, **asdict(span)), compile_seconds)


def summary(
    found: Measured, asked: Sweep, *, batch_size: int, subject: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What range_test.json says beside the curves.

    Args:
        asked: the sweep that was configured; the one that was run may be wider.
        subject: model and optimizer, as configured.
    """
    curves = found.curves
    lengths = curves.table.groupby("seed").size()
    return {
        "schema": 1,
        **asdict(found.sweep.range),
        "asked": asdict(asked.range),
        "seeds": curves.seeds,
        **subject,
        "batch_size": batch_size,
        "evaluate_every_steps": asked.evaluate_every_steps,
        "heldout_images": asked.heldout_images,
        "initial_loss": {str(seed): loss for seed, loss in curves.initial_loss.items()},
        "initial_accuracy": {str(seed): value for seed, value in curves.initial_metric.items()},
        "train_seconds": curves.seconds,
        "compile_seconds": found.compile_seconds,
        "stopped_at": {
            str(seed): int(steps) if steps < found.sweep.steps else None
            for seed, steps in lengths.items()
        },
        "notes": list(curves.notes),
    }
