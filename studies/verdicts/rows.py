"""Counts how often something happens, and holds it against the share that is promised."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from scipy import stats


class Goal(StrEnum):
    """What a row shows; the value is the heading of its table."""

    LOOKS = "Looks"
    IMAGES = "Test images"
    COVERAGE = "Intervals"
    FAMILIES = "Families"
    FAILURES = "Failures"
    EQUIVALENT = "Equivalence"
    COMPARE = "`lrcycles compare`"
    TIME = "Time"
    POWER = "Power"
    REAL = "Real trainings"


@dataclass(frozen=True)
class Row:
    """A share of repeats, in percent, with its 99 % Clopper-Pearson interval.

    Attributes:
        case: what was repeated.
        counted: what was counted in it.
        at_most: the share that must not be exceeded; None where nothing is promised.
        narrow: the half-width of the interval, in points, above which it proves nothing.
    """

    goal: Goal
    case: str
    counted: str
    repeats: int
    percent: float
    low: float
    high: float
    at_most: float | None = None
    narrow: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the promise holds and the interval is narrow; None without a promise."""
        if self.at_most is None or self.narrow is None:
            return None
        return self.low <= self.at_most and (self.high - self.low) / 2 <= self.narrow

    def to_dict(self) -> dict[str, Any]:
        """Give what results.json holds."""
        return {**asdict(self), "met": self.met}


def count(
    goal: Goal,
    case: str,
    counted: str,
    times: int,
    repeats: int,
    *,
    at_most: float | None = None,
    narrow: float | None = None,
) -> Row:
    """Make a row; without `narrow` 0.4 of the share that must not be exceeded.

    Args:
        times: in how many of the repeats it happened.
        at_most: in percent.
    """
    low, high = stats.binomtest(int(times), repeats).proportion_ci(0.99, method="exact")
    if narrow is None and at_most is not None:
        narrow = max(0.4 * at_most, 0.3)
    percent = 100 * times / repeats
    return Row(
        goal, case, counted, repeats, percent, 100 * float(low), 100 * float(high), at_most, narrow
    )
