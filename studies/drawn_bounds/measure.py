"""Trains with bounds of one range test for all seeds, and of a range test for each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrcycles import files
from lrcycles.bounds.select import select_bounds
from lrcycles.cells.cell import Cell
from lrcycles.cells.store import CellStore
from lrcycles.config import compose, plain
from lrcycles.config.schema import Config
from lrcycles.errors import InputError
from lrcycles.evidence.arms import Arm, read_mistakes
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.paired import Estimate, compare_pairs
from lrcycles.range_tests import of_cells
from lrcycles.range_tests.cell_sweep import Sweep
from lrcycles.range_tests.curves import Curves
from lrcycles.range_tests.kept_sweeps import sweep_seeds
from lrcycles.stages import plan
from lrcycles.stages.groups import describe
from lrcycles.training.run import train_all

FIRST_SEED = 2000  # of the sweeps; no training and no other sweep of the tutorial has these seeds
ARMS = {"clr": "clr", "linear_decay": "controls"}  # with their groups
DRAWN, SHARED = "drawn", "shared"
# What is estimated: the weight of each arm's error, by kind of bounds.
CONTRASTS: Mapping[str, Mapping[tuple[str, str], int]] = {
    "clr, drawn bounds": {("clr", DRAWN): 1},
    "clr, shared bounds": {("clr", SHARED): 1},
    "linear_decay, drawn bounds": {("linear_decay", DRAWN): 1},
    "linear_decay, shared bounds": {("linear_decay", SHARED): 1},
    "clr minus linear_decay, drawn bounds": {("clr", DRAWN): 1, ("linear_decay", DRAWN): -1},
    "clr minus linear_decay, shared bounds": {("clr", SHARED): 1, ("linear_decay", SHARED): -1},
    "clr, drawn minus shared": {("clr", DRAWN): 1, ("clr", SHARED): -1},
    "linear_decay, drawn minus shared": {("linear_decay", DRAWN): 1, ("linear_decay", SHARED): -1},
}
Arms = Mapping[tuple[str, str], Arm]


@dataclass(frozen=True)
class Study:
    """The experiment whose bounds are drawn anew for every seed."""

    overrides: Sequence[str]
    seeds: int = 32
    data: Path = Path("artifacts/data")  # as stage `data` writes it
    store: CellStore = field(default_factory=lambda: CellStore(Path(".lrcycles/cells")))


@dataclass(frozen=True)
class Found:
    """A row per seed and kind of bounds, and what is estimated of each contrast."""

    cells: pd.DataFrame
    estimates: dict[str, dict[str, Any]]


def run(study: Study) -> Found:
    """Sweep and train what the store lacks, and estimate the contrasts.

    Raises:
        InputError: the shared range test gives no bounds, or stage `data` has not run.
    """
    config = compose.check(compose.compose(Path("conf"), list(study.overrides)))
    described = files.read_json(study.data / "data.json")
    bounds = find_bounds(study, config, described)
    cells = {
        (arm, kind): _cells(config, described, arm, bounds[kind])
        for arm in ARMS
        for kind in (DRAWN, SHARED)
    }
    _train(study, [cell for of_arm in cells.values() for cell in of_arm.values()])
    arms = {key: _arm(study, key[0], of_arm) for key, of_arm in cells.items()}
    rows = [
        {
            "seed": seed,
            "bounds": kind,
            **{name: (of_seed or {}).get(name) for name in ("base_lr", "max_lr")},
            **{arm: arms[arm, kind].values(Quantity.ERROR).get(seed) for arm in ARMS},
        }
        for kind, by_seed in bounds.items()
        for seed, of_seed in by_seed.items()
    ]
    return Found(
        pd.DataFrame(rows), {name: _entry(arms, weights) for name, weights in CONTRASTS.items()}
    )


def find_bounds(
    study: Study, config: Config, described: Mapping[str, Any]
) -> dict[str, dict[int, dict[str, Any] | None]]:
    """Give every seed the bounds of its own range test, and those of the experiment's."""
    shared = _range_test(study, config, described)
    if shared is None:
        raise InputError(
            "The experiment's range test must give bounds. Received: none. Choose other overrides."
        )
    own: list[Config] = []
    for seed in range(study.seeds):
        own.append(deepcopy(config))
        own[-1].range_test.seeds = [FIRST_SEED + 3 * seed + place for place in range(3)]
    # All at once: processes start and compile once. Afterwards the store has them.
    cells = [cell for each in own for cell in plan.sweep_cells(each, data=described)]
    sweep_seeds(
        *(cells, _sweep(config)),
        data=study.data,
        workers=config.train.workers,
        store=study.store,
        reuse=True,
        announce=print,
    )
    return {
        DRAWN: {seed: _range_test(study, each, described) for seed, each in enumerate(own)},
        SHARED: dict.fromkeys(range(study.seeds), shared),
    }


