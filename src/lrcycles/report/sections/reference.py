"""Sets our errors beside the rows of a paper's table."""

from __future__ import annotations

from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.reference import ReferenceRow, reference_rows
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import UNKNOWN, counted, mean_sd, number, p_value
from lrcycles.report.section import Block, Cell, Points, Section, Table, Tone, VerdictCell


def section(evidence: Evidence) -> Section | None:
    """Show the paper's rows; None if conf/report names none."""
    if not evidence.report.reference:
        return None
    blocks: list[Block] = [Points(sentences(evidence)), _table(evidence)]
    if evidence.report.reference_notes:
        blocks.append(Points(evidence.report.reference_notes))
    about = "The errors that a paper prints, and the errors of the same settings here."
    return Section("reference", "The paper's rows", blocks, about=about)


def sentences(evidence: Evidence) -> list[str]:
    """Word how many of the paper's rows came out as printed."""
    rows = reference_rows(evidence)
    if not rows:
        return []
    trained = [row for row in rows if row.reproduced is not None]
    good = sum(row.reproduced is True for row in trained)
    text = (
        f"Of the paper's {counted(len(rows), 'row')}, {len(trained)} "
        f"{'was' if len(trained) == 1 else 'were'} trained here, and {good} "
        f"{'reproduces' if good == 1 else 'reproduce'} within two combined standard deviations."
    )
    return [f"{text} Source: {evidence.report.reference_source}."]


def _table(evidence: Evidence) -> Table:
    head = ["arm", "paper: error (%)", "here: error (%)", "difference"]
    head += ["two combined sd", "p (Welch)", "verdict"]
    return Table(head, [_cells(evidence, row) for row in reference_rows(evidence)])


def _cells(evidence: Evidence, row: ReferenceRow) -> list[Cell]:
    paper = f"{number(row.paper.error_percent)} ± {number(row.paper.sd_percent)}"
    paper += f" (n = {row.paper.runs})"
    if row.reproduced is None:
        return [row.arm, paper, "not run", *[UNKNOWN] * 4]
    verdict = (
        VerdictCell("reproduced", Tone.GOOD)
        if row.reproduced
        else VerdictCell("not reproduced", Tone.NEUTRAL)
    )
    ours = mean_sd(evidence.arms[row.arm].values(Quantity.ERROR))
    figures = [number(row.difference, 3), number(row.allowed, 3), p_value(row.p)]
    return [row.arm, paper, ours, *figures, verdict]
