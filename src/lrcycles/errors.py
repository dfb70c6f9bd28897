"""Holds the error for mistakes of the user, and finds the line of the user's own code."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
_MOST_LETTERS = 200  # of another library's message
_COLOURS = re.compile(r"\x1b\[\d*m")
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
    lines = _COLOURS.sub("", message).strip().splitlines()
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
