"""What do the measurements of lrcycles itself have in common?"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrcycles.cells import Cell, Runtime
from lrcycles.training.compilation import cpu_name

MLP = {"function": "lrcycles.models:mlp", "arguments": {"units": [784]}}
LENET = {"function": "lrcycles.models:lenet", "arguments": {}}
OUT = Path("docs/performance")  # one JSON file a measurement; benchmarks.page makes a page of them

_RUNTIME = Runtime(
    backend=os.environ.get("KERAS_BACKEND", "tensorflow"),
    device="cpu",
    precision="float32",
    threads=1,
    side_by_side=1,
    versions={},
    sources="",
)
_CELL = Cell(
    group="",
    arm="",
    seed=0,
    schedule={"name": "constant", "base_lr": 0.001},
    optimizer={"name": "adam", "arguments": {}},
    model=MLP,
    classes=10,
    epochs=1,
    batch_size=200,
    training_set="all",
    compile="auto",
    data="",
    runtime=_RUNTIME,
)


def cell(*, runtime: Mapping[str, Any] | None = None, **settings: Any) -> Cell:
    """The tutorial's first fit for an epoch, on one thread, but for what is given."""
    return replace(_CELL, runtime=replace(_RUNTIME, **(runtime or {})), **settings)


def write(name: str, results: Mapping[str, Any]) -> None:
    """Keep a measurement with the day and the machine."""
    OUT.mkdir(parents=True, exist_ok=True)
    record = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        **results,
    }
    (OUT / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))
