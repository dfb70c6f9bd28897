"""Cells that the tests of training share: a network of 8 units on 1,200 digits."""

from __future__ import annotations

from dataclasses import replace

from lrcycles.cells.cell import Cell, Runtime

RUNTIME = Runtime(
    backend="tensorflow",
    device="cpu",
    precision="float32",
    threads=1,
    side_by_side=1,
    versions={},
    sources="",
)
CELL = Cell(
    group="clr",
    arm="clr",
    seed=0,
    schedule={"name": "triangular", "base_lr": 0.001, "max_lr": 0.02, "cycles": 2},
    optimizer={"name": "adam", "arguments": {}},
    model={"function": "lrcycles.models:mlp", "arguments": {"units": [8]}},
    classes=10,
    epochs=2,
    batch_size=50,
    training_set="split",
    compile="auto",
    data="digits",
    runtime=RUNTIME,
)
CONSTANT = replace(CELL, arm="constant", schedule={"name": "constant", "base_lr": 0.005})
CONTINUED = replace(CELL, arm="continued", continues="constant", batch_size=100)
REDUCED = replace(
    CELL,
    arm="reduced",
    schedule={
        **{"name": "reduce_on_plateau", "base_lr": 0.5},
        **{"factor": 0.1, "patience_epochs": 1},
    },
    epochs=6,
)
WILD = replace(
    CELL,
    arm="wild",
    schedule={"name": "constant", "base_lr": 1e30},
    optimizer={"name": "sgd", "arguments": {}},
)
