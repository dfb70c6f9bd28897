"""Turns evidence into what the figures draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrcycles.drawing import palette
from lrcycles.evidence.arms import Arm, Summary, summarise
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.paired import FEWEST, Estimate
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.answers import shown_arms
from lrcycles.report.figures.arms import Curve, errors_by_arm
from lrcycles.report.figures.comparisons import Ends, Row
from lrcycles.report.section import Picture


def histories(arm: Arm) -> dict[int, Curve]:
    """Give the validation error after each epoch, of each finished seed."""
    return {
        seed: [(epoch.epoch, epoch.validation_error_percent) for epoch in cell.history]
        for seed, cell in arm.finished.items()
    }


def mean_and_interval(summary: Summary) -> Ends:
    """Give a mean with the ends of its 95 % interval."""
    assert summary.mean is not None
    return summary.mean, summary.low, summary.high


def colours_of(evidence: Evidence) -> dict[str, Any]:
    """Give every arm one colour for all figures, the one that it has on the first screen."""
    first = [name for name in shown_arms(evidence) if evidence.arms[name].trained]
    every = list(dict.fromkeys((*first, *evidence.arms)))
    return palette(every) | palette(first)


def row(estimate: Estimate, differences: Mapping[int, float] | None = None) -> Row:
    """Give what a forest draws of an estimated difference.

    Args:
        differences: of the seeds.
    """
    values = list((differences or {}).values())
    if estimate.n < FEWEST:
        return Row(values)
    half, _ = estimate.halves()
    seeds = None if half is None else (estimate.mean - half, estimate.mean + half)
    return Row(values, (estimate.mean, estimate.median), seeds, estimate.interval())


def errors_picture(
    name: str,
    evidence: Evidence,
    arms: Sequence[str],
    published: Mapping[str, tuple[float, float, float]],
    caption: str,
) -> Picture:
    """Draw every seed's test error by arm.

    Args:
        published: by arm, a published error in percent with its 95 % interval.
    """
    errors = {arm: evidence.arms[arm].values(Quantity.ERROR) for arm in arms}
    means = {arm: mean_and_interval(summarise(errors[arm].values())) for arm in arms}
    colours = colours_of(evidence)
    drawn = errors_by_arm(errors, means=means, published=published, colours=colours)
    alt = "Test error in percent of every seed, by arm. A table of this section has the figures."
    return Picture(name, drawn, alt, caption)
