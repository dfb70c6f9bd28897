"""Shows every arm of the controlled comparison and every comparison in its family."""

from __future__ import annotations

from collections.abc import Mapping

from lrcycles.config.schema import LOOKS
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Quantity, Role, seedwise
from lrcycles.evidence.estimates import FEWEST, Chance, Estimate, chance_better
from lrcycles.evidence.families import Family
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures import comparisons as figures
from lrcycles.report.figures.inputs import errors_picture, histories, row
from lrcycles.report.formatting import UNKNOWN, decimals, listed, mean_sd, number, span
from lrcycles.report.section import (
    Block,
    Folded,
    Heading,
    Picture,
    Points,
    Section,
    Table,
    Text,
)

_CONTROLLED = (Role.CANDIDATE, Role.CONTROL)
_Losses = Mapping[tuple[str, str], Estimate]


def section(evidence: Evidence) -> Section:
    """Show errors, differences, verdicts, and how the arms got there."""
    names = evidence.controlled
    trained = [name for name in names if evidence.arms[name].trained]
    blocks: list[Block] = [Text(_what_is_equal(evidence))] if evidence.of_stages else []
    if trained:
        caption = "Test error of every seed. Grey lines join the runs of one seed."
        blocks.append(errors_picture("errors", evidence, trained, {}, caption))
    losses = evidence.loss_differences()
    blocks += [_errors(evidence, losses), *_families(evidence)]
    if chances := _chances(evidence, losses):
        blocks += [
            Heading("How often an arm is better, and the test loss"),
            Text(
                "The shares are those of the pairs of seeds in which the arm before 'vs' is "
                "better, with a Wilson interval. A tie counts as half a win. The interval counts "
                "ties as losses at its lower end and as wins at its upper end. The interval of "
                "the loss covers the seeds alone."
            ),
            chances,
        ]
    if alike := [name for name in evidence.alike if name in trained]:
        blocks.append(_epochs(evidence, alike))
    blocks.append(Folded("Every seed", [tables.every_seed(evidence, names)]))
    title = "All arms: the controlled comparison" if evidence.of_stages else "All arms"
    about = "The test error of every arm and seed, every difference and every verdict."
    return Section("controlled", title, blocks, about=about)


def _families(evidence: Evidence) -> list[Block]:
    """Show the comparisons of each family, and those that have an interval only."""
    compared = evidence.of(Quantity.ERROR)
    families = {family: [one for one in compared if one.family == family] for family in Family}
    others = [one for one in families[Family.NONE] if one.role in _unjudged(evidence)]
    blocks: list[Block] = []
    shown = [*families[Family.PRIMARY], *families[Family.SCHEDULES]]
    if any(one.estimate for one in shown):
        blocks.append(_differences(evidence, shown))
    for title, of_title in (
        ("First family: the comparisons that carry the answer", families[Family.PRIMARY]),
        ("Second family: the other comparisons", families[Family.SCHEDULES]),
        ("Without a verdict: intervals only", others),
    ):
        if of_title:
            blocks += [Heading(title), tables.comparisons(evidence, of_title)]
        if of_title is families[Family.PRIMARY]:
            blocks += _absent(evidence)
    if any(one.family != Family.NONE for one in compared):
        blocks += [Heading("How a verdict is reached"), Points(_rule(evidence))]
    return blocks


def _absent(evidence: Evidence) -> list[Text]:
    """Name the primary comparisons that were not trained."""
    absent = [" vs ".join(pair) for pair in evidence.absent_primary]
    if not absent:
        return []
    verb = "was" if len(absent) == 1 else "were"
    return [Text(f"{listed(absent)} {verb} not trained. The first family counts it all the same.")]


def _unjudged(evidence: Evidence) -> list[Role]:
    """Name the roles without a verdict that no other section shows."""
    return [Role.SENSITIVITY] if evidence.report.factors else [Role.SENSITIVITY, Role.OTHER]


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
    chosen = "peak rates" if evidence.stages.peak_searches else "bounds"
    return (
        f"{text}. The {chosen} were chosen on the validation split only, and the test set was read "
        "once."
    )


