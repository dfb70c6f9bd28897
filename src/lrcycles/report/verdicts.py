"""Words a comparison and its verdict, always with the same rounding."""

from __future__ import annotations

from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.costs import Repayment, repayment
from lrcycles.evidence.paired import FEWEST_PAIRS, MOST_MORE_SEEDS, Interval, Outcome
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import UNKNOWN, counted, described, number, p_relation, p_value
from lrcycles.report.section import Tone, VerdictCell

_UNITS = {Quantity.ERROR: "percentage points", Quantity.TIME: "s"}
_DIGITS = {Quantity.ERROR: 3, Quantity.TIME: 2, Quantity.LOSS: 4}
_TONES = {Outcome.BETTER: Tone.GOOD, Outcome.WORSE: Tone.BAD}


def difference(comparison: Comparison) -> str:
    """Write the mean of a paired difference, or the range that censored runs leave open."""
    digits, unit = _DIGITS[comparison.quantity], _UNITS[comparison.quantity]
    if comparison.possible_means:
        low, high = (number(end, digits) for end in comparison.possible_means)
        return f"between {low} and {high} {unit}"
    mean = comparison.paired.mean
    return f"{_limit(comparison, mean)}{number(mean, digits)} {unit}"


def interval(comparison: Comparison) -> str:
    """Write the 95 % interval of a paired difference."""
    if comparison.possible_means:
        return "none: runs that never reached the target hide the sign"
    if comparison.paired.interval95 is None:
        return "no interval from one pair"
    return ends(comparison, comparison.paired.interval95)


def ends(comparison: Comparison, pair: Interval | None) -> str:
    """Write the two ends of an interval of a paired difference."""
    if pair is None:
        return UNKNOWN
    return " to ".join(number(end, _DIGITS[comparison.quantity]) for end in pair)


def with_interval(comparison: Comparison) -> str:
    """Write a paired difference with its interval, without the unit."""
    mean = number(comparison.paired.mean, _DIGITS[comparison.quantity])
    return f"{mean} ({interval(comparison)})"


def bracketed(comparison: Comparison) -> str:
    """Write a paired difference with its unit, and its interval in brackets."""
    if comparison.paired.interval95 is None:
        return f"{difference(comparison)} ({interval(comparison)})"
    return f"{difference(comparison)} (95 % interval {interval(comparison)})"


def p_values(comparison: Comparison) -> tuple[str, str]:
    """Write the p value, raw and adjusted; unknown where censored runs hide the sign."""
    if comparison.possible_means:
        return UNKNOWN, UNKNOWN
    return p_value(comparison.paired.p), p_value(comparison.judged.holm_p)


def mark(comparison: Comparison) -> VerdictCell:
    """Give the verdict as a table cell."""
    return VerdictCell(comparison.outcome.value, _TONES.get(comparison.outcome, Tone.NEUTRAL))


def sentences(comparison: Comparison, evidence: Evidence) -> str:
    """Word one comparison: the answer first, then its figures, then what would decide it."""
    parts = [_answer(comparison, evidence), _figures(comparison)]
    if comparison.possible_means:
        parts.append("Longer training (train.epochs) would narrow this range.")
    elif comparison.outcome == Outcome.UNDECIDED:
        parts.append(_what_decides(comparison))
    elif comparison.judged.within_margin and comparison.outcome != Outcome.EQUIVALENT:
        margin = f"{evidence.report.margin_percent:g} percentage points"
        parts.append(f"The difference lies within the margin of {margin} and is of no consequence.")
    if comparison.quantity == Quantity.TIME:
        parts += _about_time(comparison, evidence)
    return " ".join(parts)


