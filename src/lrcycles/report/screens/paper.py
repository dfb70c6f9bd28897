"""Answers whether the rows of a paper's table come out again."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.reference import ReferenceRow, reference_rows
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers
from lrcycles.report.formatting import listed
from lrcycles.report.screens import use
from lrcycles.report.section import Screen
from lrcycles.report.sections import reference


def screen(evidence: Evidence) -> Screen:
    """Say which rows differ from the paper, then what to use."""
    rows = [row for row in reference_rows(evidence) if row.arm in evidence.arms]
    names = list(dict.fromkeys([*(row.arm for row in rows), *answers.shown_arms(evidence)]))
    failed = answers.failures(evidence, names)
    *_, found = answers.headlines(evidence)
    compared = answers.asked(evidence)
    return Screen(
        [*failed, _differ(rows), found],
        answers.lines(evidence),
        [
            use.picture_of(evidence, names, answers.shown(evidence)),
            reference.table(evidence, rows),
        ],
        use.parts_of(evidence, compared),
    )


def _differ(rows: Sequence[ReferenceRow]) -> str:
    """Word which rows differ from the paper, and in which direction."""
    judged = [row for row in rows if row.differs is not None]
    if not judged:
        return "Too few runs trained to compare any row with the paper."
    words = []
    for sign, what in ((1, "more"), (-1, "fewer")):
        arms = [row.arm for row in judged if row.differs and sign * (row.difference or 0) > 0]
        if arms:
            verb = "makes" if len(arms) == 1 else "make"
            words.append(f"{listed(arms)} {verb} {what} errors here than in the paper.")
    if alike := [row.arm for row in judged if not row.differs]:
        words.append(f"No difference from the paper is shown for {listed(alike)}.")
    return " ".join(words)
