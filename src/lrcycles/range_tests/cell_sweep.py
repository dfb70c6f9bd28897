"""Sweeps the rate of cells on the compiled engine that also trains cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """One seed's sweep, and what it cost; evaluation is part of a range test's price.

    Attributes:
        evaluate_seconds: 0 where the program that trains also evaluates; train_seconds is then the
            time of both.
    """

    curve: SeedCurve
    train_seconds: float
    evaluate_seconds: float
    compile_seconds: float

    @property
    def seconds(self) -> float:
        """The time of the sweep without compilation."""
        return self.train_seconds + self.evaluate_seconds


@dataclass(frozen=True)
class Team:
    """Cells that one program sweeps side by side; they differ by seed."""

    cells: Sequence[Cell]

    def __str__(self) -> str:
        return f"the sweep of seed {', '.join(str(cell.seed) for cell in self.cells)}"


def sweep_team(
    team: Team, notify: Callable[[str, str], None], *, sweep: Sweep, data: Path
) -> list[TimedCurve]:
    """Raise the rate after every mini-batch until the ramp ends or the loss diverges.

    Each seed's curve ends where its own loss diverges. Each gets its share of the team's seconds.

    Args:
        team: the schedule and the number of epochs of its cells do not matter.
        data: the folder that stage `data` wrote.
    """
    from lrcycles.training import chain

    first = team.cells[0]
    train, validation, _ = chain.laid_out(first, data)
    heldout = validation.first(sweep.heldout_images)
    # Pad to a fixed number of cells: the number itself would change the rounding.
    lanes = [*team.cells, *[first] * (first.runtime.side_by_side - len(team.cells))]
    epochs = -(-sweep.steps // (len(train) // first.batch_size))
    parts = [chain.orders(lanes, epoch, train) for epoch in range(epochs)]
    order = np.concatenate(parts, axis=1)[:, : sweep.steps]
    chunk = sweep.evaluate_every_steps
    engine, compile_seconds = chain.compiled(first, train, order, heldout, chunk=chunk)
    engine.reset([cell.seed for cell in lanes])
    # TensorFlow sets up its compiled functions again after seeding, which is no training time.
    compile_seconds += engine.compile(train, order, heldout, chunk=chunk)
    rates = sweep.range.rates()
    started = time.perf_counter()
    begun = engine.evaluate(heldout)
    course = _Course(
        begun,
        time.perf_counter() - started,
        engine.sweep(train, order, np.stack([rates] * len(lanes)), heldout, every=chunk),
        lambda: notify("step", first.key),
    )
    curves = [course.curve(k, cell, rates, sweep) for k, cell in enumerate(team.cells)]
    share = 1 / len(team.cells)
    return [
        TimedCurve(
            curve,
            train_seconds=share * (time.perf_counter() - started - course.evaluate_seconds),
            evaluate_seconds=share * course.evaluate_seconds,
            compile_seconds=share * compile_seconds,
        )
        for curve in curves
    ]


class _Course:
    """The losses and scores of all lanes so far; more are measured where a lane needs them."""

    def __init__(
        self,
        begun: list[tuple[float, float]],
        evaluate_seconds: float,
        pieces: Any,
        on_piece: Callable[[], None],
    ) -> None:
        self.evaluate_seconds = evaluate_seconds
        self._losses = np.empty((len(begun), 0))
        self._scores = [begun]
        self._pieces = pieces
        self._on_piece = on_piece

    def curve(self, lane: int, cell: Cell, rates: np.ndarray, sweep: Sweep) -> SeedCurve:
        done = scored = 0

        def advance(part: np.ndarray) -> np.ndarray:
            nonlocal done
            done += len(part)
            while self._losses.shape[1] < done:
                self._measure()
            return self._losses[lane, done - len(part) : done]

        def evaluate() -> tuple[float, float]:
            nonlocal scored
            loss, error_percent = self._scores[scored][lane]
            scored += 1
            return loss, 1 - error_percent / 100

        return run_sweep(
            cell.seed,
            rates,
            advance=advance,
            evaluate=evaluate,
            evaluate_every_steps=sweep.evaluate_every_steps,
            stop_factor=sweep.stop_factor,
        )

    def _measure(self) -> None:
        losses, scores, seconds = next(self._pieces)
        self._losses = np.concatenate([self._losses, losses], axis=1)
        self._scores += scores
        self.evaluate_seconds += seconds
        self._on_piece()
