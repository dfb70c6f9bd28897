"""Formats single figures: numbers, learning rates, p values, means with spread or interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lrcycles.evidence.arms import Arm, summarise

UNKNOWN = "\N{EN DASH}"


def number(value: float | None, digits: int = 2) -> str:
    """Write a figure with a true minus sign; an unknown one is a dash.

    >>> number(0.256)
    '0.26'
    """
    if value is None:
        return UNKNOWN
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def rate(value: float | None) -> str:
    """Write a learning rate with three significant digits, below 0.0001 in scientific notation.

    >>> rate(0.0017545), rate(1.0), rate(0.0), rate(2.18e-5)
    ('0.00175', '1', '0', '2.18e-05')
    """
    if value is None:
        return UNKNOWN
    return f"{value:.3g}" if value >= 1e-4 or value == 0 else f"{value:.2e}"


def p_value(p: float | None) -> str:
    """Write a p value with three digits.

    >>> p_value(0.0078125), p_value(1e-5)
    ('0.008', '< 0.001')
    """
    if p is None:
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_relation(p: float) -> str:
    """Write a p value with its sign, for a sentence.

    >>> p_relation(0.0078125), p_relation(1e-5)
    ('= 0.008', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def mean_sd(values: Mapping[int, float], digits: int = 2) -> str:
    """Write mean ± standard deviation (n), or what there is of it."""
    summary = summarise(values.values())
    if summary.mean is None:
        return "none finished"
    spread = "" if summary.sd is None else f" ± {number(summary.sd, digits)}"
    return f"{number(summary.mean, digits)}{spread} (n = {summary.n})"


def with_interval(values: Mapping[int, float], digits: int = 2) -> str:
    """Write the mean, its 95 % interval and n, or what there is of it."""
    summary = summarise(values.values())
    if summary.mean is None:
        return "none finished"
    interval = ""
    if summary.low is not None:
        interval = f" ({number(summary.low, digits)} to {number(summary.high, digits)})"
    return f"{number(summary.mean, digits)}{interval}, n = {summary.n}"


def every_seed(values: Mapping[int, float], digits: int = 2) -> str:
    """Write the values in the order of the seeds."""
    return " ".join(number(value, digits) for _, value in sorted(values.items()))


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
    first = arm.rates[0] if arm.rates else None
    if len(bounds) > 1 and first is not None and abs(first - bounds[1]) < abs(first - bounds[0]):
        bounds.reverse()
    return " to ".join(rate(value) for value in bounds)


def described(arm: Arm) -> str:
    """Write an arm's name with its schedule and rates."""
    schedule = arm.settings.schedule.name
    parts = [part for part in (schedule, rates_of(arm)) if part and part != arm.name]
    return f"{arm.name} ({', '.join(parts)})"


def threads(arms: Sequence[Arm]) -> str:
    """Write how many threads each run had."""
    counts = sorted({arm.settings.threads for arm in arms})
    return f"{' or '.join(map(str, counts))} thread{'' if counts == [1] else 's'}"
