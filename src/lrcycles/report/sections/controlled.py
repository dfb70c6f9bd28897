"""Compares all arms of the controlled comparison in error."""

from __future__ import annotations

from collections.abc import Mapping

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.estimates import Chance, chance_better
from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.paired import (
    ALPHA,
    BCA_FROM,
    EXACT_UP_TO,
    FEWEST_PAIRS,
    RESAMPLES,
    PairedComparison,
)
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures import comparisons as figures
from lrcycles.report.figures.inputs import errors_picture, histories, paired_interval
from lrcycles.report.formatting import (
    counted,
    decimals,
    listed,
    mean_sd,
    number,
    rate,
    span,
    with_interval,
)
from lrcycles.report.section import Block, Folded, Heading, Picture, Section, Table, Text

_CONTROLLED = (Role.CANDIDATE, Role.CONTROL)
_Losses = Mapping[tuple[str, str], PairedComparison]


def section(evidence: Evidence) -> Section:
    """Show errors, differences, verdicts, and how the arms got there."""
    names = evidence.controlled
    finished = [name for name in names if evidence.arms[name].finished]
    compared = evidence.of(Quantity.ERROR, *_CONTROLLED)
    blocks: list[Block] = [Text(_what_is_equal(evidence))] if evidence.of_stages else []
    if finished:
        caption = "Test error of every seed. Grey lines join the runs of one seed."
        blocks.append(errors_picture("errors", evidence, finished, {}, caption))
    losses = evidence.loss_differences()
    blocks.append(_errors(evidence, losses))
    if compared:
        blocks += [_differences(evidence), tables.comparisons(evidence, compared)]
    blocks.append(Text(_rule(evidence), quiet=True))
    if evidence.tuned:
        blocks.append(Text(_tuning(evidence)))
    if evidence.of(Quantity.ERROR):
        blocks += [
            Heading("How often an arm is better, and the test loss"),
            Text(
                "The first two columns give the share of pairs in which the arm before 'vs' is "
                "better, with its 95 % Wilson interval. A tie counts as half a win. The interval "
                "counts ties as losses at its lower end and as wins at its upper end. The "
                "difference in test loss has a 95 % interval and no verdict."
            ),
            _chances(evidence, losses),
        ]
    if finished:
        blocks.append(_epochs(evidence, finished))
    blocks.append(Folded("Every seed", tables.every_seed(evidence, names)))
    title = "All arms: the controlled comparison" if evidence.of_stages else "All arms"
    about = "The test error of every arm and seed, every difference and every verdict."
    return Section("controlled", title, blocks, about=about)


def _what_is_equal(evidence: Evidence) -> str:
    """Word what equal seeds of the controlled arms share, and when the test set was read."""
    arms = [evidence.arms[name] for name in evidence.controlled]
    exceptions = [
        f"{arm.name} starts from the final weights of {arm.settings.continues}"
        for arm in arms
        if arm.settings.continues
    ]
    exceptions += [
        f"{arm.name} trains with batches of {arm.settings.batch_size:,} instead of "
        f"{arms[0].settings.batch_size:,}"
        for arm in arms
        if arm.settings.batch_size != arms[0].settings.batch_size
    ]
    text = "Equal seeds share their initial weights and the order of their data"
    if exceptions:
        text += f", except that {listed(exceptions)}"
    return (
        f"{text}. The bounds were chosen on the validation split only, and the test set was read "
        "once."
    )


def _errors(evidence: Evidence, losses: _Losses) -> Table:
    head = ["arm", "test error (%)", "test loss", "validation error (%)", "n", "diverged"]
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    intervals = [paired.interval95 for paired in losses.values()]
    kinds = [(Quantity.ERROR, digits), (Quantity.LOSS, decimals(intervals, otherwise=4))]
    rows = []
    for name in evidence.controlled:
        arm, share = evidence.arms[name], evidence.arms[name].cut_share
        rows.append(
            [
                arm.label,
                *(mean_sd(arm.values(kind), at, count=False) for kind, at in kinds),
                mean_sd(arm.values("validation_error_percent"), digits, count=False),
                str(len(arm.finished)),
                str(len(arm.diverged)) if arm.diverged else "none",
                "as planned" if share is None else f"{100 * share:.0f} % into a cycle",
            ]
        )
    return Table([*head, "run ends"], rows)


