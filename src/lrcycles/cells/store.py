"""Keeps finished cells on disk, a folder for each key."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.files import read_json, replace_folder


@dataclass(frozen=True)
class CellStore:
    """Finished cells, each a folder named by its key; shared by all runs of a checkout."""

    root: Path

    def folder(self, key: str) -> Path:
        return self.root / key

    def has(self, cell: Cell, *, model: bool) -> bool:
        """Whether the cell is here and whole, with its network if `model`."""
        folder = self.folder(cell.key)
        try:
            steps = read_json(folder / "result.json")["steps"]
            whole = len(np.load(folder / "steps.npy", mmap_mode="r")) == steps
        except (OSError, ValueError, KeyError, TypeError):
            return False  # absent, or damaged: trained again, and replaced
        return whole and (not model or (folder / "model.keras").exists())

    def result(self, cell: Cell) -> dict[str, Any]:
        """The cell's result.json, under the names by which the caller knows the cell."""
        found = read_json(self.folder(cell.key) / "result.json")
        names = ("arm", "group", "continues", "uses_bounds")
        return {**found, **{name: getattr(cell, name) for name in names}}

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """Give a folder to fill; it becomes the cell's in one rename if the block succeeds."""
        self.root.mkdir(parents=True, exist_ok=True)
        beside = self.root / f".{key}.{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            yield beside
            try:
                replace_folder(beside, self.folder(key))
            except OSError as error:
                # Another process finished the same cell in this instant: equal keys, equal results.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
