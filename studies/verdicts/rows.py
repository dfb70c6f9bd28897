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


class Rule(StrEnum):
    """How a measured share has to stand to the promised one."""

    EQUAL = "equal"
    AT_MOST = "at most"
    NONE = "none"  # shown, not promised


@dataclass(frozen=True)
class Row:
    """A share of repeats, in percent, with its 99 % Clopper-Pearson interval.

    Attributes:
        case: what was repeated.
        counted: what was counted in it.
        promised: the share that holds if the method is right; None where nothing is promised.
        narrow: the half-width of the interval, in points, above which it proves nothing.
    """

    goal: Goal
    case: str
    counted: str
    repeats: int
    percent: float
    low: float
    high: float
    rule: Rule
    promised: float | None = None
    narrow: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the promise holds and the interval is narrow; None without a promise."""
        if self.promised is None or self.narrow is None:
            return None
        above = self.rule == Rule.AT_MOST or self.high >= self.promised
        return self.low <= self.promised and above and (self.high - self.low) / 2 <= self.narrow

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
    equal: float | None = None,
    narrow: float | None = None,
) -> Row:
    """Make a row; without `narrow`, 0.3 of a promised error rate, or 1.5 points.

    Args:
        times: in how many of the repeats it happened.
        at_most: the percentage that must not be exceeded.
        equal: the percentage that has to be met.
    """
    interval = stats.binomtest(int(times), repeats).proportion_ci(0.99, method="exact")
    promised = equal if at_most is None else at_most
    rule = Rule.NONE if promised is None else Rule.EQUAL if at_most is None else Rule.AT_MOST
    if narrow is None and promised is not None:
        narrow = 1.5 if rule == Rule.EQUAL else max(0.3 * promised, 0.3)
    return Row(
        goal,
        case,
        counted,
        repeats,
        100 * times / repeats,
        100 * float(interval.low),
        100 * float(interval.high),
        rule,
        promised,
        narrow,
    )
