"""What many tests stand on: the digits that come with scikit-learn, prepared once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lrcycles import config, datasets

ROOT = Path(__file__).parents[1]

# The tests decide what a stage sees, not the shell they were started from.
for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_", "LRCYCLES_"))]:
    del os.environ[name]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stage `data` writes for the smoke experiment."""
    root = tmp_path_factory.mktemp("digits")
    values = config.check(config.compose(ROOT / "conf", ["experiment=smoke"]))
    (root / "data").mkdir()
    datasets.prepare(**vars(values.data), root=root, out=root / "data")
    return root / "data"
