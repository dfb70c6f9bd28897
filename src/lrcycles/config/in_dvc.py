"""Gives `dvc exp run -S` the composition and the messages of the stages.

DVC composes conf/ in its own process, with Hydra's words for every mistake. Hydra offers no hook
for other words, so this replaces the one method that composes. DVC also warns of every result
that does not exist yet, which is all of them in a fresh clone: these warnings are left out.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from dvc.exceptions import InvalidArgumentError
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from lrcycles.config import compose
from lrcycles.errors import InputError

_NOT_MADE_YET = "No file hash info found"  # of a result that no stage has made


def install(conf: Path) -> None:
    """Let this process compose conf/ as the stages do."""
    hydra_loads = ConfigLoaderImpl.load_configuration

    def load_configuration(
        _loader: Any, config_name: str, overrides: list[str], *_: Any, **_more: Any
    ) -> Any:
        assert config_name == "config"
        ConfigLoaderImpl.load_configuration = hydra_loads  # compose.compose comes back here
        state = GlobalHydra.instance()
        outer = state.hydra
        state.clear()
        try:
            return OmegaConf.create(compose.compose(conf, overrides))
        except InputError as error:
            raise InvalidArgumentError(str(error)) from None  # DVC prints causes as well
        finally:
            state.hydra = outer
            ConfigLoaderImpl.load_configuration = load_configuration

    ConfigLoaderImpl.load_configuration = load_configuration
    logging.getLogger("dvc_data.index.checkout").addFilter(
        lambda record: not record.msg.startswith(_NOT_MADE_YET)
    )
