"""Shared by the measurements of lrcycles: networks, cells, folders and the record of a result."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Cell, Runtime
from lrcycles.cells.result import CellResult
from lrcycles.cells.store import CellStore
from lrcycles.training.compilation import cpu_name
from lrcycles.training.run import train_all

MLP = {"function": "lrcycles.models:mlp", "arguments": {"units": [784]}}
LENET = {"function": "lrcycles.models:lenet", "arguments": {}}
DATA = Path("artifacts/data")
STATE = Path("outputs/bench")  # what benchmarks.run has finished
QUICK = os.environ.get("QUICK", "") not in ("", "0")  # measure little, and leave docs/ as it is
if QUICK:
    STATE /= "quick"
PAGE = STATE / "performance.md" if QUICK else Path("docs/performance.md")
OUT = PAGE.with_suffix("")  # one JSON file per measurement; benchmarks.page reads them
CODE = ("benchmarks", "conf", "pipelines", "src", "dvc.yaml", "requirements.lock")

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
    """Describe one epoch of the tutorial's first fit on one thread; `settings` change it."""
    return replace(_CELL, runtime=replace(_RUNTIME, **(runtime or {})), **settings)


def train(cells: Sequence[Cell], *, workers: int) -> list[CellResult]:
    """Train each cell on the images of stage `data`; return its result."""
    with tempfile.TemporaryDirectory() as folder:
        store = CellStore(Path(folder))
        train_all(
            [[cell] for cell in cells],
            data=DATA,
            store=store,
            workers=workers,
            reuse=False,
            models=[],
            on_event=lambda *_: None,
        )
        return [store.result(cell) for cell in cells]


def write(name: str, results: Mapping[str, Any]) -> None:
    """Write a measurement with its date and machine to docs/performance/NAME.json."""
    OUT.mkdir(parents=True, exist_ok=True)
    record = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        **results,
    }
    (OUT / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


def code_digest() -> str:
    """Compute the SHA-256 of all files that a measurement depends on."""
    digest = hashlib.sha256()
    for top in map(Path, CODE):
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
