"""Compares paired runs and judges a family of comparisons."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrcycles.errors import InputError

Array = NDArray[np.float64]
Interval = tuple[float, float]

EXACT_UP_TO = 16  # pairs: 65,536 sign flips
RESAMPLES = 99_999
BCA_FROM = 30  # pairs: below, BCa of a mean covers too little
FEWEST_PAIRS = 6  # with 5 the smallest two-sided sign-flip p is 2 / 32
MOST_MORE_SEEDS = 10_000
ALPHA = 0.05  # of a family of comparisons
POWER = 0.8  # with the number of seeds that is suggested for an undecided comparison


class Outcome(StrEnum):
    """What a comparison decides."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class PairedComparison:
    """Differences of paired runs, arm minus other: lower is better. None means unknown."""

    n: int
    mean: float
    sd: float | None
    interval95: Interval | None
    interval90: Interval | None
    p: float  # two-sided sign-flip
    exact: bool  # all sign flips were counted, instead of RESAMPLES random ones
    bca95: Interval | None
    margin: float | None
    differences: tuple[float, ...]


@dataclass(frozen=True)
class Verdict:
    """What a comparison decides within its family."""

    outcome: Outcome
    p: float
    holm_p: float
    more_seeds: int | None  # that would decide an undecided one; None where no number is known
    within_margin: bool  # the 90 % interval lies inside the margin


def compare_pairs(differences: Sequence[float], *, margin: float | None = None) -> PairedComparison:
    """Describe paired differences: mean, Student t intervals, sign-flip p.

    Args:
        differences: one per pair, arm minus other; negative means the arm is lower, so better.
        margin: differences of this size or less, in either direction, are of no consequence.

    Raises:
        InputError: no pairs, a difference that is not finite, a margin that is not positive.

    >>> comparison = compare_pairs([-2.0, -1.0, -3.0, -2.0, -1.0, -3.0])
    >>> comparison.mean, comparison.p
    (-2.0, 0.03125)
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise InputError(
            "Differences must be finite, one per pair, from at least one pair. "
            f"Received: {list(differences)}. Leave out pairs of which a run diverged."
        )
    if margin is not None and not (margin > 0 and math.isfinite(margin)):
        raise InputError(
            f"margin must be above 0. Received: {margin}. Give the least difference that matters."
        )
    n, mean = len(values), float(values.mean())
    # Subtraction leaves rounding errors: differences that are equal but for those have no spread.
    constant = float(np.ptp(values)) <= 1e-12 * float(np.abs(values).max())
    sd = None if n < 2 else 0.0 if constant else float(values.std(ddof=1))
    return PairedComparison(
        n=n,
        mean=mean,
        sd=sd,
        interval95=_t_interval(values, sd, 0.95),
        interval90=_t_interval(values, sd, 0.90),
        p=_sign_flip_p(values),
        exact=n <= EXACT_UP_TO,
        bca95=_bca(values, sd),
        margin=margin,
        differences=tuple(float(value) for value in values),
    )


def _t_interval(values: Array, sd: float | None, confidence: float) -> Interval | None:
    if sd is None:
        return None
    if sd == 0:
        return float(values.mean()), float(values.mean())
    interval = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    return float(interval.low), float(interval.high)


def _sign_flip_p(values: Array) -> float:
    if len(values) < 2:
        return 1.0  # both sign flips of one difference are equally far from zero
    test = stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if len(values) <= EXACT_UP_TO else RESAMPLES,
        batch=10_000,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def _bca(values: Array, sd: float | None) -> Interval | None:
    if len(values) < BCA_FROM or not sd:
        return None
    interval = stats.bootstrap(
        (values,), np.mean, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def judge(
    comparisons: Mapping[str, PairedComparison], *, alpha: float = ALPHA
) -> dict[str, Verdict]:
    """Give each comparison of a family its verdict, the p values adjusted by Holm's method.

    Better or worse: the adjusted p lies below `alpha`. Equivalent: the 90 % interval lies inside
    the margin (two one-sided tests at 5 %). Anything else is undecided, and so is any comparison of
    fewer than 6 pairs.
    """
    from statsmodels.stats.multitest import multipletests

    if not comparisons:
        return {}
    p_values = [comparison.p for comparison in comparisons.values()]
    adjusted = multipletests(p_values, method="holm")[1]
    return {
        name: _judge_one(
            comparison,
            float(holm_p),
            alpha,
            # Holm's factor at this place in the order: as many as are not smaller.
            tests=sum(p >= comparison.p for p in p_values),
        )
        for (name, comparison), holm_p in zip(comparisons.items(), adjusted, strict=True)
    }


def _judge_one(c: PairedComparison, holm_p: float, alpha: float, *, tests: int) -> Verdict:
    outcome, more = Outcome.UNDECIDED, None
    within_margin = _inside_margin(c)
    if c.n >= FEWEST_PAIRS and holm_p < alpha:
        outcome = Outcome.BETTER if c.mean < 0 else Outcome.WORSE
    elif c.n >= FEWEST_PAIRS and within_margin:
        outcome = Outcome.EQUIVALENT
    else:
        more = _more_seeds(c, alpha / tests)
    return Verdict(outcome, c.p, holm_p, more, within_margin)


def _inside_margin(c: PairedComparison) -> bool:
    if c.margin is None or c.interval90 is None:
        return False
    return -c.margin < c.interval90[0] and c.interval90[1] < c.margin


def _more_seeds(c: PairedComparison, alpha: float) -> int | None:
    """Count the further seeds that would reach a verdict, at this mean and sd, with 80 % power.

    Args:
        alpha: already divided by Holm's factor, which depends on the rest of the family.
    """
    from statsmodels.stats.power import TTestPower

    def power(difference: float, n: int, alpha: float) -> float:
        """Give the power of a one-sided test."""
        # For larger effects scipy's noncentral t is not a number, and the power is 1.
        largest = 30 / math.sqrt(n)
        effect = min(difference / c.sd, largest) if c.sd else largest
        return float(TTestPower().power(effect, n, alpha, alternative="larger"))

    def decides(n: int) -> bool:
        # n pairs cannot give a p below 2 / 2^n, however large the difference.
        if c.mean and 2.0 ** (1.0 - n) < alpha and power(abs(c.mean), n, alpha / 2) >= POWER:
            return True
        if c.margin is None or abs(c.mean) >= c.margin:
            return False
        # Both one-sided tests must reject. Their chances of failing add up at most.
        ends = (c.margin - abs(c.mean), c.margin + abs(c.mean))
        return sum(power(end, n, 0.05) for end in ends) - 1 >= POWER

    if c.sd is None:
        return None
    counts = range(max(c.n + 1, FEWEST_PAIRS), c.n + MOST_MORE_SEEDS + 1)
    place = bisect_left(counts, True, key=decides)
    return counts[place] - c.n if place < len(counts) else None
