"""What do the stages' files say, arm by arm and pair by pair?"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import files
from lrcycles.config.schema import TUNED
from lrcycles.evidence import paired
from lrcycles.evidence.arms import Arm, read_arms, seconds_per_step
from lrcycles.evidence.chances import Reaching, time_to_reach
from lrcycles.evidence.comparisons import ERROR, LOSS, Comparison, compare_arms, seedwise
from lrcycles.evidence.tuned import Tuned, tune

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evidence:
    """Everything that a report shows, as numbers; what compares two experiments has no stages."""

    arms: dict[str, Arm]
    controlled: list[str]  # the baseline, then the arms that train as it does
    pairs: list[tuple[str, str]]  # of the controlled arms, those that are compared
    margin_percent: float
    targets: list[float]  # validation errors in percent: on the way, and the baseline's final one
    seconds_per_step: dict[str, float]  # by arm, pooled over those whose steps cost the same
    reached: dict[str, dict[int, paired.TimeToTarget]]  # by arm and seed, the last target
    reaching: dict[str, list[Reaching]]  # by arm, one for each of the targets
    range_test_seconds: dict[str, float]  # charged to each arm: all of them, or none
    extra_seconds: dict[str, float]  # those, what tuning cost, and the arms continued
    comparisons: dict[tuple[str, str, str], Comparison]
    replay: list[str]  # the arms that have a published figure
    waterfall: dict[str, str]  # by arm, in order: what it has that the one before has not
    tuned: Tuned | None  # what the arm of that name was made of
    of_stages: Stages | None = None

    @property
    def stages(self) -> Stages:
        """What the stages before training left; two experiments that are compared have none."""
        assert self.of_stages is not None
        return self.of_stages

    @property
    def target_percent(self) -> float | None:
        return self.targets[-1] if self.targets else None

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The waterfall's pairs: each arm, and the one that it adds something to."""
        order = list(self.waterfall)
        return list(zip(order[1:], order, strict=False))

    def of(self, quantity: str) -> list[Comparison]:
        return [found for found in self.comparisons.values() if found.quantity == quantity]

    def asked(self, quantity: str) -> list[Comparison]:
        """Those of the controlled arms, without what only a replay or a waterfall compares."""
        return [found for found in self.of(quantity) if (found.arm, found.against) in self.pairs]

    @property
    def baseline(self) -> str:
        return self.controlled[0]


@dataclass(frozen=True)
class Stages:
    """What the stages before training left."""

    artifacts: Path
    differences: dict[str, dict[str, Any]]  # from conf/
    data: dict[str, Any]
    range_test: dict[str, Any]
    curves: pd.DataFrame
    bounds: dict[str, Any]
    fit_epochs: list[dict[str, Any]]


def gather(
    artifacts: Path,
    report_config: Mapping[str, Any],
    against: Mapping[str, Sequence[str]] | None = None,
) -> Evidence:
    """Read what the stages left in `artifacts` and compare the arms.

    Args:
        report_config: conf/report.
        against: by arm, the arms it is compared with where that is not the baseline.
    """
    arms = read_arms(artifacts / "train")
    fit_epochs = artifacts / "train/controls/fit_epochs.json"
    stages = Stages(
        artifacts=artifacts,
        differences=files.read_json(artifacts / "config/differences.json"),
        data=files.read_json(artifacts / "data/data.json"),
        range_test=files.read_json(artifacts / "range_test/range_test.json"),
        curves=files.read_table(artifacts / "range_test/curves.parquet"),
        bounds=files.read_json(artifacts / "bounds/bounds.json"),
        fit_epochs=files.read_json(fit_epochs) if fit_epochs.exists() else [],
    )
    controlled = _controlled(arms)
    budget = int(stages.range_test["steps"]) * len(stages.range_test["seeds"])
    tuned = tune([arms[name] for name in controlled], budget_steps=budget)
    if tuned:
        arms[TUNED] = tuned.arm
        controlled.append(TUNED)
    published = [name for name in report_config["published"] if name in arms]
    return weigh(
        arms,
        controlled,
        pairs=[
            (name, other)
            for name in controlled[1:]
            for other in (against or {}).get(name, controlled[:1])
            if other in controlled
        ],
        range_test_seconds=dict.fromkeys(controlled, float(stages.range_test["train_seconds"])),
        margin_percent=float(report_config["margin_percent"]),
        # The arm that another continues comes first: it is what the other is compared with.
        replay=sorted(published, key=lambda name: arms[name].settings["continues"] is not None),
        waterfall={k: adds for k, adds in report_config["waterfall"].items() if k in arms},
        tuned=tuned,
        stages=stages,
    )


