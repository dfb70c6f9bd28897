"""Runs the range test on the compiled engine of the pipeline (stage range_test)."""

from __future__ import annotations

import math
from pathlib import Path

import lrcycles
from benchmarks import shapes
from benchmarks.range_test_speed.protocol import (
    BATCH_SIZE,
    MAX_LR,
    MIN_LR,
    STEPS,
    THREADS,
    UNITS,
    Found,
    Test,
)
from lrcycles.range_tests.cell_sweep import Sweep, Team, sweep_team
from lrcycles.range_tests.sweep import as_curves
from lrcycles.training import chain, tensorflow_engine

PACKAGES = ("keras", "tensorflow")
_select_bounds = lrcycles.select_bounds  # imported here, not in the timed test


def prepare(folder: Path) -> Test:
    tensorflow_engine.prepare_device("cpu", THREADS, "float32")
    model = {**shapes.MLP, "arguments": {"units": [UNITS]}}
    cell = shapes.cell(
        model=model, batch_size=BATCH_SIZE, training_set="split", runtime={"threads": THREADS}
    )
    sweep = Sweep(
        ramp="exponential",
        min_lr=MIN_LR,
        max_lr=MAX_LR,
        steps=STEPS,
        evaluate_every_steps=10,  # this and the next are the defaults of `range_test`
        heldout_images=1000,
        stop_factor=math.inf,
    )
    chain.laid_out(cell, folder)  # reads the data once

    def test() -> Found:
        (timed,) = sweep_team(Team([cell]), lambda *_: None, sweep=sweep, data=folder)
        curves = as_curves(
            [timed.curve],
            sweep.range,
            metric="accuracy",
            metric_rises=True,
            stop_factor=sweep.stop_factor,
            steps_per_epoch=None,
            seconds=None,
        )
        bounds = _select_bounds(curves)
        return Found(len(curves.table), f"{bounds.base_lr:.3g} to {bounds.max_lr:.3g}")

    return test
