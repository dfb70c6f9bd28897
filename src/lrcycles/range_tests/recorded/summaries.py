"""Reads range_test.json, which stage `range_test` writes beside its curves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lrcycles.errors import InputError
from lrcycles.range_tests.recorded import contents


def read_summary(path: Path) -> Mapping[str, Any]:
    """Read the summary of a range test.

    Raises:
        InputError: the file is damaged or another one.
    """
    data = contents.read(path)
    try:
        summary = json.loads(data)
        wrong = [name for name, is_right in _RIGHT.items() if not is_right(summary[name])]
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        wrong = [type(error).__name__ if isinstance(error, RecursionError) else str(error)[:80]]
    if wrong:
        raise InputError(
            f"{path} must be the summary of stage range_test. Received: a file with a wrong or "
            f"missing entry ({', '.join(wrong)}). Move the curves to a folder of their own."
        )
    return dict(summary)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not math.isnan(value) and abs(value) < 1e100


def _is_by_seed(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    seeds = all(key.isascii() and key.isdecimal() and len(key) < 19 for key in value)
    return seeds and all(number is None or _is_number(number) for number in value.values())


def _is_optimizer(value: Any) -> bool:
    arguments = value.get("arguments") if isinstance(value, Mapping) else None
    if not isinstance(arguments, Mapping):
        return False
    momentum: Any = arguments.get("momentum", 0.0)
    return _is_number(momentum) and bool(0 <= momentum < 1)


_RIGHT: Mapping[str, Callable[[Any], bool]] = {
    "initial_loss": _is_by_seed,
    "initial_accuracy": _is_by_seed,
    "ramp": lambda value: value in ("linear", "exponential"),
    "optimizer": _is_optimizer,
    "train_seconds": lambda value: value is None or _is_number(value),
    "notes": lambda value: isinstance(value, list) and all(isinstance(n, str) for n in value),
}
