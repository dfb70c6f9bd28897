"""Kills and interrupts stages at random moments, and compares the results of a rerun."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest

from tests.faults.conftest import Faults
from tests.pipelines.project import STAGES, Project

pytestmark = pytest.mark.faults

SEED = int(os.environ.get("LRCYCLES_FAULT_SEED", "20261126"))
LONGEST_SECONDS = 60  # that an interrupted command may take on a loaded machine
KILLS = {
    **{"config": 3, "data": 4, "range_test": 8, "bounds": 4, "advise": 3},
    **{"train@baseline": 8, "train@clr": 9, "train@controls": 10, "report": 5},
}
GROUP = "clr"  # the stage that gets signals


@dataclass
class Undisturbed:
    """A project whose pipeline has run without a fault."""

    project: Project
    seconds: dict[str, float] = field(default_factory=dict)  # by stage

    def fresh(self, root: Path, *, keep: tuple[str, ...] = ()) -> Project:
        """Copy the project without its results and without DVC's cache."""
        names = {"artifacts", ".lrcycles", "cache", "dvc.lock", "mlflow.db", "mlartifacts"}
        return Project.copy_of(self.project.root, root, without=sorted(names - set(keep)))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A pipeline of the digits whose cells train for some seconds, with many checkpoints."""
    print(f"seed of the random moments: {SEED}")
    project = Project(tmp_path_factory.mktemp("undisturbed") / "project")
    smoke = "conf/experiment/smoke.yaml"
    project.edit(smoke, "train: {epochs: 4,", "train: {checkpoint_every_seconds: 0.1, epochs: 800,")
    project.edit(smoke, "cycles: 2,", "cycles: 200,")
    project.run("git", "commit", "-qam", "Train for longer")
    made = Undisturbed(project)
    for stage in STAGES:
        begun = time.monotonic()
        project.dvc("repro", "--single-item", stage)
        made.seconds[stage] = time.monotonic() - begun
    return made


def weights(path: Path) -> list[np.ndarray]:
    """Read the weights of a Keras file, whose own bytes hold the time of writing."""
    arrays: list[np.ndarray] = []
    with zipfile.ZipFile(path) as packed:
        content = BytesIO(packed.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(
            lambda _, each: arrays.append(each[()]) if isinstance(each, h5py.Dataset) else None
        )
    return arrays


def untimed(value: Any) -> Any:
    """Drop what is measured in seconds."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if "second" not in name}
        return {name: untimed(each) for name, each in kept.items()}
    return [untimed(each) for each in value] if isinstance(value, list) else value


def results(project: Project, stage: str) -> dict[str, Any]:
    """Read what a stage left, without seconds."""
    folder = project.root / "artifacts" / stage.replace("@", "/")
    read: dict[str, Callable[[Path], Any]] = {
        "result.json": lambda path: untimed(json.loads(path.read_text())),
        "bounds.json": lambda path: untimed(json.loads(path.read_text())),
        "metrics.json": lambda path: untimed(json.loads(path.read_text())),
        "params.yaml": Path.read_bytes,
        "steps.parquet": Path.read_bytes,
        "curves.parquet": Path.read_bytes,
        "train_images.npy": Path.read_bytes,
        "model.keras": lambda path: [array.tolist() for array in weights(path)],
    }
    return {
        str(path.relative_to(folder)): read[path.name](path)
        for path in sorted(folder.rglob("*"))
        if path.name in read
    }


def finished_cells(project: Project) -> dict[str, int]:
    """List the finished entries of the cell store, with the time of their writing."""
    store = project.root / ".lrcycles" / "cells"
    return {path.parent.name: path.stat().st_mtime_ns for path in store.glob("[!.]*/result.json")}


