"""Checks the tutorial's side claims: windows are equivalent, cycling costs no computation."""

from __future__ import annotations

from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.costs import schedule_costs
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import number
from lrcycles.report.section import Points, Section

TRIANGLE = "triangular"
WINDOWS = ("welch", "hann")  # which the tutorial calls equivalent to the triangle


def section(evidence: Evidence) -> Section | None:
    """Set each claim beside what was measured; None if nothing was."""
    lines = sentences(evidence) if evidence.of_stages else []
    about = "Whether windows are equivalent, and whether cycling costs computation."
    if not lines:
        return None
    return Section("claims", "The tutorial's side claims", [Points(lines)], about=about)


def sentences(evidence: Evidence) -> list[str]:
    """Word the measurements that speak to a claim."""
    windows = [
        one
        for one in evidence.of(Quantity.ERROR)
        if evidence.arms[one.arm].settings.schedule.name in WINDOWS
        and evidence.arms[one.against].settings.schedule.name == TRIANGLE
    ]
    return [*(_window(one, evidence) for one in windows), *_computation(evidence)]


def _window(comparison: Comparison, evidence: Evidence) -> str:
    return (
        f"Window {comparison.arm} against the triangle {comparison.against}: "
        f"{comparison.outcome.value}, {verdicts.with_parts(comparison, evidence)} points."
    )


def _computation(evidence: Evidence) -> list[str]:
    costs = [
        f"{number(one.percent, 1)} % at batch size {one.batch_size:,} (95 % interval "
        f"{number(one.low, 1)} to {number(one.high, 1)} %, {one.pairs} pairs)"
        for one in schedule_costs(evidence)
    ]
    if not costs:
        return []
    return [
        "Additional computation: a triangular schedule changes the time of a step of Keras by "
        f"{' and by '.join(costs)}. Steps with a schedule alternate with steps at a constant rate. "
        "The figure is the median difference of the pairs."
    ]
