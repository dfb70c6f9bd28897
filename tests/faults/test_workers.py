"""Kills and stops training processes, and checks that their jobs run once more."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrcycles.errors import InputError
from lrcycles.training import pool
from tests.faults.conftest import Faults
from tests.training.cases import RUNTIME

pytestmark = [pytest.mark.faults, pytest.mark.counts("training processes that die or hang")]


def crash(kind: str) -> None:
    """Do to this process what happens to processes."""
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "asked to end":
        os.kill(os.getpid(), signal.SIGTERM)
    elif kind == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "segmentation fault":
        ctypes.string_at(0)
    else:
        os._exit(7)


def fail_at_first(job: tuple[str, str, int], notify: Callable[[str, str], None]) -> str:
    """Crash in the first attempts, then return the kind."""
    kind, folder, failures = job
    for epoch in range(3):
        notify("epoch", kind)
        if epoch == 1:
            for attempt in range(failures):
                mark = Path(folder) / f"{kind} {attempt}"
                if not mark.exists():
                    mark.touch()
                    crash(kind)
    return kind


KINDS = ["killed", "asked to end", "stopped", "segmentation fault", "exit"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_whose_process_fails_runs_once_more_and_others_end(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    monkeypatch.setattr(pool, "LEAST_SECONDS", 3.0)
    jobs: list[Any] = [(kind, str(tmp_path), 1), ("other", str(tmp_path), 0)]
    events: list[tuple[str, str]] = []
    with pool.workers(2, runtime=RUNTIME) as run:
        results = set(run(fail_at_first, jobs, lambda *event: events.append(event)))
    assert results == {kind, "other"}
    (message,) = [text for event, text in events if event == "message"]
    assert "runs once more" in message
    faults.add(f"a training process: {kind}", "recovered")


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_failure_names_the_job_and_keeps_the_results_of_others(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    monkeypatch.setattr(pool, "LEAST_SECONDS", 3.0)
    jobs: list[Any] = [("other", str(tmp_path), 0), (kind, str(tmp_path), 2)]
    results = []
    with pytest.raises(InputError, match=kind) as caught, pool.workers(1, runtime=RUNTIME) as run:
        for result in run(fail_at_first, jobs):
            results.append(result)
    assert results == ["other"]
    assert "\n" not in str(caught.value)
    faults.add(f"a training process, twice: {kind}", "named")
