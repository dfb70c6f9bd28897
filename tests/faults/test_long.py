"""Trains a thousand cells in one stage."""

from __future__ import annotations

import time

import psutil
import pytest

pytestmark = pytest.mark.faults


def _used(running: psutil.Process) -> tuple[int, int]:
    """Return the memory in bytes and the open files of a process and its children."""
    memory = handles = 0
    for process in [running, *running.children(recursive=True)]:
        try:
            memory += process.memory_info().rss
            handles += process.num_fds()
        except psutil.Error:  # it has just ended
            continue
    return memory, handles


def test_a_thousand_trainings_in_one_stage_use_no_more_memory_or_files_than_the_first(project):
    arguments = ["group=controls", "train.seeds=500", "train.epochs=1", "train.save_models=none"]
    started = time.monotonic()
    samples: list[tuple[float, tuple[int, int]]] = []
    log = project.root / "stage.log"
    with (
        log.open("w") as output,
        psutil.Popen(
            ["python", "-m", "pipelines.train", *arguments],
            cwd=project.root,
            env=project.environment(),
            stdout=output,
            stderr=output,
        ) as running,
    ):
        while running.poll() is None:
            samples.append((time.monotonic() - started, _used(running)))
            time.sleep(1)
    assert running.returncode == 0, log.read_text()[-2000:]
    table = project.latest_by_hand("train")
    assert len(table) == 1000
    assert set(table["status"]) <= {"finished", "diverged"}
    assert table["run_id"].is_unique
    end = samples[-1][0]
    early = [used for moment, used in samples if 0.2 * end < moment < 0.4 * end]
    late = [used for moment, used in samples if 0.7 * end < moment]
    print(f"{end:.0f} s, most memory {max(m for m, _ in early + late) / 1e6:.0f} MB")
    assert max(memory for memory, _ in late) < max(memory for memory, _ in early) + 300e6
    assert max(files for _, files in late) < max(files for _, files in early) + 50
