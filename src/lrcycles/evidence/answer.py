"""Chooses what to use from the verdicts: the simplest arm that no other arm beats."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lrcycles.evidence.arms import Arm, Summary, summarise
from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.families import Outcome
from lrcycles.evidence.weigh import Evidence

# From the simplest: of arms that are level, the first is taken.
_SIMPLEST_FIRST = ["constant", "linear_decay", "cosine", "reduce_on_plateau", "one_cycle"]


class Certainty(StrEnum):
    """How sure the choice is."""

    DECIDED = "decided"  # it is better than a constant rate
    LEVEL = "level"  # nothing is better than a constant rate, and the test could have shown it
    OPEN = "open"  # the verdicts are open: more seeds are needed
    NO_VERDICT = "no verdict"  # no verdict was possible with these seeds or results


@dataclass(frozen=True)
class Answer:
    """What to use.

    Attributes:
        use: the arms to choose from, the simplest first; all train alike in length.
        gain: the comparison of `use[0]` with the constant rate, if there is one.
        error: test errors of `use[0]`.
        cycles: what was found of the arms that the report asks about, against each arm.
        failed: by arm, the failed runs and all runs, of arms with a failed run.
    """

    use: list[str]
    certainty: Certainty
    gain: Comparison | None
    error: Summary
    cycles: list[Comparison]
    failed: dict[str, tuple[int, int]]


def answer(evidence: Evidence) -> Answer | None:
    """Choose what to use; None where no arm of the controlled comparison trained."""
    arms = [evidence.arms[name] for name in evidence.alike if evidence.arms[name].trained]
    if not arms:
        return None
    arms.sort(key=_complexity)
    compared = [evidence.error(a.name, b.name) for a in arms for b in arms if a is not b]
    known = [one for one in compared if one is not None and one.role != Role.SENSITIVITY]
    beaten = {one.against for one in known if one.outcome.is_better}
    beaten |= {one.arm for one in known if one.outcome.is_worse}
    better = [
        arm
        for arm in arms
        if arm.name not in beaten and any(_beats(one, arm.name) for one in known)
    ]
    constant = next((arm for arm in arms if arm.name == evidence.baseline), arms[0])
    chosen = better[0] if better else constant
    level = [chosen.name, *_level_with(chosen.name, known, beaten)]
    gains = (evidence.error(chosen.name, constant.name), evidence.error(constant.name, chosen.name))
    return Answer(
        use=level,
        certainty=_certainty(bool(better), known),
        gain=next((one for one in gains if one is not None), None),
        error=summarise(chosen.values(Quantity.ERROR).values()),
        cycles=evidence.of(Quantity.ERROR, Role.CANDIDATE),
        failed={
            arm.name: (len(arm.failed), len(arm.cells))
            for arm in evidence.arms.values()
            if arm.failed
        },
    )


def _complexity(arm: Arm) -> int:
    name = arm.settings.schedule.name
    return _SIMPLEST_FIRST.index(name) if name in _SIMPLEST_FIRST else len(_SIMPLEST_FIRST)


def _beats(one: Comparison, name: str) -> bool:
    return (one.arm == name and one.outcome.is_better) or (
        one.against == name and one.outcome.is_worse
    )


def _level_with(name: str, known: list[Comparison], beaten: set[str]) -> list[str]:
    """List the arms that are equivalent to one, or differ by less than matters and undecided."""
    level = []
    for one in known:
        if name not in (one.arm, one.against) or one.estimate is None or one.margin is None:
            continue
        other = one.against if one.arm == name else one.arm
        close = abs(one.estimate.mean) <= one.margin and one.outcome == Outcome.UNDECIDED
        if other not in beaten and (close or one.outcome == Outcome.EQUIVALENT):
            level.append(other)
    return level


def _certainty(any_better: bool, known: list[Comparison]) -> Certainty:
    if any_better:
        return Certainty.DECIDED
    outcomes = {one.outcome for one in known}
    if not outcomes or outcomes <= {Outcome.NO_VERDICT, Outcome.NOT_COMPARABLE}:
        return Certainty.NO_VERDICT
    return Certainty.OPEN if Outcome.UNDECIDED in outcomes else Certainty.LEVEL
