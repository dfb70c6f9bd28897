"""Compares measured errors with the rows of a paper's table."""

from __future__ import annotations

from dataclasses import dataclass

from lrcycles.config.schema import Reference
from lrcycles.evidence.arms import Summary, summarise
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.paired import FEWEST, Interval, half_width
from lrcycles.evidence.weigh import Evidence


@dataclass(frozen=True)
class ReferenceRow:
    """A row of a paper beside ours; errors and differences in percentage points.

    Attributes:
        ours: None where no run of the arm trained.
        interval: 95 % interval of the difference of the means (Welch), over the runs of both. The
            test images are the same, and their part is not known without the paper's runs.
    """

    arm: str
    paper: Reference
    ours: Summary | None = None
    difference: float | None = None
    interval: Interval | None = None

    @property
    def differs(self) -> bool | None:
        """Whether the interval excludes 0; None without an interval."""
        return None if self.interval is None else not self.interval[0] <= 0 <= self.interval[1]


def reference_rows(evidence: Evidence) -> list[ReferenceRow]:
    """Compare every row of the paper that the report names."""
    return [_row(evidence, name, row) for name, row in evidence.report.reference.items()]


def _row(evidence: Evidence, name: str, paper: Reference) -> ReferenceRow:
    arm = evidence.arms.get(name)
    ours = summarise(arm.values(Quantity.ERROR).values()) if arm else None
    if ours is None or ours.mean is None:
        return ReferenceRow(name, paper)
    difference = ours.mean - paper.error_percent
    row = ReferenceRow(name, paper, ours, difference)
    if ours.sd is None or min(ours.n, paper.runs) < FEWEST or not ours.sd + paper.sd_percent:
        return row
    parts = [(sd**2 / n, n - 1) for sd, n in ((ours.sd, ours.n), (paper.sd_percent, paper.runs))]
    half = half_width(0.95, parts)
    return ReferenceRow(name, paper, ours, difference, (difference - half, difference + half))
