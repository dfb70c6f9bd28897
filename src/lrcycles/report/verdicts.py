"""Words a comparison and its verdict, always with the same rounding."""

from __future__ import annotations

from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.costs import Repayment, repayment
from lrcycles.evidence.paired import FEWEST_PAIRS, MOST_MORE_SEEDS, Interval, Outcome
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import (
    UNKNOWN,
    counted,
    decimals,
    described,
    number,
    p_relation,
    p_value,
    span,
)
from lrcycles.report.section import Tone, VerdictCell

UNITS = {Quantity.ERROR: "percentage points", Quantity.TIME: "s"}
_LEAST_DIGITS = {Quantity.ERROR: 2, Quantity.TIME: 1}
_TONES = {Outcome.BETTER: Tone.GOOD, Outcome.WORSE: Tone.BAD}


def digits_of(quantity: Quantity, evidence: Evidence) -> int:
    """Count the decimals of every figure in one quantity."""
    intervals = [one.paired.interval95 for one in evidence.of(quantity)]
    return max(decimals(intervals, otherwise=2), _LEAST_DIGITS[quantity])


def mean(comparison: Comparison, evidence: Evidence) -> str:
    """Write the mean of a paired difference, or the range that censored runs leave open."""
    digits, middle = digits_of(comparison.quantity, evidence), comparison.paired.mean
    if comparison.possible_means:
        return "between {} and {}".format(*(number(e, digits) for e in comparison.possible_means))
    return f"{_limit(comparison, middle)}{number(middle, digits)}"


def difference(comparison: Comparison, evidence: Evidence) -> str:
    """Write the mean of a paired difference with its unit."""
    return f"{mean(comparison, evidence)} {UNITS[comparison.quantity]}"


def interval(comparison: Comparison, evidence: Evidence) -> str:
    """Write the 95 % interval of a paired difference."""
    if comparison.possible_means:
        return "none: runs that never reached the target hide the sign"
    if comparison.paired.interval95 is None:
        return "no interval from one pair"
    return ends(comparison, comparison.paired.interval95, evidence)


def ends(comparison: Comparison, pair: Interval | None, evidence: Evidence) -> str:
    """Write the two ends of an interval of a paired difference."""
    if pair is None:
        return UNKNOWN
    return span(*pair, digits_of(comparison.quantity, evidence))


def with_interval(comparison: Comparison, evidence: Evidence) -> str:
    """Write a paired difference with its interval, without the unit."""
    return f"{mean(comparison, evidence)} ({interval(comparison, evidence)})"


def bracketed(comparison: Comparison, evidence: Evidence) -> str:
    """Write a paired difference with its unit, and its interval in brackets."""
    known = comparison.paired.interval95 is not None and comparison.possible_means is None
    kind = "95 % interval " if known else ""
    return f"{difference(comparison, evidence)} ({kind}{interval(comparison, evidence)})"


def p_values(comparison: Comparison) -> tuple[str, str]:
    """Write the p value, raw and adjusted; unknown where censored runs hide the sign."""
    if comparison.possible_means:
        return UNKNOWN, UNKNOWN
    return p_value(comparison.paired.p), p_value(comparison.judged.holm_p)


def mark(comparison: Comparison) -> VerdictCell:
    """Give the verdict as a table cell."""
    return VerdictCell(comparison.outcome.value, _TONES.get(comparison.outcome, Tone.NEUTRAL))


def answer(comparison: Comparison, evidence: Evidence) -> VerdictCell:
    """Word the answer without its figures."""
    text = _answer(comparison, evidence, comparison.arm, comparison.against, "the target")
    return VerdictCell(text, mark(comparison).tone)


