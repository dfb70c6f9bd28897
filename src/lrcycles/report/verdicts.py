"""Words a comparison and its verdict, always with the same rounding."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.families import LOOKS, Outcome, Reason, next_look
from lrcycles.evidence.paired import FEWEST, Estimate
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import (
    UNKNOWN,
    counted,
    decimals,
    half,
    listed,
    number,
    p_value,
    span,
)
from lrcycles.report.section import Tone, VerdictCell

UNITS = {
    Quantity.ERROR: "percentage points",
    Quantity.LOSS: "cross-entropy",
    Quantity.TIME: "epochs",
}
_LEAST_DIGITS = {Quantity.ERROR: 2, Quantity.LOSS: 3, Quantity.TIME: 1}
_TONES = {Outcome.BETTER: Tone.GOOD, Outcome.WORSE: Tone.BAD}


def digits_of(quantity: Quantity, evidence: Evidence) -> int:
    """Count the decimals of every figure in one quantity: those of half an interval."""
    estimates = [one.estimate for one in evidence.of(quantity) if one.estimate is not None]
    intervals = [one.interval() for one in estimates]
    return max(decimals(intervals, otherwise=2) - 1, _LEAST_DIGITS[quantity])


def mean(comparison: Comparison, evidence: Evidence) -> str:
    """Write the mean of a paired difference; one or two pairs have none."""
    found = comparison.estimate
    if found is None or found.n < FEWEST:
        return UNKNOWN
    return number(found.mean, digits_of(comparison.quantity, evidence))


def interval(comparison: Comparison, evidence: Evidence) -> str:
    """Write the 95 % interval of a paired difference, for seeds and test images together."""
    return _interval_of(comparison.estimate, digits_of(comparison.quantity, evidence))


def level_interval(comparison: Comparison, evidence: Evidence) -> str:
    """Write the interval that must not contain 0; a dash where nothing is tested."""
    found, alone = comparison.estimate, comparison.verdict.alone
    if found is None or alone is None or (ends := found.interval(1 - alone)) is None:
        return UNKNOWN
    return span(*ends, digits_of(comparison.quantity, evidence))


def halves(comparison: Comparison, evidence: Evidence) -> tuple[str, str]:
    """Write what seeds and what test images add to the 95 % interval, for two columns."""
    if comparison.estimate is None:
        return UNKNOWN, UNKNOWN
    return _halves(comparison.estimate, digits_of(comparison.quantity, evidence))


def with_interval(comparison: Comparison, evidence: Evidence) -> str:
    """Write a paired difference with its interval, without the unit."""
    return f"{mean(comparison, evidence)} ({interval(comparison, evidence)})"


def with_parts(comparison: Comparison, evidence: Evidence) -> str:
    """Write a paired difference with its interval and the two parts of the interval."""
    if comparison.estimate is None:
        return "no pair trained"
    digits = digits_of(comparison.quantity, evidence)
    return estimated(comparison.estimate, digits, images=comparison.quantity == Quantity.ERROR)


def estimated(found: Estimate, digits: int, *, images: bool = True) -> str:
    """Write an estimate with its interval and the two parts of the interval.

    Args:
        images: whether the quantity depends on the test images.
    """
    if found.interval() is None:
        middle = "" if found.n < FEWEST else f"{number(found.mean, digits)} "
        return f"{middle}({_interval_of(found, digits)})"
    parts = _parts_of(found, digits, images=images)
    return f"{number(found.mean, digits)} ({_interval_of(found, digits)}; {parts})"


def _interval_of(found: Estimate | None, digits: int) -> str:
    """Write the 95 % interval of an estimate, or why there is none."""
    if found is None:
        return UNKNOWN
    if found.n < FEWEST:
        return f"no interval from {counted(found.n, 'pair')}"
    ends = found.interval()
    return "no interval: all pairs are equal" if ends is None else span(*ends, digits)


def _parts_of(found: Estimate, digits: int, *, images: bool = True) -> str:
    """Write what seeds and what test images add to the 95 % interval of an estimate."""
    if found.n < FEWEST:
        return UNKNOWN
    of_seeds, of_images = _halves(found, digits)
    seeds = f"{of_seeds} from seeds"
    return f"{seeds}, {of_images} from test images" if images else seeds


def _halves(found: Estimate, digits: int) -> tuple[str, str]:
    if found.n < FEWEST:
        return UNKNOWN, UNKNOWN
    of_seeds, of_images = found.halves()
    seeds = "0" if of_seeds is None else half(of_seeds, digits)
    if found.images_variance is None:
        return seeds, "unknown"
    return seeds, "about 0" if of_images is None else half(of_images, digits)


def p_values(comparison: Comparison) -> tuple[str, str]:
    """Write the p value and the level that it must not exceed.

    The first family divides the level (Holm). The other families adjust p (max-T).
    """
    verdict = comparison.verdict
    level = UNKNOWN if verdict.level is None else f"{verdict.level:g}"
    return p_value(verdict.adjusted_p), level


def reason(comparison: Comparison) -> str:
    """Write why a comparison is open; empty for one that is decided or equivalent."""
    looks = listed([str(look) for look in LOOKS])
    return {
        Reason.NONE: "",
        Reason.NO_FAMILY: "only an interval was asked for",
        Reason.SEEDS: f"the number of seeds is none of {looks}",
        Reason.IMAGES_UNKNOWN: "the wrong test images are not known",
        Reason.SAME: "both arms are the same trainings",
        Reason.EMPTY: "no pair differs",
        Reason.CHANCE: "p is above the level",
        Reason.INTERVAL: "the interval at the level contains 0",
        Reason.FAILS_MORE: "the arm with fewer errors fails more often",
    }[comparison.verdict.reason]


def mark(comparison: Comparison) -> VerdictCell:
    """Give the verdict as a table cell."""
    return VerdictCell(comparison.outcome.value, _TONES.get(comparison.outcome, Tone.NEUTRAL))


def sentence(
    comparison: Comparison, evidence: Evidence, arm: str | None = None, against: str | None = None
) -> str:
    """Word one comparison: the answer, the difference with its interval, and why it is open.

    Args:
        arm: how the arm is called, if not by its name; `against` likewise.
    """
    answer = _answer(comparison, arm or comparison.arm, against or comparison.against)
    if comparison.outcome == Outcome.NOT_COMPARABLE:
        return f"{answer}."
    figures = _figures(comparison, evidence)
    text = f"{answer}: {figures}." if figures else f"{answer}."
    return f"{text} {_why(comparison)}".strip()


def _answer(comparison: Comparison, arm: str, against: str) -> str:
    outcome, reason = comparison.outcome, comparison.verdict.reason
    if outcome == Outcome.NOT_COMPARABLE:
        if reason == Reason.SAME:
            return f"{arm} and {against} are the same trainings, so nothing is compared"
        return f"Nothing can decide between {arm} and {against}: no pair differs in its errors"
    if outcome == Outcome.EQUIVALENT:
        return f"{arm} and {against} are level within the margin"
    if outcome == Outcome.UNDECIDED:
        leans = _leans(comparison)
        if not leans:
            return f"Undecided between {arm} and {against}"
        return f"It is undecided whether {arm} {leans} {against}"
    if outcome == Outcome.NO_VERDICT:
        return f"{arm} against {against}, without a verdict"
    size = ", by less than matters"
    slight = outcome in (Outcome.SLIGHTLY_BETTER, Outcome.SLIGHTLY_WORSE)
    return f"{arm} {does(comparison)} {against}{size if slight else ''}"


def _leans(comparison: Comparison) -> str:
    """Word the sign of a difference that is not decided; empty where there is none."""
    found = comparison.estimate
    if found is None or found.n < FEWEST or found.mean == 0 or any(comparison.failed):
        return ""
    size = "fewer" if found.mean < 0 else "more"
    if comparison.quantity == Quantity.TIME:
        return f"needs {size} epochs than"
    return f"makes {size} errors than"


def does(comparison: Comparison) -> str:
    """Word a decided comparison; failures decide it where the errors point the other way."""
    better = comparison.outcome.is_better
    own, other = comparison.failed
    if comparison.quantity == Quantity.TIME:
        return "needs fewer epochs than" if better else "needs more epochs than"
    often = f"fails {'less' if better else 'more'} often than"
    found = comparison.estimate
    if found is None or found.n < FEWEST or found.mean == 0 or (found.mean < 0) != better:
        return often
    fewer = f"makes {'fewer' if better else 'more'} errors than"
    return fewer if own == other else f"{fewer.removesuffix(' than')} and {often}"


def _figures(comparison: Comparison, evidence: Evidence) -> str:
    found = comparison.estimate
    if found is None:
        return (
            "" if comparison.outcome.is_better or comparison.outcome.is_worse else "no pair trained"
        )
    if found.n < FEWEST:
        return f"{counted(found.n, 'pair')} of runs cannot show a difference"
    unit = UNITS[comparison.quantity].removeprefix("percentage ")
    digits = digits_of(comparison.quantity, evidence)
    return f"{number(found.mean, digits)} {unit} ({_interval_of(found, digits)})"


def _why(comparison: Comparison) -> str:
    """Word why a comparison is not decided; empty for one that is, or that is not tested."""
    own, other = comparison.failed
    fails = f"{comparison.arm if own > other else comparison.against} fails more often"
    chance = "Chance can still explain the difference."
    if own != other:
        chance = f"{fails}, and a failed run counts as the worst."
    open_interval = "The seeds agree on the sign, but not on the size."
    if _images_prevail(comparison):
        open_interval = "Other seeds repeat the difference, but other test images may not."
    return {
        Reason.IMAGES_UNKNOWN: "The results do not hold the mistakes on the same test images.",
        Reason.CHANCE: chance,
        Reason.INTERVAL: open_interval,
        Reason.FAILS_MORE: f"{fails}.",
    }.get(comparison.verdict.reason, "")


def advice(comparison: Comparison) -> str:
    """Word what would decide an open comparison; empty where more seeds are no help."""
    reason = comparison.verdict.reason
    if reason == Reason.IMAGES_UNKNOWN:
        return "Train again on the same data, so that every run keeps its mistakes."
    if reason not in (Reason.SEEDS, Reason.CHANCE, Reason.INTERVAL):
        return ""
    if reason != Reason.SEEDS and _images_prevail(comparison):
        return "Only more test images could settle this."
    look = next_look(comparison.seeds)
    if reason == Reason.SEEDS and look is not None:
        return (
            "Verdicts are made at fixed numbers of seeds only. The next one is at "
            f"{look} seeds: set train.seeds={look}."
        )
    if look is None:
        return f"There is no further verdict after {LOOKS[-1]} seeds."
    return f"The next verdict is at {look} seeds: set train.seeds={look}."


def _images_prevail(comparison: Comparison) -> bool:
    """Whether the test images are the larger part of the interval, so that seeds cannot help."""
    if comparison.estimate is None or any(comparison.failed):
        return False
    of_seeds, of_images = comparison.estimate.halves()
    return of_images is not None and of_images > (of_seeds or 0.0)


def robust(compared: Sequence[Comparison], evidence: Evidence) -> list[str]:
    """Word that a few runs carry a mean, where median or Hodges-Lehmann's estimate differ."""
    carried = [
        one
        for one in compared
        if one.robust_disagrees and one.estimate is not None and one.estimate.n >= FEWEST
    ]
    if len(carried) > 1:
        return [f"A few extreme runs move the means of {listed([one.title for one in carried])}."]
    return [
        f"A few extreme runs move the mean of {one.title}: the median is "
        f"{number(one.estimate.median, digits_of(one.quantity, evidence))} points."
        for one in carried
        if one.estimate is not None
    ]
