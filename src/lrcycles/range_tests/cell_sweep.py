"""Sweeps the rate of one cell on the compiled engine that also trains cells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.sweep import Range, run_sweep


@dataclass(frozen=True)
class Sweep:
    """The settings of a range test; conf/range_test/ explains each."""

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


def sweep_one(
    cell: Cell, notify: Callable[[str, str], None], *, sweep: Sweep, data: Path
) -> TimedCurve:
    """Raise the rate after every mini-batch until the ramp ends or the loss diverges.

    Args:
        cell: its schedule and its number of epochs do not matter.
        data: the folder that stage `data` wrote.
    """
    from lrcycles.training import chain

    train, validation, _ = chain.laid_out(cell, data)
    heldout = validation.first(sweep.heldout_images)
    epochs = -(-sweep.steps // (len(train) // cell.batch_size))
    parts = [chain.orders([cell], epoch, train) for epoch in range(epochs)]
    order = np.concatenate(parts, axis=1)[:, : sweep.steps]
    chunk = sweep.evaluate_every_steps
    engine, compile_seconds = chain.compiled(cell, train, order, heldout, chunk=chunk)
    engine.reset([cell.seed])
    # TensorFlow sets up its compiled functions again after seeding, which is no training time.
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
        notify("step", cell.key)
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
