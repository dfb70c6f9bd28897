"""Runs trainings side by side, in processes that share one import of Keras."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Runtime
from lrcycles.errors import ENDING, InputError, reason, user_line
from lrcycles.training.checkpoints import stop_soon

WORKER_BYTES = 2 << 30  # a backend with MNIST and its buffers, rounded up
MOST_ATTEMPTS = 2  # to run a job whose worker died or hung
# A worker hangs if it gives no sign of life for so long. Signs are steps, epochs and results.
FIRST_EPOCH_SECONDS = 3600.0  # before the end of a job's first epoch; it may compile for long
LEAST_SECONDS = 60.0
USUAL_EPOCHS = 10  # or this many of its longest epochs, if they last longer
_AGAIN = "The process that trained {job} {cause}. The training runs once more."
STOP_SECONDS = 3.0  # for workers to write their checkpoints after an interruption


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
    # The new process inherits what is blocked: Ctrl-C must not reach it, or it prints a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def workers(count: int, *, runtime: Runtime) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give `run(function, jobs, on_event)`, which yields results as jobs finish, in any order.

    `function(job, notify)` must be importable by name. It gives signs of life with
    `notify("step", key)` and `notify("epoch", key)`; `on_event` gets all of them but steps. A
    worker ends with its parent, even if the parent was killed. A job whose worker died or hung runs
    once more.

    Raises:
        InputError: the workers of a job were killed twice, mostly because memory ran out.
        RuntimeError: the device is not there.
    """
    crew: list[_Worker] = []
    others = set(multiprocessing.active_children())

    def run(
        function: Callable[..., Any],
        jobs: Sequence[Any],
        on_event: Callable[..., None] = lambda *_: None,
    ) -> Iterator[Any]:
        most, waiting, attempts = count, deque(jobs), Counter[int]()
        while waiting or any(worker.busy for worker in crew):
            idle = [worker for worker in crew if not worker.busy]
            while waiting and (idle or len(crew) < most):
                if not idle:
                    idle.append(_Worker(runtime))
                    crew.append(idle[0])
                attempts[id(waiting[0])] += 1
                idle.pop().give(function, waiting.popleft())
            _wait(crew)
            for worker in list(crew):
                yield from worker.results(on_event)
                cause = worker.failure()
                if cause is None:
                    continue
                crew.remove(worker)
                if worker.process.exitcode == -signal.SIGKILL and crew:
                    most = len(crew)  # memory may have run out
                worker.end()
                if not worker.busy:
                    continue
                if attempts[id(worker.job)] >= MOST_ATTEMPTS:
                    raise InputError(_given_up(worker.job, cause))
                on_event("message", _AGAIN.format(job=worker.job, cause=cause))
                waiting.appendleft(worker.job)

    try:
        yield run
    finally:
        _end(set(multiprocessing.active_children()) - others)


def _given_up(job: Any, cause: str) -> str:
    return (
        f"Every training process must make steps until its end. Received: the process that trained "
        f"{job} {cause}, for the second time. Finished cells are kept. Run again, with fewer "
        "train.workers if memory ran out."
    )