def weigh(
    arms: dict[str, Arm],
    controlled: list[str],
    *,
    pairs: list[tuple[str, str]],
    range_test_seconds: Mapping[str, float],
    margin_percent: float,
    timed: Sequence[str] | None = None,
    replay: Sequence[str] = (),
    waterfall: Mapping[str, str] | None = None,
    tuned: Tuned | None = None,
    stages: Stages | None = None,
) -> Evidence:
    """Compare arms in error, and those that train alike in time.

    Args:
        controlled: the baseline first, whose errors are the targets.
        range_test_seconds: by controlled arm, what it pays if a rate of it comes from that.
        timed: the controlled arms whose time is known, all if left out; the baseline first.
    """
    timed = controlled if timed is None else timed
    # The cells of `tuned` are those of other arms, which count once.
    per_step = seconds_per_step([arm for arm in arms.values() if arm.name != TUNED])
    if tuned and controlled[0] in per_step:
        per_step[TUNED] = per_step[controlled[0]]
    chains = {name: _chain(arms[name], arms) for name in timed}
    charged = {
        name: range_test_seconds[name] if any(arm.uses_bounds for arm in chain) else 0.0
        for name, chain in chains.items()
    }
    extra = {
        name: charged[name] + sum(_training_seconds(parent, per_step) for parent in chain[1:])
        for name, chain in chains.items()
    }
    if tuned:
        extra[TUNED] += tuned.tried_steps * per_step.get(TUNED, 0.0)  # none if none finished
    targets = _targets(arms[timed[0]]) if timed else []
    reached = [
        {name: _times(arms[name], target, per_step.get(name, 0.0), extra[name]) for name in timed}
        for target in targets
    ]
    order = list(waterfall or {})
    untimed = [*((name, replay[0]) for name in replay[1:]), *zip(order[1:], order, strict=False)]
    final = reached[-1] if reached else {}
    return Evidence(
        arms=arms,
        controlled=controlled,
        pairs=pairs,
        margin_percent=margin_percent,
        targets=targets,
        seconds_per_step=per_step,
        reached=final,
        reaching={name: [_reaching(by_arm[name].values()) for by_arm in reached] for name in timed},
        range_test_seconds=charged,
        extra_seconds=extra,
        comparisons=compare_arms(arms, pairs, untimed, final, margin_percent),
        replay=list(replay),
        waterfall=dict(waterfall or {}),
        tuned=tuned,
        of_stages=stages,
    )


def _controlled(arms: Mapping[str, Arm]) -> list[str]:
    """The baseline first, then every other arm that trains on the split."""
    baselines = [name for name, arm in arms.items() if arm.group == "baseline"]
    others = [name for name, arm in arms.items() if arm.on_split and name not in baselines[:1]]
    return baselines[:1] + others


def _targets(baseline: Arm) -> list[float]:
    """The baseline's median validation errors after a quarter, half and all of its epochs."""
    histories = [cell["history"] for cell in baseline.finished.values()]
    if not histories:
        return []
    epochs = len(histories[0])
    at = [math.ceil(epochs * share) for share in (0.25, 0.5, 1.0)]
    errors = [
        float(np.median([history[epoch - 1]["validation_error_percent"] for history in histories]))
        for epoch in dict.fromkeys(at)
    ]
    # A baseline that gets worse again has its last target reached first.
    return [*(error for error in errors[:-1] if error > errors[-1]), errors[-1]]


def _reaching(times: Collection[paired.TimeToTarget]) -> Reaching:
    return time_to_reach([time.steps for time in times], [time.censored for time in times])


def _chain(arm: Arm, arms: Mapping[str, Arm]) -> list[Arm]:
    """The arm, the one that it continues, the one that this continues, and so on."""
    chain = [arm]
    while (parent := chain[-1].settings["continues"]) is not None:
        chain.append(arms[parent])
    return chain


def _training_seconds(arm: Arm, per_step: Mapping[str, float]) -> float:
    """What training an arm to its end takes; nothing is known of one that never got there."""
    return arm.total_steps * per_step.get(arm.name, 0.0) if arm.finished else 0.0


def _times(
    arm: Arm, target: float, per_step: float, extra: float
) -> dict[int, paired.TimeToTarget]:
    return {
        seed: paired.time_to_target(
            cell["history"],
            target,
            seconds_per_step=per_step,
            extra_seconds=extra,
        )
        for seed, cell in arm.finished.items()
    }


def loss_differences(evidence: Evidence) -> dict[tuple[str, str], paired.PairedComparison]:
    """The test losses of every pair whose errors are compared; described, without a verdict."""
    found = {}
    for one in evidence.of(ERROR):
        by_seed = seedwise(evidence.arms, one.arm, one.against, LOSS)
        found[one.arm, one.against] = paired.compare_pairs(list(by_seed.values()))
    return found
