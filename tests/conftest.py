"""Prepares the digits of scikit-learn once for many tests, and starts a browser."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrcycles.config import compose
from lrcycles.data import prepare

ROOT = Path(__file__).parents[1]

# The tests set the environment of a stage; the shell that started them must not.
for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_", "LRCYCLES_"))]:
    del os.environ[name]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stage `data` writes for the smoke experiment."""
    root = tmp_path_factory.mktemp("digits")
    values = compose.check(compose.compose(ROOT / "conf", ["experiment=smoke"]))
    (root / "data").mkdir()
    prepare.prepare(**vars(values.data), root=root, out=root / "data")
    return root / "data"


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def pytest_xdist_auto_num_workers() -> int:
    """Use one worker more than there are cores: many tests wait for a process or a server."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Keep the imported modules out of the garbage collection, which statsmodels calls often."""
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a browser if there is none; start the longest file first."""
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", _uses_a_project(item)))
    if CHROMIUM is None:
        left_out = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
        config.stash[_LEFT_OUT] = len(left_out)


def _uses_a_project(item: pytest.Item) -> bool:
    """Whether a test's file needs the project that test_pipeline.py's process makes first."""
    return item.path.name in ("test_bad_input.py", "test_browser.py", "test_reuse.py")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if left_out := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{left_out} tests with a browser were left out: no chromium on the PATH"
        )


_LEFT_OUT = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        launched = play.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield launched
        launched.close()
