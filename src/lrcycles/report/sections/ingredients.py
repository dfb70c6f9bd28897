"""Shows what the published figures consist of, one ingredient after another."""

from __future__ import annotations

from lrcycles.evidence.arms import summarise
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.ingredients import Breakdown
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.figures import comparisons as figures
from lrcycles.report.figures.inputs import mean_and_interval, paired_interval
from lrcycles.report.formatting import UNKNOWN, mean_sd, number, threads, with_interval
from lrcycles.report.section import Block, Cell, Picture, Section, Table, Text


def section(evidence: Evidence) -> Section | None:
    """Show the waterfall of ingredients; None if conf/report names no steps."""
    if not evidence.steps:
        return None
    blocks: list[Block] = []
    if picture := _waterfall(evidence):
        blocks.append(picture)
    blocks.append(
        Text(
            "Each arm differs from the arm above it in one setting, and in what follows from that "
            "setting. Differences are paired by seed."
        )
    )
    blocks.append(_table(evidence))
    about = "The published gain, taken apart one ingredient after another."
    return Section("ingredients", "What the published figures consist of", blocks, about=about)


def shares(parts: Breakdown, evidence: Evidence) -> str:
    """Word how much of the replayed change in error each ingredient explains."""
    each = [
        f"{one.adds} {verdicts.mean(one.change, evidence)}"
        if one.share_percent is None
        else f"{one.adds} {number(one.share_percent, 0)} %"
        for one in parts.ingredients
    ]
    whole = verdicts.difference(parts.whole, evidence)
    return f"Of the replayed change of {whole}, each ingredient explains: {', '.join(each)}."


def sentences(parts: Breakdown, evidence: Evidence) -> list[str]:
    """Word how much of the replayed change each ingredient explains, in error and in time."""
    errors = []
    for one in parts.ingredients:
        text = f"{one.adds} {verdicts.with_interval(one.change, evidence)}"
        if one.share_percent is not None:
            text += f", which is {number(one.share_percent, 0)} % of the change"
        errors.append(text)
    whole = verdicts.difference(parts.whole, evidence)
    lines = [f"The replayed change of {whole} consists of: {'; '.join(errors)}."]
    if parts.seconds:
        times = "; ".join(f"{one.adds} {number(one.seconds, 1)} s" for one in parts.ingredients)
        arms = [evidence.arms[name] for name in parts.arms]
        first, last = (number(seconds, 1) for seconds in parts.seconds)
        lines.append(
            f"The training time goes from {first} s to {last} s here (compiled, {threads(arms)}). "
            f"The change consists of: {times}."
        )
    return lines


def _waterfall(evidence: Evidence) -> Picture | None:
    names = [name for name in evidence.waterfall if evidence.arms[name].finished]
    if len(names) < 2:
        return None
    label = {name: f"{evidence.waterfall[name]}\n({name})" for name in names}
    changes = {
        name: change
        for name, before in evidence.steps
        if (change := evidence.error(name, before)) is not None
    }
    published = evidence.report.published
    drawn = figures.waterfall(
        {
            label[name]: mean_and_interval(
                summarise(evidence.arms[name].values(Quantity.ERROR).values())
            )
            for name in names
        },
        {label[name]: paired_interval(one) for name, one in changes.items()},
        published={
            label[name]: published[name].error_percent for name in names if name in published
        },
        quantity="test error (%)",
        digits=verdicts.digits_of(Quantity.ERROR, evidence),
    )
    text = "; ".join(
        f"{evidence.waterfall[name]}: {verdicts.difference(one, evidence)}"
        for name, one in changes.items()
    )
    return Picture(
        "waterfall",
        drawn,
        f"What each ingredient changes in test error. {text}",
        "From the first published fit to whole cycles, one ingredient after another: the mean "
        "error of each arm, and the change at each step.",
    )


def _table(evidence: Evidence) -> Table:
    head = ["what is added (arm)", "test error (%)", "change (95 % interval)", "p (Holm)"]
    head += ["verdict", "training time (s)", "updates"]
    before, digits = dict(evidence.steps), verdicts.digits_of(Quantity.ERROR, evidence)
    rows: list[list[Cell]] = []
    for name, adds in evidence.waterfall.items():
        arm = evidence.arms[name]
        one = evidence.error(name, before.get(name, ""))
        change: list[Cell] = [UNKNOWN, UNKNOWN, UNKNOWN]
        if one:
            change = [
                verdicts.with_interval(one, evidence),
                verdicts.p_values(one)[1],
                verdicts.mark(one),
            ]
        error = with_interval(arm.values(Quantity.ERROR), digits)
        seconds = mean_sd(arm.values("train_seconds"), 1)
        rows.append([f"{adds} ({name})", error, *change, seconds, f"{arm.total_steps:,}"])
    return Table(head, rows)
