"""Answers whether the cycling matters, or where the schedule ends."""

from __future__ import annotations

from lrcycles.evidence.answer import Cause, ends_high, find_cause
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.families import Outcome
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers, verdicts
from lrcycles.report.screens import use
from lrcycles.report.section import Screen

_MOST_ARMS = 7
_MOST_COMPARED = 4  # of the figure
_OPEN = (Outcome.NO_VERDICT, Outcome.NOT_COMPARABLE)


def screen(evidence: Evidence) -> Screen:
    """Say whether the end of the schedule matters, and whether the cycles do."""
    cause = find_cause(evidence)
    assert cause is not None
    primary = [cause.end, cause.cycling]
    arm = cause.end.arm
    others = [one for one in evidence.of(Quantity.ERROR) if arm in (one.arm, one.against)]
    others = [*primary, *(one for one in others if one not in primary)]
    names = [name for one in others for name in (one.arm, one.against)]
    names = list(dict.fromkeys([arm, *names]))[:_MOST_ARMS]
    of_arm = [one for one in others if one.arm == arm]
    return Screen(
        [*answers.failures(evidence, names), _lead(cause, evidence)],
        answers.about(primary, evidence),
        [use.picture_of(evidence, names, of_arm[:_MOST_COMPARED]), use.table_of(evidence, names)],
        use.parts_of(evidence, others),
    )


def _lead(cause: Cause, evidence: Evidence) -> str:
    both = (cause.end, cause.cycling)
    if all(one.outcome in _OPEN for one in both):
        names = dict.fromkeys(name for one in both for name in (one.arm, one.against))
        return answers.no_verdict(list(names), evidence)
    return f"{_about_end(cause.end, evidence)} {_about_cycling(cause.cycling)}"


def _about_end(one: Comparison, evidence: Evidence) -> str:
    if one.outcome == Outcome.EQUIVALENT:
        return "Where the rate ends does not matter."
    if _is_decided(one):
        own = "high" if ends_high(evidence.arms[one.arm]) else "low"
        other = "low" if own == "high" else "high"
        return (
            f"Where the rate ends {_matters(one)}: {one.arm} ends {own} and {verdicts.does(one)} "
            f"{one.against}, which ends {other}."
        )
    return "It is open whether it matters where the rate ends."


def _about_cycling(one: Comparison) -> str:
    if one.outcome == Outcome.EQUIVALENT:
        return f"Cycling gains nothing: {one.arm} is level with {one.against}, which has no cycles."
    if _is_decided(one):
        what = "helps" if one.outcome.is_better else "does harm"
        if one.outcome in (Outcome.SLIGHTLY_BETTER, Outcome.SLIGHTLY_WORSE):
            what += " by less than matters"
        return f"Cycling {what}: {one.arm} {verdicts.does(one)} {one.against}, which has no cycles."
    return "It is open whether cycling gains anything."


def _is_decided(one: Comparison) -> bool:
    return one.outcome.is_better or one.outcome.is_worse


def _matters(one: Comparison) -> str:
    slight = one.outcome in (Outcome.SLIGHTLY_BETTER, Outcome.SLIGHTLY_WORSE)
    return "matters little" if slight else "matters"
