"""Sets our errors beside the rows of a paper's table."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.reference import ReferenceRow, reference_rows
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import UNKNOWN, counted, mean_sd, number, span
from lrcycles.report.section import Block, Cell, Points, Section, Table, Tone, VerdictCell


def section(evidence: Evidence) -> Section | None:
    """Show the paper's rows; None if conf/report names none."""
    if not evidence.report.reference:
        return None
    rows = reference_rows(evidence)
    lines = [
        _summary(rows),
        f"Source: {evidence.report.reference_source}.",
        "A row differs if the interval of the difference excludes 0. It is Welch's interval over "
        "the runs of both.",
        "The interval leaves the test images out, because both were tested on the same images.",
    ]
    blocks: list[Block] = [Points(lines), table(evidence, rows)]
    if evidence.report.reference_notes:
        blocks.append(Points(evidence.report.reference_notes))
    about = "The errors that a paper prints, and the errors of the same settings here."
    return Section("reference", "The paper's rows", blocks, about=about)


def _summary(rows: Sequence[ReferenceRow]) -> str:
    """Word how many of the paper's rows came out as printed."""
    trained = [row for row in rows if row.ours is not None]
    judged = [row for row in trained if row.differs is not None]
    verb = "was" if len(trained) == 1 else "were"
    text = f"{len(trained)} of the paper's {counted(len(rows), 'row')} {verb} trained here."
    if not judged:
        return text
    differ = sum(row.differs is True for row in judged)
    if not differ:
        return f"{text} No difference from the printed errors is shown."
    return f"{text} {differ} of them {'differs' if differ == 1 else 'differ'} from the paper."


def table(evidence: Evidence, rows: Sequence[ReferenceRow]) -> Table:
    """Tabulate the paper's errors beside ours."""
    spread = "mean ± standard deviation over seeds"
    head = ["arm", f"paper: error (%), {spread}", f"here: error (%), {spread}", "difference"]
    head += ["95 % interval", "result"]
    return Table(head, [_cells(evidence, row) for row in rows])


def _cells(evidence: Evidence, row: ReferenceRow) -> list[Cell]:
    paper = f"{number(row.paper.error_percent)} ± {number(row.paper.sd_percent)}"
    paper += f" (n = {row.paper.runs})"
    if row.ours is None:
        state = "every run failed" if row.arm in evidence.arms else "not trained"
        return [row.arm, paper, state, *[UNKNOWN] * 3]
    ours = mean_sd(evidence.arms[row.arm].values(Quantity.ERROR))
    ends = span(*row.interval, 3) if row.interval else "none: too few runs, or no spread"
    return [row.arm, paper, ours, number(row.difference, 3), ends, _result(row)]


def _result(row: ReferenceRow) -> Cell:
    if row.differs is None:
        return UNKNOWN
    if row.differs:
        return VerdictCell("differs", Tone.BAD)
    return VerdictCell("no difference shown", Tone.NEUTRAL)
