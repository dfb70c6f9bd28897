"""Gives `dvc exp run -S` the composition and the messages of the stages.

DVC composes conf/ in its own process, with Hydra's words for every mistake. Hydra has no place for
other words, so this replaces the one method that DVC reaches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvc.exceptions import InvalidArgumentError
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from lrcycles.config import compose
from lrcycles.errors import InputError

_load = ConfigLoaderImpl.load_configuration


def install(conf: Path) -> None:
    """Compose conf/ as the stages do, and raise DVC's error of one line."""
    # composing, as compose.compose does, comes back here
    nested = False

    def load_configuration(
        self: Any, config_name: Any, overrides: list[str], *rest: Any, **more: Any
    ) -> Any:
        nonlocal nested
        if nested or not overrides:
            return _load(self, config_name, overrides, *rest, **more)
        nested = True
        try:
            return OmegaConf.create(compose.compose(conf, overrides))
        except InputError as error:
            raise InvalidArgumentError(str(error)) from error
        finally:
            nested = False

    ConfigLoaderImpl.load_configuration = load_configuration
