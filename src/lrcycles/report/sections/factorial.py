"""Splits the published change in test error into the effects of its factors."""

from __future__ import annotations

from statistics import median

from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.factorial import Factorial
from lrcycles.evidence.paired import FEWEST
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures.comparisons import forest
from lrcycles.report.figures.inputs import row
from lrcycles.report.formatting import (
    UNKNOWN,
    counted,
    listed,
    median_and_ends,
    number,
    span,
    with_interval,
)
from lrcycles.report.section import Block, Heading, Picture, Points, Section, Table, Text


def section(evidence: Evidence) -> Section | None:
    """Show every factor's effect; None if conf/report names no factors."""
    if not evidence.report.factors:
        return None
    blocks: list[Block] = []
    if parts := evidence.factorial:
        blocks += [Text(_meaning(parts)), _drawn(evidence, parts), _effects(evidence, parts)]
        blocks.append(Points(_notes(evidence, parts)))
    else:
        blocks.append(Text(missing(evidence)))
    blocks += [Heading("The arms"), _arms(evidence)]
    if others := evidence.of(Quantity.ERROR, Role.OTHER):
        blocks += [
            Heading("Further pairs"),
            Text("These pairs have an interval and no verdict."),
            tables.comparisons(evidence, others),
        ]
    about = "What each factor of the published change is worth, with its interval."
    return Section("factorial", "What the published change consists of", blocks, about=about)


def _meaning(parts: Factorial) -> str:
    return (
        f"Every combination of the factors was trained. {parts.none} has none of them and "
        f"{parts.all} has all. The effect of a factor is its Shapley value: what adding the factor "
        "changes, on average over all orders of adding them. The effects add up to the whole."
    )


def missing(evidence: Evidence) -> str:
    """Word why the change is not split."""
    absent = [name for name in evidence.report.factors if name not in evidence.arms]
    if absent:
        verb = "was" if len(absent) == 1 else "were"
        return f"The change is not split into factors, because {listed(absent)} {verb} not trained."
    return (
        "The change is not split into factors, because fewer than two seeds trained in every arm."
    )


def _drawn(evidence: Evidence, parts: Factorial) -> Picture:
    drawn = forest(
        {one.factor: row(one.estimate) for one in (parts.whole, *parts.effects)},
        margin=evidence.report.margin_percent,
    )
    return Picture(
        "effects",
        drawn,
        "The effect of each factor on the test error. The table below has the figures.",
        "What each factor changes in test error, and what all change together.",
    )


def _effects(evidence: Evidence, parts: Factorial) -> Table:
    head = ["factor", "effect in percentage points (95 % interval; its parts)"]
    head += ["median over seeds", "share of the whole (95 % interval over seeds)"]
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    rows = []
    for one in (parts.whole, *parts.effects):
        share = UNKNOWN
        if one.share is not None:
            percent, ends = one.share
            share = f"{number(percent, 0)} % ({span(*ends, 0)})"
        rows.append(
            [
                one.factor,
                verdicts.estimated(one.estimate, digits),
                number(one.estimate.median, digits) if parts.seeds >= FEWEST else UNKNOWN,
                share,
            ]
        )
    return Table(head, rows)


def _notes(evidence: Evidence, parts: Factorial) -> list[str]:
    margin = evidence.report.margin_percent
    lines = [f"The effects cover the {counted(parts.seeds, 'seed')} that trained in every arm."]
    if parts.failed:
        verb = "diverged or guesses" if parts.failed == 1 else "diverged or guess"
        lines.append(
            f"{counted(parts.failed, 'run')} of these arms {verb}. Their seeds are left out of "
            "every arm."
        )
    if not any(one.share for one in parts.effects):
        lines.append(
            "There are no shares of the whole, because the whole change is not certain or lies "
            f"within ±{margin:g} percentage points."
        )
    apart = [one.factor for one in parts.effects if one.estimate.robust_disagrees >= margin / 2]
    if apart and parts.seeds >= FEWEST:
        lines.append(
            f"Mean and median disagree for {listed(apart)}: a few seeds make up much of the mean."
        )
    return lines


def _arms(evidence: Evidence) -> Table:
    head = ["arm", "factors", "test error (%), 95 % interval over seeds", "median"]
    head += ["training (s), median (range over seeds)", "updates", "failed runs"]
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    rows = []
    for name, factors in evidence.report.factors.items():
        if name not in evidence.arms:
            continue
        arm = evidence.arms[name]
        errors = arm.values(Quantity.ERROR)
        rows.append(
            [
                name,
                ", ".join(factors) or "none",
                with_interval(errors, digits),
                number(median(errors.values()) if errors else None, digits),
                median_and_ends(arm.values("train_seconds").values()),
                f"{arm.total_steps:,}",
                str(len(arm.failed)) if arm.failed else "none",
            ]
        )
    return Table(head, rows)
