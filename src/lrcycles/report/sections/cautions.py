"""Warns of what a reader should know before believing a figure."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import counted, listed, rate
from lrcycles.report.section import Block, Folded, Look, Points, Section

# What is equal in a fair pair: the question, and what changes bits.
_SAME = ["data", "model", "classes", "device_name", "backend", "precision"]
_SAME += ["threads", "side_by_side", "versions"]
_MANY_KEYS = 6  # more changed settings than this are folded
_MOST_COUNTED = 1  # failing arms: with more, their failures are not counted in the sentence
_MOST_NAMED = 4  # arms in a sentence
_NEAR = 0.05  # relative: rates this close count as equal
READ_BEFORE = "mnist"  # the data on whose test images this project was developed
# Settings that change no result and no figure of the report.
_WITHOUT_EFFECT = ["train.save_models", "train.reuse", "train.checkpoint_every_seconds"]
_WITHOUT_EFFECT += ["tracking.required"]
_LONGEST_VALUE = 40  # characters: longer values, such as digests, are not shown


def section(evidence: Evidence) -> Section | None:
    """List the cautions, and every setting that this run changes in its experiment."""
    stages = evidence.of_stages
    lines = [*_of_bounds(evidence), *_one_rate(evidence)] if stages else []
    lines += sentences(evidence)
    keys = differences(evidence) if stages else []
    if not lines and not stages:
        return None
    blocks: list[Block] = [Points(lines)] if lines else []
    if len(keys) > _MANY_KEYS:
        blocks.append(Folded(f"{len(keys)} settings differ from the experiment", [Points(keys)]))
    elif keys:
        blocks.append(Points(keys))
    if stages:
        blocks.append(Points(_not_claimed(evidence)))
    return Section("warnings", "Before you believe it", blocks, Look.WARNING)


def _of_bounds(evidence: Evidence) -> list[str]:
    """Word the warnings of stage `bounds`, and what may follow from them."""
    found = list(evidence.stages.bounds["warnings"])
    if not found:
        return []
    names = [
        name
        for name in evidence.candidates
        if evidence.arms[name].settings.uses_bounds and evidence.arms[name].settings.schedule.cycles
    ]
    consequence = [f"This may put {listed(names)} at a disadvantage."] if names else []
    return [*found, *_published_length(evidence), *consequence]


def _one_rate(evidence: Evidence) -> list[str]:
    """Warn of a constant rate that was not tuned, where no constant arm has the others' peak."""
    first = evidence.arms[evidence.baseline]
    arms = [evidence.arms[name] for name in evidence.alike]
    constant = [_peak(arm) for arm in arms if arm.settings.schedule.name == "constant"]
    if first.settings.schedule.name != "constant" or first.name in evidence.stages.peak_searches:
        return []
    # No constant arm has the peak of these arms.
    apart = [
        arm for arm in arms if not any(isclose(_peak(arm), c, rel_tol=_NEAR) for c in constant)
    ]
    if not apart:
        return []
    peaks = {rate(_peak(arm)) for arm in apart}
    names = [arm.name for arm in apart]
    who = listed(names) if len(names) <= _MOST_NAMED else counted(len(names), "other arm")
    verb = "reaches" if len(names) == 1 else "reach"
    what, kept = (peaks.pop(), "this rate") if len(peaks) == 1 else ("other rates", "these rates")
    kind = "a higher" if all(_peak(arm) > _peak(first) for arm in apart) else "another"
    return [
        f"{first.name} trains at one rate, {rate(_peak(first))}, which this experiment does not "
        f"tune. {who} {verb} {what}. No arm keeps {kept} constant.",
        f"So a comparison with {first.name} cannot separate {kind} rate from a changing rate.",
    ]


def _peak(arm: Arm) -> float:
    """Give the highest rate of an arm's schedule."""
    schedule = arm.settings.schedule
    return max((value for value in (schedule.base_lr, schedule.max_lr) if value), default=0.0)


def _not_claimed(evidence: Evidence) -> list[str]:
    """Word what the result does not say; docs/evidence.md says the same."""
    bounded = any(arm.settings.uses_bounds for arm in evidence.arms.values())
    chosen = ", one draw of the bounds" if bounded else ""
    lines = [
        f"The result covers one data set, one network{chosen} and one split of training and "
        "validation images. It may differ for others."
    ]
    if evidence.stages.data["name"] == READ_BEFORE:
        lines.append(
            "The rules, the controls and the margin were chosen by people who had seen earlier "
            "errors on the same test images. This may favour some arms."
        )
    if len(evidence.controlled) > 1:
        lines.append(
            "The answer names the best of several arms, so the error of the chosen arm is a little "
            "too good."
        )
    return lines


