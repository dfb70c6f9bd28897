"""Judges families of simulated comparisons, some of them without a true difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrcycles.evidence import sign_flips
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.budgets import Plan, compare_budgets
from lrcycles.evidence.families import LOOKS, Family, Outcome, Tested, Verdict, decide, look_level
from lrcycles.evidence.paired import compare_pairs
from studies.verdicts.looks import SD, SHAPES
from studies.verdicts.rows import Goal, Row, count
from studies.verdicts.trainings import first_seeds, make_arm

FLIPS = 1_000  # instead of 50,000: as exact, since no flip is one of them, and faster
Errors = NDArray[np.float64]  # images, shape (comparisons, seeds)


def decided(family: Family, differences: Errors, seeds: int) -> list[Verdict]:
    """Give the verdicts of a family of differences, in images, at a look."""
    sign_flips.FLIPS = FLIPS
    tested = {
        at: Tested(
            family=family,
            seeds=seeds,
            units=dict(enumerate(row.tolist())),
            estimate=compare_pairs((row / 100).tolist()),
            margin=0.05,
        )
        for at, row in enumerate(np.rint(differences[:, :seeds]).astype(int))
    }
    return list(decide(tested).values())


def _wrong(verdicts: Sequence[Verdict], effects: Sequence[float]) -> bool:
    """Whether a comparison without a difference is decided, or one with the wrong sign."""
    return any(
        (one.outcome.is_better and effect >= 0) or (one.outcome.is_worse and effect <= 0)
        for one, effect in zip(verdicts, effects, strict=True)
    )


def family_error(
    family: Family, shape: str, effects: Sequence[float], looks: Sequence[int], repeats: int
) -> list[Row]:
    """Look at a family whose comparisons share an arm, as against one linear decay.

    Args:
        effects: true differences, in standard deviations of a difference.
    """
    rng = np.random.default_rng([3, len(effects), len(looks), repeats])
    shift = SD * np.array([0.0, *effects])[:, None]
    wrong = 0
    for _ in range(repeats):
        size = (len(effects) + 1, looks[-1])
        errors = shift + SD / np.sqrt(2) * SHAPES[shape](rng, size[0] * size[1]).reshape(size)
        differences = errors[1:] - errors[0]
        wrong += any(_wrong(decided(family, differences, seeds), effects) for seeds in looks)
    real = sum(effect != 0 for effect in effects)
    method = "Holm" if family == Family.PRIMARY else "max-T"
    case = f"{method}, {shape}, {len(effects)} comparisons, {real} of them with a difference"
    counted = f"any wrong verdict at looks {looks[0]} to {looks[-1]}"
    return [count(Goal.FAMILIES, case, counted, wrong, repeats, at_most=5)]


def at_defaults(arms: int, effect: float, repeats: int) -> list[Row]:
    """Compare two results of 8 seeds, arm by arm; the first arm differs by `effect` sd."""
    rng = np.random.default_rng([4, arms, round(10 * effect)])
    family = Family.PRIMARY if arms == 1 else Family.SCHEDULES
    effects = [effect] + [0.0] * (arms - 1)
    shift = SD * np.array(effects)[:, None]
    verdicts = [
        decided(family, shift + rng.normal(0, SD, (arms, LOOKS[0])), LOOKS[0])
        for _ in range(repeats)
    ]
    case = f"8 seeds, {arms} arm{'s' * (arms > 1)}"
    if not effect:
        wrong = sum(_wrong(each, effects) for each in verdicts)
        level = 100 * look_level(LOOKS[0])
        return [
            count(Goal.COMPARE, case, "better or worse", wrong, repeats, at_most=level, narrow=0.35)
        ]
    found = sum(each[0].outcome in (Outcome.WORSE, Outcome.SLIGHTLY_WORSE) for each in verdicts)
    case += f", one differs by {effect:g} sd"
    return [count(Goal.COMPARE, case, "it is found", found, repeats)]


def times(never: float, repeats: int) -> list[Row]:
    """Compare the epochs that equal schedules need until a target.

    Args:
        never: share of the runs that reach the target at no length.
    """
    sign_flips.FLIPS = FLIPS
    rng = np.random.default_rng([5, round(100 * never)])
    looks = LOOKS[:3]
    wrong = empty = 0
    for _ in range(repeats):
        plans = [_plan(name, rng, never, looks[-1]) for name in ("arm", "other")]
        outcomes = [_outcome([_cut(plan, seeds) for plan in plans]) for seeds in looks]
        wrong += any(one.is_better or one.is_worse for one in outcomes)
        empty += all(one == Outcome.NOT_COMPARABLE for one in outcomes)
    case = f"{100 * never:.0f} % of the runs never reach the target"
    if never == 1:
        return [count(Goal.TIME, case, "not comparable", empty, repeats)]
    counted = f"better or worse at looks {looks[0]} to {looks[-1]}"
    return [count(Goal.TIME, case, counted, wrong, repeats, at_most=5)]


def _plan(name: str, rng: np.random.Generator, never: float, seeds: int) -> Plan:
    """Draw a schedule with three lengths, each of which first reaches the target equally often."""
    shares = [*[(1 - never) / 3] * 3, never]
    first = rng.choice(4, seeds, p=shares)
    lengths = {}
    for at, epochs in enumerate((1, 3, 10)):
        mistakes = np.zeros((seeds, 10), bool)
        mistakes[:, :2] = (first > at)[:, None]  # the target is met without a mistake
        lengths[epochs] = make_arm(f"{name}_{epochs}", mistakes)
    return Plan(name, lengths)


def _cut(plan: Plan, seeds: int) -> Plan:
    def first(arm: Arm) -> Arm:
        return first_seeds({arm.name: arm}, seeds)[arm.name]

    return Plan(plan.name, {epochs: first(arm) for epochs, arm in plan.arms.items()})


def _outcome(plans: Sequence[Plan]) -> Outcome:
    (comparison,) = compare_budgets(plans, "other", target=1.0).values()
    return comparison.outcome
