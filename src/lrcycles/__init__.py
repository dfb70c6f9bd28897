"""Cyclical learning rates, measured: range test, bounds, and evidence of whether cycling helps."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Loaded on first use, so that `import lrcycles` costs nothing.
_PUBLIC = {
    "InputError": "errors",
    "triangular": "schedules",
    "select_bounds": "bound_rules",
    "Bounds": "bound_rules",
    "compare_pairs": "compare",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lrcycles' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lrcycles.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
