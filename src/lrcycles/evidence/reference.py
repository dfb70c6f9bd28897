"""Compares measured errors with the rows of a paper's table."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from lrcycles.config.schema import Reference
from lrcycles.evidence.arms import Summary, summarise
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.weigh import Evidence


@dataclass(frozen=True)
class ReferenceRow:
    """A row of a paper beside ours; errors and differences in percentage points.

    Attributes:
        ours: None where no run of the arm finished.
        allowed: two combined standard deviations.
        p: of Welch's t test; None where our runs have no spread to speak of.
    """

    arm: str
    paper: Reference
    ours: Summary | None = None
    difference: float | None = None
    allowed: float | None = None
    p: float | None = None

    @property
    def reproduced(self) -> bool | None:
        """Whether the difference lies within two combined standard deviations; None if not run."""
        if self.difference is None or self.allowed is None:
            return None
        return abs(self.difference) <= self.allowed


def reference_rows(evidence: Evidence) -> list[ReferenceRow]:
    """Compare every row of the paper that the report names."""
    return [_row(evidence, name, row) for name, row in evidence.report.reference.items()]


def _row(evidence: Evidence, name: str, paper: Reference) -> ReferenceRow:
    arm = evidence.arms.get(name)
    ours = summarise(arm.values(Quantity.ERROR).values()) if arm else None
    if ours is None or ours.mean is None:
        return ReferenceRow(name, paper)
    # A single run has no spread: the paper's stands in.
    sd = paper.sd_percent if ours.sd is None else ours.sd
    p = None
    if ours.sd is not None:
        printed = (paper.error_percent, paper.sd_percent, paper.runs)
        test = stats.ttest_ind_from_stats(ours.mean, ours.sd, ours.n, *printed, equal_var=False)
        p = float(test.pvalue)
    return ReferenceRow(
        arm=name,
        paper=paper,
        ours=ours,
        difference=ours.mean - paper.error_percent,
        allowed=2 * float((sd**2 + paper.sd_percent**2) ** 0.5),
        p=p,
    )
