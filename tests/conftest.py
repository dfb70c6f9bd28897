"""Prepares the digits of scikit-learn once for many tests, and starts a browser."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrcycles import files
from lrcycles.config import compose
from lrcycles.data import prepare

ROOT = Path(__file__).parents[1]

# A shell lets the commands that it starts with `&` ignore Ctrl-C; the tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests set the environment of a stage; the shell that started them must not.
for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_", "LRCYCLES_"))]:
    if name != "LRCYCLES_FAULT_COUNTS":  # where tests/faults count
        del os.environ[name]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stage `data` writes for the smoke experiment."""
    root = tmp_path_factory.mktemp("digits")
    values = compose.check(compose.compose(ROOT / "conf", ["experiment=smoke"]))
    (root / "data").mkdir()
    prepare.prepare(**vars(values.data), root=root, out=root / "data")
    return root / "data"


@pytest.fixture
def pictures_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write one pixel for every picture, in tests that read words and numbers only.

    Drawing takes nine tenths of the time of a report.
    """
    import matplotlib.pyplot as plt

    def write_pixel(path: Path, figure: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        plt.imsave(path, [[0.0]], format="png")
        plt.close(figure)

    monkeypatch.setattr(files, "write_figure", write_pixel)


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def pytest_collection_finish() -> None:
    """Keep the imported modules out of the garbage collection."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def older_objects_out_of_the_garbage_collection(request: pytest.FixtureRequest) -> None:
    """Keep what earlier files made out of it too, such as the graphs of TensorFlow.

    Statsmodels collects garbage in every comparison, and each time would look at everything.
    """
    if request.path.parent.name in ("evidence", "report", "studies"):
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a browser if there is none; start the longest file first."""
    items.sort(key=_turn)
    if CHROMIUM is None:
        left_out = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
        config.stash[_LEFT_OUT] = len(left_out)


# What takes longest comes first. test_pipeline.py makes the project that the files of pipelines/
# copy; two files without a project keep the second process busy meanwhile.
_FIRST = (
    "test_pipeline.py",
    "test_tracking.py",
    "test_jax.py",
    "test_experiments.py",
    "test_bad_input.py",
    "test_reuse.py",
    "test_browser.py",
)


def _turn(item: pytest.Item) -> int:
    """Give the place of a test's file in the order of the run."""
    return _FIRST.index(item.path.name) if item.path.name in _FIRST else len(_FIRST)


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
