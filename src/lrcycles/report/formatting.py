"""How does the report write a figure?"""

from __future__ import annotations

from collections.abc import Mapping

from lrcycles.evidence.arms import Arm, summarise
from lrcycles.evidence.comparisons import ERROR, UNITS, Comparison
from lrcycles.evidence.paired import Interval

UNKNOWN = "\u2013"


def number(value: float | None, digits: int = 2) -> str:
    """A figure for people; what is unknown is a dash, below zero a true minus sign.

    >>> number(0.256)
    '0.26'
    """
    if value is None:
        return UNKNOWN
    return f"{value:.{digits}f}".replace("-", "\u2212")


def rate(value: float | None) -> str:
    """A learning rate: three significant digits, scientific below a ten-thousandth.

    >>> rate(0.0017545), rate(1.0), rate(0.0), rate(2.18e-5)
    ('0.00175', '1', '0', '2.18e-05')
    """
    if value is None:
        return UNKNOWN
    return f"{value:.3g}" if value >= 1e-4 or value == 0 else f"{value:.2e}"


def p_value(p: float | None) -> str:
    if p is None:
        return UNKNOWN
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("= 0.", "= .")


def mean_sd(values: Mapping[int, float], digits: int = 2) -> str:
    """Mean ± standard deviation (n), or what is known of it."""
    found = summarise(values.values())
    if found.mean is None:
        return "none finished"
    spread = "" if found.sd is None else f" ± {number(found.sd, digits)}"
    return f"{number(found.mean, digits)}{spread} (n = {found.n})"


def with_interval(values: Mapping[int, float], digits: int = 2) -> str:
    """Mean, 95 % interval of the mean and n, or what is known of it."""
    found = summarise(values.values())
    if found.mean is None:
        return "none finished"
    between = ""
    if found.low is not None:
        between = f" ({number(found.low, digits)} to {number(found.high, digits)})"
    return f"{number(found.mean, digits)}{between}, n = {found.n}"


def every_seed(values: Mapping[int, float], digits: int = 2) -> str:
    return " ".join(number(value, digits) for _, value in sorted(values.items()))


def interval(comparison: Comparison) -> str:
    """The 95 % interval of a paired difference."""
    if comparison.left_open:
        return "none: runs that never reached the target hide the sign"
    found = comparison.paired.interval95
    return "no interval from one pair" if found is None else ends(comparison, found)


def ends(comparison: Comparison, found: Interval | None) -> str:
    """The two ends of an interval of a paired difference, if there is one."""
    digits = _digits(comparison)
    return UNKNOWN if found is None else " to ".join(number(end, digits) for end in found)


def difference(comparison: Comparison) -> str:
    """The mean of a paired difference, or the range that censored runs leave it."""
    digits, unit = _digits(comparison), UNITS[comparison.quantity]
    if comparison.left_open:
        low, high = (number(end, digits) for end in comparison.left_open)
        return f"between {low} and {high} {unit}"
    mean = comparison.paired.mean
    return f"{bound(comparison, mean)}{number(mean, digits)} {unit}"


def bound(comparison: Comparison, mean: float) -> str:
    """What stands before a mean that runs which never arrived make a limit."""
    if not comparison.limit:
        return ""
    return "at least " if mean > 0 else "at most "


def _digits(comparison: Comparison) -> int:
    return 3 if comparison.quantity == ERROR else 2


def listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def rates_of(arm: Arm) -> str:
    """The rates that an arm's schedule was given, in the order in which it meets them."""
    schedule = arm.settings["schedule"]
    known = [value for value in (schedule["base_lr"], schedule["max_lr"]) if value is not None]
    if len(known) > 1 and arm.rates and abs(arm.rates[0] - known[1]) < abs(arm.rates[0] - known[0]):
        known.reverse()
    return " to ".join(rate(value) for value in known)
