"""Composes conf/ with Hydra and turns plain values into a checked `Config`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from lrcycles.config import hints, limits, plain
from lrcycles.config.checks import check_values
from lrcycles.config.schema import ArmConfig, Config, Optimizer
from lrcycles.errors import InputError
from lrcycles.schedules.names import OptimizerName
from lrcycles.schedules.optimizers import class_named, need_usable

_NOT_MADE_YET = "No file hash info found"  # DVC's words for a result that no stage has made
_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


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

    limits.need_readable(overrides or [])
    limits.need_few_values(sorted(conf.rglob("*.yaml")))
    overrides = hints.accepted(overrides or [])
    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            composed = hydra_compose(config_name="config", overrides=overrides)
    except (
        *(HydraException, OmegaConfBaseException, yaml.YAMLError),
        *(ValueError, TypeError),  # Hydra's, if a folder is set to no file's name
        RecursionError,  # of the parser
        OSError,  # OmegaConf's, if a file holds no keys and values
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk
        raise InputError(hints.explain(conf, overrides, error, compose)) from error
    try:
        values = cast(dict[str, Any], OmegaConf.to_container(composed, resolve=True))
    except OmegaConfBaseException as error:
        raise InputError(hints.unresolved(composed)) from error
    if message := hints.without_effect(conf, values, overrides):
        raise InputError(message)
    return values


def install_in_dvc(conf: Path) -> None:
    """Let this process, which is DVC's, compose conf/ as the stages do.

    DVC composes conf/ with Hydra's words for every mistake. Hydra offers no hook for other words,
    so this replaces the one method that composes. DVC also warns of every result that does not
    exist yet, which is all of them in a fresh clone: these warnings are left out.
    """
    from dvc.exceptions import InvalidArgumentError
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    hydra_loads = ConfigLoaderImpl.load_configuration

    def load_configuration(
        _loader: Any, config_name: str, overrides: list[str], *_: Any, **_more: Any
    ) -> Any:
        assert config_name == "config"
        ConfigLoaderImpl.load_configuration = hydra_loads  # compose comes back here
        state = GlobalHydra.instance()
        outer = state.hydra
        state.clear()
        try:
            return OmegaConf.create(compose(conf, overrides))
        except InputError as error:
            raise InvalidArgumentError(str(error)) from None  # DVC prints causes as well
        finally:
            state.hydra = outer
            ConfigLoaderImpl.load_configuration = load_configuration

    ConfigLoaderImpl.load_configuration = load_configuration
    logging.getLogger("dvc_data.index.checkout").addFilter(
        lambda record: not record.msg.startswith(_NOT_MADE_YET)
    )


def check(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a `Config`.

    Raises:
        InputError: a key is unknown or missing, or a value breaks its rule.
    """
    values = plain.need_mapping(values, "params.yaml")
    limits.need_plain(values)
    made = _Made(values)
    config = cast(Config, made.mapping(Config, values, ""))
    if missing := sorted(made.missing):
        give = "Give each a value, as in" if len(missing) > 1 else "Set"
        raise InputError(
            f"{', '.join(missing)} must have a value. Received: none. {give} {missing[0]}=VALUE."
        )
    check_values(config)
    return config


@dataclass
class _Made:
    """Makes the schema's objects of all of params.yaml, and collects the keys without a value."""

    values: Mapping[str, Any]
    missing: list[str] = field(default_factory=list)

    def mapping(self, kind: Any, values: Mapping[str, Any], key: str) -> Any:
        """Make a dataclass of the mapping at `key`."""
        annotations = _annotations(kind)
        made = {}
        for name, value in values.items():
            full = f"{key}.{name}" if key else name
            if name not in annotations:
                raise InputError(hints.unknown_key(full, annotations, plain.flat(self.values)))
            made[name] = self.value(annotations[name], value, full)
        for each in fields(kind):
            needed = each.default is each.default_factory  # neither is given
            if needed and each.name not in made:
                self.missing.append(f"{key}.{each.name}" if key else each.name)
                made[each.name] = None
        return kind(**made)

    def value(self, annotation: Any, value: Any, key: str) -> Any:
        """Make what the schema says of the value at `key`; refuse another type or size."""
        kind, limit, optional = _parts(annotation)
        if value is None and optional:
            return None
        if value == "???":
            self.missing.append(key)
            return None
        if is_dataclass(kind) and isinstance(value, Mapping):
            return self.mapping(kind, value, key)
        if get_origin(kind) is dict and isinstance(value, Mapping):
            inner = get_args(kind)[1]
            return {name: self.value(inner, each, f"{key}.{name}") for name, each in value.items()}
        if get_origin(kind) is list and isinstance(value, list):
            [inner] = get_args(kind)
            return [self.value(inner, each, f"{key}[{i}]") for i, each in enumerate(value)]
        made = _scalar(kind, value)
        if made is None or (limit and not limit.allows(made)):
            raise InputError(_refusal(kind, limit, key, value, optional=optional))
        return made


def _scalar(kind: Any, value: Any) -> Any:
    """Return a value in the type of the schema; None if it has another type."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is str:
        return value if isinstance(value, str) else str(value) if number else None
    if kind is float:
        return float(value) if number else None
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next((each for each in kind if each.value == value), None)
    return value if kind is Any or type(value) is kind else None


def _refusal(kind: Any, limit: Any, key: str, value: Any, *, optional: bool) -> str:
    near, remedy = [], "Correct the value."
    if isinstance(kind, type) and issubclass(kind, Enum):
        names = [each.value for each in kind]
        words, near = f"one of {', '.join(names)}", get_close_matches(str(value).lower(), names, 1)
        if kind is OptimizerName:
            need_usable(key, class_named(str(value)) or "")
    elif is_dataclass(kind):
        words = f"a mapping with the keys {', '.join(each.name for each in fields(kind))}"
    elif limit is not None:
        words = limit.rule
        if "[" not in key:  # an item of a list cannot be set alone
            remedy = f"Set {key}={plain.typed(limit.example)}, for example."
    elif get_origin(kind) is list:
        (item,) = get_args(kind)
        is_choice = isinstance(item, type) and issubclass(item, Enum)
        words = f"a list, such as [{next(iter(item)).value if is_choice else '1,2'}]"
    else:
        words = _TYPES.get(kind, "a mapping, such as {key: value}")
    if near:
        remedy = f"Did you mean {key}={near[0]}?"
    if kind is ArmConfig and isinstance(value, str):
        remedy = f"To add the arm of a file, write +arm@{key}={plain.received(value)}."
    if kind is Optimizer and isinstance(value, str):
        remedy = f"Write {key}={{name:{plain.received(value)}}}."
    or_null = ", or null" if optional else ""
    return f"{key} must be {words}{or_null}. Received: {plain.received(value)}. {remedy}"


def _parts(annotation: Any) -> tuple[Any, Any, bool]:
    """Return the type of an annotation, its limits or None, and whether it may be null."""
    union = get_origin(annotation) in (Union, UnionType)
    options = get_args(annotation) if union else (annotation,)
    kind, limit = next(each for each in options if each is not NoneType), None
    if get_origin(kind) is Annotated:
        kind, limit = get_args(kind)
    return kind, limit, NoneType in options or (kind is Any and limit is None)


@cache
def _annotations(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
