"""A whole result of a training, for tests that need one without training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrcycles.cells.result import CellResult, EpochResult, ScheduleResult

RESULT = CellResult(
    group="clr",
    arm="clr",
    seed=0,
    key="k" * 64,
    status="finished",
    schedule=ScheduleResult(name="triangular", base_lr=0.001, max_lr=0.01, step_size=625, cycles=2),
    optimizer={"name": "adam", "arguments": {}},
    model={"function": "lrcycles.models:mlp", "arguments": {"units": [8]}},
    classes=10,
    epochs=2,
    batch_size=20,
    training_set="split",
    images=25_000,
    data="d" * 64,
    test_error_percent=1.75,
    test_loss=0.5,
    validation_error_percent=2.25,
    validation_loss=0.25,
    train_seconds=7.0,
    compile_seconds=2.0,
    evaluate_seconds=1.0,
    steps=2500,
    steps_per_second=357.0,
    device="cpu",
    device_name="a processor",
    threads=1,
    side_by_side=1,
    backend="tensorflow",
    precision="float32",
    compile="xla",
    versions={"keras": "3"},
    history=[
        EpochResult(epoch=1, step=1250, validation_loss=0.5, validation_error_percent=4.0),
        EpochResult(epoch=2, step=2500, validation_loss=0.25, validation_error_percent=2.25),
    ],
)


def cell_result(**changes: Any) -> CellResult:
    """A finished training of two epochs with 1,250 steps each, with some fields changed."""
    return replace(RESULT, **changes)
