"""Keeps finished trainings and timed measurements on disk, a folder for each key."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lrcycles.cells.cell import Cell
from lrcycles.cells.result import CellResult, read_result
from lrcycles.errors import InputError
from lrcycles.files import Damage, damage, replace_folder, seal


@dataclass(frozen=True)
class CellStore:
    """A folder for each key, shared by all runs of a checkout.

    The entry of a training holds result.json, steps.npy and perhaps model.keras. The modules that
    measure something else than a training write and read their own entries. Every entry has a
    manifest.
    """

    root: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of the trainings in progress."""
        return self.root / ".checkpoints"

    def folder(self, key: str) -> Path:
        """Return the entry's folder, whether it is there or not."""
        return self.root / key

    def entry(self, key: str) -> Path | None:
        """Return the folder of a whole entry, or None.

        An entry that is not as it was written is set aside, which one line says.
        """
        folder = self.folder(key)
        if not folder.exists():
            return None
        found = damage(folder, key)
        if found is not None:
            self._set_aside(folder, found)
        return None if found else folder

    def has(self, cell: Cell, *, model: bool) -> bool:
        """Return whether the cell's entry is there and whole; a damaged one is set aside.

        Args:
            model: the entry must hold the trained network.
        """
        folder = self.entry(cell.key)
        if folder is None:
            return False
        try:
            key = read_result(folder / "result.json").key
        except (OSError, InputError):
            key = "nothing that this version reads"
        if key != cell.key:
            self._set_aside(folder, Damage("result.json", f"belongs to {key}"))
            return False
        return not model or (folder / "model.keras").exists()

    def _set_aside(self, folder: Path, found: Damage) -> None:
        aside = self.root.with_name("damaged") / f"{folder.name[:16]}.{os.getpid()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # another process has just set it aside
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            print(
                f"warning: a stored result must be as it was written. Received: {found}. It is now "
                f"in .lrcycles/damaged/{aside.name}, and the result is made again.",
                file=sys.stderr,
            )

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
            seal(temporary_folder, key)
            try:
                replace_folder(temporary_folder, self.folder(key))
            except OSError as error:
                # Another process added the same key at this moment: equal keys, equal results.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            shutil.rmtree(temporary_folder, ignore_errors=True)