def _differences(evidence: Evidence) -> Picture:
    compared = evidence.of(Quantity.ERROR, *_CONTROLLED)
    others = {one.against for one in compared}
    drawn = figures.forest(
        {one.title: one.differences for one in compared},
        intervals={one.title: paired_interval(one) for one in compared},
        margin=evidence.report.margin_percent,
        other=others.pop() if len(others) == 1 else None,
    )
    alt = "; ".join(f"{one.title}: {verdicts.difference(one, evidence)}" for one in compared)
    caption = (
        "Difference of each pair of seeds: the arm before 'vs' minus the arm after it. The grey "
        "band is the margin: two arms are equivalent if "
        "the 90 % interval of their mean difference lies within it."
    )
    return Picture("differences", drawn, alt, caption)


def _rule(evidence: Evidence) -> str:
    """Word how a verdict is reached."""
    comparisons = evidence.comparisons.values()
    exact = {one.paired.exact for one in comparisons}
    drawn = f"{RESAMPLES:,} random sign flips (Monte Carlo)"
    flips = "all sign flips (exact)" if exact != {False} else drawn
    if exact == {True, False}:
        flips = f"all sign flips (exact) up to {EXACT_UP_TO} pairs, and {drawn} for more pairs"
    bootstrap = ""
    if any(one.bca95 for one in comparisons):
        bootstrap = (
            f" The BCa interval is a bootstrap interval, given for {BCA_FROM} pairs or more."
        )
    margin = f"±{evidence.report.margin_percent:g} percentage points"
    return (
        f"The interval is Student's t interval of the paired differences.{bootstrap} The p value "
        f"comes from {flips}. Holm's method adjusts it for all comparisons of this report. An arm "
        f"is better or worse if its adjusted p is below {ALPHA:g}. Two arms are equivalent in "
        f"error if the 90 % interval lies within {margin}. Everything else is undecided, and so is "
        f"every comparison of fewer than {FEWEST_PAIRS} pairs. Intervals are not adjusted, so an "
        "interval may exclude 0 while the comparison is undecided."
    )


def _tuning(evidence: Evidence) -> str:
    """Word what the arm `tuned` is."""
    tuned = evidence.tuned
    assert tuned is not None
    chosen = list(tuned.chosen.values())
    counts = ", ".join(
        f"{rate(evidence.arms[name].rates[0])} ({counted(chosen.count(name), 'seed')})"
        for name in tuned.candidates
    )
    text = (
        "The arm tuned is made of the arms with a constant rate. Each seed takes the rate with the "
        f"lowest validation error after {counted(tuned.epochs, 'epoch')}. These trials take "
        "together as many steps as the range test, rounded up to whole epochs, and at most whole "
        f"trainings. The arm is charged the {tuned.tried_steps:,} steps of the rates that were "
        f"dropped. Chosen: {counts}."
    )
    if tuned.at_length:
        text += (
            " If the rate were chosen after whole trainings instead, which cost "
            f"{len(tuned.candidates)} times as much, the test error in percent would be "
            f"{with_interval(tuned.at_length, verdicts.digits_of(Quantity.ERROR, evidence))}."
        )
    return text


def _chances(evidence: Evidence, losses: _Losses) -> Table:
    head = ["comparison", "fewer errors (% of pairs)", "lower test loss (% of pairs)"]
    head.append("difference in test loss")
    digits = decimals([paired.interval95 for paired in losses.values()], otherwise=4)
    rows = []
    for one in evidence.of(Quantity.ERROR):
        paired = losses[one.arm, one.against]
        ends = paired.interval95 and f" ({span(*paired.interval95, digits)})"
        chances = [_chance(one.chance), _chance(chance_better(paired.differences))]
        rows.append([one.title, *chances, number(paired.mean, digits) + (ends or "")])
    return Table(head, rows)


def _chance(chance: Chance) -> str:
    return f"{chance.percent:.0f} ({chance.low:.0f} to {chance.high:.0f})"


def _epochs(evidence: Evidence, names: list[str]) -> Picture:
    arms: dict[str, Arm] = {name: evidence.arms[name] for name in names}
    return Picture(
        "validation",
        figures.anytime(
            {name: histories(arm) for name, arm in arms.items()},
            cycle_ends={name: arm.cycle_ends_epochs for name, arm in arms.items()},
            target=evidence.target_percent,
        ),
        f"The validation error after each epoch by arm, each beside {names[0]}.",
        f"Error on the validation split after each epoch; {names[0]} in grey. Lines are means, "
        "bands reach from the lowest to the highest seed. Dotted lines mark the ends of cycles, a "
        "dashed line the target.",
    )