class _Worker:
    """A process that runs one job after another, and what its parent knows of it."""

    def __init__(self, runtime: Runtime) -> None:
        warm_up(runtime.backend)
        context = _context(runtime.backend)
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, runtime))
        self.process.start()
        other.close()
        self.busy = self.ended = False
        self.job: Any = None

    def give(self, function: Callable[..., Any], job: Any) -> None:
        self.busy, self.job = True, job
        self.silent_seconds = self._epoch_begun = 0.0
        self._longest_epoch: float | None = None
        with suppress(OSError):  # a dead worker; `failure` says so
            self.pipe.send((function, job))

    def results(self, on_event: Callable[..., None]) -> Iterator[Any]:
        """Pass on the events that the worker has sent, and yield any result of its job."""
        for kind, *content in self._received():
            self.silent_seconds = 0.0
            self.busy = kind == "event"
            if kind == "result":
                yield content[0]
            elif kind == "error":
                error, text = content
                raise error from (None if isinstance(error, InputError) else _RemoteError(text))
            else:
                self._watch(content[0])
                if content[0] != "step":
                    on_event(*content)

    def _received(self) -> Iterator[Any]:
        while not self.ended:
            try:
                if not self.pipe.poll():
                    return
                message = self.pipe.recv()
            except (EOFError, OSError):
                self.ended = True
                return
            yield message

    def _watch(self, event: str) -> None:
        """Measure the longest epoch of the cell in training."""
        now = time.monotonic()
        if event == "epoch" and self._epoch_begun:
            self._longest_epoch = max(self._longest_epoch or 0.0, now - self._epoch_begun)
        if event == "cell":  # the next cell may have to compile
            self._longest_epoch, self._epoch_begun = None, 0.0
        elif event == "epoch" or not self._epoch_begun:
            self._epoch_begun = now

    def failure(self) -> str | None:
        """Say what happened to a worker that has died or hangs; None if all is well."""
        if self.ended or not self.process.is_alive():
            self.process.join(1.0)
            code = self.process.exitcode
            return f"was killed (signal {-code})" if code and code < 0 else f"ended (status {code})"
        limit = FIRST_EPOCH_SECONDS
        if self._longest_epoch is not None:
            limit = max(LEAST_SECONDS, USUAL_EPOCHS * self._longest_epoch)
        if self.busy and self.silent_seconds > limit:
            return f"made no step for {self.silent_seconds:.0f} s"
        return None

    def end(self) -> None:
        self.process.kill()  # it may be stopped, and then no other signal arrives
        self.process.join()
        self.pipe.close()


class _RemoteError(Exception):
    """The traceback of an error in another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _wait(crew: Sequence[_Worker]) -> None:
    """Wait for a message or an end, and add the time to the silence of the workers."""
    begun = time.monotonic()
    sentinels = [worker.process.sentinel for worker in crew]
    multiprocessing.connection.wait([*sentinels, *(worker.pipe for worker in crew)], timeout=1.0)
    # A wait that took longer means that this process was stopped too, and its workers with it.
    silent = min(time.monotonic() - begun, 2.0)
    for worker in crew:
        worker.silent_seconds += silent


def _end(processes: Iterable[Any]) -> None:
    """End the workers; those in training may write a checkpoint first."""
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()


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


def _work(pipe: Any, runtime: Runtime) -> None:
    """Run the jobs that come through the pipe."""
    from lrcycles.training import preload  # this process has it

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop_soon)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    sys.dont_write_bytecode = True  # TensorFlow imports temporary files
    preload.end_with_parent()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    ready = False
    while True:
        try:
            function, job = pipe.recv()
        except EOFError:  # the parent has ended
            return
        try:
            if not ready:
                from lrcycles.training.engine import backend_module

                module = backend_module(runtime.backend)
                module.prepare_device(runtime.device, runtime.threads, runtime.precision)
                ready = True
            answer: tuple[Any, ...] = (
                "result",
                _call(function, job, lambda *event: pipe.send(("event", *event))),
            )
        except Exception as error:
            answer = ("error", _sendable(error), traceback.format_exc())
        pipe.send(answer)


def _sendable(error: Exception) -> Exception:
    """Return the error, or one with its name and message if it cannot cross to the parent."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # TensorFlow's errors need more arguments than they keep
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _call(function: Callable[..., Any], job: Any, notify: Callable[..., None]) -> Any:
    try:
        return function(job, notify)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if user_line(error):  # such as a layer of the user's that fails only while it trains
            raise InputError(
                f"Your code must run while a network trains. Received: {reason(error)}. Correct it."
            ) from error
        raise


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _free_bytes() -> int:
    try:
        import psutil
    except ImportError:  # a machine that only trains may lack psutil
        return 1 << 62
    return int(psutil.virtual_memory().available)