def _sweep(config: Config) -> Sweep:
    settings = plain.plain(config.range_test)
    return Sweep(**{name: settings[name] for name in Sweep.__annotations__})


def _range_test(
    study: Study, config: Config, described: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Do what stages `range_test` and `bounds` do; None if the curves show no bounds."""
    cells, asked = plan.sweep_cells(config, data=described), _sweep(config)
    measured = of_cells.measure(
        *(cells, asked),
        data=study.data,
        workers=config.train.workers,
        widen=config.range_test.widen,
        store=study.store,
        reuse=True,
    )
    subject = {"model": plain.plain(config.model), "optimizer": plain.plain(config.optimizer)}
    batch_size = config.train.batch_size
    summary = of_cells.summary(measured, asked, batch_size=batch_size, subject=subject)
    per_epoch = config.data.train_images // batch_size
    curves = Curves.from_summary(measured.curves.table, summary, steps_per_epoch=per_epoch)
    train = config.train
    try:
        return select_bounds(
            curves, rule=config.bounds.rule.value, cycles=train.cycles, epochs=train.epochs
        ).to_dict()
    except InputError as error:
        print(error)
        return None


def _cells(
    config: Config,
    described: Mapping[str, Any],
    arm: str,
    bounds: Mapping[int, dict[str, Any] | None],
) -> dict[int, Cell]:
    """Make the trainings of an arm, one for each seed that has bounds."""
    cells = {}
    for seed, of_seed in bounds.items():
        if of_seed is not None:
            own = deepcopy(config)
            own.train.seeds = [seed]
            made = plan.group_cells(own, ARMS[arm], data=described, bounds=of_seed)
            (cells[seed],) = (cell for cell in made if cell.arm == arm)
    return cells


def _train(study: Study, cells: Sequence[Cell]) -> None:
    missing = [cell for cell in cells if not study.store.has(cell, model=False)]
    missing.sort(key=lambda cell: cell.seed)
    by_key = {cell.key: cell for cell in missing}

    def on_event(event: str, key: str) -> None:
        if event == "cell":
            print(describe(study.store.result(by_key[key])), flush=True)

    print(f"Finished trainings in the store: {len(cells) - len(missing)} of {len(cells)}.")
    if missing:
        train_all(
            [[cell] for cell in missing],
            data=study.data,
            store=study.store,
            workers="auto",
            reuse=True,
            models=[],
            on_event=on_event,
        )


def _arm(study: Study, name: str, cells: Mapping[int, Cell]) -> Arm:
    results = {seed: study.store.result(cell) for seed, cell in cells.items()}
    mistakes = {
        seed: read_mistakes(study.store.folder(cell.key) / "correct.npy", results[seed])
        for seed, cell in cells.items()
    }
    known = {seed: of_seed for seed, of_seed in mistakes.items() if of_seed is not None}
    return Arm(name, ARMS[name], results, [], known)


def contrast(arms: Arms, weights: Mapping[tuple[str, str], int]) -> Estimate | None:
    """Estimate a weighted sum of the arms' test errors over seeds, draws and test images.

    A seed brings its own weights, order and draw of the range test, so the spread over the seeds
    holds the spread over the draws. Seeds that failed in one of the arms are left out.
    """
    parts = [(weight, arms[key]) for key, weight in weights.items()]
    first = parts[0][1]
    seeds = [seed for seed in first.trained if all(seed in arm.trained for _, arm in parts)]
    if not seeds:
        return None
    errors = [(weight, arm.values(Quantity.ERROR)) for weight, arm in parts]
    values = [sum(weight * own[seed] for weight, own in errors) for seed in seeds]
    if any(seed not in arm.mistakes for _, arm in parts for seed in seeds):
        return compare_pairs(values)
    by_image = sum(
        weight * np.stack([arm.mistakes[seed] for seed in seeds]).astype(np.int8)
        for weight, arm in parts
    )
    return compare_pairs(values, np.asarray(by_image))


def _entry(arms: Arms, weights: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    found = contrast(arms, weights)
    if found is None:
        return {"n": 0}
    seeds, images = found.halves()
    return {
        "n": found.n,
        "failed": sum(len(arms[key].failed) for key in weights),
        "mean": found.mean,
        "median": found.median,
        "sd": found.sd,
        "interval": found.interval(),
        "seeds_half": seeds,
        "images_half": images,
    }
