"""Composes conf/ with Hydra and turns plain values into a checked `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from lrcycles.config.checks import check_values
from lrcycles.config.schema import Config
from lrcycles.errors import InputError


def compose(conf: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Compose conf/ with `overrides`, as Hydra does; `render` gives the bytes DVC would write."""
    import yaml
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            composed = hydra_compose(config_name="config", overrides=overrides or [])
        OmegaConf.resolve(composed)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise InputError(f"conf/ does not compose: {one_line(error)}") from error
    except (ValueError, TypeError) as error:  # Hydra's, of a group that is set to no file's name
        raise InputError(
            f"conf/ does not compose with {' '.join(overrides or []) or 'its own values'}: "
            f"{one_line(error)}; a folder of conf/ takes the name of a file in it"
        ) from error
    return cast(dict[str, Any], OmegaConf.to_container(composed))


def check(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a `Config`, or raise InputError naming the key, value and remedy."""
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

    values = need_mapping(values, "params.yaml")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), values)
        if missing := OmegaConf.missing_keys(merged):
            raise InputError(f"need a value for {', '.join(sorted(missing))}, got none")
        config = cast(Config, OmegaConf.to_object(merged))
    except ConfigKeyError as error:
        raise InputError(_unknown_key(error, values)) from error
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {one_line(error)}") from error
    check_values(config)
    return config


def need_mapping(values: Any, name: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        received = repr(values) if len(repr(values)) < 60 else f"a {type(values).__name__}"
        raise InputError(
            f"need {name} to hold keys and values, got {received}: `dvc repro config` restores it"
        )
    return dict(values)


def _unknown_key(error: Any, values: Mapping[str, Any]) -> str:
    parent, _, _key = str(error.full_key).rpartition(".")
    known = ", ".join(f.name for f in fields(error.object_type)) if error.object_type else ""
    where = f"known keys of {parent}" if parent else "known keys"
    return f"unknown key {error.full_key}; {where}: {known or ', '.join(values)}"


def one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split(" full_key:")[0]
