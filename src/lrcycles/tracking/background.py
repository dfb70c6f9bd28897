"""Writes a stage's record to MLflow in a thread, so that the stage does not wait for MLflow."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from lrcycles.errors import InputError
from lrcycles.tracking import processes
from lrcycles.tracking import store as stores
from lrcycles.tracking.addresses import masked, reason
from lrcycles.tracking.calls import Calls, HurriedError, Loss, failures, is_refusal
from lrcycles.tracking.delivery import Delivery
from lrcycles.tracking.records import Record, left_behind
from lrcycles.tracking.store import TrackingStore

_SILENCE_SECONDS = 3.0  # after it, a store counts as lost
_TRY_AGAIN_SECONDS = 30.0
_HURRY_SECONDS = 1.5
# How long a stage waits in all: so long, or for this share of its own time.
# A database is not far away: what takes long there is much to write, or its tables to be made.
_WAIT_SECONDS = {"database": 30.0, "last": 3.5, "other": 0.3}
_WAIT_SHARE = 0.03


class Background:
    """The thread that writes a stage's record, and the records that earlier stages have left."""

    def __init__(
        self, root: Path, uri: str, record: Record, *, last: bool, deferred: bool = False
    ) -> None:
        """Prepare the thread.

        Args:
            last: no stage follows that could write what this stage has left.
            deferred: a later stage shall write the record, so that this one does not load MLflow.
        """
        self.root, self.uri, self.record, self.last = root, uri, record, last
        self.deferred = deferred
        self.store: TrackingStore | None = None
        self.failure: BaseException | None = None
        self.calls = Calls(side_by_side=not stores.is_sqlite(uri))
        self._loss = Loss.of(root, record.content["pipeline"]["key"], stores.store_digest(uri))
        self._loss_was_known = self._loss.is_known()
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._asked = self._answered = 0  # versions of the record
        self._waited = 0.0
        self._closed = self._has_looked_back = self._was_refused = self._is_loaded = False
        self.delivery: Delivery | None = None
        self._thread = threading.Thread(target=self._work, name="lrcycles-mlflow", daemon=True)

    def start(self, *, at_once: bool) -> None:
        """Begin to write the record, or see at least whether the store is there.

        Args:
            at_once: load MLflow now; otherwise the first `send` does, or `close`.
        """
        if self.deferred:
            self._see()
        elif at_once:
            self._load()

    def _load(self) -> None:
        """Load MLflow and start the thread; the main thread loads, because two may collide."""
        if self.deferred or self._is_loaded:
            return
        import mlflow  # noqa: F401

        self._is_loaded = True
        self._asked += 1
        self._thread.start()

    def _see(self) -> None:
        try:
            _reach(self.uri)
        except sqlite3.OperationalError:
            pass  # another process is writing
        except (OSError, ValueError, sqlite3.Error) as error:
            self._lose(error)

    def send(self) -> None:
        """Save the record and let the thread write what is new in it."""
        self.record.save()
        self._load()
        with self._changed:
            self._asked += 1
            self._changed.notify_all()

    def close(self, *, at_once: bool) -> None:
        """Wait for the thread, no longer than the stage's time allows; then let the thread end.

        Args:
            at_once: the stage was interrupted or has failed: only the runs' status is written.
        """
        if not self._is_loaded and self.record.content["refused"]:
            self.record.remove()  # MLflow knows nothing of it
            return
        killed = self.record.content["run"]["status"] == "KILLED"
        if self.deferred or (killed and not self._is_loaded):
            self.record.save()  # the next stage writes it
            self.record.lock.release()
            return
        self.calls.hurry = at_once
        lost = self.failure is not None
        self.send()
        if not lost:
            self.wait(seconds=_HURRY_SECONDS if at_once else None)
        with self._changed:
            self._closed = self.calls.stopped = True
            left = self._answered < self._asked
            self._changed.notify_all()
        if left and self.last and not (at_once or lost or self.failure or self._loss.is_known()):
            self.calls.say(
                f"MLflow at {masked(self.uri)} is slow and does not hold all runs yet. The results "
                "are safe in files. Run `lrcycles sync` to complete the runs."
            )
        if not left:
            self._thread.join()

    def wait(
        self, done: Callable[[], bool] = lambda: False, *, seconds: float | None = None
    ) -> None:
        """Wait until the record is written or `done`, as long as the store answers.

        Args:
            seconds: how long at most; by default it depends on the stage's own time.
        """
        began = time.monotonic()
        longest = self._longest_wait() - self._waited if seconds is None else seconds
        with self._changed:
            self._wait(done, began, longest)
        self._waited += time.monotonic() - began

    def _wait(self, done: Callable[[], bool], began: float, longest: float) -> None:
        while self._answered < self._asked and not done() and not self.failure:
            waited = time.monotonic() - began
            if waited > longest or (self._loss_was_known and not self.calls.answers):
                return
            silent = self.calls.silent_seconds() > _SILENCE_SECONDS
            if silent and not self._is_busy():
                self._lose(TimeoutError(f"no answer within {_SILENCE_SECONDS:g} s"))
                return
            self._changed.wait(0.5 if silent else 0.05)

    def _longest_wait(self) -> float:
        kind = "last" if self.last else "other"
        wait = _WAIT_SECONDS[kind if self.uri.startswith("http") else "database"]
        return max(wait, _WAIT_SHARE * (time.monotonic() - self._began))

    def _is_busy(self) -> bool:
        """Return whether a call may take long because there is much to write, not to wait for."""
        if self.uri.startswith("http"):
            return False
        try:
            stores.knock(self.uri)
        except Exception:  # whatever its driver raises
            return False
        return True

    def _work(self) -> None:
        while True:
            version, hurry = self._asked, self.calls.hurry
            try:
                self._write(hurry)
                self._keep_up(version)
            except HurriedError:
                pass  # the next round ends the runs
            except Exception as error:  # of whatever kind: it must not stop the training
                self._lose(error)
            with self._changed:
                rest = _TRY_AGAIN_SECONDS if self.failure else None
                self._changed.wait_for(partial(self._is_needed, version), rest)
                if self._closed:
                    break
                self.failure = None
        if not self.record.removed:
            self.record.lock.release()

    def _is_needed(self, version: int) -> bool:
        return self._closed or self._asked > version

    def _keep_up(self, version: int) -> None:
        with self._changed:
            self._answered = version
            self._changed.notify_all()
        if self._loss.is_known():
            self._loss.forget()

    def _write(self, hurry: bool) -> None:
        if self.record.removed:
            return
        if self.store is None:
            self.store = self.calls.call(lambda _: stores.connect(self.root, self.uri), urgent=True)
        if self.delivery is None:
            self.delivery = Delivery(self.record, self.store, self.calls)
        if hurry:
            self.delivery.end()
            return
        self.delivery.begin()
        if not self._has_looked_back:
            self._look_back(self.store)
        self.delivery.finish()

    def _look_back(self, store: TrackingStore) -> None:
        """Write what ended stages have left, and end the runs of processes that have died."""
        write_left(self.root, store, self.calls)
        assert self.delivery is not None
        experiments = {store.experiment_id, self.delivery.pipeline["experiment"]}
        self.calls.call(lambda _: processes.end_the_dead(store.client, experiments))
        self._has_looked_back = True

    def _lose(self, error: BaseException) -> None:
        if self.store is not None and is_refusal(error):
            if not self._was_refused:
                self.calls.say(_refusal(self.uri, self.record, error))
            self._was_refused = True
        else:
            known = self._loss.is_known()
            self._loss.remember()
            if not known:
                self.calls.say(self._loss_line(error))
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def _loss_line(self, error: BaseException) -> str:
        if self.store is None:
            way = "" if isinstance(error, InputError) else f" {stores.remedy()}"
            return (
                f"{stores.rule(self.uri, error)} The run goes on, and its results are safe in "
                f"files.{way} Then run `lrcycles sync`."
            )
        return (
            f"MLflow at {masked(self.uri)} does not answer any more "
            f"({reason(error, self.uri)}). The results are safe in files. Run `lrcycles "
            "sync` later to mirror them to MLflow."
        )


