"""Compares averages of the weights with the trained weights of the same trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrcycles.config.schema import Report
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Pair, Role, compare_errors
from lrcycles.evidence.families import Family


@dataclass(frozen=True)
class Averages:
    """What averages of the weights reach.

    Attributes:
        arms: by name, such as clr.ema.
        own: each against the trained weights of its own arm, in a family of their own.
        decays: each against the trained weights of a linear decay, without a verdict.
    """

    arms: dict[str, Arm]
    own: list[Comparison]
    decays: list[Comparison]


def compare_averages(
    arms: Mapping[str, Arm], controlled: Sequence[str], report: Report
) -> Averages | None:
    """Compare the averages of all arms; None where no arm has one.

    Args:
        controlled: the arms among which a linear decay is sought.
    """
    averaged = {one.name: one for arm in arms.values() for one in arm.averages.values()}
    if not averaged:
        return None
    own = [
        Pair(one.name, arm.name, Role.AVERAGE, Family.AVERAGES)
        for arm in arms.values()
        for one in arm.averages.values()
    ]
    decays = [
        Pair(one.name, decay.name, Role.AVERAGE)
        for name in controlled
        if (decay := _decay_like(arms[name], [arms[each] for each in controlled])) is not None
        for one in arms[name].averages.values()
    ]
    compared = compare_errors(
        {**arms, **averaged}, [*own, *decays], margin=report.margin_percent
    ).values()
    return Averages(
        averaged,
        [one for one in compared if one.family == Family.AVERAGES],
        [one for one in compared if one.family == Family.NONE],
    )


def _decay_like(arm: Arm, controlled: Sequence[Arm]) -> Arm | None:
    """Find the linear decay of equal length, batch size and optimizer; None for itself."""

    def kind(one: Arm) -> list[object]:
        return [one.settings.epochs, one.settings.batch_size, one.settings.optimizer]

    decays = (one for one in controlled if one.settings.schedule.name == "linear_decay")
    found = next((one for one in decays if kind(one) == kind(arm)), None)
    return None if found is arm else found