class Command:
    """A command of the user's that runs in a process group of its own."""

    def __init__(self, project: Project, *words: str) -> None:
        self.project = project
        environment = project.environment()
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = subprocess.Popen(
            words,
            cwd=project.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.seen: list[psutil.Process] = []

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def stage(self) -> psutil.Process | None:
        """Find the process of the stage, once it handles signals."""
        for process in self.family():
            try:
                words = process.cmdline()
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (psutil.Error, OSError):
                continue
            caught = int(status.partition("SigCgt:")[2].split()[0], 16)
            module = any(word.startswith("pipelines.") for word in words)
            if module and "python" in words[0] and caught >> (signal.SIGTERM - 1) & 1:
                return process
        return None

    def family(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.process.pid)
            self.seen = [root, *root.children(recursive=True)]
        except psutil.Error:
            return []
        return self.seen

    def wait_for(self, event: Callable[[], Any]) -> bool:
        """Wait until something happens; return whether it did before the command ended."""
        while self.runs:
            if event():
                return True
            time.sleep(0.01)
        return False

    def send(self, number: int, *, to_all: bool) -> bool:
        """Send a signal to the process group or to the stage alone, if it still runs."""
        stage = self.stage()
        if stage is None or not self.runs:
            return False
        if to_all:
            os.killpg(self.process.pid, number)
        else:
            stage.send_signal(number)
        return True

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and what stderr holds."""
        _, printed = self.process.communicate(timeout=600)
        return self.process.returncode, printed

    def left_over(self) -> list[psutil.Process]:
        """List the processes that outlive the command by seconds."""
        _, alive = psutil.wait_procs(self.seen, timeout=10)
        return [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def killed(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose stages the tests kill, in the order of the pipeline."""
    return undisturbed.fresh(tmp_path_factory.mktemp("killed") / "project")


@pytest.mark.counts("kill -9")
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_loses_nothing_and_its_rerun_gives_the_same(
    stage: str, undisturbed: Undisturbed, killed: Project, faults: Faults
):
    for earlier in STAGES[: STAGES.index(stage)]:
        if not (killed.root / "artifacts" / earlier.replace("@", "/")).exists():
            killed.dvc("repro", "--single-item", earlier)  # the test of that stage was left out
    moments = random.Random(f"{SEED} {stage}")
    outcomes: list[tuple[str, str]] = []
    before: dict[str, int] = {}
    reruns: list[str] = []  # what each attempt said: the first is the rerun of none
    while len(outcomes) < KILLS[stage]:
        command = Command(killed, "dvc", "repro", "--single-item", "--force", stage)
        assert command.wait_for(command.stage), command.end()
        delay = moments.uniform(0, 0.9 * undisturbed.seconds[stage])
        time.sleep(delay)
        to_all = moments.random() < 0.5
        sent = command.send(signal.SIGKILL, to_all=to_all)
        _, printed = command.end()
        if not sent:
            continue
        reruns.append(printed)
        outcome = "harmless"
        now = finished_cells(killed)
        if any(now.get(key) != moment for key, moment in before.items()):
            outcome = "lost"
        if command.left_over():
            outcome = "hangs"
        before = now
        whom = "everything" if to_all else "the stage"
        outcomes.append((f"kill -9 of {whom} in {stage} after {delay:.2f} s", outcome))
    reruns.append(killed.dvc("repro", "--single-item", "--force", stage).stderr)
    same = results(killed, stage) == results(undisturbed.project, stage)
    kept = all(finished_cells(killed).get(key) == moment for key, moment in before.items())
    for (what, outcome), rerun in zip(outcomes, reruns[1:], strict=True):
        if outcome == "harmless" and "from its checkpoint" in rerun:
            outcome = "recovered"
        faults.add(what, "silently used" if not same else outcome if kept else "lost")


WAYS = {
    "by hand": ("python", "-m", "pipelines.train", f"group={GROUP}"),
    "under DVC": ("dvc", "repro", "--single-item", "--force", f"train@{GROUP}"),
}
TARGETS = [("by hand", False), ("under DVC", True), ("under DVC", False)]


def moment_of(name: str, command: Command, moments: random.Random) -> bool:
    """Wait for a moment in the life of a train stage; return whether it came."""
    root = command.project.root
    checkpoints = root / ".lrcycles" / "cells" / ".checkpoints"
    if not command.wait_for(command.stage):
        return False
    if name == "imports":
        time.sleep(moments.uniform(0, 1))
    elif name == "compilation":
        own = len(command.family())
        command.wait_for(lambda: len(command.family()) >= own + 4)
        time.sleep(moments.uniform(0, 2))
    elif name == "training":
        begun = time.time_ns()
        command.wait_for(
            lambda: any(path.stat().st_mtime_ns > begun for path in checkpoints.glob("*.npz"))
        )
        time.sleep(moments.uniform(0, 1))
    else:
        command.wait_for(lambda: list(root.glob(f"artifacts/.train.{GROUP}.*/{GROUP}/*")))
        time.sleep(moments.uniform(0, 0.5))
    return command.runs


def outcome_of(command: Command, number: int, *, by_hand: bool) -> str:
    """Judge how an interrupted command ended."""
    try:
        _, printed = command.process.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(command.process.pid, signal.SIGKILL)
        command.process.communicate()
        return "hangs"
    code = command.process.returncode
    if "Traceback" in printed or "Exception ignored" in printed:
        print(printed)
        return "traceback"
    if command.left_over():
        return "hangs"
    lines = [line for line in printed.splitlines() if "lrcycles train: interrupted." in line]
    if len(lines) != 1 or code == 0 or (by_hand and code != 128 + number):
        print(code, printed)
        return "silently used"
    return "named"


@pytest.mark.counts("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_stage_says_so_and_its_rerun_gives_the_same(
    number: signal.Signals, undisturbed: Undisturbed, tmp_path: Path, faults: Faults
):
    keep = ("artifacts", "cache", "dvc.lock")
    project = undisturbed.fresh(tmp_path / "project", keep=keep)  # the cell store is empty
    stage = f"train@{GROUP}"
    expected = results(undisturbed.project, stage)
    moments = random.Random(f"{SEED} {number}")
    for way, to_all in TARGETS:
        outcomes = []
        for moment in ("imports", "compilation", "training", "training", "copy"):
            command = Command(project, *WAYS[way])
            came = moment_of(moment, command, moments)
            sent = came and command.send(number, to_all=to_all)
            begun = time.monotonic()
            outcome = outcome_of(command, number, by_hand=way == "by hand") if sent else None
            if outcome is None:
                command.end()
                continue
            faults.figure("seconds from a signal to the end", time.monotonic() - begun)
            whom = " to all processes" if to_all else ""
            outcomes.append((f"{number.name} {way}{whom}, {moment}", outcome))
        project.stage("train", f"group={GROUP}")
        same = results(project, stage) == expected
        for what, outcome in outcomes:
            print(what, outcome)
            faults.add(what, outcome if same else "silently used")
        for path in (project.root / ".lrcycles" / "cells").glob("[!.]*"):
            for each in path.iterdir():
                each.unlink()
            path.rmdir()


def test_the_planted_faults_are_as_many_as_the_documentation_says():
    assert sum(KILLS.values()) >= 50
    assert len(list(itertools.product(TARGETS, range(5), range(2)))) >= 20
