"""Runs trainings side by side, in processes that share one import of Keras."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Runtime
from lrcycles.errors import InputError, reason, user_line

_notify: Callable[..., None] = print
_failed: Exception | None = None
WORKER_BYTES = 2 << 30  # a backend with MNIST and its buffers, rounded up


def worker_count(setting: Any, *, jobs: int, device: str, threads: int) -> int:
    """Resolve `train.workers`: auto is one per `threads` cores if memory allows, and 1 on a GPU."""
    if setting != "auto":
        return min(int(setting), max(jobs, 1))
    if device == "gpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min((cores or 1) // threads, jobs, _free_bytes() // WORKER_BYTES))


def warm_up(backend: str) -> None:
    """Start to load Keras in the background, for workers that start soon."""
    _context(backend)
    forkserver.ensure_running()


@contextmanager
def workers(count: int, *, runtime: Runtime) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give `run(function, jobs, on_event)`, which yields results as jobs finish, in any order.

    `function(job, notify)` must be importable by name. A worker ends with its parent, even if the
    parent was killed.

    Raises:
        InputError: a worker was killed, mostly because memory ran out.
        RuntimeError: the device is not there.
    """
    context = _context(runtime.backend)
    others = set(multiprocessing.active_children())
    events = context.SimpleQueue()
    executor = ProcessPoolExecutor(
        count, mp_context=context, initializer=_start, initargs=(events, runtime)
    )

    def run(
        function: Callable[..., Any],
        jobs: Sequence[Any],
        on_event: Callable[..., None] = lambda *_: None,
    ) -> Iterator[Any]:
        pending: set[Future[Any]] = {executor.submit(_call, function, job) for job in jobs}
        while pending:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            while not events.empty():
                on_event(*events.get())
            for future in done:
                yield future.result()

    try:
        yield run
    except BrokenProcessPool as error:
        raise InputError(
            "Every training process must live until its end. Received: a process that was killed, "
            "mostly because memory ran out. Run again with fewer train.workers; finished cells are "
            "kept."
        ) from error
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        executor.shutdown(cancel_futures=True)
        events.close()


def _context(backend: str) -> Any:
    # The process that the workers are forked from starts with this environment.
    source = str(Path(__file__).resolve().parents[2])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if source not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([source, *filter(None, paths)])
    os.environ |= {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lrcycles.training.preload"])
    return context


def _call(function: Callable[..., Any], job: Any) -> Any:
    if _failed is not None:
        raise _failed
    try:
        return function(job, _notify)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if user_line(error):  # such as a layer of the user's that fails only while it trains
            raise InputError(
                f"Your code must run while a network trains. Received: {reason(error)}. Correct it."
            ) from error
        raise


def _start(events: Any, runtime: Runtime) -> None:
    global _notify, _failed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _notify = lambda *event: events.put(event)  # noqa: E731
    from lrcycles.training.engine import backend_module

    try:
        backend_module(runtime.backend).prepare_device(
            device=runtime.device, threads=runtime.threads
        )
    except Exception as error:  # the first job raises it: a failing initializer looks like a crash
        _failed = error


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _free_bytes() -> int:
    try:
        import psutil
    except ImportError:  # a machine that only trains may lack psutil
        return 1 << 62
    return int(psutil.virtual_memory().available)
