"""Keeps finished trainings and timed measurements on disk, a folder for each key."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.cells.result import CellResult, read_result
from lrcycles.files import replace_folder


@dataclass(frozen=True)
class CellStore:
    """A folder for each key, shared by all runs of a checkout.

    The entry of a training holds result.json, steps.npy and perhaps model.keras. The modules that
    measure something else than a training write and check their own entries.
    """

    root: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of the trainings in progress."""
        return self.root / ".checkpoints"

    def folder(self, key: str) -> Path:
        """Return the entry's folder, whether it is there or not."""
        return self.root / key

    def has(self, cell: Cell, *, model: bool) -> bool:
        """Return whether the cell's entry is there and whole; a damaged entry does not count.

        Args:
            model: the entry must hold the trained network.
        """
        folder = self.folder(cell.key)
        try:
            result = read_result(folder / "result.json")
            rows = len(np.load(folder / "steps.npy", mmap_mode="r"))
        except (OSError, ValueError, EOFError):
            return False
        whole = result.key == cell.key and rows == result.steps
        return whole and (not model or (folder / "model.keras").exists())

    def result(self, cell: Cell) -> CellResult:
        """Read the cell's result, with the names under which the caller knows the cell."""
        return replace(
            read_result(self.folder(cell.key) / "result.json"),
            group=cell.group,
            arm=cell.arm,
            continues=cell.continues,
            uses_bounds=cell.uses_bounds,
        )

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """Give a folder to fill; one rename makes it the entry of `key` if the block succeeds."""
        self.root.mkdir(parents=True, exist_ok=True)
        temporary_folder = self.root / f".{key}.{os.getpid()}"
        shutil.rmtree(temporary_folder, ignore_errors=True)
        temporary_folder.mkdir()
        try:
            yield temporary_folder
            try:
                replace_folder(temporary_folder, self.folder(key))
            except OSError as error:
                # Another process added the same key at this moment: equal keys, equal results.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            shutil.rmtree(temporary_folder, ignore_errors=True)