def sentences(comparison: Comparison, evidence: Evidence) -> str:
    """Word one comparison: the answer first, then its figures, then what would decide it."""
    arm, against, goal = comparison.arm, comparison.against, ""
    if comparison.quantity == Quantity.ERROR:
        arm, against = (described(evidence.arms[name]) for name in (arm, against))
    else:
        goal = target(evidence)
    parts = [_answer(comparison, evidence, arm, against, goal), _figures(comparison, evidence)]
    parts += consequence(comparison, evidence)
    if comparison.quantity == Quantity.TIME:
        parts += _about_time(comparison, evidence)
    return " ".join(parts)


def consequence(comparison: Comparison, evidence: Evidence) -> list[str]:
    """Word what would decide an open comparison, or that a real difference does not matter."""
    if comparison.possible_means:
        return ["Longer training (train.epochs) would narrow the range of possible differences."]
    if comparison.outcome == Outcome.UNDECIDED:
        return [_what_decides(comparison)]
    if comparison.judged.within_margin and comparison.outcome != Outcome.EQUIVALENT:
        margin = f"{evidence.report.margin_percent:g} percentage points"
        return [f"The difference lies within the margin of {margin} and is of no consequence."]
    return []


def _answer(comparison: Comparison, evidence: Evidence, arm: str, against: str, goal: str) -> str:
    if comparison.quantity == Quantity.ERROR:
        margin = f"±{evidence.report.margin_percent:g} percentage points"
        return {
            Outcome.BETTER: f"Error: {arm} makes fewer errors than {against}.",
            Outcome.WORSE: f"Error: {arm} makes more errors than {against}.",
            Outcome.EQUIVALENT: f"Error: {arm} and {against} are equivalent within {margin}.",
            Outcome.UNDECIDED: f"Error: it is undecided whether {arm} or {against} makes fewer "
            "errors.",
        }[comparison.outcome]
    if comparison.outcome == Outcome.BETTER:
        return f"Time: {arm} reaches {goal} sooner than {against}."
    if comparison.outcome == Outcome.WORSE:
        return f"Time: {arm} reaches {goal} later than {against}."
    return f"Time: it is undecided whether {arm} or {against} reaches {goal} sooner."


def target(evidence: Evidence) -> str:
    """Name the error that times are measured to."""
    first = next(iter(evidence.reached))
    percent = number(evidence.target_percent)
    return f"a validation error of {percent} % (the median final error of {first})"


def _figures(comparison: Comparison, evidence: Evidence) -> str:
    pairs = counted(comparison.paired.n, "pair")
    if comparison.possible_means:
        return (
            f"The mean difference lies {difference(comparison, evidence)} ({pairs}): it depends on "
            "how long the runs that never reached the error would have needed."
        )
    figures = [pairs, f"adjusted p {p_relation(comparison.judged.holm_p)}"]
    if comparison.paired.interval95 is not None:
        figures.insert(0, f"95 % interval {interval(comparison, evidence)}")
    return f"The mean difference is {difference(comparison, evidence)} ({', '.join(figures)})."


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
    charge, digits = evidence.range_test_seconds[comparison.arm], digits_of(Quantity.TIME, evidence)
    if charge:
        times = evidence.reached[comparison.arm].values()
        mean = sum(time.seconds for time in times) / len(times)
        least = "at least " if any(time.censored for time in times) else ""
        parts.append(
            f"The mean time of {comparison.arm} is {least}{number(mean, digits)} s, of which the "
            f"range test takes {number(charge, digits)} s."
        )
    repaid = repayment(evidence, comparison)
    return [*parts, _without_the_range_test(comparison, repaid, evidence)] if repaid else parts


def _without_the_range_test(comparison: Comparison, repaid: Repayment, evidence: Evidence) -> str:
    mean, digits = repaid.alone.mean, digits_of(Quantity.TIME, evidence)
    ends = repaid.alone.interval95 or (mean, mean)
    # Without the charge the mean is a limit too.
    text = (
        f"Without the range test the difference is {_limit(comparison, mean)}"
        f"{number(mean, digits)} s (95 % interval {span(*ends, digits)})."
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
