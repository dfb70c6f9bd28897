"""How often is one arm better than another, and when do runs reach an error?"""

from __future__ import annotations

import math
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


@dataclass(frozen=True)
class Reaching:
    """When runs reach an error: Kaplan-Meier's median, in steps; None: fewer than half did."""

    runs: int
    reached: int
    median_steps: float | None
    low_steps: float | None
    high_steps: float | None


def chance_better(differences: Sequence[float]) -> Chance:
    """Estimate P(A > B), the probability that a run of the arm is better than its pair.

    A tie counts half; the interval takes ties for losses at its lower end, for wins at its upper.
    Source: Bouthillier et al. 2021 (arXiv 2103.03098), sec. 4.

    Args:
        differences: one per pair, arm minus other; negative means that the arm is better.

    Raises:
        InputError: there are no pairs.

    >>> chance_better([-0.1, -0.2, -0.1, 0.3]).percent
    75.0
    """
    if not differences:
        raise InputError("need at least one pair, got none: leave the arm out")
    values = np.asarray(differences, dtype=float)
    wins, ties, n = int((values < 0).sum()), int((values == 0).sum()), len(values)
    low = stats.binomtest(wins, n).proportion_ci(0.95, method="wilson").low
    high = stats.binomtest(wins + ties, n).proportion_ci(0.95, method="wilson").high
    return Chance(100 * (wins + ties / 2) / n, 100 * float(low), 100 * float(high))


def time_to_reach(steps: Sequence[int], censored: Sequence[bool]) -> Reaching:
    """Estimate the median number of steps to an error that some runs never reach.

    Kaplan-Meier, with the log-log interval at 95 %: an end of it that the runs were too short to
    show is None, and so are both where one time alone gives no variance.

    Args:
        steps: of each run until it reached the error, or its full length.
        censored: whether the run never reached it.

    >>> time_to_reach([100, 200, 300], [False, False, True]).median_steps
    200.0
    """
    from statsmodels.duration.survfunc import SurvfuncRight

    reached = len(censored) - sum(censored)
    if not reached:
        return Reaching(len(censored), 0, None, None, None)
    survival = SurvfuncRight(np.asarray(steps, float), 1 - np.asarray(censored, int))
    # The first time that half have reached; statsmodels' `quantile` waits for more than half.
    halved = survival.surv_times[survival.surv_prob <= 0.5 + 1e-9]
    median = float(halved[0]) if len(halved) else None
    if len(set(steps)) == 1 or reached == 1:  # one time: no variance that a log could take
        return Reaching(len(censored), reached, median, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):  # the log of a survival of 0
        low, high = survival.quantile_ci(0.5, method="cloglog")
    if math.isnan(low):  # the curve falls past the whole interval of a half at its median
        return Reaching(len(censored), reached, median, median, median)
    ends = (float(end) if math.isfinite(end) else None for end in (low, high))
    return Reaching(len(censored), reached, median, *ends)
