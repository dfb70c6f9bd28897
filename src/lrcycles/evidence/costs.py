"""Measures what cycling costs: a schedule per step, and a range test per training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison
from lrcycles.evidence.paired import PairedComparison
from lrcycles.evidence.times import compare_times, without_charges
from lrcycles.evidence.weigh import Evidence

MOST_TRAININGS = 1000  # a range test that takes more to be repaid is not worth its seconds


@dataclass(frozen=True)
class ScheduleCost:
    """What a triangular schedule adds to a step of plain Keras, in percent of the step.

    The median of pairs, with its 95 % interval.
    """

    batch_size: int
    percent: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Repayment:
    """An arm's time without the range test.

    Attributes:
        alone: the difference in time to the target without the range test's seconds.
        trainings: after how many trainings the range test is repaid, soonest and latest; None if
            the arm is not sooner without it, or the saving is too small.
        too_small: the arm is sooner, but repaying may take more than `MOST_TRAININGS`.
    """

    alone: PairedComparison
    trainings: tuple[int, int] | None
    too_small: bool


def schedule_costs(evidence: Evidence) -> list[ScheduleCost]:
    """Measure the steps with a schedule against steps at a constant rate, by batch size.

    The two kinds of steps alternate in one process, since trainings made at different moments
    would compare the moments. The median is taken because a disturbed step takes several times as
    long as its neighbour.
    """
    return [_schedule_cost(entry) for entry in evidence.stages.fit_epochs]


def _schedule_cost(entry: dict[str, Any]) -> ScheduleCost:
    scheduled, constant = (np.log(entry[f"{kind}step_seconds"]) for kind in ("scheduled_", ""))
    # The order turns from pair to pair: the mean of two pairs is free of its effect.
    extra = 100 * np.expm1((scheduled - constant).reshape(-1, 2).mean(axis=1))
    low, high = stats.quantile_test(extra, p=0.5).confidence_interval(0.95)
    return ScheduleCost(
        batch_size=int(entry["batch_size"]),
        percent=float(np.median(extra)),
        low=float(low),
        high=float(high),
        pairs=2 * len(extra),
    )


def measured_alone(evidence: Evidence, arm: Arm, kind: str) -> dict[int, float]:
    """Scale each epoch that was measured alone on all cores up to the whole training, in seconds.

    Args:
        kind: fit_seconds or compiled_seconds.
    """
    return {
        turn: arm.settings.epochs * seconds
        for entry in evidence.stages.fit_epochs
        if entry["batch_size"] == arm.settings.batch_size
        for turn, seconds in enumerate(entry[kind])
    }


def repayment(evidence: Evidence, comparison: Comparison) -> Repayment | None:
    """Take the range test out of a difference in time, and see what repays it.

    Returns:
        None where something else than this one range test stands between the two arms, or where
        the difference without it is not known.
    """
    charge = evidence.range_test_seconds[comparison.arm]
    only_charge = charge == evidence.extra_seconds[comparison.arm]
    if not charge or evidence.extra_seconds[comparison.against] or not only_charge:
        return None
    own = without_charges(evidence.reached[comparison.arm], charge)
    alone = compare_times(own, evidence.reached[comparison.against])
    if alone is None or alone.interval95 is None:
        return None
    low, high = alone.interval95
    if high >= 0:
        return Repayment(alone, None, too_small=False)
    soonest, latest = math.ceil(charge / -low), math.ceil(charge / -high)
    if latest > MOST_TRAININGS:
        return Repayment(alone, None, too_small=True)
    return Repayment(alone, (soonest, latest), too_small=False)