def _answer(comparison: Comparison, evidence: Evidence) -> str:
    if comparison.quantity == Quantity.ERROR:
        arm, against = (described(evidence.arms[n]) for n in (comparison.arm, comparison.against))
        margin = f"±{evidence.report.margin_percent:g} percentage points"
        return {
            Outcome.BETTER: f"Error: {arm} makes fewer errors than {against}.",
            Outcome.WORSE: f"Error: {arm} makes more errors than {against}.",
            Outcome.EQUIVALENT: f"Error: {arm} and {against} are equivalent within {margin}.",
            Outcome.UNDECIDED: f"Error: it is undecided whether {arm} or {against} makes fewer "
            "errors.",
        }[comparison.outcome]
    arm, against = comparison.arm, comparison.against
    charged = ", with the range test included" if evidence.range_test_seconds[arm] else ""
    goal = target(evidence)
    if comparison.outcome == Outcome.BETTER:
        return f"Time: {arm} reaches {goal} sooner than {against}{charged}."
    if comparison.outcome == Outcome.WORSE:
        return f"Time: {arm} reaches {goal} later than {against}{charged}."
    return f"Time: it is undecided whether {arm} or {against} reaches {goal} sooner{charged}."


def target(evidence: Evidence) -> str:
    """Name the error that times are measured to."""
    first = next(iter(evidence.reached))
    percent = number(evidence.target_percent, 3)
    return f"a validation error of {percent} % (the median final error of {first})"


def _figures(comparison: Comparison) -> str:
    pairs = counted(comparison.paired.n, "pair")
    if comparison.possible_means:
        return (
            f"The mean difference lies {difference(comparison)} ({pairs}): it depends on how long "
            "the runs that never reached the error would have needed."
        )
    figures = [pairs, f"adjusted p {p_relation(comparison.judged.holm_p)}"]
    if comparison.paired.interval95 is not None:
        figures.insert(0, f"95 % interval {interval(comparison)}")
    return f"The mean difference is {difference(comparison)} ({', '.join(figures)})."


def _what_decides(comparison: Comparison) -> str:
    more, pairs = comparison.judged.more_seeds, comparison.paired.n
    if pairs < FEWEST_PAIRS:
        least = max(FEWEST_PAIRS - pairs, more or 0)
        return (
            f"Fewer than {FEWEST_PAIRS} pairs decide nothing: at least "
            f"{counted(least, 'more seed')} {'is' if least == 1 else 'are'} needed."
        )
    if more is None:
        return f"Even {MOST_MORE_SEEDS:,} more seeds would not decide it."
    return (
        f"About {counted(more, 'more seed')} would give a verdict (better, worse or equivalent) "
        "with a probability of 80 %, if the difference and its spread stay the same."
    )


def _about_time(comparison: Comparison, evidence: Evidence) -> list[str]:
    """Word which runs never arrived, and what the range test costs."""
    parts = []
    for name in (comparison.against, comparison.arm):
        times = evidence.reached[name].values()
        if censored := sum(time.censored for time in times):
            verb = "reaches" if censored == 1 else "reach"
            parts.append(f"{censored} of {len(times)} runs of {name} never {verb} this error.")
    charge = evidence.range_test_seconds[comparison.arm]
    if charge:
        times = evidence.reached[comparison.arm].values()
        mean = sum(time.seconds for time in times) / len(times)
        least = "at least " if any(time.censored for time in times) else ""
        parts.append(
            f"The mean time of {comparison.arm} is {least}{number(mean)} s, of which the range "
            f"test takes {number(charge)} s."
        )
    repaid = repayment(evidence, comparison)
    return [*parts, _without_the_range_test(comparison, repaid)] if repaid else parts


def _without_the_range_test(comparison: Comparison, repaid: Repayment) -> str:
    mean = repaid.alone.mean
    low, high = repaid.alone.interval95 or (mean, mean)
    # Without the charge the mean is a limit too.
    text = (
        f"Without the range test the difference is {_limit(comparison, mean)}{number(mean)} s "
        f"(95 % interval {number(low)} to {number(high)})."
    )
    if repaid.too_small:
        text += " This is too small to repay the range test."
    if repaid.trainings:
        soonest, latest = repaid.trainings
        after = f"{soonest:,} to {latest:,}" if soonest < latest else f"{latest:,}"
        word = "training" if latest == 1 else "trainings"
        text += f" The range test is repaid after {after} {word} that stop at this error."
    return text


def _limit(comparison: Comparison, mean: float) -> str:
    """Say that runs which never arrived make a mean a limit."""
    if not comparison.is_limit:
        return ""
    return "at least " if mean > 0 else "at most "
