"""Calls an MLflow store: again after a failure, side by side where the network makes it slow."""

from __future__ import annotations

import hashlib
import json
import queue
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.tracking.records import folder_of

_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8)
_SIDE_BY_SIDE = 8
_LOSS_LASTS_SECONDS = 86_400.0


class HurriedError(Exception):
    """The stage must end at once, so what is not urgent is left to the next start."""


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of a store that fails; any other one is a bug."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # The errors of requests and of locks are OSErrors.
    return (MlflowException, SQLAlchemyError, sqlite3.Error, OSError)


def is_refusal(error: BaseException) -> bool:
    """Return whether the store has answered that it will never do this."""
    from mlflow.exceptions import MlflowException

    if not isinstance(error, MlflowException):
        return False
    status = error.get_http_status_code()
    return 400 <= status < 500 and status not in (408, 429)


def _is_absent(error: BaseException | None) -> bool:
    """Return whether nothing listens at the address, so that to try often is a waste."""
    from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema

    unusable = (InvalidSchema, InvalidURL, MissingSchema)  # addresses
    missing = (FileNotFoundError, PermissionError, NotADirectoryError)
    absent = (ConnectionRefusedError, socket.gaierror, sqlite3.Error, *unusable, *missing)
    while error is not None:
        if isinstance(error, absent):
            return True
        error = error.__cause__ or error.__context__
    return False


class Calls:
    """Counts the calls that wait for an answer, so that a silent store is noticed."""

    def __init__(self, *, side_by_side: bool) -> None:
        self.answers = 0
        self.hurry = self.stopped = False
        self._waiting: dict[int, float] = {}  # when each call began, by its thread
        self._helpers = threading.Semaphore(_SIDE_BY_SIDE - 1 if side_by_side else 0)

    def call(self, step: Callable[[int], Any], *, urgent: bool = False) -> Any:
        """Call a step with the number of the attempt, from 0, and return what it returns.

        Raises:
            HurriedError: the stage has ended, or must end at once and the step is not urgent.
            Exception: the last failure.
        """
        for attempt in range(len(_PAUSES_SECONDS) + 1):
            if self.stopped or (self.hurry and not urgent):
                raise HurriedError
            self._waiting[threading.get_ident()] = time.monotonic()
            try:
                value = step(attempt)
                self.answers += 1
                return value
            except failures() as error:
                if attempt == len(_PAUSES_SECONDS) or is_refusal(error):
                    raise
                if attempt and _is_absent(error):
                    raise
            finally:
                self._waiting.pop(threading.get_ident(), None)
            time.sleep(_PAUSES_SECONDS[attempt])
        raise AssertionError("the last attempt returns or raises")

    def each(self, steps: Sequence[Callable[[], Any]]) -> None:
        """Call steps that need nothing of each other; raise the first failure after all have ended.

        The calling thread works too, so that steps may call this as well.
        """
        waiting: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        for step in steps:
            waiting.put(step)
        failed: list[BaseException] = []
        helpers: list[threading.Thread] = []
        while len(helpers) < len(steps) - 1 and self._helpers.acquire(blocking=False):
            # Daemons, because a call that hangs must not keep the process from ending.
            helpers.append(threading.Thread(target=self._help, args=(waiting, failed), daemon=True))
            helpers[-1].start()
        _drain(waiting, failed)
        for helper in helpers:
            helper.join()
        if failed:
            raise failed[0]

    def _help(self, waiting: Any, failed: list[BaseException]) -> None:
        try:
            _drain(waiting, failed)
        finally:
            self._helpers.release()

    def silent_seconds(self) -> float:
        """Return how long the oldest call has been waiting for its answer."""
        return time.monotonic() - min(self._waiting.copy().values(), default=time.monotonic())

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def _drain(waiting: Any, failed: list[BaseException]) -> None:
    while not failed:
        try:
            step = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            step()
        except Exception as error:
            failed.append(error)


@dataclass(frozen=True)
class Loss:
    """Remembers for the stages of a pipeline that a store does not answer."""

    path: Path
    store: str

    @classmethod
    def of(cls, root: Path, pipeline: str, store: str) -> Loss:
        name = hashlib.sha256(pipeline.encode()).hexdigest()[:16]
        return cls(folder_of(root) / f"lost-{name}.json", store)

    def is_known(self) -> bool:
        """Return whether an earlier stage of the pipeline has lost the store."""
        try:
            lost = json.loads(self.path.read_text(encoding="utf-8"))
            return bool(
                lost["store"] == self.store and time.time() - lost["time"] < _LOSS_LASTS_SECONDS
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def remember(self) -> None:
        """Remember the loss, and forget those of long ago."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for path in self.path.parent.glob("lost-*.json"):
                if time.time() - path.stat().st_mtime > _LOSS_LASTS_SECONDS:
                    path.unlink(missing_ok=True)
            files.write_json(self.path, {"store": self.store, "time": time.time()})

    def forget(self) -> None:
        """The store answers again."""
        self.path.unlink(missing_ok=True)
