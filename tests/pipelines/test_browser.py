"""Checks the run list of `make ui` in a browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ui(project):
    """The address of MLflow's own UI over the project's store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["make", "ui", "-o", ".venv/ready", f"BIN={Path(sys.executable).parent}"],
        cwd=project.root,
        env=project.environment(PORT=str(port)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/health")
            break
        except OSError:
            time.sleep(0.5)
    yield address
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def test_the_run_list_shows_the_pipeline_its_stages_and_their_cells(browser, ui):
    page = browser.new_page()
    page.goto(f"{ui}/#/experiments/1/runs?workflowType=machine_learning")

    def row(name: str):
        # The oldest pipeline comes last; others may have been started by hand since.
        found = page.locator(".ag-row").filter(has=page.get_by_text(name, exact=True)).last
        found.wait_for(timeout=60_000)
        return found

    for name in ("smoke", "train@clr"):
        row(name).locator("button[data-component-id*=runnamecellrenderer]").first.click()
    for name in ("report", "clr seed 0"):
        assert row(name).is_visible()
    page.close()
