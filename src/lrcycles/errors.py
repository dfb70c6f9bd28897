"""Holds what ends a command early: a mistake of the user, with the line of code, or a signal."""

from __future__ import annotations

import _thread
import atexit
import linecache
import os
import re
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
_MOST_LETTERS = 200  # of another library's message
# Colours, and TensorFlow's names of graph functions and nodes.
_NOISE = re.compile(r"\x1b\[\d*m|\{\{function_node [^}]*\}\}|\[\[\{\{node .*")
# Lines of messages of Keras and TensorFlow that do not say what happened.
_EMPTY = (
    "Exception encountered when calling",
    "Graph execution error",
    "Detected at node",
    "<stack traces unavailable>",
    "File ",
)


class InputError(ValueError):
    """A value that the user typed or supplied breaks a rule.

    The message is one line: what must hold, what was received, what to do. The command line prints
    it without a traceback and exits with status 1.
    """


class Interruption(KeyboardInterrupt):
    """A signal that ends the command: Ctrl-C, or a request to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = signal.Signals(number)

    @property
    def status(self) -> int:
        """The exit status of a command that the signal ended, as in a shell."""
        return 128 + self.number


class Interruptions:
    """What this process does when a signal asks it to end.

    While `raised` is false, such as during imports, the process ends at once with one line. Later
    the main thread gets an `Interruption`, so that whatever is open can be closed.
    """

    def __init__(self) -> None:
        self.command = "lrcycles"
        self.raised = False
        self._handled = False
        self._first: int | None = None
        self._dropped = self._said = False

    def handle(self, command: str) -> None:
        """Handle the signals. One that the process ignores, as under nohup, stays ignored."""
        self.command = command
        self._handled = True
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        sys.unraisablehook = self._unraisable

    def say(self) -> None:
        """Tell the user once that the command was interrupted."""
        if not self._said:
            self._said = True
            # A signal may arrive while sys.stderr is in use.
            os.write(2, f"{self.command}: {_INTERRUPTED}\n".encode())

    def end(self, status: int) -> NoReturn:
        """Say that the command was interrupted, and end it at once."""
        self.say()
        end_process(status)

    def leave(self, status: int) -> None:
        """End the command, if this process is one; otherwise only a failure ends the caller."""
        if self._handled:
            end_process(status)
        if status:
            sys.exit(status)

    def _interrupt(self, number: int, _frame: object) -> None:
        if not self.raised:
            self.say()
            os._exit(128 + number)
        if self._first is None:
            self._first = number
            _thread.start_new_thread(self._end_late, (128 + number,))
        elif not self._dropped:
            return  # a second Ctrl-C must not disturb what the first has begun
        self._dropped = False
        raise Interruption(self._first)

    def _end_late(self, status: int) -> None:
        time.sleep(_GRACE_SECONDS)  # a server that does not answer must not hold the command up
        self.say()
        os._exit(status)

    def _unraisable(self, event: Any) -> None:
        """Raise an interruption again that arrived in a destructor, where Python drops it."""
        if isinstance(event.exc_value, Interruption):
            _thread.start_new_thread(self._send_again, (event.exc_value.number,))
        else:
            sys.__unraisablehook__(event)

    def _send_again(self, number: int) -> None:
        time.sleep(0.05)  # the destructor must end first
        self._dropped = True
        os.kill(os.getpid(), number)


def end_process(status: int) -> NoReturn:
    """End this process after its exit handlers, without taking down what it has imported.

    Taking that down lasts seconds. It lasts for ever if a thread that still writes to MLflow is in
    h5py: Python stops the thread there, and h5py's lock stays locked.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):  # closed, or in use below a signal
            stream.flush()
    os._exit(status)


ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_GRACE_SECONDS = 4.5
_INTERRUPTED = (
    "interrupted. Finished cells are kept and will not be trained again; a training in progress "
    "continues at its last checkpoint."
)
interruptions = Interruptions()


def reason(error: BaseException) -> str:
    """Return the kind of an error, its message, and the line of the user's code, in one line.

    >>> reason(KeyError("lr"))
    "KeyError: 'lr'"
    """
    original = error.__context__
    if hasattr(original, "ag_error_metadata"):  # TensorFlow has added its own frames to the message
        message = str(original)
    else:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = _NOISE.sub("", message).strip().splitlines()
    kept = "\n".join(line for line in lines if not line.strip().startswith(_EMPTY)).strip()
    # Keras adds paragraphs about the arguments of the call.
    paragraph = (kept or message).split("\n\n")[0]
    text = " ".join(paragraph.split()).rstrip(".: ")
    if len(text) > _MOST_LETTERS:
        text = f"{text[:_MOST_LETTERS]} [...]"
    place = user_line(error)
    return f"{type(error).__name__}: {text}{f' ({place})' if place else ''}"


def printable(text: str) -> str:
    r"""Escape what a terminal would obey, as a name in a hostile file may hold it.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def user_line(error: BaseException) -> str:
    """Return the last line of the user's own code that an error came through; "" without one.

    That is code outside of this package, Python's library and installed packages. The form is
    `own/net.py:12, in build: x, y = data`.
    """
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if _is_users(frame.filename):
            code = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
            lines.append(f"{_shown(frame.filename)}:{frame.lineno}, in {frame.name}: {code}")
    if isinstance(error, SyntaxError) and error.filename and _is_users(error.filename):
        lines.append(f"{_shown(error.filename)}:{error.lineno}: {(error.text or '').strip()}")
    return lines[-1] if lines else ""


def defined_at(function: Callable[..., Any]) -> str:
    """Return file and line of a function or class; "" if it is not written in Python."""
    code = getattr(getattr(function, "__init__", None), "__code__", None)
    code = getattr(function, "__code__", code)
    return f"{_shown(code.co_filename)}:{code.co_firstlineno}" if code else ""


def _is_users(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or "__autograph_generated" in filename:
        return False
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.resolve().is_relative_to(place) for place in (_PACKAGE, *_INSTALLED))


def _shown(filename: str) -> str:
    path = Path(filename)
    if path.parent.name.startswith("ipykernel_"):
        return "notebook cell"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
