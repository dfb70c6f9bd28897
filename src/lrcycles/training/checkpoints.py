"""Keeps trainings in progress on disk, so that an interrupted one continues where it was."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.cells.cell import Cell, digest_of
from lrcycles.cells.store import CellStore
from lrcycles.errors import end_process, reason
from lrcycles.files import replacing

if TYPE_CHECKING:  # they import Keras, which the process that starts the workers does not need
    from lrcycles.training.engine import Engine
    from lrcycles.training.records import Course

EVERY_SECONDS = 60.0
STOPPED = 143  # the exit status of a process that SIGTERM ends
# A checkpoint may cost one part in so many of the time between two; large networks get fewer.
_LEAST_PAUSE = 100

_in_training = False
_stop_wanted = False


def stop_soon(*_: object) -> None:
    """End this process: during a training after its next checkpoint, else at once.

    This is the handler of SIGTERM in a process that trains.
    """
    global _stop_wanted
    if not _in_training:
        end_process(STOPPED)
    _stop_wanted = True


@contextmanager
def in_training() -> Iterator[None]:
    """Mark the time in which `stop_soon` waits for a checkpoint or for the cell's results."""
    global _in_training
    _in_training = True
    try:
        yield
    finally:
        _in_training = False
    if _stop_wanted:
        end_process(STOPPED)


class Checkpoint:
    """The checkpoint of cells that train side by side, in a file that their keys name."""

    def __init__(
        self,
        store: CellStore,
        cells: Sequence[Cell],
        *,
        every_seconds: float,
        say: Callable[[str], None],
    ) -> None:
        """
        Args:
            cells: in the order in which the program trains them.
            say: tells the user a sentence.
        """
        self._keys = [cell.key for cell in cells]
        name = self._keys[0] if len(cells) == 1 else digest_of({"cells": self._keys})
        self.path = store.checkpoints / f"{name}.npz"
        self._names = str(cells[0])
        if len(cells) > 1:
            self._names += f" and {len(cells) - 1} more"
        self._every_seconds = every_seconds
        self._due = time.monotonic() + every_seconds
        self._say = say
        self._failed = False

    def resume(self, engine: Engine, course: Course) -> None:
        """Bring engine and course to where the checkpoint was taken; do nothing without one."""
        if not self.path.exists():
            return
        start = engine.state()
        try:
            header, arrays = _read(self.path)
            if header["keys"] != self._keys:
                raise ValueError("the checkpoint of another training")
            if header["digest"] != _digest(self._keys, arrays):
                raise ValueError("its digest differs from its content")
            state = [arrays[f"state_{k}"] for k in range(header["variables"])]
            engine.restore(state)
            course.restore(arrays)
        except Exception as error:  # a damaged zip file may raise anything
            engine.restore(start)
            self._say(
                f"The checkpoint of {self._names} must be whole. Received: {self.path.name} "
                f"({reason(error)}). The training starts again from its first step."
            )
            return
        self._say(
            f"{self._names} continues at step {course.done + 1} of {course.rates.shape[1]}, from "
            "its checkpoint."
        )

    def keep(self, engine: Engine, course: Course) -> None:
        """Write a checkpoint if it is due; end the process if `stop_soon` was called."""
        begun = time.monotonic()
        if not (_stop_wanted or begun >= self._due):
            return
        if engine.resumable and not self._failed:
            try:
                self._write(engine.state(), course.content())
            except OSError as error:
                self._failed = True
                self._say(
                    f"{self.path.parent} must be writable. Received: {error.strerror}. The "
                    "training goes on without checkpoints. Free some space for the results."
                )
        if _stop_wanted:
            end_process(STOPPED)
        taken = time.monotonic() - begun
        self._due = begun + taken + max(self._every_seconds, _LEAST_PAUSE * taken)

    def remove(self) -> None:
        """Remove the checkpoint of cells that are finished."""
        with suppress(OSError):  # a checkpoint that stays harms nothing
            self.path.unlink()

    def _write(self, state: Sequence[np.ndarray], course: Mapping[str, np.ndarray]) -> None:
        arrays = {f"state_{k}": array for k, array in enumerate(state)} | dict(course)
        header = {
            "keys": self._keys,
            "variables": len(state),
            "digest": _digest(self._keys, arrays),
        }
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with replacing(self.path) as temporary_path, temporary_path.open("wb") as file:
            np.savez(file, **{"header": text, **arrays})  # type: ignore[arg-type]


def remove_finished(store: CellStore) -> None:
    """Remove the checkpoints of cells that the store has: a kill can leave them."""
    for path in store.checkpoints.glob("*.npz"):
        with suppress(Exception):  # `Checkpoint.resume` names a damaged one
            if all(store.folder(key).exists() for key in _read(path, header_only=True)[0]["keys"]):
                path.unlink()


def _read(path: Path, *, header_only: bool = False) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
        header = json.loads(held["header"].tobytes())
        names = [] if header_only else [name for name in held.files if name != "header"]
        return header, {name: held[name] for name in names}


def _digest(keys: Sequence[str], arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(keys).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.itemsize} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
