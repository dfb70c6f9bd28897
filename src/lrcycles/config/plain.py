"""Turns a configuration, and an error about one, into plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

from lrcycles.config.schema import Config
from lrcycles.errors import InputError


def flatten(config: Config) -> dict[str, Any]:
    """Return the configuration as flat dotted keys, for MLflow's parameters."""

    return {key: value for key, value in flat(plain(config)).items() if value is not None}


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys.

    >>> flat({"train": {"epochs": 3, "seeds": [0, 1]}, "arms": {}})
    {'train.epochs': 3, 'train.seeds': [0, 1], 'arms': {}}
    """

    def leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                yield from leaves(inner, f"{prefix}.{key}" if prefix else str(key))
        else:
            yield prefix, value

    return dict(leaves(values, ""))


def plain(value: Any) -> Any:
    """Return dataclasses and enums as plain dictionaries and strings."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def need_mapping(values: Any, name: str) -> dict[str, Any]:
    """Return the keys and values of params.yaml, or refuse what has none.

    Args:
        name: the file, for the error.
    """
    if not isinstance(values, Mapping):
        received = repr(values) if len(repr(values)) < 60 else f"a {type(values).__name__}"
        raise InputError(
            f"{name} must hold keys and values. Received: {received}. "
            "Run `dvc repro config` to restore it."
        )
    return dict(values)


def one_line(error: BaseException) -> str:
    """Return an error's message in one line, without OmegaConf's details and the full stop."""
    text = " ".join(str(error).split())
    return text.split(" full_key:")[0].rstrip(".")
