"""Answers with which optimizers cycles make fewer errors than a constant rate."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.answer import cycles_against_constant
from lrcycles.evidence.comparisons import Comparison
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers, verdicts
from lrcycles.report.formatting import counted, listed
from lrcycles.report.screens import use
from lrcycles.report.section import Cell, Screen, Table

_MOST_NAMED = 3  # pairs in a sentence


def screen(evidence: Evidence) -> Screen:
    """Say in how many pairs of one optimizer the cycles make fewer errors."""
    pairs = cycles_against_constant(evidence)
    names = list(dict.fromkeys(name for one in pairs for name in (one.against, one.arm)))
    return Screen(
        [*answers.failures(evidence, names), _lead(pairs)],
        _lines(pairs, evidence),
        [use.picture_of(evidence, names, pairs, errors=False), _table(pairs, evidence)],
        use.parts_of(evidence, pairs),
    )


def _lead(pairs: Sequence[Comparison]) -> str:
    fewer = [one for one in pairs if one.outcome.is_better]
    more = [one for one in pairs if one.outcome.is_worse]
    if not any(one.verdict.p is not None for one in pairs):
        return "There is no verdict between cycles and a constant rate."
    return (
        f"Cycles are better than a constant rate in {len(fewer) or 'none'} of "
        f"{counted(len(pairs), 'pair')} with the same optimizer, and worse in "
        f"{len(more) or 'none'}."
    )


def _lines(pairs: Sequence[Comparison], evidence: Evidence) -> list[str]:
    lines = []
    arms = [(evidence.arms[one.arm], evidence.arms[one.against]) for one in pairs]
    lowest = [
        other.name
        for arm, other in arms
        if other.settings.schedule.base_lr == arm.settings.schedule.base_lr
    ]
    if lowest:
        which = "every pair" if len(lowest) == len(pairs) else counted(len(lowest), "pair")
        lines.append(
            f"The constant rate of {which} is the lowest rate of the cycles. It was not chosen to "
            "be good, so a better constant rate may gain as much."
        )
    for what, chosen in (
        ("are worse", [one for one in pairs if one.outcome.is_worse]),
        (
            "are open",
            [one for one in pairs if not one.outcome.is_worse and not one.outcome.is_better],
        ),
    ):
        if len(chosen) > _MOST_NAMED:
            lines.append(f"{counted(len(chosen), 'pair')} {what}.")
        elif chosen:
            lines.append(f"These {what}: {listed([one.title for one in chosen])}.")
    advice = [text for one in pairs if (text := verdicts.advice(one))]
    return [*lines, *advice[:1], *verdicts.robust(pairs, evidence)]


def _table(pairs: Sequence[Comparison], evidence: Evidence) -> Table:
    head = ["cycles vs constant rate", "constant: error (%)", "cycles: error (%)", "difference"]
    rows: list[list[Cell]] = []
    for one in pairs:
        arm, other = evidence.arms[one.arm], evidence.arms[one.against]
        errors = [use.mean_of(other), use.mean_of(arm)]
        rows.append([one.title, *errors, verdicts.with_interval(one, evidence), verdicts.mark(one)])
    return Table([*head, "verdict"], rows)
