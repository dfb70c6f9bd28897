"""Says which question an experiment asks, and chooses what to use from the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from lrcycles.evidence.arms import Arm, Summary, summarise
from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.families import Family, Outcome
from lrcycles.evidence.weigh import Evidence

# From the simplest: of arms that are level, the first is taken.
_SIMPLEST_FIRST = [
    *("constant", "linear_decay", "cosine", "warmup_stable_decay", "reduce_on_plateau"),
    "one_cycle",
]


class Question(StrEnum):
    """What an experiment asks, as far as its arms and its report settings show."""

    TWO = "which of two results is better"
    FACTORS = "what a change consists of"
    PAPER = "do the rows of a paper come out again"
    BUDGETS = "what to use at each length"
    CAUSE = "is it the cycling, or where the rate ends"
    OPTIMIZERS = "does cycling help with every optimizer"
    USE = "what to use"


class Certainty(StrEnum):
    """How sure the choice is."""

    DECIDED = "decided"  # it is better than the constant rate, or than an arm that is
    LEVEL = "level"  # nothing is better than the constant rate, and the test could have shown it
    OPEN = "open"  # the verdicts are open: more seeds are needed
    NO_VERDICT = "no verdict"  # no verdict was possible with these seeds or results


@dataclass(frozen=True)
class Answer:
    """What to use.

    Attributes:
        use: the simplest arm, then the arms that are as good, the fewest errors first; all train
            alike in length.
        constant: the arm that the choice must beat.
        error: test errors of `use[0]`.
    """

    use: list[str]
    certainty: Certainty
    constant: str
    error: Summary


@dataclass(frozen=True)
class Cause:
    """Two primary comparisons of one arm, which tell its end from its cycles.

    Attributes:
        end: with the same schedule, which ends at the other side of its range.
        cycling: with a schedule that has the same range and the same end, and no cycles.
    """

    end: Comparison
    cycling: Comparison


def question(evidence: Evidence) -> Question:
    """Say what an experiment asks."""
    if evidence.of_stages is None:
        return Question.TWO
    if evidence.report.factors:
        return Question.FACTORS
    if evidence.report.reference.keys() & evidence.arms.keys():
        return Question.PAPER
    if len(lengths(evidence)) > 1:
        return Question.BUDGETS
    if find_cause(evidence):
        return Question.CAUSE
    if len({_optimizer(evidence, one) for one in cycles_against_constant(evidence)}) > 1:
        return Question.OPTIMIZERS
    return Question.USE


def lengths(evidence: Evidence) -> list[int]:
    """List the epochs at which several plans can be compared, the shortest first."""
    every = [epochs for plan in evidence.plans for epochs in plan.arms]
    return sorted(epochs for epochs in set(every) if every.count(epochs) > 1)


def find_cause(evidence: Evidence) -> Cause | None:
    """Find the comparisons that tell the end of a schedule from its cycles."""
    primary = [one for one in evidence.of(Quantity.ERROR) if one.family == Family.PRIMARY]
    for end in primary:
        arm, other = evidence.arms[end.arm], evidence.arms[end.against]
        if not _cycles(arm) or arm.settings.schedule.name != other.settings.schedule.name:
            continue
        if {ends_high(arm), ends_high(other)} != {True, False}:
            continue
        for one in primary:
            if one.arm == end.arm and _differs_in_cycles(arm, evidence.arms[one.against]):
                return Cause(end, one)
    return None


def _differs_in_cycles(arm: Arm, other: Arm) -> bool:
    alike = _range(arm) == _range(other) and ends_high(arm) == ends_high(other)
    return alike and not _cycles(other)


def ends_high(arm: Arm) -> bool | None:
    """Whether the last rate lies in the upper half of the arm's range; None if it has no range."""
    low, high = _range(arm)
    if low is None or high is None or len(arm.rates) < arm.total_steps:
        return None
    return arm.rates[-1] > (low + high) / 2


def cycles_against_constant(evidence: Evidence) -> list[Comparison]:
    """List the judged comparisons of a schedule with cycles and a constant rate."""
    return [
        one
        for one in evidence.of(Quantity.ERROR, Role.CANDIDATE, Role.CONTROL)
        if _cycles(evidence.arms[one.arm])
        and evidence.arms[one.against].settings.schedule.name == "constant"
    ]


