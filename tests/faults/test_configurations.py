"""Tries configurations that nobody should run: generated, typed, in files and in real processes."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

from lrcycles.config import compose, plain
from lrcycles.errors import InputError
from tests.config import hostile
from tests.faults.conftest import Faults
from tests.pipelines.project import Project

pytestmark = [pytest.mark.faults, pytest.mark.counts("configurations")]

SEED = 20_261_126


def test_single_values(faults: Faults, tmp_path):
    """Try each hostile value on a key drawn for it, and each key with hostile values."""
    print(f"seed {SEED}")
    drawn = random.Random(SEED)
    for name in hostile.EXPERIMENTS:
        for key in hostile.keys(name):
            for value in drawn.sample(hostile.VALUES, 6):
                came, words = hostile.outcome(hostile.changed(name, {key: value}), [key], tmp_path)
                faults.add(f"{_written({key: value})}: {words:.300}", came)


def test_generated_values(faults: Faults, tmp_path):
    print(f"seed {SEED}")

    @seed(SEED)
    @settings(
        max_examples=500,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(hostile.CHANGES)
    def every(change: hostile.Change) -> None:
        experiment, changes = change
        values = hostile.changed(experiment, changes)
        came, words = hostile.outcome(values, list(changes), tmp_path)
        faults.add(f"{_written(changes)}: {words:.300}", came)

    every()


def test_overrides(faults: Faults, tmp_path):
    for text in hostile.OVERRIDES:
        key = text.partition("=")[0]
        came, words = _composed(hostile.CONF, ["experiment=smoke", text], key, tmp_path)
        faults.add(f"{text!r:.80}: {words:.300}", came)


FILES = {  # what conf/train/default.yaml holds besides, or instead
    "an anchor": "epochs: &n 3\ncycles: *n\n",
    "an anchor without its value": "epochs: *nowhere\n",
    "a key twice": "epochs: 3\nepochs: 4\n",
    "a merge": "<<: {epochs: 3}\n",
    "a tab": "\tepochs: 3\n",
    "no value": "epochs:\n",
    "a text": "epochs: '3'\n",
    "a date": "epochs: 2026-11-26\n",
    "octal": "epochs: 0o7\n",
    "sexagesimal": "epochs: 1:30\n",
    "a yes": "reuse: yes\n",
    "a list": "- epochs\n",
    "a document more": "---\nepochs: 3\n---\nepochs: 4\n",
    "a tag of Python": "epochs: !!python/object/apply:os.getcwd []\n",
    "a tag of nobody": "epochs: !mine 3\n",
    "binary": "epochs: !!binary aGk=\n",
    "a set": "epochs: !!set {1, 2}\n",
    "an open bracket": "seeds: [1, 2\n",
    "an open quote": "backend: 'jax\n",
    "deep": "seeds: " + "[" * 300 + "]" * 300 + "\n",
    "deeper": "seeds: " + "[" * 5000 + "]" * 5000 + "\n",
    "deep mappings": "".join(f"{' ' * level}a:\n" for level in range(300)),
    "a long word": "backend: " + "x" * 100_000 + "\n",
    "a long number": "epochs: " + "9" * 5000 + "\n",
    "a huge number": "epochs: 1e400\n",
    "an escape": 'backend: "\\e[31m"\n',
    "a null character": 'backend: "\\0"\n',
    "half a character": 'backend: "\\ud800"\n',
    "a key that is a number": "3: 4\n",
    "a key that is null": "null: 4\n",
    "a key that is a list": "? [1, 2]\n: 4\n",
    "a key that is a mapping": "{a: 1}: 4\n",
    "an interpolation": "epochs: ${train.cycles}\n",
    "an interpolation of nothing": "epochs: ${nothing}\n",
    "an interpolation of itself": "epochs: ${train.epochs}\n",
    "an interpolation that is open": "epochs: ${train.cycles\n",
    "the environment": "backend: ${oc.env:HOME}\n",
    "no environment": "backend: ${oc.env:LRCYCLES_NOTHING}\n",
    "a resolver of nobody": "backend: ${mine:3}\n",
    "a missing value": "epochs: ???\n",
    "an unknown key": "epohcs: 3\n",
    "nothing": "",
    "defaults of nobody": "defaults: [nobody]\n",
    "defaults that are a number": "defaults: 3\n",
    "its own defaults": "defaults: [default]\n",
}


@pytest.mark.parametrize("instead", [False, True])
def test_files(instead, faults: Faults, tmp_path):
    conf = shutil.copytree(hostile.CONF, tmp_path / "conf")
    path = conf / "train" / "default.yaml"
    whole = path.read_text(encoding="utf-8")
    for what, text in FILES.items():
        keys = [line.split(":")[0].lstrip() for line in text.splitlines()]
        kept = [line for line in whole.splitlines() if line.split(":")[0] not in keys]
        path.write_text(text if instead else "\n".join([*kept, text]), encoding="utf-8")
        named = "conf/" if what == "its own defaults" else "train"
        came, words = _composed(conf, [], named, tmp_path)
        faults.add(f"{what}, {'instead' if instead else 'besides'}: {words:.300}", came)


def test_processes(project: Project, faults: Faults):
    for text in (
        "train.epochs=1000000000",
        "data.train_images=" + "9" * 23,
        "data.name=" + "x" * 100_000,
        "train.threads_per_cell=100000",
        "range_test.steps=1000000000000",
        "optimizer.arguments.weight_decay=.nan",
        "model.function=builtins:exec",
        "train.epochs=${train.epochs}",
    ):
        done = project.stage_here("config", text, ok=False)
        faults.add(f"config {text:.80}: {done.stderr:.300}", _of_process(done, text))


def test_dvc(project: Project, faults: Faults):
    for text in (
        "train.epochs=1000000000",
        "data.name=..",
        "train.seeds=" + "[" * 300 + "]" * 300,
        "train.epochs=${nokey}",
        "data.name=" + "x" * 100_000,
    ):
        try:
            done = project.dvc("exp", "run", "-S", text, ok=False)
        finally:
            project.run("git", "checkout", "-q", "params.yaml")
        faults.add(f"dvc exp run {text:.80}: {done.stderr:.300}", _of_process(done, text))


def _written(changes: Mapping[str, Any]) -> str:
    return ascii(", ".join(f"{key}={plain.received(value)}" for key, value in changes.items()))


def _composed(conf: Path, overrides: list[str], key: str, tmp_path: Path) -> tuple[str, str]:
    """Compose and check, and say what came of it."""
    try:
        with hostile.at_most(hostile.MOST_SECONDS):
            values = compose.compose(conf, overrides)
    except InputError as error:
        return hostile.refusal(str(error), [key])
    except TimeoutError as error:
        return "hangs", str(error)
    except Exception as error:
        return "traceback", repr(error)
    return hostile.outcome(values, [key], tmp_path)


def _of_process(done: subprocess.CompletedProcess[str], text: str) -> str:
    output = done.stdout + done.stderr
    if "Traceback" in output:
        return "traceback"
    lines = [line for line in output.splitlines() if "Received: " in line]
    if done.returncode == 0 or len(lines) != 1:
        print(indent(output[-2000:], "    "))
        return "silently used"
    return hostile.refusal(lines[0], [text.partition("=")[0]])[0]
