"""Checks what a cell's run in MLflow holds of its settings."""

from __future__ import annotations

from lrcycles.stages.mirror import parameters
from tests.cell_results import cell_result


def test_the_parameters_of_a_run_are_the_settings_that_have_a_value():
    assert parameters(cell_result(images=100, steps=10)) == {
        "group": "clr",
        "arm": "clr",
        "seed": 0,
        "key": "k" * 64,
        "epochs": 2,
        "batch_size": 20,
        "training_set": "split",
        "images": 100,
        "steps": 10,
        "precision": "float32",
        "compile": "xla",
        "threads": 1,
        "side_by_side": 1,
        "streamed": False,
        "backend": "tensorflow",
        "device": "cpu",
        "schedule.name": "triangular",
        "schedule.base_lr": 0.001,
        "schedule.max_lr": 0.01,
        "schedule.step_size": 625,
        "schedule.cycles": 2,
        "optimizer.name": "adam",
        "model.function": "lrcycles.models:mlp",
        "model.arguments": {"units": [8]},
    }
