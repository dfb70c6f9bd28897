"""Composes conf/ with Hydra and turns plain values into a checked `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from lrcycles.config import hints
from lrcycles.config.checks import check_values
from lrcycles.config.plain import flat, need_mapping
from lrcycles.config.schema import Config
from lrcycles.config.value_types import wrong_type
from lrcycles.errors import InputError


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
    ) as error:
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
        raise InputError(wrong_type(error, values)) from error
    check_values(config)
    return config


def _unknown_key(error: Any, values: Mapping[str, Any]) -> str:
    keys = [f.name for f in fields(error.object_type)] if error.object_type else list(values)
    return hints.unknown_key(str(error.full_key), keys, flat(values))
