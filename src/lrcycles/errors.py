"""Holds the error for mistakes of the user, and finds the line of the user's own code."""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MOST_LETTERS = 200  # of another library's message
_COLOURS = re.compile(r"\x1b\[\d*m")


class InputError(ValueError):
    """A value that the user typed or supplied breaks a rule.

    The message is one line: what must hold, what was received, what to do. The command line prints
    it without a traceback and exits with status 1.
    """


def reason(error: BaseException) -> str:
    """Return the kind of an error, its message, and the line of the user's code, in one line."""
    original = error.__context__
    if hasattr(original, "ag_error_metadata"):  # TensorFlow has added its own frames to the message
        message = str(original)
    else:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    # Keras adds paragraphs about the arguments of the call.
    paragraphs = _COLOURS.sub("", message).strip().split("\n\n")[:2]
    text = " ".join(" ".join(paragraphs).split()).rstrip(".: ")
    if len(text) > _MOST_LETTERS:
        text = f"{text[:_MOST_LETTERS]} ..."
    place = user_line(error)
    return f"{type(error).__name__}: {text}{f' ({place})' if place else ''}"


def user_line(error: BaseException) -> str:
    """Return the last line of the user's own code that an error came through; "" without one.

    That is code outside of this package, Python's library and installed packages.
    """
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        f"{_shown(frame.filename)}:{frame.lineno}, in {frame.name}: {frame.line}"
        for frame in frames
        if _is_users(frame.filename)
    ]
    if isinstance(error, SyntaxError) and error.filename and _is_users(error.filename):
        lines.append(f"{_shown(error.filename)}:{error.lineno}: {(error.text or '').strip()}")
    return lines[-1] if lines else ""


def defined_at(function: Callable[..., Any]) -> str:
    """Return file and line of a function or class; "" if it is not written in Python."""
    code = getattr(getattr(function, "__init__", None), "__code__", None)
    code = getattr(function, "__code__", code)
    return f"{_shown(code.co_filename)}:{code.co_firstlineno}" if code else ""


def _is_users(filename: str) -> bool:
    installed = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    path = Path(filename)
    ours = path.is_relative_to(Path(__file__).parent)
    return path.is_file() and not ours and not any(map(path.is_relative_to, installed))


def _shown(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
