"""Weighs arms against each other in error and in time: the evidence behind a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lrcycles.config.schema import Report
from lrcycles.evidence.arms import Arm, seconds_per_step
from lrcycles.evidence.budgets import Plan, Reaching, compare_budgets, find_plans, reaching
from lrcycles.evidence.comparisons import (
    Averages,
    Comparison,
    Key,
    Pair,
    Quantity,
    Role,
    compare_averages,
    compare_errors,
    seedwise,
)
from lrcycles.evidence.factorial import Factorial, split
from lrcycles.evidence.paired import Estimate, compare_pairs

if TYPE_CHECKING:
    from lrcycles.evidence.gather import Stages


@dataclass(frozen=True)
class Evidence:
    """Everything that a report shows, as numbers.

    Attributes:
        controlled: the baseline, then the arms that train as it does.
        candidates: the arms that the report asks about.
        pairs: every pair that is compared, with its role and family.
        absent_primary: the declared primary comparisons that were not trained.
        seconds_per_step: by arm, the median over all runs whose steps cost the same.
        range_test_seconds: by arm that takes a rate from the range test, what that took.
        plans: the schedules that were trained at several lengths.
        reaching: how each plan reaches report.target_percent; empty without a target.
        replay: the arms that repeat a published run.
        averages: the arms with averages of their weights, and their comparisons; None without any.
        factorial: the published change split into its factors; None without one.
        of_stages: what the stages before training left; None where two experiments are compared.
    """

    arms: dict[str, Arm]
    controlled: list[str]
    candidates: list[str]
    pairs: list[Pair]
    report: Report
    seconds_per_step: dict[str, float]
    range_test_seconds: dict[str, float]
    comparisons: dict[Key, Comparison]
    absent_primary: list[tuple[str, str]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    reaching: list[Reaching] = field(default_factory=list)
    replay: list[str] = field(default_factory=list)
    averages: Averages | None = None
    factorial: Factorial | None = None
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
    def alike(self) -> list[str]:
        """The controlled arms that train for as long as the first of the primary comparison."""
        first = next((pair.arm for pair in self.pairs if pair.role == Role.CANDIDATE), None)
        return self.of_length(self.arms[first or self.baseline].settings.epochs)

    def of_length(self, epochs: int) -> list[str]:
        """List the controlled arms that train for so many epochs."""
        return [name for name in self.controlled if self.arms[name].settings.epochs == epochs]

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

    def loss_differences(self) -> dict[tuple[str, str], Estimate]:
        """Estimate the difference in test loss of every pair, over seeds and without a verdict."""
        found = {}
        for one in self.of(Quantity.ERROR):
            by_seed = seedwise(self.arms, one.arm, one.against, Quantity.LOSS)
            if by_seed:
                found[one.arm, one.against] = compare_pairs(list(by_seed.values()))
        return found


def weigh(
    arms: dict[str, Arm],
    controlled: list[str],
    *,
    pairs: list[Pair],
    report: Report,
    range_test_seconds: Mapping[str, float],
    candidates: Sequence[str],
    absent_primary: Sequence[tuple[str, str]] = (),
    replay: Sequence[str] = (),
    stages: Stages | None = None,
) -> Evidence:
    """Compare arms in error, and schedules of several lengths in the epochs to the target.

    Args:
        controlled: the baseline first.
        range_test_seconds: by arm, what it pays if it takes a rate from the range test.
        absent_primary: declared primary comparisons that were not trained; they count in Holm.
    """
    margin = report.margin_percent
    errors = compare_errors(arms, pairs, margin=margin, absent_primary=len(absent_primary))
    plans = find_plans([arms[name] for name in controlled])
    target, times = report.target_percent, {}
    if target is not None and plans:
        decay = (plan.name for plan in plans if plan.schedule == "linear_decay")
        times = compare_budgets(plans, next(decay, plans[0].name), target)
    return Evidence(
        arms=arms,
        controlled=controlled,
        candidates=list(candidates),
        pairs=pairs,
        report=report,
        seconds_per_step=seconds_per_step(arms.values()),
        range_test_seconds={
            name: seconds
            for name, seconds in range_test_seconds.items()
            if arms[name].settings.uses_bounds
        },
        comparisons=errors | times,
        absent_primary=list(absent_primary),
        plans=plans,
        reaching=[] if target is None else [reaching(plan, target) for plan in plans],
        replay=list(replay),
        averages=None if stages is None else compare_averages(arms, controlled, margin=margin),
        factorial=split(arms, report.factors, report.margin_percent),
        of_stages=stages,
    )
