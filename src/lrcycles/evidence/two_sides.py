"""Weighs the arms of two experiments or runs that a user names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lrcycles.config.schema import Report
from lrcycles.errors import InputError
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Pair, Role
from lrcycles.evidence.families import Family
from lrcycles.evidence.fetch import fetch_side
from lrcycles.evidence.weigh import Evidence, weigh


def compare_two(first: str, second: str, *, root: Path, margin_percent: float) -> Evidence:
    """Compare the arms of `second` with the arms of equal name of `first`, paired by seed.

    A single pair of arms is one primary comparison. Several pairs are one family. There is no
    comparison of the means over all shared arms: replays, controls and equal trainings would count
    as much as the arm that the question is about, and the answer would depend on which arms happen
    to be shared.

    Args:
        first: a DVC experiment, git revision, MLflow run, folder or "workspace"; with `:ARM` one
            arm only. Two single arms are compared whatever their names.
        margin_percent: differences of this size or less, in percentage points, do not matter.

    Raises:
        InputError: a side is unknown or has no results, no arms can be paired, or the margin is no
            percentage.
    """
    if not 0 < margin_percent < 100:
        raise InputError(
            "The margin must be above 0 and below 100 percentage points. "
            f"Received: {margin_percent:g}. Leave out --margin, or set --margin 0.05."
        )
    own_side, other_side = fetch_side(first, root), fetch_side(second, root)
    arms: dict[str, Arm] = {}
    range_test_seconds: dict[str, float] = {}
    pairs = []
    named = _pairs(own_side.arms, other_side.arms, first, second)
    family = Family.PRIMARY if len(named) == 1 else Family.SCHEDULES
    for own, theirs in named:
        against, arm = f"{own_side.name}:{own}", f"{other_side.name}:{theirs}"
        if arm == against:
            raise InputError(
                f"A and B must be different results. Received: {first} and {second}, which are "
                "the same arm of the same results. Name another arm or run."
            )
        pairs.append(Pair(arm, against, Role.CANDIDATE, family))
        arms[against] = replace(own_side.arms[own], name=against)
        arms[arm] = replace(other_side.arms[theirs], name=arm)
        range_test_seconds[against] = own_side.range_test_seconds or 0.0
        range_test_seconds[arm] = other_side.range_test_seconds or 0.0
    return weigh(
        arms,
        list(arms),
        pairs=pairs,
        report=Report(
            margin_percent=margin_percent,
            target_percent=None,
            primary={},
            factors={},
            published={},
            published_source="",
            reference={},
            reference_source="",
            reference_notes=[],
        ),
        range_test_seconds=range_test_seconds,
        candidates=[pair.arm for pair in pairs],
    )


def _pairs(
    one: dict[str, Arm], other: dict[str, Arm], first: str, second: str
) -> list[tuple[str, str]]:
    alike = [(name, name) for name in one if name in other]
    if len(one) == len(other) == 1:
        alike = [(next(iter(one)), next(iter(other)))]
    if not alike:
        raise InputError(
            f"A and B must share an arm's name. Received: {first} with {', '.join(one)} and "
            f"{second} with {', '.join(other)}. Name one arm of each, such as "
            f"{first}:{next(iter(one))}."
        )
    paired = [(a, b) for a, b in alike if one[a].cells.keys() & other[b].cells.keys()]
    if not paired:
        raise InputError(
            f"A and B must share a seed, since pairs are made by seed. Received: {first} and "
            f"{second} without a common seed. Train one of them with the seeds of the other."
        )
    return paired
