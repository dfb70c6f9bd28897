"""Warns of what a reader should know before believing a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import counted, listed
from lrcycles.report.section import Block, Folded, Look, Points, Section

# What is equal in a fair pair: the question, and what changes bits.
_SAME = ["data", "model", "classes", "device_name", "backend", "precision"]
_SAME += ["threads", "side_by_side", "versions"]
_MANY_KEYS = 6  # more changed settings than this are folded
_MOST_COUNTED = 1  # failing arms: with more, their failures are not counted in the sentence
_LONGEST_VALUE = 40  # characters: longer values, such as digests, are not shown


def section(evidence: Evidence) -> Section | None:
    """List the cautions, and every setting that this run changes in its experiment."""
    stages = evidence.of_stages
    of_bounds = stages.bounds["warnings"] if stages else []
    lines = [*of_bounds, *(_published_length(evidence) if of_bounds else []), *sentences(evidence)]
    keys = differences(evidence) if stages else []
    if not lines and not keys:
        return None
    blocks: list[Block] = [Points(lines)] if lines else []
    if len(keys) > _MANY_KEYS:
        blocks.append(Folded(f"{len(keys)} settings differ from the experiment", [Points(keys)]))
    elif keys:
        blocks.append(Points(keys))
    return Section("warnings", "Before you believe it", blocks, Look.WARNING)


def _published_length(evidence: Evidence) -> list[str]:
    """Say why the cycles have the length that the warnings of the bounds are about."""
    epochs = evidence.arms[evidence.baseline].settings.epochs
    if epochs not in {evidence.arms[name].settings.epochs for name in evidence.replay}:
        return []
    return [f"This experiment keeps the {counted(epochs, 'epoch')} of the published runs."]


def differences(evidence: Evidence) -> list[str]:
    """Word every setting that this run changes in its experiment."""
    changed = evidence.stages.differences
    return [_change(key, change) for key, change in changed.items()]


def _change(key: str, change: Mapping[str, Any]) -> str:
    """Word a change; a key that was added has no "conf", and a key that was removed no "used"."""
    if "used" not in change:
        return f"{key} is left out of the experiment (~{key})."
    if "conf" not in change and isinstance(change["used"], Mapping):
        return f"{key} is added to the experiment."
    used, conf = (change.get(side) for side in ("used", "conf"))
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
                "train."
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
        "at a larger test loss (95 % interval above 0)."
        for against, arms in names.items()
    ]
