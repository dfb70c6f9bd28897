"""Measures what cycling costs: a schedule per step, and a range test per training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.paired import Estimate, Interval
from lrcycles.evidence.weigh import Evidence

LEAST_SAVING = 1.0  # percent of a training: a smaller saving repays nothing
MOST_TRAININGS = 1000  # a range test that takes more to be repaid is not worth its seconds


@dataclass(frozen=True)
class ScheduleCost:
    """What a triangular schedule adds to a step of plain Keras, in percent of the step.

    Two pairs in opposite order give one value. The figure is the median of these values, with its
    95 % interval.
    """

    batch_size: int
    percent: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class RangeTestPrice:
    """What the range test costs an arm that takes its bounds from it.

    Attributes:
        training_seconds: one training of the arm: its steps at the median time of a step.
        percent: of one training of the arm, without compilation on both sides.
        saved_percent: of one training, what the arm saves against another schedule that reaches
            the same target, with its 95 % interval; None where no budgets were compared.
        trainings: after how many trainings the range test is repaid, soonest and latest; None
            where the saving is too small to repay it.
    """

    arm: str
    seconds: float
    training_seconds: float
    percent: float
    saved_percent: tuple[float, Interval] | None = None
    trainings: tuple[int, int] | None = None


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


def range_test_price(evidence: Evidence, name: str) -> RangeTestPrice | None:
    """Give the price of the range test; None for an arm that pays none or never trained."""
    arm, seconds = evidence.arms[name], evidence.range_test_seconds.get(name)
    per_step = evidence.seconds_per_step.get(name)
    if not arm.settings.uses_bounds or not seconds or not per_step:
        return None
    training = arm.total_steps * per_step
    price = RangeTestPrice(name, seconds, training, 100 * seconds / training)
    plan = next((one for one in evidence.plans if arm in one.arms.values()), None)
    compared = [one for one in evidence.of(Quantity.TIME) if plan and one.arm == plan.name]
    # Where some runs never arrive, the others are no fair choice.
    if not compared or compared[0].estimate is None or any(compared[0].failed):
        return price
    return replace(price, **_repaid(compared[0].estimate, arm.settings.epochs, price.percent))


def _repaid(epochs: Estimate, of_training: int, percent: float) -> dict[str, Any]:
    """See after how many trainings a saving of some epochs has repaid the range test."""
    interval = epochs.interval()
    if interval is None:
        return {}
    low, high = (-100 * end / of_training for end in reversed(interval))
    saved = -100 * epochs.mean / of_training
    found: dict[str, Any] = {"saved_percent": (saved, (low, high))}
    # A saving that may be none, or is under 1 % of a training, repays nothing.
    if low > 0 and saved >= LEAST_SAVING and percent / low <= MOST_TRAININGS:
        found["trainings"] = (math.ceil(percent / high), math.ceil(percent / low))
    return found