def _reach(uri: str) -> None:
    """Connect to a store's server or open its file, without loading MLflow."""
    if stores.is_sqlite(uri):
        stores.knock(uri)
        return
    parts = urlsplit(uri)
    ports = {"http": 80, "https": 443, **stores.DATABASE_PORTS}
    scheme = parts.scheme.partition("+")[0]
    if parts.hostname and scheme in ports and not getproxies():
        where = (parts.hostname, parts.port or ports[scheme])
        socket.create_connection(where, timeout=_SILENCE_SECONDS).close()


def write_left(
    root: Path, store: TrackingStore, calls: Calls, *, wait_seconds: float = 0.0
) -> list[str]:
    """Write the records that ended stages have left.

    Args:
        wait_seconds: how long to wait for a record that another process is writing.

    Returns:
        The names of the records that the store refuses, each of which has been said.
    """
    refused = []
    for record in left_behind(root, wait_seconds=wait_seconds):
        try:
            Delivery(record, store, calls).finish()
        except HurriedError:
            raise
        except Exception as error:
            if isinstance(error, failures()) and not is_refusal(error):
                raise
            calls.say(_refusal(store.uri, record, error))
            refused.append(record.folder.name)
    return refused


def _refusal(uri: str, record: Record, error: BaseException) -> str:
    """Say that the store does not take a record."""
    return (
        f"MLflow at {masked(uri)} must take the runs of stage {record.content['stage']}. Received: "
        f"{reason(error, uri)}. Its results are safe in files; its record for MLflow is "
        f".lrcycles/mlflow/{record.folder.name}."
    )
