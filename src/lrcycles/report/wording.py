"""How is the evidence put into words? Every figure in a sentence is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrcycles.evidence.arms import summarise
from lrcycles.evidence.comparisons import ERROR, TIME, Comparison, compare_times, without_charges
from lrcycles.evidence.gather import Evidence
from lrcycles.evidence.paired import BCA_FROM, EXACT_UP_TO, RESAMPLES
from lrcycles.report import published
from lrcycles.report.formatting import bound, difference, listed, number, rate, rates_of


def summary(evidence: Evidence, ingredients: Sequence[str] = ()) -> list[str]:
    """Does cycling help here, in error and in time, how sure, and what would decide it?

    Args:
        ingredients: what the published difference consists of, told after its replay.
    """
    sentences = []
    tried = any(arm.group == "clr" for arm in evidence.arms.values())
    if not tried:
        sentences.append("No arm of group clr: cycles between the chosen bounds were not tried.")
    for quantity, word in ((ERROR, "Error"), (TIME, "Time")) if tried else ():
        for found in evidence.asked(quantity):
            if evidence.arms[found.arm].group == "clr":
                sentences.append(f"{word}: {_judged(found, evidence)}")
        if not any(s.startswith(word) for s in sentences):
            asked = any(evidence.arms[name].group == "clr" for name, _ in evidence.pairs)
            why = "because no seed finished in both arms" if asked else "for none was asked for"
            sentences.append(f"{word}: no comparison, {why}.")
    sentences += others(evidence)
    sentences += published.replayed(evidence)
    sentences += ingredients
    family = len(evidence.comparisons)
    if family > 1:
        sentences.append(
            f"The p values are adjusted (Holm) for the {family} comparisons of this report that "
            "carry a verdict."
        )
    return sentences


def judged_pairs(evidence: Evidence) -> list[str]:
    """Every comparison of two experiments as a sentence."""
    words = {ERROR: "Error", TIME: "Time"}
    return [
        f"{words[found.quantity]}: {_judged(found, evidence)}"
        for found in evidence.comparisons.values()
    ]


def _judged(found: Comparison, evidence: Evidence) -> str:
    """One comparison as a sentence: the verdict first, then its figures."""
    answer = {
        ("better", ERROR): "yes, {arm} makes fewer errors than {against}",
        ("worse", ERROR): "no, {arm} makes more errors than {against}",
        ("equivalent", ERROR): "no, {arm} and {against} are equivalent within "
        f"±{evidence.margin_percent:g} percentage points",
        ("undecided", ERROR): "undecided whether {arm} or {against} makes fewer errors",
        ("better", TIME): "yes, {arm} reaches the baseline's final error sooner than {against}",
        ("worse", TIME): "no, {arm} reaches the baseline's final error later than {against}",
        ("undecided", TIME): "undecided whether {arm} or {against} reaches the baseline's final "
        "error sooner",
    }[found.verdict, found.quantity]
    names = {"arm": found.arm, "against": found.against}
    if found.quantity == ERROR:
        names = {key: _described(name, evidence) for key, name in names.items()}
    answer = answer.format(**names)
    if found.quantity == TIME and evidence.range_test_seconds[found.arm]:
        answer += ", the range test charged"
    if found.left_open:
        told = (
            f"{difference(found)} ({found.paired.n} pairs), depending on how much longer the runs "
            "that never reached it would have needed. Longer training (train.epochs) would tell."
        )
    else:
        told = found.judged.words.split(": ", 1)[1]  # without the label: `answer` has said it
        told = told.replace(" is ", f" is {bound(found, found.paired.mean)}", 1)
    return f"{answer}: {told}{_never_reached(found, evidence)}{_range_test_share(found, evidence)}"


def _described(name: str, evidence: Evidence) -> str:
    """The arm with its schedule and rates, which decide what a comparison with it is worth."""
    arm = evidence.arms[name]
    known = [arm.settings["schedule"]["name"], rates_of(arm)]
    return f"{name} ({', '.join(part for part in known if part)})"


def others(evidence: Evidence) -> list[str]:
    """How the arms of group controls stand beside what they are set against, the best first."""
    by_other: dict[str, list[Comparison]] = {}
    for found in sorted(evidence.asked(ERROR), key=lambda found: found.paired.mean):
        if evidence.arms[found.arm].group == "controls":
            by_other.setdefault(found.against, []).append(found)
    told, single = [], []
    for against in evidence.controlled:
        ranked = by_other.get(against, [])
        if len(ranked) == 1:
            single += ranked
        elif ranked:
            title = f"{len(ranked)} other arms against {_described(against, evidence)}"
            told.append(_by_verdict(title, {found.arm: found for found in ranked}))
    if single:
        told.append(_by_verdict("Other pairs", {found.title: found for found in single}))
    return told


def _by_verdict(title: str, ranked: Mapping[str, Comparison]) -> str:
    parts = []
    for verdict in ("better", "equivalent", "undecided", "worse"):
        shown = [
            f"{name} {number(found.paired.mean)}"
            for name, found in ranked.items()
            if found.verdict == verdict
        ]
        parts += [f"{verdict}: {', '.join(shown)}"] if shown else []
    return (
        f"{title}, in percentage points (intervals are in the table of all arms): "
        f"{'; '.join(parts)}."
    )


def _never_reached(found: Comparison, evidence: Evidence) -> str:
    if found.quantity != TIME:
        return ""
    told = ""
    for name in (found.against, found.arm):
        times = evidence.reached[name].values()
        censored = sum(time.censored for time in times)
        told += f" {censored} of {len(times)} runs of {name} never reach it." if censored else ""
    return told


def _range_test_share(found: Comparison, evidence: Evidence) -> str:
    """How much of an arm's time to the target is the range test."""
    if found.quantity != TIME or not evidence.range_test_seconds[found.arm]:
        return ""
    charged = evidence.range_test_seconds[found.arm]
    times = evidence.reached[found.arm].values()
    least = "at least " if any(time.censored for time in times) else ""
    spent = number(summarise(time.seconds for time in times).mean)
    told = f" Of {found.arm}'s mean of {least}{spent} s, {number(charged)} s are the range test."
    return told + _training_alone(found, evidence)


