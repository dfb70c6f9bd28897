"""How is the evidence put into words? Every figure in a sentence is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrcycles.arms import Arm, summarise, wilson_percent
from lrcycles.compare import FEWEST_PAIRS
from lrcycles.evidence import ERROR, TIME, UNITS, Comparison, Evidence

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
    """A learning rate: three significant digits, never scientific above a millionth.

    >>> rate(0.0017545), rate(1.0)
    ('0.00175', '1')
    """
    if value is None:
        return UNKNOWN
    return f"{value:.3g}" if value >= 1e-4 else f"{value:.2e}"


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


def every_seed(values: Mapping[int, float], digits: int = 2) -> str:
    return " ".join(number(value, digits) for _, value in sorted(values.items()))


def interval(comparison: Comparison) -> str:
    """The 95 % interval of a paired difference."""
    ends = comparison.paired.interval95
    digits = _digits(comparison)
    if comparison.left_open:
        return "none: runs that never reached the target hide the sign"
    if ends is None:
        return "no interval from one pair"
    return f"{number(ends[0], digits)} to {number(ends[1], digits)}"


def difference(comparison: Comparison) -> str:
    """The mean of a paired difference, or the range that censored runs leave it."""
    digits, unit = _digits(comparison), UNITS[comparison.quantity]
    if comparison.left_open:
        low, high = (number(end, digits) for end in comparison.left_open)
        return f"between {low} and {high} {unit}"
    return f"{number(comparison.paired.mean, digits)} {unit}"


def _digits(comparison: Comparison) -> int:
    return 3 if comparison.quantity == ERROR else 2


def summary(evidence: Evidence) -> list[str]:
    """Does cycling help here, in error and in time, how sure, and what would decide it?"""
    if not evidence.controlled:
        return ["No arm of group baseline was trained, so nothing can be compared."]
    sentences = []
    for quantity, word in ((ERROR, "Error"), (TIME, "Time")):
        for found in evidence.of(quantity):
            if evidence.arms[found.arm].group == "clr":
                sentences.append(f"{word}: {_judged(found, evidence)}")
        if not any(s.startswith(word) for s in sentences):
            sentences.append(f"{word}: no comparison, because no seed finished in both arms.")
    sentences += [_replayed(found, evidence) for found in _of_replay(evidence)]
    family = len(evidence.comparisons)
    if family > 1:
        sentences.append(
            f"The p values are adjusted (Holm) for the {family} comparisons of this report that "
            "carry a verdict."
        )
    return sentences


def _judged(found: Comparison, evidence: Evidence) -> str:
    """One comparison as a sentence: the verdict first, then its figures."""
    answer = {
        ("better", ERROR): "yes, {arm} makes fewer errors than {against}",
        ("worse", ERROR): "no, {arm} makes more errors than {against}",
        ("equivalent", ERROR): "no, {arm} and {against} are equivalent within "
        f"±{evidence.margin_percent:g} percentage points",
        ("undecided", ERROR): "undecided whether {arm} or {against} makes fewer errors",
        ("better", TIME): "yes, {arm} is sooner than {against} at the baseline's final error",
        ("worse", TIME): "no, {arm} is later than {against} at the baseline's final error, "
        "the range test charged",
        ("undecided", TIME): "undecided whether {arm} or {against} is sooner at the baseline's "
        "final error",
    }[found.verdict, found.quantity].format(arm=found.arm, against=found.against)
    if found.left_open:
        told = (
            f"{difference(found)} ({found.paired.n} pairs), depending on how much longer the runs "
            "that never reached it would have needed. Longer training (train.epochs) would tell."
        )
    else:
        told = found.judged.words.split(": ", 1)[1]  # without the label: `answer` has said it
    return f"{answer}: {told}{_never_reached(found, evidence)}"


def _never_reached(found: Comparison, evidence: Evidence) -> str:
    if found.quantity != TIME:
        return ""
    told = ""
    for name in (found.against, found.arm):
        times = evidence.reached[name].values()
        censored = sum(time.censored for time in times)
        told += f" {censored} of {len(times)} runs of {name} never reach it." if censored else ""
    return told


def _of_replay(evidence: Evidence) -> list[Comparison]:
    return [found for found in evidence.of(ERROR) if found.against in evidence.replay[:1]]


def _replayed(found: Comparison, evidence: Evidence) -> str:
    arm = evidence.arms[found.arm]
    means = [
        number(summarise(evidence.arms[name].values(ERROR).values()).mean)
        for name in (found.against, found.arm)
    ]
    sentence = (
        f"The published pair, replayed: {means[0]} % becomes {means[1]} %, a difference of "
        f"{difference(found)} (95 % interval {interval(found)}; verdict: {found.verdict})."
    )
    reasons = []
    if arm.settings["continues"]:
        reasons.append("continued training")
    if arm.settings["batch_size"] != evidence.arms[found.against].settings["batch_size"]:
        reasons.append("another batch size")
    share = turned_share(arm)
    if share is not None and share < 1:
        reasons.append("a rate that never turns")
    if reasons:
        sentence += f" It is no evidence about cycling: it mixes {_listed(reasons)}."
    return sentence


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def turned_share(arm: Arm) -> float | None:
    """How much of its first half-cycle a cyclical arm completes; 1 or more means that it turns."""
    step_size = arm.settings["schedule"]["step_size"]
    return None if not step_size or not arm.rates else len(arm.rates) / float(step_size)


def what_was_published(
    evidence: Evidence, published: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """What the published comparison really compares, from the settings of its replay."""
    told = []
    for found in _of_replay(evidence):
        arm, first = evidence.arms[found.arm], evidence.arms[found.against]
        told += _published_settings(arm, first)
    if len(evidence.replay) > 1:
        images = int(evidence.data["counts"]["test"])
        ends = [
            wilson_percent(published[name]["error_percent"], images) for name in evidence.replay
        ]
        overlap = max(low for low, _ in ends) <= min(high for _, high in ends)
        shown = " and ".join(f"{number(low)} to {number(high)} %" for low, high in ends)
        told.append(
            f"One run stands behind each published figure. Their 95 % Wilson intervals, {shown}, "
            + ("overlap." if overlap else "do not overlap.")
        )
    return told


def _published_settings(arm: Arm, first: Arm) -> list[str]:
    told = []
    own, other = arm.settings, first.settings
    if own["continues"] == first.name:
        told.append(
            f"{arm.name} starts from the weights that {first.name} ended with: its error is that "
            f"of a model trained for {own['epochs'] + other['epochs']} epochs, not "
            f"{own['epochs']}."
        )
    if own["batch_size"] != other["batch_size"]:
        told.append(
            f"Its batch is {own['batch_size']} instead of {other['batch_size']}, so that it makes "
            f"{len(arm.rates):,} updates instead of {len(first.rates):,}: that is what saves "
            "time."
        )
    share = turned_share(arm)
    if share is not None and share < 1:
        told.append(
            f"Its rate climbs from {rate(arm.rates[0])} to {rate(arm.rates[-1])} and never turns: "
            f"{len(arm.rates):,} of the {own['schedule']['step_size']:,} steps of one half-cycle, "
            f"{100 * share:.0f} %. No cycle happens, and no range test was run."
        )
    if own["training_set"] == "all":
        told.append(
            f"It trains on all {own['images']:,} images and takes the test set as validation set."
        )
    return told


def warnings(evidence: Evidence) -> list[str]:
    """What a reader should know before believing a figure."""
    told = [
        f"{key} is {_shown(entry['used'])} here, {_shown(entry['conf'])} in conf/"
        for key, entry in evidence.differences.items()
    ]
    told += list(evidence.bounds["warnings"])
    for arm in evidence.arms.values():
        if arm.diverged:
            seeds = ", ".join(map(str, arm.diverged))
            told.append(
                f"{arm.name}: {len(arm.diverged)} of {len(arm.cells)} runs diverged (seeds "
                f"{seeds}); means and differences leave them out, which flatters the arm"
            )
    counts = [found.paired.n for found in evidence.comparisons.values()]
    if counts and min(counts) < FEWEST_PAIRS:
        told.append(
            f"only {min(counts)} pairs of seeds in a comparison: below {FEWEST_PAIRS} every "
            "verdict is undecided"
        )
    for name in evidence.controlled[1:]:
        apart = (
            evidence.arms[name].cells.keys() ^ evidence.arms[evidence.controlled[0]].cells.keys()
        )
        if apart:
            told.append(
                f"{name} and {evidence.controlled[0]} do not have the same seeds: only those in "
                "common are paired"
            )
    return told


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)


def chosen_bounds(evidence: Evidence) -> str:
    """The bounds in one sentence."""
    chosen = evidence.bounds
    return (
        f"base_lr = {rate(chosen['base_lr'])}, max_lr = {rate(chosen['max_lr'])}, "
        f"{chosen['cycles']} cycles of 2 x {chosen['step_size']:,} steps, by rule "
        f"{chosen['rule']}."
    )


def time_notes(evidence: Evidence) -> list[str]:
    """How time is measured, with this run's figures."""
    if evidence.target_percent is None:
        return ["No seed of the baseline finished, so there is no error to reach."]
    told = [
        f"Target: {number(evidence.target_percent, 3)} % validation error, the median of "
        f"{evidence.baseline}'s final ones. Time is the steps until the first epoch end at or "
        "below it, times the seconds per step pooled over all runs of that batch size: equal "
        "steps cost equal time.",
        "A run that never reaches the target counts in its arm's mean with its full length, a "
        "lower bound; in a paired difference with whatever from there to the longest run of the "
        "two arms speaks least for a difference.",
    ]
    charged = [name for name, extra in evidence.extra_seconds.items() if extra]
    if charged:
        told.append(
            f"What was spent before training is charged to {_listed(charged)}: the range "
            "test, and the training of an arm that is continued."
        )
    told.append("Raw seconds stand beside without a verdict, because machines drift.")
    return told


def rule(evidence: Evidence) -> str:
    """How a verdict is reached, in words."""
    return (
        "Interval: Student's t of the paired differences. p: exact sign flips; Holm: adjusted for "
        "all comparisons of this report. Better or worse: adjusted p below .05. Equivalent: the "
        f"90 % interval lies within ±{evidence.margin_percent:g} percentage points. Else undecided."
    )
