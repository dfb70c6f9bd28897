"""Reads what the stages left and makes the evidence of a whole pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles import files
from lrcycles.config.schema import TUNED, Report
from lrcycles.evidence.arms import Arm, read_arms
from lrcycles.evidence.comparisons import Pair, Role
from lrcycles.evidence.tuned import tune
from lrcycles.evidence.weigh import Evidence, weigh

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Stages:
    """What the stages before training left.

    Attributes:
        differences: by key, the value in the experiment (conf/) and the value that was used.
        fit_epochs: seconds of epochs and steps of plain Keras `fit`, by batch size.
    """

    artifacts: Path
    differences: dict[str, dict[str, Any]]
    data: dict[str, Any]
    range_test: dict[str, Any]
    curves: pd.DataFrame
    bounds: dict[str, Any]
    fit_epochs: list[dict[str, Any]]


def gather(
    artifacts: Path, report: Report, against: Mapping[str, Sequence[str]] | None = None
) -> Evidence:
    """Read what the stages left in `artifacts` and compare the arms.

    Args:
        report: conf/report.
        against: by arm, the arms it is compared with where that is not the baseline alone.

    Raises:
        InputError: a stage has not run, or a file is missing or damaged.
    """
    arms = read_arms(artifacts / "train")
    stages = _read_stages(artifacts)
    controlled = _controlled(arms)
    budget = int(stages.range_test["steps"]) * len(stages.range_test["seeds"])
    tuned = tune([arms[name] for name in controlled], budget_steps=budget)
    if tuned:
        arms[TUNED] = tuned.arm
        controlled.append(TUNED)
    candidates = [name for name, arm in arms.items() if arm.group == "clr"]
    # The arm that another one continues comes first, as what it is compared with.
    replay = sorted(
        (name for name in report.published if name in arms),
        key=lambda name: arms[name].settings.continues is not None,
    )
    waterfall = {name: adds for name, adds in report.waterfall.items() if name in arms}
    order = list(waterfall)
    pairs = [
        Pair(name, other, Role.CANDIDATE if name in candidates else Role.CONTROL)
        for name in controlled[1:]
        for other in (against or {}).get(name, controlled[:1])
        if other in controlled
    ]
    pairs += [Pair(name, replay[0], Role.REPLAY) for name in replay[1:]]
    pairs += [
        Pair(name, before, Role.INGREDIENT) for name, before in zip(order[1:], order, strict=False)
    ]
    seconds = float(stages.range_test["train_seconds"])
    return weigh(
        arms,
        controlled,
        pairs=pairs,
        report=report,
        range_test_seconds=dict.fromkeys(controlled, seconds),
        candidates=candidates,
        replay=replay,
        waterfall=waterfall,
        tuned=tuned,
        stages=stages,
    )


def _read_stages(artifacts: Path) -> Stages:
    fit_epochs = artifacts / "train/controls/fit_epochs.json"
    return Stages(
        artifacts=artifacts,
        differences=files.read_json(artifacts / "config/differences.json"),
        data=files.read_json(artifacts / "data/data.json"),
        range_test=files.read_json(artifacts / "range_test/range_test.json"),
        curves=files.read_table(artifacts / "range_test/curves.parquet"),
        bounds=files.read_json(artifacts / "bounds/bounds.json"),
        fit_epochs=files.read_json(fit_epochs) if fit_epochs.exists() else [],
    )


def _controlled(arms: Mapping[str, Arm]) -> list[str]:
    """Name the baseline first, then every other arm that trains on the split."""
    baselines = [name for name, arm in arms.items() if arm.group == "baseline"]
    others = [name for name, arm in arms.items() if arm.on_split and name not in baselines[:1]]
    return baselines[:1] + others
