"""Compares real trainings that differ by their seeds alone: every verdict would be wrong."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcycles.cells.result import CellResult, read_result
from lrcycles.cells.store import CellStore
from lrcycles.config import compose
from lrcycles.data import prepare
from lrcycles.evidence.comparisons import Pair, Quantity, Role, compare_errors
from lrcycles.evidence.families import LOOKS, Family
from lrcycles.stages import plan
from lrcycles.training.run import train_all
from studies.verdicts.rows import Goal, Row, count
from studies.verdicts.trainings import first_seeds, make_arm

PAIR = [Pair("arm", "other", Role.CANDIDATE, Family.PRIMARY)]
Mistakes = NDArray[np.bool_]  # shape (trainings, images)
# What makes two trainings equal but for their seed.
_EQUAL = ["data", "schedule", "optimizer", "model", "epochs", "batch_size", "training_set"]
_EQUAL += ["momentum", "class_weights", "streamed", "precision", "backend", "continues"]


def same_against_same(case: str, pools: Sequence[Mistakes], repeats: int) -> list[Row]:
    """Draw two arms out of one pool of equal trainings, at random, and compare them.

    The difference of two arms out of the same pool is 0 on average over all draws, so the draws
    are independent repeats with a known truth.
    """
    rng = np.random.default_rng([6, len(pools), repeats])
    decided = missed = 0
    largest = max(look for look in LOOKS if 2 * look <= min(len(pool) for pool in pools))
    for _ in range(repeats):
        pool = pools[int(rng.integers(len(pools)))]
        drawn = rng.choice(len(pool), (2, largest), replace=False)
        arms = {n: make_arm(n, pool[own]) for n, own in zip(("arm", "other"), drawn, strict=True)}
        looks = [
            compare_errors(first_seeds(arms, seeds), PAIR, margin=0.05)
            for seeds in LOOKS
            if seeds <= largest
        ]
        comparisons = [look["arm", "other", Quantity.ERROR] for look in looks]
        decided += any(one.outcome.is_better or one.outcome.is_worse for one in comparisons)
        estimate = comparisons[-1].estimate
        low, high = (estimate and estimate.interval()) or (0.0, 0.0)
        missed += not low <= 0 <= high
    case = f"{case}; {sum(map(len, pools))} trainings in {len(pools)} pools"
    return [
        count(
            Goal.REAL,
            case,
            f"better or worse at any look up to {largest} seeds",
            decided,
            repeats,
            at_most=5,
            narrow=1.5,
        ),
        count(
            Goal.REAL,
            case,
            f"95 % interval of {largest} seeds misses 0",
            missed,
            repeats,
            at_most=5,
            narrow=1.75,
        ),
    ]


def stored_pools(cells: Path, *, least: int) -> list[Mistakes]:
    """Read the trainings of MNIST in a cell store; keep settings with `least` seeds or more."""
    pools: defaultdict[str, dict[int, Mistakes]] = defaultdict(dict)
    for path in sorted(cells.glob("*/correct.npy")):
        result = read_result(path.with_name("result.json"))
        if result.test_images == 10_000 and result.finished and result.continues is None:
            settings = result.to_dict()
            pool = json.dumps({key: settings[key] for key in _EQUAL}, sort_keys=True)
            pools[pool][result.seed] = _mistakes(path, result)
    return [np.array(list(each.values())) for each in pools.values() if len(each) >= least]


def _mistakes(path: Path, result: CellResult) -> Mistakes:
    return ~np.unpackbits(np.load(path), count=result.test_images).astype(bool)


def smoke_pool(trainings: int) -> Mistakes:
    """Train the baseline of experiment smoke; return what each training gets wrong."""
    overrides = [f"train.seeds={trainings}", "experiment=smoke", "train.save_models=none"]
    checked = compose.check(compose.compose(Path("conf"), overrides))
    with tempfile.TemporaryDirectory() as folder:
        data, store = Path(folder) / "data", CellStore(Path(folder) / "cells")
        data.mkdir()
        described = prepare.prepare(**vars(checked.data), root=Path.cwd(), out=data)
        cells = plan.group_cells(checked, "baseline", data=described, bounds=None)
        train_all(
            [[cell] for cell in cells],
            data=data,
            store=store,
            workers="auto",
            reuse=False,
            models=[],
            on_event=lambda *_: None,
        )
        paths = [store.folder(cell.key) / "correct.npy" for cell in cells]
        return np.array([_mistakes(p, read_result(p.with_name("result.json"))) for p in paths])
