"""Holds the error for mistakes of the user, and describes errors of the user's own code."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib")]
# The first lines of messages of Keras and TensorFlow; what happened stands below them.
_EMPTY = (
    "Exception encountered when calling",
    "Graph execution error",
    "Detected at node",
    "<stack traces unavailable>",
    "File ",
)
LONGEST = 200  # characters of another library's message


class InputError(ValueError):
    """A value that the user typed or supplied breaks a rule.

    The message is one line: what must hold, what was received, what to do. The command line prints
    it without a traceback and exits with status 1.
    """


def described(error: BaseException) -> str:
    """Describe another library's error in one line, with the user's own line of code if any.

    >>> described(KeyError("lr"))
    "KeyError: 'lr'"
    """
    plain = re.sub(r"\x1b\[\d*m", "", str(error))  # Keras writes in bold
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_EMPTY)] or lines
    text = lines[0] if lines else "no message"
    if len(text) > LONGEST:
        text = text[:LONGEST].rsplit(" ", 1)[0] + " [...]"
    frame = own_frame(error)
    return f"{type(error).__name__}: {text.rstrip('. ')}" + (f" ({frame})" if frame else "")


def own_frame(error: BaseException) -> str:
    """Return the last line of the user's own code that led to `error`, or "" if there is none.

    The form is `net.py:12, in build: x, y = data`. Code of lrcycles, of Python and of installed
    packages is not the user's.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_own(frame.filename):
            line = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
            place = f"{_short(frame.filename)}:{frame.lineno}, in {frame.name}"
            return f"{place}: {line}" if line else place
    return ""


def _is_own(filename: str) -> bool:
    if filename.startswith("<frozen") or "__autograph_generated" in filename:
        return False
    path = Path(filename)
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    if not path.is_absolute():
        return True
    return not any(path.resolve().is_relative_to(place) for place in (_PACKAGE, *_INSTALLED))


def _short(filename: str) -> str:
    """Name a file of the current folder relative to it, and a notebook's cell as that."""
    path = Path(filename)
    if path.parent.name.startswith("ipykernel_"):
        return "notebook cell"
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
