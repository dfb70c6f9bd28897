"""Checks what `dvc exp run` keeps to itself."""

import inspect
import logging

import pytest
from dvc_data.index import checkout
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from lrcycles.config import compose


@pytest.fixture
def installed(monkeypatch, tmp_path):
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", ConfigLoaderImpl.load_configuration)
    monkeypatch.setattr(checkout.logger, "filters", [])
    compose.install_in_dvc(tmp_path)


@pytest.mark.usefixtures("installed")
def test_dvc_warns_of_failed_checkouts_but_not_of_results_that_no_stage_has_made(caplog):
    not_made_yet = "No file hash info found for '%s'. It won't be created."
    assert not_made_yet in inspect.getsource(checkout)
    with caplog.at_level(logging.WARNING):
        checkout.logger.warning(not_made_yet, "artifacts/data")
        checkout.logger.warning("failed to create '%s'", "artifacts/data")
    assert caplog.messages == ["failed to create 'artifacts/data'"]
