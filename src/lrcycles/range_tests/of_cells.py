"""Runs the range test of the pipeline, with one cell per seed.

Source: Smith 2017, sec. 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Cell
from lrcycles.cells.store import CellStore
from lrcycles.range_tests import widening
from lrcycles.range_tests.cell_sweep import Sweep, TimedCurve
from lrcycles.range_tests.curves import Curves, SeedCurve
from lrcycles.range_tests.kept_sweeps import sweep_seeds
from lrcycles.range_tests.sweep import Range, as_curves
from lrcycles.schedules.optimizers import class_named, unused_rates


@dataclass(frozen=True)
class Measured:
    """The curves of a range test, with the settings of the last sweeps: widened or not.

    Attributes:
        step_seconds: the mean time of a step, without the evaluations if these were timed apart.
    """

    curves: Curves
    sweep: Sweep
    compile_seconds: float
    step_seconds: float

    def price(self, training_steps: int) -> str:
        """Word what the range test took, beside a training of so many steps."""
        seconds = self.curves.seconds or 0.0
        training = training_steps * self.step_seconds
        return (
            f"The range test took {seconds:.3g} s, and compiling took {self.compile_seconds:.2g} s "
            f"more. At this pace, one training of {training_steps:,} steps takes about "
            f"{training:.3g} s. Without compilation, the range test takes "
            f"{100 * seconds / training:.0f} % of that."
        )


def measure(
    cells: Sequence[Cell],
    sweep: Sweep,
    *,
    data: Path,
    workers: Any,
    widen: int,
    store: CellStore,
    reuse: bool,
    announce: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Sweep every seed, again over a wider range where the curves show no start or no end.

    Seconds are those of all sweeps, of the narrow ranges too. A kept sweep counts with the seconds
    that were measured when it ran.

    Args:
        data: the folder that stage `data` wrote.
        widen: how often the range may be widened.
        reuse: take the sweeps that the store has.
        announce: gets a line about each sweep that has ended.
    """
    spent: list[TimedCurve] = []

    def sweeps(span: Range) -> list[SeedCurve]:
        timed = sweep_seeds(
            cells,
            replace(sweep, **asdict(span)),
            data=data,
            workers=workers,
            store=store,
            reuse=reuse,
            announce=announce,
        )
        spent.extend(timed)
        return [one.curve for one in timed]

    span, curves, notes = widening.sweep_and_widen(
        sweep.range, sweeps, widen=widen, stop_factor=sweep.stop_factor
    )
    longest = max((curve.lr for curve in curves), key=len)
    unused = unused_rates(class_named(cells[0].optimizer["name"]), longest)
    joined = as_curves(
        curves,
        span,
        metric="accuracy",
        metric_rises=True,
        stop_factor=sweep.stop_factor,
        steps_per_epoch=None,
        seconds=sum(one.seconds for one in spent),
        notes=[*notes, *([unused] if unused else [])],
    )
    steps = sum(len(one.curve.lr) for one in spent)
    return Measured(
        joined,
        replace(sweep, **asdict(span)),
        compile_seconds=sum(one.compile_seconds for one in spent),
        step_seconds=sum(one.train_seconds for one in spent) / steps,
    )


def summary(
    measured: Measured, asked: Sweep, *, batch_size: int, subject: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Make the content of range_test.json, which goes with the curves.

    Args:
        asked: the configured sweep; the sweep that ran may be wider.
        subject: model and optimizer, as configured.
    """
    curves = measured.curves
    lengths = curves.table.groupby("seed").size()
    return {
        "schema": 1,
        **asdict(measured.sweep.range),
        "asked": asdict(asked.range),
        "seeds": curves.seeds,
        **subject,
        "batch_size": batch_size,
        "evaluate_every_steps": asked.evaluate_every_steps,
        "heldout_images": asked.heldout_images,
        "initial_loss": {str(seed): loss for seed, loss in curves.initial_loss.items()},
        "initial_accuracy": {str(seed): value for seed, value in curves.initial_metric.items()},
        "train_seconds": curves.seconds,
        "compile_seconds": measured.compile_seconds,
        "step_seconds": measured.step_seconds,
        "stopped_at": {
            str(seed): int(steps) if steps < measured.sweep.steps else None
            for seed, steps in lengths.items()
        },
        "notes": list(curves.notes),
    }