def _published_length(evidence: Evidence) -> list[str]:
    """Say why the cycles have the length that the warnings of the bounds are about."""
    epochs = evidence.arms[evidence.baseline].settings.epochs
    if epochs not in {evidence.arms[name].settings.epochs for name in evidence.replay}:
        return []
    return [f"This experiment keeps the {counted(epochs, 'epoch')} of the published runs."]


def differences(evidence: Evidence) -> list[str]:
    """Word every setting that this run changes in its experiment."""
    changed = evidence.stages.differences
    return [_change(key, change) for key, change in changed.items() if key not in _WITHOUT_EFFECT]


def _change(key: str, change: Mapping[str, Any]) -> str:
    """Word a change; a key that was added has no "conf", and a key that was removed no "used"."""
    used, conf = (change.get(side) for side in ("used", "conf"))
    if key == "train.seeds" and isinstance(used, int) and isinstance(conf, int):
        return f"This run uses {counted(used, 'seed')}; the experiment file sets {conf}."
    if "used" not in change:
        return f"{key} is left out of the experiment (~{key})."
    if "conf" not in change and isinstance(change["used"], Mapping):
        return f"{key} is added to the experiment."
    texts = ["none" if value is None else str(value) for value in (used, conf)]
    if max(map(len, texts)) > _LONGEST_VALUE:
        return f"{key} differs from the experiment."
    return f"{key} is {texts[0]} here and {texts[1]} in the experiment."


def sentences(evidence: Evidence) -> list[str]:
    """Word what a reader should know of the arms before believing a figure."""
    return [*_failed(evidence), *_unlike(evidence), *_larger_loss(evidence)]


def _failed(evidence: Evidence) -> list[str]:
    """Word which runs failed; a mean does not show them."""
    failing = [arm for arm in evidence.arms.values() if arm.failed]
    if not failing:
        return []
    counts = [f"{arm.name} ({len(arm.failed)} of {len(arm.cells)})" for arm in failing]
    if len(failing) > _MOST_COUNTED:
        counts = [arm.name for arm in failing]
    kinds = []
    if any(arm.diverged for arm in failing):
        kinds.append("diverged")
    if any(arm.guessed for arm in failing):
        kinds.append("learned nothing")
    return [
        f"Runs {' or '.join(kinds)} in {listed(counts)}. Means and differences leave these runs "
        "out, and verdicts count them as the worst."
    ]


def _unlike(evidence: Evidence) -> list[str]:
    lines = []
    for pair in evidence.pairs:
        if pair.role not in (Role.CANDIDATE, Role.CONTROL):
            continue
        arm, other = evidence.arms[pair.arm], evidence.arms[pair.against]
        if arm.cells.keys() != other.cells.keys():
            lines.append(
                f"{pair.arm} and {pair.against} have different seeds. Only common seeds are paired."
            )
        unlike = [
            key for key in _SAME if getattr(arm.settings, key) != getattr(other.settings, key)
        ]
        if unlike:
            names = listed([key.replace("_", " ") for key in unlike])
            lines.append(
                f"{pair.arm} and {pair.against} differ in {names} too, and not only in how they "
                "train. This may be the cause of their difference."
            )
    return lines


def _larger_loss(evidence: Evidence) -> list[str]:
    """Word which arms make fewer errors, but are surer of those that they make."""
    losses = evidence.loss_differences()
    names: dict[str, list[str]] = {}
    for one in evidence.of(Quantity.ERROR):
        loss = losses.get((one.arm, one.against))
        interval = loss.interval() if loss else None
        if one.outcome.is_better and interval and interval[0] > 0:
            names.setdefault(one.against, []).append(one.arm)
    return [
        f"{listed(arms)} {'makes' if len(arms) == 1 else 'make'} fewer errors than {against}, but "
        f"at a larger test loss (95 % interval above 0). "
        f"{'Its' if len(arms) == 1 else 'Their'} predicted probabilities are less reliable."
        for against, arms in names.items()
    ]
