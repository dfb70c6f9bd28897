"""Turns evidence into what the figures draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lrcycles.evidence.arms import Arm, Summary, summarise
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.figures.arms import Curve, errors_by_arm
from lrcycles.report.formatting import mean_sd
from lrcycles.report.section import Picture

if TYPE_CHECKING:
    from lrcycles.report.figures.comparisons import Ends


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


def paired_interval(comparison: Comparison) -> Ends:
    """Give a mean difference with the ends of its 95 % interval."""
    return (comparison.paired.mean, *(comparison.paired.interval95 or (None, None)))


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
    text = "; ".join(f"{arm}: {mean_sd(errors[arm])}" for arm in arms)
    drawn = errors_by_arm(errors, means=means, published=published)
    return Picture(name, drawn, f"Test error in percent of every seed. {text}", caption)
