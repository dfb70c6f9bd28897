"""Answers which arm to use, or which of two results is better."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.costs import measured_alone
from lrcycles.evidence.paired import FEWEST, Estimate
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers, tables, verdicts
from lrcycles.report.figures.answer import Row, errors_and_differences
from lrcycles.report.formatting import counted, mean_sd, number
from lrcycles.report.section import Block, Picture, Screen, Table, Text

_MOST_ROWS = 7  # arms, and comparisons, of the figure
_MOST_IN_TABLE = 4
_LONGEST_TITLE = 42  # letters that leave room for the difference beside them
_METHOD = (
    "Intervals are for other seeds and other test images together. docs/evidence.md has the method."
)

_NO_TEST = (
    "The published pair does not test cycling: its second run completes no cycle, continues the "
    "first run, and has another batch size. The fair comparison changes the schedule alone."
)


def screen(evidence: Evidence) -> Screen:
    """Say what to use, with the published figures where they are repeated."""
    published = _published(evidence)
    return Screen(
        answers.headlines(evidence),
        answers.lines(evidence),
        [
            picture_of(evidence, answers.shown_arms(evidence), answers.shown(evidence)),
            published or table_of(evidence, answers.shown_arms(evidence)),
            Text(_NO_TEST, quiet=True) if published else None,
        ],
        parts_of(evidence, answers.asked(evidence)),
    )


def parts_of(evidence: Evidence, compared: Sequence[Comparison]) -> list[Block]:
    """Tabulate both parts of every interval of some comparisons."""
    return [tables.comparisons(evidence, compared), Text(_METHOD, quiet=True)] if compared else []


def picture_of(
    evidence: Evidence,
    arms: Sequence[str],
    compared: Sequence[Comparison],
    *,
    errors: bool = True,
) -> Picture | None:
    """Draw every seed of some arms, and the differences of some of their comparisons.

    Args:
        errors: draw the errors too.
    """
    names = [name for name in arms if evidence.arms[name].trained]
    names = names[:_MOST_ROWS] if errors else names
    rows = [row_of(evidence.arms[name], evidence) for name in names] if errors else []
    differences = [
        (_difference(one, evidence), one.estimate)
        for one in compared
        if one.arm in names and one.estimate is not None and one.differences
    ]
    return draw(rows, differences[:_MOST_ROWS], evidence.report.margin_percent)


def draw(
    rows: Sequence[Row],
    differences: Sequence[tuple[Row, Estimate]],
    margin: float,
    between: str = "between two arms trained with the same seed",
) -> Picture | None:
    """Draw rows of errors and of differences; None where there is neither.

    Args:
        between: what differs, for the caption.
    """
    every = (*rows, *(row for row, _ in differences))
    if not every:
        return None
    text = [f"{row.name}: {row.note}" if row.note else row.name for row in every]
    return Picture(
        "answer",
        errors_and_differences(rows, differences, margin=margin),
        f"Test error of every seed, and paired differences. {'; '.join(text)}",
        _caption(margin, between, errors=bool(rows), differences=bool(differences)),
    )


def _caption(margin: float, between: str, *, errors: bool, differences: bool) -> str:
    text = "Each dot is one seed."
    if errors:
        text += " Top: test errors; a bar marks the mean, and ± is the standard deviation."
    if differences:
        text += (
            f"{' Bottom: d' if errors else ' D'}ifferences {between}, and in brackets the 95 % "
            "interval of their mean, for other seeds and other test images: the black line. Its "
            "white marks are the interval for other seeds alone. The experiment calls a "
            f"difference within ±{margin:g} points, the grey band, too small to matter."
        )
    return text


def row_of(arm: Arm, evidence: Evidence) -> Row:
    """Give what the figure shows of an arm."""
    name = answers.called(arm.name, evidence)
    note = f"{mean_of(arm)} %"
    if arm.failed:
        note += f", {len(arm.failed)} of {len(arm.cells)} failed"
    return Row(name, note, arm.name, list(arm.values(Quantity.ERROR).values()))


def _difference(one: Comparison, evidence: Evidence) -> Row:
    few = one.estimate is None or one.estimate.n < FEWEST
    note = "" if few else verdicts.with_interval(one, evidence)
    title = f"{one.title}: {one.outcome.value}"
    title = title if len(title) <= _LONGEST_TITLE else one.title
    return Row(title, note, one.arm, list(one.differences.values()))


def mean_of(arm: Arm) -> str:
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
        [number(figure.error_percent), mean_of(again), mean_of(controlled)]
        for figure, again, controlled in zip(published, replay, pair, strict=True)
    ]
    fits = [measured_alone(evidence, arm, "fit_seconds") for arm in replay]
    measured = [median(fit.values()) if fit else None for fit in fits]
    continued = replay[1].settings.continues == replay[0].name
    of_print = [figure.seconds for figure in published]
    steps = [f"not timed ({counted(arm.total_steps, 'step')})" for arm in pair]
    return Table(
        ["", "published, one run", "repeated here", "fair comparison here"],
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
    return f"{number(first + second, 1)} in all, {number(second, 1)} of it in the second run"


def table_of(evidence: Evidence, names: Sequence[str]) -> Table:
    """Tabulate the errors of some arms."""
    rows = []
    for name in names[:_MOST_IN_TABLE]:
        arm = evidence.arms[name]
        failed = f"{len(arm.failed)} of {len(arm.cells)}" if arm.failed else "none"
        rows.append(
            [answers.called(name, evidence), mean_of(arm), counted(len(arm.cells), "run"), failed]
        )
    return Table(["arm", "test error (%), mean ± sd", "runs", "failed"], rows)