def _errors(evidence: Evidence, losses: _Losses) -> Table:
    head = ["arm", "test error (%)", "test loss", "validation error (%)", "runs", "failed"]
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    kinds = [(Quantity.ERROR, digits), (Quantity.LOSS, _loss_digits(losses))]
    rows = []
    for name in evidence.controlled:
        arm, share = evidence.arms[name], evidence.arms[name].cut_share
        rows.append(
            [
                arm.label,
                *(mean_sd(arm.values(kind), at, count=False) for kind, at in kinds),
                mean_sd(arm.values("validation_error_percent"), digits, count=False),
                str(len(arm.cells)),
                str(len(arm.failed)) if arm.failed else "none",
                "as planned" if share is None else f"{100 * share:.0f} % into a cycle",
            ]
        )
    return Table([*head, "run ends"], rows)


def _differences(evidence: Evidence, compared: list[Comparison]) -> Picture:
    others = {one.against for one in compared}
    drawn = figures.forest(
        {one.title: row(one.estimate, one.differences) for one in compared if one.estimate},
        margin=evidence.report.margin_percent,
        other=others.pop() if len(others) == 1 else None,
    )
    return Picture(
        "differences",
        drawn,
        "The difference in test error of each pair of seeds, by comparison. The tables below have "
        "the figures.",
        "Difference of each pair of seeds: the arm before 'vs' minus the arm after it. The grey "
        "band is the margin: a difference within it does not matter.",
    )


def _rule(evidence: Evidence) -> list[str]:
    """Word how a verdict is reached."""
    margin = f"±{evidence.report.margin_percent:g} percentage points"
    return [
        "A verdict is about other seeds and other test images. The interval is made of both parts.",
        "The comparisons of a family share 5 % false verdicts. The first family is adjusted by "
        "Holm's method, the second by common sign flips (max-T).",
        f"Verdicts are given at {LOOKS[0]} seeds and at every doubling up to {LOOKS[-1]}. Other "
        "numbers of seeds give intervals only.",
        "An arm is better or worse if p does not exceed its level and the interval at this level "
        "excludes 0. An arm that fails more often is never better.",
        f"Arms are equivalent if two one-sided tests show a difference within {margin}. Everything "
        "else is undecided.",
        "docs/evidence.md explains each step.",
    ]


def _chances(evidence: Evidence, losses: _Losses) -> Table | None:
    head = ["comparison", "fewer errors (% of pairs)", "lower test loss (% of pairs)"]
    head.append("difference in test loss")
    digits = _loss_digits(losses)
    rows = []
    for one in evidence.of(Quantity.ERROR):
        pair = (one.arm, one.against)
        by_seed = seedwise(evidence.arms, *pair, Quantity.LOSS)
        if len(by_seed) < FEWEST:
            continue  # one or two pairs say nothing
        ends = losses[pair].interval()
        difference = number(losses[pair].mean, digits)
        difference += f" ({span(*ends, digits)})" if ends else ""
        chances = [_chance(one.chance), _chance(chance_better(list(by_seed.values())))]
        rows.append([one.title, *chances, difference])
    return Table(head, rows) if rows else None


def _loss_digits(losses: _Losses) -> int:
    return max(decimals([one.interval() for one in losses.values()], otherwise=4) - 1, 3)


def _chance(chance: Chance | None) -> str:
    if chance is None:
        return UNKNOWN
    return f"{chance.percent:.0f} ({chance.low:.0f} to {chance.high:.0f})"


def _epochs(evidence: Evidence, names: list[str]) -> Picture:
    arms: dict[str, Arm] = {name: evidence.arms[name] for name in names}
    return Picture(
        "validation",
        figures.anytime(
            {name: histories(arm) for name, arm in arms.items()},
            cycle_ends={name: arm.cycle_ends_epochs for name, arm in arms.items()},
        ),
        f"The validation error after each epoch by arm, each beside {names[0]}.",
        f"Error on the validation split after each epoch; {names[0]} in grey. Lines are means, "
        "bands reach from the lowest to the highest seed. Dotted lines mark the ends of cycles.",
    )
