"""Calls the user's function that returns images."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from lrcycles.data.formats import RawImages, checked_images
from lrcycles.errors import InputError, defined_at, reason


def from_function(source: str, root: Path) -> RawImages:
    """Call the user's `module:function`, importable from the root folder.

    Raises:
        InputError: the function is missing, fails, or returns something else than two or four
            arrays.
    """
    module_name, _, function_name = source.partition(":")
    if not all(word.isidentifier() for word in (*module_name.split("."), function_name)):
        raise InputError(
            f"data.source must have the form module:function. Received: {source!r}. "
            "Write for example my_images:read."
        )
    sys.path.append(str(root))  # after the current folder: a queued experiment has its own code
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except (Exception, SystemExit) as error:  # the user's file may raise anything
        raise InputError(
            f"The module of data.source={source} must be importable from the current folder or "
            f"{root}. Received: {reason(error)}. Correct the name or the file."
        ) from error
    finally:
        sys.path.remove(str(root))
    if not callable(function):
        raise InputError(
            f"data.source={source} must name a function. Received: {module_name} has no function "
            f"{function_name}. Correct the name."
        )
    try:
        arrays = function()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise InputError(
            f"data.source={source} must return images when it is called without arguments. "
            f"Received: {reason(error)}. Correct the function."
        ) from error
    if isinstance(arrays, tuple) and all(isinstance(pair, tuple) for pair in arrays):
        arrays = [array for pair in arrays for array in pair]  # as keras.datasets gives them
    if not isinstance(arrays, tuple | list) or len(arrays) not in (2, 4):
        received = type(arrays).__name__
        if isinstance(arrays, tuple | list):
            received += f" of {len(arrays)}"
        raise InputError(
            f"data.source={source} ({defined_at(function)}) must return (x_train, y_train, x_test, "
            f"y_test), or the first two. Received: {received}. Return four or two arrays."
        )
    return checked_images(arrays, source=source, where=f"data.source={source}")
