"""Compares schedules that were trained at several lengths, each at its own best peak rate."""

from __future__ import annotations

from math import isclose

from lrcycles.evidence.answer import Question, question
from lrcycles.evidence.arms import summarise
from lrcycles.evidence.budgets import PeakSearch, Plan, Reaching
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.figures.comparisons import Ends, errors_over_peaks
from lrcycles.report.formatting import (
    UNKNOWN,
    counted,
    listed,
    number,
    rate,
    with_interval,
)
from lrcycles.report.section import Block, Cell, Heading, Picture, Section, Table, Text

_MOST_NAMED = 4  # arms in a sentence


def section(evidence: Evidence) -> Section | None:
    """Show errors by length and schedule; None where no schedule has several lengths or peaks."""
    searches = evidence.stages.peak_searches if evidence.of_stages else {}
    if not evidence.plans and not searches:
        return None
    blocks: list[Block] = []
    if evidence.plans:
        blocks += [_errors(evidence, searches), *_target(evidence)]
    if searches:
        blocks += _peaks(evidence)
    about = "The test error of each schedule at each length, and at which peak rate."
    title = "Several lengths" if evidence.plans else "Peak rates"
    if evidence.plans and searches:
        title += ", each schedule at its own peak rate"
    return Section("budgets", title, blocks, about=about)


def _errors(evidence: Evidence, searches: dict[str, PeakSearch]) -> Table:
    lengths = sorted({epochs for plan in evidence.plans for epochs in plan.arms})
    head = ["test error (%), 95 % interval over seeds"]
    head += [counted(epochs, "epoch") for epochs in lengths]
    rows = [
        [plan.name, *(_error(evidence, plan, epochs, searches) for epochs in lengths)]
        for plan in evidence.plans
    ]
    return Table(head, rows)


def _error(evidence: Evidence, plan: Plan, epochs: int, searches: dict[str, PeakSearch]) -> str:
    arm = plan.arms.get(epochs)
    if arm is None:
        return UNKNOWN
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    parts = [with_interval(arm.values(Quantity.ERROR), digits)]
    if arm.name in searches:
        parts.append(f"peak {rate(searches[arm.name].peak)}")
    if arm.failed:
        parts.append(f"{len(arm.failed)} of {counted(len(arm.cells), 'run')} failed")
    return ", ".join(parts)


def _target(evidence: Evidence) -> list[Block]:
    """Show the shortest length whose end meets the target, by schedule."""
    target = evidence.report.target_percent
    if target is None:
        return []
    lengths = sorted({epochs for plan in evidence.plans for epochs in plan.arms})
    head = [f"runs that end at {number(target)} % or less"]
    head += [counted(epochs, "epoch") for epochs in lengths]
    head += ["runs that reach it at any length", "shortest length, median (epochs)"]
    rows = [_reached(one, lengths) for one in evidence.reaching]
    blocks: list[Block] = [Heading("The shortest training to the target"), Table(head, rows)]
    if compared := evidence.of(Quantity.TIME):
        blocks.append(_comparisons(compared))
        blocks.append(
            Text("In the test, a run that never arrives ranks as the slowest.", quiet=True)
        )
    return blocks


def _reached(one: Reaching, lengths: list[int]) -> list[str]:
    by_length = [one.by_epochs.get(epochs) for epochs in lengths]
    counts = [UNKNOWN if count is None else f"{count} of {one.seeds}" for count in by_length]
    if one.median_epochs is None:
        half = "never" if not one.reached else "half of the runs or fewer arrive"
        return [one.plan, *counts, f"{one.reached} of {one.seeds}", half]
    return [one.plan, *counts, f"{one.reached} of {one.seeds}", f"{one.median_epochs:g}"]


