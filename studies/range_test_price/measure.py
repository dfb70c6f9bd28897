"""Measures how stable the bounds of a range test are, and what the range test costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from lrcycles import files
from lrcycles.bounds.select import RULES
from lrcycles.cells.cell import Cell
from lrcycles.cells.result import CellResult
from lrcycles.cells.store import CellStore
from lrcycles.config import compose, plain
from lrcycles.config.schema import Config
from lrcycles.data import prepare
from lrcycles.range_tests.cell_sweep import Sweep, TimedCurve
from lrcycles.range_tests.kept_sweeps import sweep_seeds
from lrcycles.stages import plan
from lrcycles.training.run import train_all
from studies.range_test_price import library

HERE = Path(__file__).parent
FIRST_RULE = HERE / "first_rule.csv"
STORE = CellStore(Path(".lrcycles/cells"))
DATA = Path("artifacts/studies/range_test_price")
TESTS, FIRST_SEED = 20, 1000  # the settings were chosen on smaller seeds
ROUNDS = 5


@dataclass(frozen=True)
class Setting:
    """A range test of an experiment, with some settings of its own."""

    name: str
    experiment: str
    overrides: Sequence[str]
    seeds: int
    first_rule: bool = False

    def config(self, *overrides: str) -> Config:
        own = [f"experiment={self.experiment}", *self.overrides, *overrides]
        return compose.check(compose.compose(Path("conf"), own))

    def cells(self, seeds: Sequence[int], *overrides: str) -> tuple[list[Cell], Sweep]:
        config = self.config(f"range_test.seeds={list(seeds)}", *overrides)
        settings = plain.plain(config.range_test)
        sweep = Sweep(**{name: settings[name] for name in Sweep.__annotations__})
        return plan.sweep_cells(config, data=data_of(self.experiment)[1]), sweep


def settings() -> list[Setting]:
    return [Setting(**entry) for entry in yaml.safe_load((HERE / "settings.yaml").read_text())]


@cache
def data_of(experiment: str) -> tuple[Path, Mapping[str, Any]]:
    """Return the folder of an experiment's data, and the content of its data.json."""
    folder = DATA / experiment
    if not (folder / "data.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        config = compose.check(compose.compose(Path("conf"), [f"experiment={experiment}"]))
        described = prepare.prepare(**vars(config.data), root=Path.cwd(), out=folder)
        files.write_json(folder / "data.json", described)
    return folder, files.read_json(folder / "data.json")


def bounds(setting: Setting) -> pd.DataFrame:
    """Run 20 whole range tests with seeds of their own; return the bounds of each."""
    seeds = range(FIRST_SEED, FIRST_SEED + TESTS * setting.seeds)
    config = setting.config()
    rule = config.bounds.rule.value
    if setting.first_rule:
        of_seed = first_rule(scores=100)
    else:
        cells, sweep = setting.cells(seeds)
        folder = data_of(setting.experiment)[0]
        timed = sweep_seeds(cells, sweep, data=folder, workers="auto", store=STORE, reuse=True)
        read = [RULES[rule](one.curve) for one in timed]
        rows = [(one.seed, one.base_lr, one.max_lr) for one in read]
        of_seed = pd.DataFrame(rows, columns=["seed", "base_lr", "max_lr"])
    of_seed = of_seed.assign(test=(of_seed["seed"] - FIRST_SEED) // setting.seeds)
    # As `select_bounds`: the median over the seeds on the logarithmic scale.
    logs = of_seed[["base_lr", "max_lr"]].astype(float).apply(np.log10)
    medians = 10 ** logs.groupby(of_seed["test"]).median()
    asked = config.range_test
    return medians.reset_index().assign(
        setting=setting.name,
        rule=rule,
        steps=asked.steps,
        scores=1 - (-asked.steps // asked.evaluate_every_steps),
        heldout_images=asked.heldout_images,
    )


def first_rule(*, scores: int) -> pd.DataFrame:
    """Read the bounds of the first version of rule smith, from all scores or from every second."""
    rows = pd.read_csv(FIRST_RULE)
    return rows[rows["scores"] == scores].drop(columns="scores")


Job = Callable[[int], list[dict[str, Any]]]  # gets the number of the round, returns rows


def priced(*overrides: str, cpu_seconds: bool) -> dict[tuple[str, ...], Job]:
    """List the measurements of a round by the names of their rows."""
    jobs: dict[tuple[str, ...], Job] = {}
    for setting in settings():
        if setting.name.startswith(setting.experiment):
            of_training = (f"training of {setting.experiment}",)
            jobs[of_training] = partial(training, setting.experiment, overrides)
            jobs[(setting.name,)] = partial(price, setting, overrides)
    if not overrides:
        for name in library.SIZES:
            jobs[f"training of {name}", name] = partial(printed, "library", name)
    if cpu_seconds:
        return {names: partial(printed, "alone", names[-1]) for names in jobs}
    return jobs


def printed(module: str, what: str, number: int) -> list[dict[str, Any]]:
    """Return the rows that a module of this study prints in a process of its own."""
    command = [sys.executable, "-m", f"studies.range_test_price.{module}", what, str(number)]
    answer = subprocess.check_output(command, text=True)
    rows: list[dict[str, Any]] = json.loads(answer.splitlines()[-1])
    return rows


def price(setting: Setting, overrides: Sequence[str], _number: int) -> list[dict[str, Any]]:
    """Run the range test alone in a new process; return its seconds."""
    cells, sweep = setting.cells(range(setting.seeds), *overrides)
    with tempfile.TemporaryDirectory() as folder:
        timed = sweep_seeds(
            *(cells, sweep),
            data=data_of(setting.experiment)[0],
            workers=1,
            store=CellStore(Path(folder)),
            reuse=False,
        )
    return [price_row(timed)]


def price_row(timed: Sequence[TimedCurve]) -> dict[str, Any]:
    return {
        "seconds": sum(one.seconds for one in timed),
        "compile_seconds": sum(one.compile_seconds for one in timed),
        "steps": sum(len(one.curve.lr) for one in timed),
    }


def training(experiment: str, overrides: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Train the baseline once in a new process; return its seconds."""
    cell, data = baseline(experiment, seed, *overrides)
    with tempfile.TemporaryDirectory() as stored:
        store = CellStore(Path(stored))
        train_all(
            [[cell]],
            data=data,
            store=store,
            workers=1,
            reuse=False,
            models=[],
            on_event=lambda *_: None,
        )
        return [training_row(store.result(cell))]


def baseline(experiment: str, seed: int, *overrides: str) -> tuple[Cell, Path]:
    """Return the cell of the experiment's baseline, and the folder of its data."""
    names = [f"experiment={experiment}", f"train.seeds=[{seed}]", "train.save_models=none"]
    config = compose.check(compose.compose(Path("conf"), [*names, *overrides]))
    folder, described = data_of(experiment)
    return plan.group_cells(config, "baseline", data=described, bounds=None)[0], folder


def training_row(result: CellResult) -> dict[str, Any]:
    return {
        "seconds": result.train_seconds + result.evaluate_seconds,
        "compile_seconds": result.compile_seconds,
        "steps": result.steps,
        "device": result.device_name,
        "backend": result.backend,
        "threads": result.threads,
    }
