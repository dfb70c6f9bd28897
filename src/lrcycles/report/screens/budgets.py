"""Answers what to use at each length of training."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.answer import Answer, Certainty, answer, lengths
from lrcycles.evidence.budgets import Plan, compare_widths
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.families import Family
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers
from lrcycles.report.formatting import UNKNOWN, counted, listed, number, rate, span
from lrcycles.report.names import noun
from lrcycles.report.screens import use
from lrcycles.report.section import Screen, Table
from lrcycles.report.sections.budgets import curves


def screen(evidence: Evidence) -> Screen:
    """Say what to use at each length, each schedule at its own best peak rate."""
    found = {epochs: answer(evidence, epochs) for epochs in lengths(evidence)}
    chosen = [one.use[0] for one in found.values() if one]
    primary = [one for one in evidence.of(Quantity.ERROR) if one.family == Family.PRIMARY]
    compared = primary or answers.asked(evidence)
    names = list(dict.fromkeys(arm for one in compared for arm in (one.against, one.arm)))
    names = list(dict.fromkeys([*names, *chosen]))
    searched = evidence.of_stages is not None and evidence.of_stages.peak_searches
    lead = [text for one in _asked_plans(evidence, compared) if (text := _wins(one, evidence))]
    lead = [f"Each at its own best peak rate: {text}" for text in lead] if searched else lead
    lead += [_use(epochs, one, evidence) for epochs, one in found.items()]
    picture = curves(evidence) if searched else use.picture_of(evidence, names, compared)
    return Screen(
        [*answers.failures(evidence, names), *lead],
        [
            *_contenders(list(found.values()), evidence),
            *answers.about(compared, evidence),
            *sensitive(compared, evidence),
        ],
        [_table(evidence, list(found)), picture],
        use.parts_of(evidence, compared),
    )


def _use(epochs: int, found: Answer | None, evidence: Evidence) -> str:
    length = counted(epochs, "epoch")
    if found is None:
        return f"{length}: no run trained."
    if found.certainty == Certainty.NO_VERDICT:
        return f"{length}: there is no verdict."
    words = [answers.use(found, evidence), *answers.expected(found)]
    text = " ".join(words)
    return f"{length}: {text[0].lower()}{text[1:]}"


def _contenders(found: list[Answer | None], evidence: Evidence) -> list[str]:
    """Word which arms made fewer errors than the choice without a verdict."""
    names = [name for one in found if one and (name := answers.contender(one, evidence))]
    if not names:
        return []
    verb = "makes" if len(names) == 1 else "make"
    return [f"It is undecided whether {listed(names)} {verb} fewer errors than the choice."]


def _asked_plans(evidence: Evidence, compared: list[Comparison]) -> list[Plan]:
    arms = [evidence.arms[one.arm] for one in compared]
    return [plan for plan in evidence.plans if any(arm in plan.arms.values() for arm in arms)]


def _wins(plan: Plan, evidence: Evidence) -> str | None:
    """Word at how many lengths a schedule beats the decay that it is compared with."""
    decays = [other for other in evidence.plans if other.schedule == "linear_decay"]
    for decay in decays:
        pairs = [
            evidence.error(arm.name, decay.arms[epochs].name)
            for epochs, arm in plan.arms.items()
            if epochs in decay.arms
        ]
        known = [one for one in pairs if one is not None]
        if plan is not decay and any(one.verdict.p is not None for one in known):
            fewer = sum(one.outcome.is_better for one in known)
            more = sum(one.outcome.is_worse for one in known)
            if len(known) in (fewer, more):
                what = "fewer" if fewer else "more"
                return f"{_called(plan)} makes {what} errors than {decay.name} at every length."
            return (
                f"{_called(plan)} is better than {decay.name} at {fewer or 'none'} of "
                f"{counted(len(known), 'length')}, and worse at {more or 'none'}."
            )
    return None


def _called(plan: Plan) -> str:
    """Write a plan's name with its schedule in words."""
    return f"{plan.name} ({noun(plan.schedule)})"


def sensitive(compared: Sequence[Comparison], evidence: Evidence) -> list[str]:
    """Word whether an arm tolerates a wider range of peak rates than the decay."""
    searches = evidence.of_stages.peak_searches if evidence.of_stages else {}
    words = []
    for one in compared:
        if evidence.arms[one.against].settings.schedule.name != "linear_decay":
            continue
        if one.arm not in searches or one.against not in searches:
            continue
        if (wider := compare_widths(searches[one.arm], searches[one.against])) is None:
            continue
        ratio, ends = wider
        size = f"{number(ratio)} times as wide ({span(*ends)}) on a logarithmic scale"
        if ends[0] <= 1 <= ends[1]:
            shown = f"{one.arm} is not shown to be less sensitive to its peak rate than"
            words.append(f"{shown} {one.against}: the range of good peaks is {size}.")
        else:
            how = "less" if ratio > 1 else "more"
            words.append(
                f"{one.arm} is {how} sensitive to its peak rate than {one.against}: the range of "
                f"good peaks is {size}."
            )
    return words


def _table(evidence: Evidence, every: list[int]) -> Table:
    searches = evidence.of_stages.peak_searches if evidence.of_stages else {}

    def cell(plan: Plan, epochs: int) -> str:
        arm = plan.arms.get(epochs)
        if arm is None:
            return UNKNOWN
        peak = f" at {rate(searches[arm.name].peak)}" if arm.name in searches else ""
        failed = f", {len(arm.failed)} failed" if arm.failed else ""
        return f"{use.mean_of(arm)}{peak}{failed}"

    peaks = " at the peak rate" if searches else ""
    head = [f"test error (%), mean ± sd{peaks}", *(counted(epochs, "epoch") for epochs in every)]
    return Table(
        head, [[plan.name, *(cell(plan, epochs) for epochs in every)] for plan in evidence.plans]
    )
