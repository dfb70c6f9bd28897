"""Runs `lrcycles.range_test`, which also measures held-out accuracy and suggests two rates."""

from __future__ import annotations

import math
from pathlib import Path

import lrcycles
from benchmarks.range_test_speed import keras_parts
from benchmarks.range_test_speed.protocol import (
    BATCH_SIZE,
    MAX_LR,
    MIN_LR,
    STEPS,
    Found,
    Test,
    read,
)

PACKAGES = ("keras", "tensorflow")
_range_test, _select_bounds = lrcycles.range_test, lrcycles.select_bounds  # imported here


def prepare(folder: Path) -> Test:
    images, labels = read(folder)
    model = keras_parts.network()

    def test() -> Found:
        curves = _range_test(
            model,
            images,
            labels,
            batch_size=BATCH_SIZE,
            min_lr=MIN_LR,
            max_lr=MAX_LR,
            steps=STEPS,
            seeds=1,
            widen=0,
            stop_factor=math.inf,
        )
        bounds = _select_bounds(curves)
        return Found(len(curves.table), f"{bounds.base_lr:.3g} to {bounds.max_lr:.3g}")

    return test
