"""Checks the tutorial's side claims: windows are equivalent, cycling costs no computation."""

from __future__ import annotations

from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.costs import schedule_costs
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import number, span
from lrcycles.report.section import Block, Points, Section, Table, Text

TRIANGLE = "triangular"
_METHOD = (
    "A pair is a step with the schedule and a step at a constant rate, one after the other. Two "
    "pairs in opposite order give one value: their mean, in which the effect of the order cancels. "
    "The table shows the median of these values. measured_seconds.csv has the time of every step."
)
WINDOWS = ("welch", "hann")  # which the tutorial calls equivalent to the triangle


def section(evidence: Evidence) -> Section | None:
    """Set each claim beside what was measured; None if nothing was."""
    if not evidence.of_stages:
        return None
    blocks: list[Block] = []
    questions = []
    if lines := windows(evidence):
        blocks.append(Points(lines))
        questions.append("whether windows are equivalent")
    if table := _computation(evidence):
        blocks += [table, Text(_METHOD, quiet=True)]
        questions.append("whether cycling costs computation")
    if not blocks:
        return None
    about = f"{' and '.join(questions)}.".capitalize()
    return Section("claims", "The tutorial's side claims", blocks, about=about)


def windows(evidence: Evidence) -> list[str]:
    """Word the comparisons of windows with the triangle."""
    compared = [
        one
        for one in evidence.of(Quantity.ERROR)
        if evidence.arms[one.arm].settings.schedule.name in WINDOWS
        and evidence.arms[one.against].settings.schedule.name == TRIANGLE
    ]
    return [_window(one, evidence) for one in compared]


def _window(comparison: Comparison, evidence: Evidence) -> str:
    return (
        f"Window {comparison.arm} against the triangle {comparison.against}: "
        f"{comparison.outcome.value}, {verdicts.with_parts(comparison, evidence)} points."
    )


def _computation(evidence: Evidence) -> Table | None:
    """Tabulate what a triangular schedule adds to a step of Keras; None if nothing was measured."""
    head = ["batch size", "additional time of a Keras step with a triangular schedule (%)"]
    head += ["95 % interval (%)", "pairs of steps"]
    rows = [
        [
            f"{one.batch_size:,}",
            number(one.percent, 1),
            span(one.low, one.high, 1),
            str(one.pairs),
        ]
        for one in schedule_costs(evidence)
    ]
    return Table(head, rows) if rows else None