def _comparisons(compared: list[Comparison]) -> Table:
    reasons = [verdicts.reason(one) for one in compared]
    head = ["comparison", "seeds", "difference in epochs (95 % interval)", "adjusted p (max-T)"]
    head += ["level", "verdict", *(["why it is open"] if any(reasons) else [])]
    rows: list[list[Cell]] = []
    for one, reason in zip(compared, reasons, strict=True):
        # Only some of the runs would have a difference, and these are no fair choice.
        difference = "unknown: some runs never arrive"
        if one.estimate is not None and not any(one.failed):
            difference = verdicts.estimated(one.estimate, 1, images=False)
        p_values = verdicts.p_values(one)
        rows.append([one.title, str(one.seeds), difference, *p_values, verdicts.mark(one)])
        rows[-1] += [reason or UNKNOWN] if any(reasons) else []
    return Table(head, rows)


def _peaks(evidence: Evidence) -> list[Block]:
    """Show how the error depends on the peak rate, and how wide the good peaks are."""
    by_length = _by_length(evidence)
    if question(evidence) == Question.BUDGETS:  # the first screen has the curves
        return [Heading("The chosen peak rates"), _widths(by_length)]
    return [Heading("The error at each peak rate"), curves(evidence), _widths(by_length)]


def _by_length(evidence: Evidence) -> dict[int, dict[str, PeakSearch]]:
    """Group the searches by length and schedule."""
    by_length: dict[int, dict[str, PeakSearch]] = {}
    for name, search in evidence.stages.peak_searches.items():
        settings = evidence.arms[name].settings
        # Two arms may share schedule and length.
        of_length = by_length.setdefault(settings.epochs, {})
        taken = settings.schedule.name in of_length
        of_length[name if taken else settings.schedule.name] = search
    return dict(sorted(by_length.items()))


def at_ends(evidence: Evidence) -> list[str]:
    """Warn of peak rates whose better neighbour may not have been tried."""
    searches = evidence.of_stages.peak_searches if evidence.of_stages else {}
    ends = [name for name, search in searches.items() if search.at_end]
    if not ends:
        return []
    which = listed(ends)
    if len(ends) > _MOST_NAMED:
        which = f"{len(ends)} of {counted(len(searches), 'arm')}"
    verb = "has its" if len(ends) == 1 else "have their"
    return [
        f"{which} {verb} best peak at an end of the rates that were tried, so a better one may lie "
        "beyond. Set train.peaks to try more."
    ]


def curves(evidence: Evidence) -> Picture:
    """Draw the validation error over the peak rate."""
    by_length = _by_length(evidence)

    def ends(search: PeakSearch, peak: float) -> Ends:
        summary = summarise(search.errors.get(peak, []))
        # A training that diverged counts in the mean, which then has no interval.
        whole = summary.mean is not None and isclose(summary.mean, search.means[peak])
        return (search.means[peak], *((summary.low, summary.high) if whole else (None, None)))

    drawn = errors_over_peaks(
        {
            epochs: {
                name: {peak: ends(search, peak) for peak in search.means}
                for name, search in of_length.items()
            }
            for epochs, of_length in by_length.items()
        },
        chosen={
            epochs: {name: search.peak for name, search in of_length.items()}
            for epochs, of_length in by_length.items()
        },
    )
    return Picture(
        "peaks",
        drawn,
        "Validation error over the peak learning rate, a curve per schedule and a panel per "
        "length. A table of this section has the chosen peaks.",
        "Mean validation error of the trainings that chose the peaks, with 95 % interval over "
        "their seeds. Points are moved sideways a little, so that they do not hide each other. A "
        "training that diverged counts as 100 %.",
    )


def _widths(by_length: dict[int, dict[str, PeakSearch]]) -> Table:
    """Tabulate each chosen peak, and how far it may be off before the error grows by a tenth."""
    names = list(dict.fromkeys(name for of_length in by_length.values() for name in of_length))
    head = ["chosen peak; peaks with an error up to 10 % larger, interpolated (their ratio)"]
    head += [counted(epochs, "epoch") for epochs in by_length]
    rows = [[name, *(_width(of.get(name)) for of in by_length.values())] for name in names]
    return Table(head, rows)


def _width(search: PeakSearch | None) -> str:
    if search is None:
        return UNKNOWN
    low, high = search.good_peaks()
    return f"{rate(search.peak)}; {rate(low)} to {rate(high)} ({high / low:.2g} times)"
