"""Estimates shares: how often an arm is better, and how sure an error rate is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lrcycles.errors import InputError


@dataclass(frozen=True)
class Chance:
    """The share of pairs in which an arm is better, in percent, with its 95 % Wilson interval."""

    percent: float
    low: float
    high: float


def chance_better(differences: Sequence[float]) -> Chance:
    """Estimate P(A > B), the probability that a run of the arm is better than its pair.

    A tie counts as half a win. The interval counts ties as losses at its lower end and as wins at
    its upper end. Source: Bouthillier et al. 2021 (arXiv 2103.03098), sec. 4.

    Args:
        differences: one per pair, arm minus other; negative means that the arm is better.

    Raises:
        InputError: there are no pairs.

    >>> chance_better([-0.1, -0.2, -0.1, 0.3]).percent
    75.0
    """
    if not differences:
        raise InputError("At least one pair must be there. Received: none. Leave the arm out.")
    values = np.asarray(differences, dtype=float)
    wins, ties, n = int((values < 0).sum()), int((values == 0).sum()), len(values)
    low = stats.binomtest(wins, n).proportion_ci(0.95, method="wilson").low
    high = stats.binomtest(wins + ties, n).proportion_ci(0.95, method="wilson").high
    return Chance(100 * (wins + ties / 2) / n, 100 * float(low), 100 * float(high))


def wilson_interval(errors: int, n: int) -> tuple[float, float]:
    """Give the 95 % Wilson interval, in percent, of `errors` among `n` images in a single run.

    The interval covers the finite test set only, not the variation between runs.

    Raises:
        InputError: there are no images, or more errors than images.

    >>> tuple(round(end, 2) for end in wilson_interval(191, 10_000))
    (1.66, 2.2)
    """
    if not 0 <= errors <= n or n < 1:
        raise InputError(
            "errors must lie between 0 and n, and n must be at least 1. "
            f"Received: errors={errors}, n={n}. Count the errors among n images."
        )
    low, high = stats.binomtest(errors, n).proportion_ci(0.95, method="wilson")
    return 100 * float(low), 100 * float(high)


def wilson_percent(error_percent: float, images: int) -> tuple[float, float]:
    """Give the 95 % interval of an error rate measured once on `images` images, in percent."""
    return wilson_interval(round(error_percent / 100 * images), images)
