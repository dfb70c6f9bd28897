"""Words what type a value of the configuration must have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from lrcycles.config import typed
from lrcycles.config.plain import one_line
from lrcycles.config.schema import ArmConfig, Config

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list[str]: "a list of texts, such as [a,b]",
    list[int]: "a list of whole numbers, such as [1,2]",
}


def wrong_type(error: Any, values: Mapping[str, Any]) -> str:
    """Say in one line what type a value must have.

    Args:
        error: what OmegaConf raised. Its words are used if the key has no type in the schema.
    """
    key = re.sub(r"\[\d+\]$", "", str(error.full_key))  # of an item: name the whole list
    kinds, optional = _kinds(key)
    received = _value(values, key)
    if not kinds:
        return f"{key} must have another value. Received: {one_line(error)}. Correct the value."
    kind = kinds[0]
    or_null = ", or null" if optional else ""
    near = []
    if isinstance(kind, type) and issubclass(kind, Enum):
        names = [each.value for each in kind]
        words, near = f"one of {', '.join(names)}", get_close_matches(str(received), names, 1)
    elif is_dataclass(kind):
        words = f"a mapping with the keys {', '.join(each.name for each in fields(kind))}"
    else:
        words = _WORDS.get(kind, "a mapping, such as {key: value}")
    remedy = f"Did you mean {key}={near[0]}?" if near else "Correct the value."
    if kind is ArmConfig and isinstance(received, str):
        remedy = f"To add the arm of a file, write +arm@{key}={received}."
    return f"{key} must be {words}{or_null}. Received: {typed.value(received)}. {remedy}"


def _kinds(key: str) -> tuple[list[Any], bool]:
    """Return the types that the schema gives a key, and whether the key may be null."""
    kinds: list[Any] = [Config]
    optional = False
    for name in key.split("."):
        kind = kinds[0] if kinds else None
        if is_dataclass(kind):
            annotation = get_type_hints(kind).get(name)
        else:
            annotation = get_args(kind)[1] if get_origin(kind) is dict else None
        if annotation is None or annotation is Any:
            return [], False
        plain = get_origin(annotation) in (list, dict)
        options = (annotation,) if plain else get_args(annotation) or (annotation,)
        optional = NoneType in options
        kinds = [option for option in options if option is not NoneType]
    return kinds, optional


def _value(values: Any, key: str) -> Any:
    for name in key.split("."):
        if not isinstance(values, Mapping) or name not in values:
            return values
        values = values[name]
    return values
