"""Weighs arms against each other in error and in time: the evidence behind a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lrcycles.config.schema import TUNED, Report
from lrcycles.evidence.arms import Arm, seconds_per_step
from lrcycles.evidence.comparisons import (
    Comparison,
    Key,
    Pair,
    Quantity,
    Role,
    compare_arms,
    seedwise,
)
from lrcycles.evidence.paired import PairedComparison, compare_pairs
from lrcycles.evidence.times import Reaching, TimeToTarget, time_to_reach, time_to_target
from lrcycles.evidence.tuned import Tuned

if TYPE_CHECKING:
    from lrcycles.evidence.gather import Stages

TARGET_SHARES = (0.25, 0.5, 1.0)  # of the baseline's epochs: where its errors become targets


@dataclass(frozen=True)
class Evidence:
    """Everything that a report shows, as numbers.

    Attributes:
        controlled: the baseline, then the arms that train as it does.
        candidates: the arms that the report asks about.
        pairs: every pair that is compared, with its role.
        targets: validation errors in percent, those on the way and the baseline's final one.
        seconds_per_step: by arm, the median over all runs whose steps cost the same.
        reached: by arm and seed, the time to the last target.
        reaching: by arm, how many runs reach each target and when.
        range_test_seconds: by arm, the part of the range test that is charged to it.
        extra_seconds: by arm, all that is charged before training: the range test, the trials of
            tuning, and the training of the arms that it continues.
        replay: the arms that repeat a published run.
        waterfall: by arm, in order, the ingredient that the arm before it lacks.
        of_stages: what the stages before training left; None where two experiments are compared.
    """

    arms: dict[str, Arm]
    controlled: list[str]
    candidates: list[str]
    pairs: list[Pair]
    report: Report
    targets: list[float]
    seconds_per_step: dict[str, float]
    reached: dict[str, dict[int, TimeToTarget]]
    reaching: dict[str, list[Reaching]]
    range_test_seconds: dict[str, float]
    extra_seconds: dict[str, float]
    comparisons: dict[Key, Comparison]
    replay: list[str]
    waterfall: dict[str, str]
    tuned: Tuned | None
    of_stages: Stages | None = None

    @property
    def stages(self) -> Stages:
        """What the stages before training left, of a whole pipeline."""
        assert self.of_stages is not None
        return self.of_stages

    @property
    def baseline(self) -> str:
        """The arm that others are compared with."""
        return self.controlled[0]

    @property
    def target_percent(self) -> float | None:
        """The validation error that times are measured to."""
        return self.targets[-1] if self.targets else None

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The pairs of the waterfall: each arm, and the arm that it adds something to."""
        order = list(self.waterfall)
        return list(zip(order[1:], order, strict=False))

    def of(self, quantity: Quantity, *roles: Role) -> list[Comparison]:
        """List the comparisons in one quantity; with `roles`, only those made for these reasons."""
        return [
            comparison
            for comparison in self.comparisons.values()
            if comparison.quantity == quantity and (not roles or comparison.role in roles)
        ]

    def error(self, arm: str, against: str) -> Comparison | None:
        """Give the comparison of two arms' test errors, if there is one."""
        return self.comparisons.get((arm, against, Quantity.ERROR))

    def loss_differences(self) -> dict[tuple[str, str], PairedComparison]:
        """Describe the test losses of every pair whose errors are compared, without a verdict."""
        described = {}
        for one in self.of(Quantity.ERROR):
            by_seed = seedwise(self.arms, one.arm, one.against, Quantity.LOSS)
            described[one.arm, one.against] = compare_pairs(list(by_seed.values()))
        return described


