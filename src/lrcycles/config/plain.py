"""Turns a configuration into plain dictionaries, strings and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

from lrcycles.config.schema import Config


def flatten(config: Config) -> dict[str, Any]:
    """The configuration as flat dotted keys, for MLflow's parameters."""

    def leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from leaves(inner, f"{prefix}.{key}" if prefix else str(key))
        elif value is not None:
            yield prefix, plain(value)

    return dict(leaves(plain(config), ""))


def plain(value: Any) -> Any:
    """Dataclasses and enums as plain dictionaries and strings."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