def _optimizer(evidence: Evidence, one: Comparison) -> str:
    return repr(evidence.arms[one.arm].settings.optimizer)


def _cycles(arm: Arm) -> bool:
    return arm.settings.schedule.step_size is not None


def _range(arm: Arm) -> tuple[float | None, float | None]:
    return arm.settings.schedule.base_lr, arm.settings.schedule.max_lr


def answer(evidence: Evidence, epochs: int | None = None) -> Answer | None:
    """Choose what to use; None where no arm of the controlled comparison trained.

    Args:
        epochs: choose among the arms of this length instead of that of the primary comparison.
    """
    alike = evidence.alike if epochs is None else evidence.of_length(epochs)
    arms = [evidence.arms[name] for name in alike if evidence.arms[name].trained]
    if not arms:
        return None
    arms.sort(key=_complexity)
    # Every length has its own constant rate.
    of_group = [arm for arm in arms if arm.group == evidence.arms[evidence.baseline].group]
    constant = next((arm for arm in arms if arm.name == evidence.baseline), (of_group or arms)[0])
    compared = [evidence.error(a.name, b.name) for a in arms for b in arms if a is not b]
    known = [one for one in compared if one is not None and one.role != Role.SENSITIVITY]
    wins = {(one.arm, one.against) for one in known if one.outcome.is_better}
    wins |= {(one.against, one.arm) for one in known if one.outcome.is_worse}
    beaten = {loser for _, loser in wins}
    above = _above(constant.name, wins)
    better = [arm for arm in arms if arm.name in above and arm.name not in beaten]
    chosen = better[0] if better else constant
    return Answer(
        use=[chosen.name, *_as_good(chosen.name, constant.name, known, beaten, evidence)],
        certainty=_certainty(bool(better), known),
        constant=constant.name,
        error=summarise(chosen.values(Quantity.ERROR).values()),
    )


def _complexity(arm: Arm) -> int:
    name = arm.settings.schedule.name
    return _SIMPLEST_FIRST.index(name) if name in _SIMPLEST_FIRST else len(_SIMPLEST_FIRST)


def _above(constant: str, wins: set[tuple[str, str]]) -> set[str]:
    """List the arms that beat the constant rate, or that beat an arm that does."""
    above: set[str] = set()
    while new := {arm for arm, loser in wins if loser in {constant, *above}} - above - {constant}:
        above |= new
    return above


def _as_good(
    chosen: str, constant: str, known: Sequence[Comparison], beaten: set[str], evidence: Evidence
) -> list[str]:
    """List the arms that are as good as the chosen one, the fewest errors first."""
    pairs = [one for one in known if chosen in (one.arm, one.against)]
    names = [one.against if one.arm == chosen else one.arm for one in pairs]
    good = [
        name
        for name, one in zip(names, pairs, strict=True)
        if name not in beaten and _is_as_good(name, one, constant, evidence)
    ]
    errors = {name: fmean(evidence.arms[name].values(Quantity.ERROR).values()) for name in good}
    return sorted(good, key=lambda name: errors[name])


def _is_as_good(name: str, one: Comparison, constant: str, evidence: Evidence) -> bool:
    """Whether an arm is as good as the chosen one, as far as its seeds can show.

    It fails no more often. It is equivalent; or it is undecided, within the margin, no worse in the
    mean, and either better than the constant rate or placed within the margin by the seeds alone.
    """
    own, other = one.failed if one.arm == name else one.failed[::-1]
    if own > other or one.estimate is None or one.margin is None:
        return False
    if one.outcome == Outcome.EQUIVALENT:
        return True
    mean = one.estimate.mean if one.arm == name else -one.estimate.mean
    if one.outcome != Outcome.UNDECIDED or not -one.margin <= mean <= 0:
        return False
    of_seeds, _ = one.estimate.halves()
    gain = evidence.error(name, constant)
    return (of_seeds is not None and of_seeds <= one.margin) or (
        gain is not None and gain.outcome.is_better
    )


def _certainty(any_better: bool, known: Sequence[Comparison]) -> Certainty:
    if any_better:
        return Certainty.DECIDED
    outcomes = {one.outcome for one in known}
    if not outcomes or outcomes <= {Outcome.NO_VERDICT, Outcome.NOT_COMPARABLE}:
        return Certainty.NO_VERDICT
    return Certainty.OPEN if Outcome.UNDECIDED in outcomes else Certainty.LEVEL