def weigh(
    arms: dict[str, Arm],
    controlled: list[str],
    *,
    pairs: list[Pair],
    report: Report,
    range_test_seconds: Mapping[str, float],
    candidates: Sequence[str],
    timed: Sequence[str] | None = None,
    replay: Sequence[str] = (),
    waterfall: Mapping[str, str] | None = None,
    tuned: Tuned | None = None,
    stages: Stages | None = None,
) -> Evidence:
    """Compare arms in error, and those that train alike in time.

    Args:
        controlled: the baseline first; its errors are the targets.
        range_test_seconds: by controlled arm, what it pays if it takes a rate from the range test.
        timed: the controlled arms whose time is known, the baseline first; None for all of them.
    """
    timed = controlled if timed is None else timed
    # The cells of `tuned` are cells of other arms, which count once.
    per_step = seconds_per_step([arm for arm in arms.values() if arm.name != TUNED])
    if tuned and controlled[0] in per_step:
        per_step[TUNED] = per_step[controlled[0]]
    chains = {name: _chain(arms[name], arms) for name in timed}
    charged = {name: _charge(chain, range_test_seconds[name]) for name, chain in chains.items()}
    extra = {
        name: charged[name] + sum(_training_seconds(parent, per_step) for parent in chain[1:])
        for name, chain in chains.items()
    }
    if tuned:
        extra[TUNED] += tuned.tried_steps * per_step.get(TUNED, 0.0)  # none if none finished
    targets = _targets(arms[timed[0]]) if timed else []
    timed_arms = [arms[name] for name in timed]
    reached = [_all_times(timed_arms, target, per_step, extra) for target in targets]
    final = reached[-1] if reached else {}
    return Evidence(
        arms=arms,
        controlled=controlled,
        candidates=list(candidates),
        pairs=pairs,
        report=report,
        targets=targets,
        seconds_per_step=per_step,
        reached=final,
        reaching={name: [_reaching(by_arm[name]) for by_arm in reached] for name in timed},
        range_test_seconds=charged,
        extra_seconds=extra,
        comparisons=compare_arms(arms, pairs, final, report.margin_percent),
        replay=list(replay),
        waterfall=dict(waterfall or {}),
        tuned=tuned,
        of_stages=stages,
    )


def _targets(baseline: Arm) -> list[float]:
    """Give the baseline's median validation errors after a quarter, half and all of its epochs."""
    histories = [cell.history for cell in baseline.finished.values()]
    if not histories:
        return []
    epochs = len(histories[0])
    at = [math.ceil(epochs * share) for share in TARGET_SHARES]
    errors = [
        float(np.median([history[epoch - 1].validation_error_percent for history in histories]))
        for epoch in dict.fromkeys(at)
    ]
    # A baseline that gets worse again has its last target reached first.
    return [*(error for error in errors[:-1] if error > errors[-1]), errors[-1]]


def _reaching(times: Mapping[int, TimeToTarget]) -> Reaching:
    by_seed = times.values()
    return time_to_reach([time.steps for time in by_seed], [time.censored for time in by_seed])


def _chain(arm: Arm, arms: Mapping[str, Arm]) -> list[Arm]:
    """List the arm, the arm that it continues, and so on."""
    chain = [arm]
    while (parent := chain[-1].settings.continues) is not None:
        chain.append(arms[parent])
    return chain


def _charge(chain: Sequence[Arm], range_test_seconds: float) -> float:
    """Charge the range test once, if any arm of the chain takes a rate from it."""
    return range_test_seconds if any(arm.settings.uses_bounds for arm in chain) else 0.0


def _training_seconds(arm: Arm, per_step: Mapping[str, float]) -> float:
    """Give what training an arm to its end takes; 0 where no run of it finished."""
    return arm.total_steps * per_step.get(arm.name, 0.0) if arm.finished else 0.0


def _all_times(
    arms: Sequence[Arm], target: float, per_step: Mapping[str, float], extra: Mapping[str, float]
) -> dict[str, dict[int, TimeToTarget]]:
    return {
        arm.name: _times(arm, target, per_step.get(arm.name, 0.0), extra[arm.name]) for arm in arms
    }


def _times(arm: Arm, target: float, per_step: float, extra: float) -> dict[int, TimeToTarget]:
    return {
        seed: time_to_target(cell.history, target, seconds_per_step=per_step, extra_seconds=extra)
        for seed, cell in arm.finished.items()
    }
