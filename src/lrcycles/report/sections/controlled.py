"""Shows every arm of the controlled comparison and every comparison in its family."""

from __future__ import annotations

from collections.abc import Mapping

from lrcycles.config.schema import LOOKS
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Quantity, Role, seedwise
from lrcycles.evidence.families import Family
from lrcycles.evidence.paired import FEWEST, Chance, Estimate, Interval, chance_better
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures import comparisons as figures
from lrcycles.report.figures.inputs import colours_of, errors_picture, histories, row
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
from lrcycles.report.sections.cautions import READ_BEFORE

_ADJUSTED = {
    Family.PRIMARY: "First family: p is not adjusted. The level is divided among the comparisons "
    "(Holm).",
    Family.SCHEDULES: "Second family: p is adjusted for the number of comparisons (max-T with "
    "common sign flips). The level is the level of one comparison.",
}
_Losses = Mapping[tuple[str, str], Estimate]


def section(evidence: Evidence) -> Section:
    """Show errors, differences, verdicts, and how the arms got there."""
    names = evidence.controlled
    trained = [name for name in names if evidence.arms[name].trained]
    blocks: list[Block] = [Text(_what_is_equal(evidence))] if evidence.of_stages else []
    if trained:
        caption = "Test error of every seed. A grey line joins the runs of one seed."
        blocks.append(errors_picture("errors", evidence, trained, {}, caption))
    losses = evidence.loss_differences()
    blocks += [_errors(evidence, losses), *_families(evidence)]
    if chances := _chances(evidence, losses):
        blocks += [
            Heading("How often an arm is better, and the test loss"),
            Text(
                "Share of seeds in which the first arm is better, with a 95 % Wilson interval. A "
                "tie counts as half a win. The interval counts ties as losses at its lower end and "
                "as wins at its upper end. The interval of the loss covers the seeds alone."
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
        ("First family: the question about cycling", families[Family.PRIMARY]),
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
    counts = "it" if len(absent) == 1 else "them"
    text = f"{listed(absent)} {verb} not trained. The first family still counts {counts}."
    return [Text(text)]


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
    text += (
        f". The {_chosen(evidence)} were chosen without the test set. Each controlled run is "
        "measured on the test set once, after its last epoch."
    )
    if evidence.stages.data["name"] == READ_BEFORE:
        text += " Earlier trainings of this project used the same test images."
    return text


def _chosen(evidence: Evidence) -> str:
    chosen = "peak rates" if evidence.stages.peak_searches else "bounds"
    return f"{chosen} and the advice" if evidence.stages.advice else chosen


def _errors(evidence: Evidence, losses: _Losses) -> Table:
    measured = ("test error (%)", "test loss", "validation error (%)")
    head = ["arm", *(f"{kind}, mean ± standard deviation over seeds" for kind in measured)]
    head += ["runs", "failed"]
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
    colours = colours_of(evidence)
    drawn = figures.forest(
        {one.title: row(one.estimate, one.differences) for one in compared if one.estimate},
        margin=evidence.report.margin_percent,
        other=others.pop() if len(others) == 1 else None,
        colours={one.title: colours[one.arm] for one in compared},
    )
    return Picture(
        "differences",
        drawn,
        "The difference in test error of each pair of seeds, by comparison. The tables below have "
        "the figures.",
        "Difference between two arms trained with the same seed, the first arm minus the second "
        "arm, and the mean difference. The grey band is the margin: a difference within it does "
        "not matter.",
    )


def _rule(evidence: Evidence) -> list[str]:
    """Word how a verdict is reached."""
    margin = f"±{evidence.report.margin_percent:g} percentage points"
    fixed = "the training set and the split of its images"
    if evidence.of_stages:
        fixed = f"the training set, the split of its images and the {_chosen(evidence)}"
    families = {one.family for one in evidence.of(Quantity.ERROR)}
    levels = ["In each family, the chance of one or more false verdicts is 5 % or less."]
    if families >= _ADJUSTED.keys():
        levels[0] += " Each family has its own 5 %. The advice uses both."
    levels += [text for family, text in _ADJUSTED.items() if family in families]
    return [
        "What is estimated: the mean difference in test error over all seeds and over all images "
        f"of the kind of the test images, with {fixed} held fixed.",
        "The variance of this estimate is s²/n for other seeds plus c/N for other test images. The "
        "interval has both parts. More seeds shrink the first part only.",
        "s is the standard deviation of the differences of n seeds. c is the mean covariance of "
        "the differences of two seeds over the N test images.",
        *levels,
        "p covers other seeds, not other test images. The interval covers both.",
        f"Verdicts are given at {LOOKS[0]} seeds and at every doubling up to {LOOKS[-1]}. Other "
        "numbers of seeds give intervals only.",
        "An arm is better or worse if p does not exceed its level and the interval at the level "
        "does not contain 0. An arm that fails more often than the other arm is never better.",
        f"Arms are equivalent if two one-sided tests show a difference within {margin}. All other "
        "tested comparisons are undecided.",
        "The file docs/evidence.md in the repository of lrcycles explains each step.",
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
        at = digits if ends is None else _beside_zero(ends, digits)
        difference = number(losses[pair].mean, at)
        difference += f" ({span(*ends, at)})" if ends else ""
        chances = [_chance(one.chance), _chance(chance_better(list(by_seed.values())))]
        rows.append([one.title, *chances, difference])
    return Table(head, rows) if rows else None


def _beside_zero(ends: Interval, digits: int) -> int:
    """Count the decimals that show on which side of 0 both ends are."""
    return next(
        (at for at in range(digits, digits + 3) if all(round(end, at) for end in ends)), digits
    )


def _loss_digits(losses: _Losses) -> int:
    """Count the decimals that show the width of the narrowest interval."""
    each = [decimals([one.interval()], otherwise=4) for one in losses.values()]
    return max(max(each, default=4) - 1, 3)


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
            colours=colours_of(evidence),
        ),
        f"The validation error after each epoch by arm, each beside {names[0]}.",
        f"Error on the validation split after each epoch, with {names[0]} in every panel. Lines "
        "are means. Bands reach from the lowest to the highest seed. Dotted lines mark the ends of "
        "cycles.",
    )