def _training_alone(found: Comparison, evidence: Evidence) -> str:
    """The difference in time without the range test, and what repays that; without a verdict."""
    charge = evidence.range_test_seconds[found.arm]
    if evidence.extra_seconds[found.against] or charge != evidence.extra_seconds[found.arm]:
        return ""  # it is not this range test alone that stands between them
    other = evidence.reached[found.against]
    alone = compare_times(without_charges(evidence.reached[found.arm], charge), other)
    if alone is None or alone.interval95 is None:
        return ""
    low, high = alone.interval95
    # Where the two differ by a limit, they do so without the charge too.
    told = (
        f" Without it the difference is {bound(found, alone.mean)}{number(alone.mean)} s (95 % "
        f"interval {number(low)} to {number(high)})"
    )
    if high < 0:
        soonest, latest = (math.ceil(charge / -end) for end in (low, high))
        between = f"{soonest} to {latest}" if soonest < latest else str(latest)
        told += f", which repays it after {between} trainings"
    return f"{told}."


def differences(evidence: Evidence) -> list[str]:
    """Every key in which this run differs from conf/ as it stands."""
    return [
        f"{key} is {_shown(entry['used'])} here, {_shown(entry['conf'])} in conf/"
        for key, entry in evidence.stages.differences.items()
    ]


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)


def chosen_bounds(evidence: Evidence) -> str:
    """The bounds in one sentence, and whether anything trains between them."""
    chosen = evidence.stages.bounds
    told = (
        f"base_lr = {rate(chosen['base_lr'])}, max_lr = {rate(chosen['max_lr'])}, "
        f"{chosen['cycles']} cycles of 2 x {chosen['step_size']:,} steps, by rule "
        f"{chosen['rule']}."
    )
    used = any(arm.uses_bounds for arm in evidence.arms.values())
    return told if used else f"{told} No arm of this experiment takes a rate from them."


def protocol(evidence: Evidence) -> str:
    """What equal seeds of the controlled arms share, and when the test set was read."""
    arms = [evidence.arms[name] for name in evidence.controlled]
    first = arms[0].settings
    apart = [
        f"{arm.name} starts from the weights that {arm.settings['continues']} ended with"
        for arm in arms
        if arm.settings["continues"]
    ]
    apart += [
        f"{arm.name} takes batches of {arm.settings['batch_size']:,} instead of "
        f"{first['batch_size']:,}"
        for arm in arms
        if arm.settings["batch_size"] != first["batch_size"]
    ]
    shared = "Equal seeds share their initial weights and the order of their data"
    if apart:
        shared += f", except that {listed(apart)}"
    return (
        f"{shared}. The choice of bounds saw only the validation split, and the test set was read "
        "once."
    )


def time_notes(evidence: Evidence) -> list[str]:
    """How time is measured, with this run's figures."""
    if evidence.target_percent is None:
        return ["No run finished that could set the error to reach and whose costs are known."]
    told = [
        f"Target: {number(evidence.target_percent, 3)} % validation error, the median of "
        f"{next(iter(evidence.reached))}'s final ones. Time is the steps until the first epoch end "
        "at or below it, times the median seconds per step of all runs of the same network, "
        "optimizer, batch size and machine: equal steps cost equal time.",
        "A run that never reaches the target counts in its arm's mean with its full length, a "
        "lower bound; in a paired difference with the time, from there to the longest run of the "
        "two arms, that makes the difference smallest, which 'at least' and 'at most' tell.",
    ]
    paid = [name for name, seconds in evidence.range_test_seconds.items() if seconds]
    if paid:
        told.append(f"The range test is charged to {listed(paid)}.")
    if continued := [n for n in evidence.reached if evidence.arms[n].settings["continues"]]:
        told.append(f"The training that it continues is charged to {listed(continued)}.")
    told.append("Raw seconds stand beside without a verdict, because machines drift.")
    return told


def rule(evidence: Evidence) -> str:
    """How a verdict is reached, in words."""
    exact = {found.paired.exact for found in evidence.comparisons.values()}
    drawn = f"Monte Carlo, {RESAMPLES:,} random sign flips"
    flips = "exact sign flips" if exact != {False} else drawn
    if exact == {True, False}:
        flips += f" up to {EXACT_UP_TO} pairs, beyond {drawn}"
    beside = ""
    if any(found.bca95 for found in evidence.comparisons.values()):
        beside = f" BCa: bootstrap, shown beside it from {BCA_FROM} pairs on."
    return (
        f"Interval: Student's t of the paired differences.{beside} p: {flips}; Holm: adjusted for "
        "all comparisons of this report. Better or worse: adjusted p below .05. Equivalent: the "
        f"90 % interval lies within ±{evidence.margin_percent:g} percentage points. Else "
        "undecided: intervals are not adjusted, so that one may exclude 0 and its comparison be "
        "undecided."
    )
