"""Puts the answer on the first screen: one sentence, a few lines, one figure, one table."""

from __future__ import annotations

from statistics import fmean

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.costs import measured_alone
from lrcycles.evidence.estimates import FEWEST
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers, tables, verdicts
from lrcycles.report.figures.answer import Row, errors_and_differences
from lrcycles.report.formatting import counted, mean_sd, number
from lrcycles.report.names import with_noun
from lrcycles.report.section import (
    Block,
    Folded,
    Lead,
    Look,
    Picture,
    Points,
    Section,
    Table,
    Text,
)

_MOST_ROWS = 6  # arms, and comparisons, of the figure
_MOST_IN_TABLE = 4
_LONGEST_TITLE = 42  # letters that leave room for the difference beside them
_METHOD = (
    "Intervals are for other seeds and other test images together. docs/evidence.md has the method."
)


def section(evidence: Evidence) -> Section:
    """Put the answer, its figure and the published figures on the first screen."""
    blocks: list[Block] = [Lead(answers.headlines(evidence))]
    if lines := answers.lines(evidence):
        blocks.append(Points(lines))
    if picture := _picture(evidence):
        blocks.append(picture)
    blocks.append(_published(evidence) or _arms(evidence))
    if compared := answers.asked(evidence):
        table = tables.comparisons(evidence, compared)
        blocks.append(Folded("Both parts of every interval", [table, Text(_METHOD, quiet=True)]))
    return Section("summary", "In short", blocks, Look.BOX)


def _picture(evidence: Evidence) -> Picture | None:
    """Draw every seed of the answer's arms, and their differences."""
    names = answers.shown_arms(evidence)[:_MOST_ROWS]
    rows = [_row(evidence.arms[name], evidence) for name in names if evidence.arms[name].trained]
    if not rows:
        return None
    compared = [one for one in answers.asked(evidence) if one.arm in names and one.differences]
    differences = [
        (_difference(one, evidence), one.estimate)
        for one in compared[:_MOST_ROWS]
        if one.estimate is not None
    ]
    margin = evidence.report.margin_percent
    every = (*rows, *(row for row, _ in differences))
    text = [f"{row.name}: {row.note}" if row.note else row.name for row in every]
    return Picture(
        "answer",
        errors_and_differences(rows, differences, margin=margin),
        f"Test error of every seed, and paired differences. {'; '.join(text)}",
        _caption(margin, differences=bool(differences)),
    )


def _caption(margin: float, *, differences: bool) -> str:
    text = "Each dot is one seed. Top: test errors; a bar marks the mean."
    if differences:
        text += (
            " Bottom: differences of the same seed, with their mean. The thick line is the 95 % "
            "interval for other seeds, the thin line also for other test images. In the grey band, "
            f"within ±{margin:g} points, a difference does not matter."
        )
    return text


def _row(arm: Arm, evidence: Evidence) -> Row:
    name = arm.name if evidence.of_stages is None else with_noun(arm)
    note = f"{_mean(arm)} %"
    if arm.failed:
        note += f", {len(arm.failed)} of {len(arm.cells)} failed"
    return Row(name, note, arm.name, list(arm.values(Quantity.ERROR).values()))


def _difference(one: Comparison, evidence: Evidence) -> Row:
    few = one.estimate is None or one.estimate.n < FEWEST
    note = "" if few else verdicts.with_interval(one, evidence)
    title = f"{one.title}: {one.outcome.value}"
    title = title if len(title) <= _LONGEST_TITLE else one.title
    return Row(title, note, one.arm, list(one.differences.values()))


def _mean(arm: Arm) -> str:
    """Write the mean and standard deviation of the test error; one or two runs have no spread."""
    errors = arm.values(Quantity.ERROR)
    if len(errors) >= FEWEST:
        return mean_sd(errors, count=False)
    return f"{number(fmean(errors.values()))}" if errors else "none trained"


def _published(evidence: Evidence) -> Table | None:
    """Set the published pair beside its replay and beside the controlled pair."""
    replay = [evidence.arms[name] for name in evidence.replay]
    if len(replay) != 2 or not evidence.candidates:
        return None
    pair = [evidence.arms[evidence.baseline], evidence.arms[evidence.candidates[0]]]
    published = [evidence.report.published[arm.name] for arm in replay]
    errors = [
        [number(figure.error_percent), _mean(again), _mean(controlled)]
        for figure, again, controlled in zip(published, replay, pair, strict=True)
    ]
    fits = [measured_alone(evidence, arm, "fit_seconds") for arm in replay]
    measured = [fmean(fit.values()) if fit else None for fit in fits]
    continued = replay[1].settings.continues == replay[0].name
    of_print = [figure.seconds for figure in published]
    steps = [f"{arm.total_steps:,} steps" for arm in pair]
    return Table(
        ["", "published, one run", "repeated here", "controlled here"],
        [
            ["error (%), constant rate", *errors[0]],
            ["error (%), cyclical rate", *errors[1]],
            [
                "time (s) in Keras, constant rate",
                number(of_print[0], 1),
                _after(None, measured[0], continued=False),
                steps[0],
            ],
            [
                "time (s) in Keras, cyclical rate",
                _after(of_print[0], of_print[1], continued=continued),
                _after(*measured, continued=continued),
                steps[1],
            ],
        ],
    )


def _after(first: float | None, second: float | None, *, continued: bool) -> str:
    """Write the seconds of a run, and together with the run that it continues."""
    if second is None:
        return "not measured"
    if first is None or not continued:
        return number(second, 1)
    return f"{number(second, 1)}, with the run before it {number(first + second, 1)}"


def _arms(evidence: Evidence) -> Table:
    """Tabulate the errors of the answer's arms."""
    rows = []
    for name in answers.shown_arms(evidence)[:_MOST_IN_TABLE]:
        arm = evidence.arms[name]
        failed = f"{len(arm.failed)} of {len(arm.cells)}" if arm.failed else "none"
        noun = with_noun(arm) if evidence.of_stages else name
        rows.append([noun, _mean(arm), counted(len(arm.cells), "run"), failed])
    return Table(["arm", "test error (%), mean ± sd", "runs", "failed"], rows)
