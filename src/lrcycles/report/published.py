"""What does the published comparison really compare, and what became of it here?"""

from __future__ import annotations

from collections.abc import Mapping

from lrcycles.evidence.arms import Arm, summarise, wilson_percent
from lrcycles.evidence.comparisons import ERROR, Comparison
from lrcycles.evidence.gather import Evidence
from lrcycles.report.formatting import difference, interval, listed, number, rate

DEVIATIONS = (
    "Keras 3 instead of the Keras of 2018, on another backend and machine.",
    "Labels are whole numbers instead of one-hot vectors, which is the same loss.",
    "Adam(0.1) of the second fit is left out: its callback overruled it before the first step.",
    "Initial weights and data order follow from the seed; the tutorial seeded neither.",
    "The compiled loop makes the steps; plain Keras fit is measured beside it for the time.",
)


def replayed(evidence: Evidence) -> list[str]:
    """The published pair as it came out here, a sentence for each of its comparisons."""
    return [_replayed(found, evidence) for found in _of_replay(evidence)]


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
        sentence += f" It is no evidence about cycling: it mixes {listed(reasons)}."
    return sentence


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
            f"{arm.total_steps:,} updates instead of {first.total_steps:,}: that is what saves "
            "time."
        )
    share = arm.turned_share
    if share is not None and share < 1:
        told.append(
            f"Its rate climbs from {rate(arm.rates[0])} to {rate(arm.rates[-1])} and never turns: "
            f"{arm.total_steps:,} of the {own['schedule']['step_size']:,} steps of one half-cycle, "
            f"{100 * share:.0f} %. No cycle happens, and no range test was run."
        )
    if own["training_set"] == "all":
        told.append(
            f"It trains on all {own['images']:,} images and takes the test set as validation set."
        )
    return told
