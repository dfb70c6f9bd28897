"""Composes conf/ with Hydra and turns plain values into a checked `Config`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

from lrcycles.config import hints, typed
from lrcycles.config.checks import check_values
from lrcycles.config.plain import flat, need_mapping, one_line
from lrcycles.config.schema import ArmConfig, Config, Optimizer
from lrcycles.errors import InputError

_TYPES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list[str]: "a list of texts, such as [a,b]",
    list[int]: "a list of whole numbers, such as [1,2]",
}


def compose(conf: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Compose conf/ with `overrides`, as DVC does.

    Raises:
        InputError: conf/ does not compose.
    """
    import yaml
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    overrides = hints.accepted(overrides or [])
    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            composed = hydra_compose(config_name="config", overrides=overrides)
        OmegaConf.resolve(composed)
    except (
        *(HydraException, OmegaConfBaseException, yaml.YAMLError),
        *(ValueError, TypeError),  # Hydra's, if a folder is set to no file's name
        OSError,  # OmegaConf's, if a file holds no keys and values
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk
        raise InputError(hints.explain(conf, overrides, error, compose)) from error
    values = cast(dict[str, Any], OmegaConf.to_container(composed))
    if message := hints.without_effect(values, overrides):
        raise InputError(message)
    return values


def check(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a `Config`.

    Raises:
        InputError: a key is unknown or missing, or a value breaks its rule.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

    values = need_mapping(values, "params.yaml")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), values)
        if missing := OmegaConf.missing_keys(merged):
            keys = sorted(missing)
            give = "Give each a value, as in" if len(keys) > 1 else "Set"
            raise InputError(
                f"{', '.join(keys)} must have a value. Received: none. {give} {keys[0]}=VALUE."
            )
        config = cast(Config, OmegaConf.to_object(merged))
    except ConfigKeyError as error:
        raise InputError(_unknown_key(error, values)) from error
    except OmegaConfBaseException as error:
        raise InputError(_wrong_type(error, values)) from error
    check_values(config)
    return config


def _unknown_key(error: Any, values: Mapping[str, Any]) -> str:
    keys = [f.name for f in fields(error.object_type)] if error.object_type else list(values)
    return hints.unknown_key(str(error.full_key), keys, flat(values))


def _wrong_type(error: Any, values: Mapping[str, Any]) -> str:
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
        words = _TYPES.get(kind, "a mapping, such as {key: value}")
    remedy = f"Did you mean {key}={near[0]}?" if near else "Correct the value."
    if kind is ArmConfig and isinstance(received, str):
        remedy = f"To add the arm of a file, write +arm@{key}={received}."
    if kind is Optimizer and isinstance(received, str):
        remedy = f"Write {key}={{name:{received}}}."
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
