"""Shows the seconds of each arm, and what the range test costs."""

from __future__ import annotations

from lrcycles.evidence.costs import RangeTestPrice, range_test_price
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import counted, listed, median_and_ends, number, span
from lrcycles.report.section import Block, Heading, Points, Section, Table, Text


def section(evidence: Evidence) -> Section:
    """Show raw seconds without a verdict, the range test's price, and the published times."""
    blocks: list[Block] = [
        _seconds(evidence),
        Text(
            "The seconds carry no verdict, because the speed of a machine changes. The "
            "milliseconds per step are the median over all runs with the same network, batch size "
            "and machine.",
            quiet=True,
        ),
    ]
    shown = ["the seconds of every arm"]
    if lines := _price(evidence):
        blocks += [Heading("What the range test costs"), Points(lines)]
        shown.append("the price of the range test")
    if lines := published(evidence):
        blocks += [Heading("The published times"), Points(lines)]
        shown.append("the published times")
    return Section("time", "Time", blocks, about=f"{listed(shown)}.".capitalize())


def _seconds(evidence: Evidence) -> Table:
    head = ["arm", "epochs", "steps", "ms per step", "one training (s): steps x ms per step"]
    head += [f"{what} (s): median (range over seeds)" for what in ("each run", "compilation")]
    rows = []
    for name, arm in evidence.arms.items():
        per_step = evidence.seconds_per_step.get(name)
        rows.append(
            [
                arm.label,
                str(arm.settings.epochs),
                f"{arm.total_steps:,}",
                number(None if per_step is None else 1000 * per_step, 3),
                number(None if per_step is None else arm.total_steps * per_step, 1),
                *(
                    median_and_ends(arm.values(kind).values())
                    for kind in ("train_seconds", "compile_seconds")
                ),
            ]
        )
    return Table(head, rows)


def _price(evidence: Evidence) -> list[str]:
    """Word the price of the range test, arms with equal figures together."""
    prices = [price for name in _paying(evidence) if (price := range_test_price(evidence, name))]
    if not prices:
        return []
    by_text: dict[str, list[str]] = {}
    for price in prices:
        text = f"The range test took {number(price.seconds, 1)} s. This is {_percent(price)} of "
        text += f"the {number(price.training_seconds, 1)} s of one training of"
        by_text.setdefault(text, []).append(price.arm)
    lines = [f"{text} {listed(arms)}." for text, arms in by_text.items()]
    if not evidence.plans:
        return [*lines, _nothing_saved(evidence)]
    if evidence.report.target_percent is None:
        return [*lines, "report.target_percent is not set, so no saving of time is measured."]
    return lines + [line for price in prices for line in _repaid(price)]


def _paying(evidence: Evidence) -> list[str]:
    """Name the arms whose price is shown: of a schedule with several lengths, the longest."""
    shorter = {arm.name for plan in evidence.plans for arm in list(plan.arms.values())[:-1]}
    return [name for name in evidence.controlled if name not in shorter]


def _percent(price: RangeTestPrice) -> str:
    return f"{number(price.percent, 0 if price.percent >= 10 else 1)} %"


def _nothing_saved(evidence: Evidence) -> str:
    lengths = {evidence.arms[name].settings.epochs for name in evidence.controlled}
    if len(lengths) == 1:
        return (
            f"All arms train for {counted(lengths.pop(), 'epoch')}. No arm saves time, so the time "
            "of the range test is not recovered. The experiment 'budgets' compares several lengths."
        )
    return "No schedule is trained at several lengths, so no saving of time is measured here."


def _repaid(price: RangeTestPrice) -> list[str]:
    """Word what an arm saves against another schedule, and when that repays the range test."""
    if price.saved_percent is None:
        return [f"{price.arm}: no saving is measured that could repay the range test."]
    saved, interval = price.saved_percent
    digits = 0 if abs(saved) >= 10 else 1
    if saved <= 0:
        text = f"{price.arm} does not reach the target sooner"
        return [f"{text}, so the time of the range test is not recovered."]
    text = f"{price.arm} saves {number(saved, digits)} % of a training until the target"
    lines = [f"{text} (interval {span(*interval, digits)} %)."]
    if price.trainings is None:
        return [*lines, "This is too small to repay the range test."]
    soonest, latest = price.trainings
    after = f"{soonest:,} to {latest:,}" if soonest < latest else f"{latest:,}"
    noun = "training" if latest == 1 else "trainings"
    return [*lines, f"The range test is repaid after {after} {noun} of {price.arm}."]


def published(evidence: Evidence) -> list[str]:
    """Word which published time is only a part of what the published model took."""
    lines = []
    for name in evidence.replay:
        first = evidence.arms[name].settings.continues
        if first not in evidence.report.published:
            continue
        own, before = (evidence.report.published[each].seconds for each in (name, first))
        lines.append(
            f"The published {number(own)} s cover only the second of two runs. The first run took "
            f"{number(before)} s. Together they took {number(own + before)} s."
        )
    return lines
