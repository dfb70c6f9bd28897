"""Formats single figures: numbers, learning rates, p values, means with spread or interval.

The uncertainty of the compared means decides the decimals, and it decides them once for all figures
of a quantity: a figure has equal decimals wherever it stands, and a column has one kind.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median

from lrcycles.evidence.arms import Arm, summarise

UNKNOWN = "\N{EN DASH}"
_MOST_DECIMALS = 5


def decimals(intervals: Iterable[tuple[float, float] | None], otherwise: int) -> int:
    """Count the decimals that show two digits of half an interval, of the median one.

    Args:
        otherwise: the decimals where no interval has a width.

    >>> decimals([(1.61, 1.66)], 2), decimals([(-3.1, 1.5)], 2), decimals([None], 2)
    (3, 1, 2)
    """
    halves = [(one[1] - one[0]) / 2 for one in intervals if one is not None]
    halves = [half for half in halves if 10**-_MOST_DECIMALS < half < math.inf]
    if not halves:
        return otherwise
    return min(max(1 - math.floor(math.log10(median(halves))), 0), _MOST_DECIMALS)


def number(value: float | None, digits: int = 2) -> str:
    """Write a figure with a true minus sign; an unknown one is a dash.

    >>> number(0.256), number(1234.5, 1), number(-0.001)
    ('0.26', '1,234.5', '0.00')
    """
    if value is None:
        return UNKNOWN
    text = f"{value:,.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}" if text.strip("-0.,") else "")


def rate(value: float | None) -> str:
    """Write a learning rate with three significant digits, below 0.0001 in scientific notation.

    >>> rate(0.0017545), rate(1.0), rate(0.0), rate(2.18e-5)
    ('0.00175', '1', '0', '2.18e-05')
    """
    if value is None:
        return UNKNOWN
    return f"{value:.3g}" if value >= 1e-4 or value == 0 else f"{value:.2e}"


def p_value(p: float | None) -> str:
    """Write a p value with three decimals, below 0.01 with four.

    >>> p_value(0.0078125), p_value(0.046875), p_value(1e-5)
    ('0.0078', '0.047', '< 0.0001')
    """
    if p is None:
        return UNKNOWN
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def mean_sd(values: Mapping[int, float], digits: int = 2, *, count: bool = True) -> str:
    """Write mean ± standard deviation (n), or what there is of it; n only with `count`."""
    summary = summarise(values.values())
    if summary.mean is None:
        return "none finished"
    spread = "" if summary.sd is None else f" ± {number(summary.sd, digits)}"
    n = f" (n = {summary.n})" if count else ""
    return f"{number(summary.mean, digits)}{spread}{n}"


def median_and_ends(values: Collection[float], digits: int = 1) -> str:
    """Write the median of measured times with the shortest and the longest one.

    A mean would move with a single time that other work on the machine has disturbed.

    >>> median_and_ends([3.0, 2.0, 40.0]), median_and_ends([])
    ('3.0 (2.0 to 40.0)', 'not measured')
    """
    if not values:
        return "not measured"
    text = number(median(values), digits)
    ends = span(min(values), max(values), digits)
    return text if min(values) == max(values) else f"{text} ({ends})"


def with_interval(values: Mapping[int, float], digits: int = 2) -> str:
    """Write the mean and its 95 % interval, or what there is of it."""
    summary = summarise(values.values())
    if summary.mean is None:
        return "none finished"
    text = number(summary.mean, digits)
    return text if summary.low is None else f"{text} ({span(summary.low, summary.high, digits)})"


def span(low: float | None, high: float | None, digits: int = 2) -> str:
    """Write the two ends of an interval; a narrow one has more decimals, so that it has a width.

    >>> span(0.5, 1.25), span(0.501, 0.502)
    ('0.50 to 1.25', '0.501 to 0.502')
    """
    while low != high and digits < _MOST_DECIMALS and number(low, digits) == number(high, digits):
        digits += 1
    return f"{number(low, digits)} to {number(high, digits)}"


def half(width: float, digits: int = 2) -> str:
    """Write half an interval; one that rounds to 0 is under the last decimal.

    >>> half(0.031), half(0.001)
    ('±0.03', 'under ±0.01')
    """
    least = 10**-digits
    return f"±{number(width, digits)}" if width >= least / 2 else f"under ±{least:.{digits}f}"


def listed(words: Sequence[str]) -> str:
    """Join words with commas and a last "and".

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def counted(count: int, word: str) -> str:
    """Write a count with its noun.

    >>> counted(1, "seed"), counted(1200, "step")
    ('1 seed', '1,200 steps')
    """
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def rates_of(arm: Arm) -> str:
    """Write the bounds of an arm's schedule in the order in which the arm meets them."""
    schedule = arm.settings.schedule
    bounds = [value for value in (schedule.base_lr, schedule.max_lr) if value is not None]
    rates = arm.rates[arm.warmup_steps :] or arm.rates
    first = rates[0] if rates else None
    if len(bounds) > 1 and first is not None and abs(first - bounds[1]) < abs(first - bounds[0]):
        bounds.reverse()
    return " to ".join(rate(value) for value in bounds)


def threads(arms: Sequence[Arm]) -> str:
    """Write how many threads each run had."""
    counts = sorted({arm.settings.threads for arm in arms})
    return f"{' or '.join(map(str, counts))} thread{'' if counts == [1] else 's'}"
