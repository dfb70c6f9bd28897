"""How is the evidence put into words? Every figure in a sentence is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrcycles.arms import Arm, summarise, wilson_percent
from lrcycles.compare import BCA_FROM, EXACT_UP_TO, FEWEST_PAIRS, RESAMPLES
from lrcycles.evidence import Evidence
from lrcycles.formatting import difference, interval, number, rate
from lrcycles.pairings import ERROR, TIME, Comparison

DEVIATIONS = (
    "Keras 3 instead of the Keras of 2018, on another backend and machine.",
    "Labels are whole numbers instead of one-hot vectors, which is the same loss.",
    "Adam(0.1) of the second fit is left out: its callback overruled it before the first step.",
    "Initial weights and data order follow from the seed; the tutorial seeded neither.",
    "The compiled loop makes the steps; plain Keras fit is measured beside it for the time.",
)


def summary(evidence: Evidence, ingredients: Sequence[str] = ()) -> list[str]:
    """Does cycling help here, in error and in time, how sure, and what would decide it?

    Args:
        ingredients: what the published difference consists of, told after its replay.
    """
    if not evidence.controlled:
        return ["No arm of group baseline was trained, so nothing can be compared."]
    sentences = []
    tried = any(arm.group == "clr" for arm in evidence.arms.values())
    if not tried:
        sentences.append("No arm of group clr: cycles between the chosen bounds were not tried.")
    for quantity, word in ((ERROR, "Error"), (TIME, "Time")) if tried else ():
        for found in evidence.of(quantity):
            asked = (found.arm, found.against) in evidence.pairs
            if asked and evidence.arms[found.arm].group == "clr":
                sentences.append(f"{word}: {_judged(found, evidence)}")
        if not any(s.startswith(word) for s in sentences):
            sentences.append(f"{word}: no comparison, because no seed finished in both arms.")
    sentences += [_replayed(found, evidence) for found in _of_replay(evidence)]
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
    return f"{answer}: {told}{_never_reached(found, evidence)}{_range_test_share(found, evidence)}"


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
    charged = evidence.range_test_seconds[found.arm]
    if found.quantity != TIME or not charged:
        return ""
    times = evidence.reached[found.arm].values()
    least = "at least " if any(time.censored for time in times) else ""
    spent = number(summarise(time.seconds for time in times).mean)
    return f" Of {found.arm}'s mean of {least}{spent} s, {number(charged)} s are the range test."


def _of_replay(evidence: Evidence) -> list[Comparison]:
    return [
        found
        for found in evidence.of(ERROR)
        if found.arm in evidence.replay and found.against in evidence.replay[:1]
    ]


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
    share = arm.turned_share
    if share is not None and share < 1:
        reasons.append("a rate that never turns")
    if reasons:
        sentence += f" It is no evidence about cycling: it mixes {_listed(reasons)}."
    return sentence


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def what_was_published(
    evidence: Evidence, published: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """What the published comparison really compares, from the settings of its replay."""
    told = []
    for found in _of_replay(evidence):
        arm, first = evidence.arms[found.arm], evidence.arms[found.against]
        told += _published_settings(arm, first)
    if len(evidence.replay) > 1:
        images = int(evidence.stages.data["counts"]["test"])
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
    share = arm.turned_share
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


def differences(evidence: Evidence) -> list[str]:
    """Every key in which this run differs from conf/ as it stands."""
    return [
        f"{key} is {_shown(entry['used'])} here, {_shown(entry['conf'])} in conf/"
        for key, entry in evidence.stages.differences.items()
    ]


def warnings(evidence: Evidence) -> list[str]:
    """What a reader should know before believing a figure."""
    told = list(evidence.stages.bounds["warnings"])
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
    chosen = evidence.stages.bounds
    return (
        f"base_lr = {rate(chosen['base_lr'])}, max_lr = {rate(chosen['max_lr'])}, "
        f"{chosen['cycles']} cycles of 2 x {chosen['step_size']:,} steps, by rule "
        f"{chosen['rule']}."
    )


def protocol(evidence: Evidence) -> str:
    """What equal seeds of the controlled arms share, and who saw the test set."""
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
    apart += [
        f"{arm.name} trains on all {arm.settings['images']:,} images"
        for arm in arms
        if not arm.on_split
    ]
    shared = "Equal seeds share their initial weights and the order of their data"
    if apart:
        shared += f", except that {_listed(apart)}"
    told = f"{shared}. The choice of bounds saw only the validation split"
    watched = [arm.name for arm in arms if not arm.on_split]
    if watched:
        return f"{told}; {_listed(watched)} took the test set as validation set, after every epoch."
    return f"{told}, and the test set was read once."


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
        f"90 % interval lies within ±{evidence.margin_percent:g} percentage points. Else undecided."
    )
