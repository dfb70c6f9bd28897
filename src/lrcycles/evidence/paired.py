"""Does one arm differ from another, by how much, and how sure are we?"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
MOST_SEEDS = 10_000
POWER = 0.8  # of the number of seeds that an undecided comparison asks for


@dataclass(frozen=True)
class PairedComparison:
    """Differences of paired runs, arm minus other: lower is better. None is unknown."""

    n: int
    mean: float
    sd: float | None
    interval95: Interval | None
    interval90: Interval | None
    p: float  # two-sided sign-flip
    exact: bool  # every sign flip was counted; else RESAMPLES of them
    bca95: Interval | None
    margin: float | None
    unit: str
    differences: tuple[float, ...]


@dataclass(frozen=True)
class Verdict:
    """What a comparison says within its family; `words` says it in a sentence."""

    verdict: str  # better, worse, equivalent or undecided
    p: float
    holm_p: float
    more_seeds: int | None  # of an undecided one; None where no number can be estimated
    words: str


@dataclass(frozen=True)
class TimeToTarget:
    """When a run reached the target; censored: it never did, and its full length stands here."""

    seconds: float
    steps: int
    censored: bool


def compare_pairs(
    differences: Sequence[float], *, margin: float | None = None, unit: str = ""
) -> PairedComparison:
    """Describe paired differences: mean, Student t intervals, sign-flip p.

    Args:
        differences: one per pair, arm minus other; negative means the arm is lower, so better.
        margin: differences within it, either side, are of no consequence.
        unit: of the differences, for the sentences: "percentage points", "s".

    Raises:
        InputError: no pairs, a difference that is not finite, a margin that is not positive.

    >>> found = compare_pairs([-2.0, -1.0, -3.0, -2.0, -1.0, -3.0])
    >>> found.mean, found.p
    (-2.0, 0.03125)
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise InputError(
            f"need one finite difference per pair and at least one pair, got {list(differences)}: "
            "leave out pairs of which a run diverged"
        )
    if margin is not None and not (margin > 0 and math.isfinite(margin)):
        raise InputError(f"need margin > 0, got margin={margin}: give the smallest that matters")
    n, mean = len(values), float(values.mean())
    # Subtracting rounded figures leaves dust; differences equal but for dust have no spread.
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
        unit=unit,
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
        return 1.0  # both flips of one difference are as far from zero
    found = stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if len(values) <= EXACT_UP_TO else RESAMPLES,
        batch=10_000,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _bca(values: Array, sd: float | None) -> Interval | None:
    if len(values) < BCA_FROM or not sd:
        return None
    interval = stats.bootstrap(
        (values,), np.mean, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def judge(
    comparisons: Mapping[str, PairedComparison], *, alpha: float = 0.05
) -> dict[str, Verdict]:
    """Give each comparison of a family its verdict, the p values adjusted by Holm's method.

    better or worse: adjusted p < `alpha`; equivalent: the 90 % interval lies inside the margin
    (two one-sided tests at 5 %); else undecided, as is anything with fewer than 6 pairs.
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
    verdict, more = "undecided", None
    if c.n >= FEWEST_PAIRS and holm_p < alpha:
        verdict = "better" if c.mean < 0 else "worse"
    elif c.n >= FEWEST_PAIRS and _inside_margin(c):
        verdict = "equivalent"
    else:
        more = _more_seeds(c, alpha / tests)
    return Verdict(verdict, c.p, holm_p, more, _words(c, verdict, holm_p, more))


def _inside_margin(c: PairedComparison) -> bool:
    if c.margin is None or c.interval90 is None:
        return False
    return -c.margin < c.interval90[0] and c.interval90[1] < c.margin


def _more_seeds(c: PairedComparison, alpha: float) -> int | None:
    """Count the further seeds that would reach a verdict, at this mean and sd, with 80 % power.

    Args:
        alpha: already divided by Holm's factor, which other comparisons of the family raise.
    """
    from statsmodels.stats.power import TTestPower

    def power(difference: float, n: int, alpha: float) -> float:
        """That of a one-sided test."""
        # Beyond it the noncentral t of scipy is not a number, and the power is 1.
        largest = 30 / math.sqrt(n)
        effect = min(difference / c.sd, largest) if c.sd else largest
        return float(TTestPower().power(effect, n, alpha, alternative="larger"))

    def decides(n: int) -> bool:
        # However large the difference, n sign flips cannot give a p below 2 / 2^n.
        if c.mean and 2.0 ** (1.0 - n) < alpha and power(abs(c.mean), n, alpha / 2) >= POWER:
            return True
        if c.margin is None or abs(c.mean) >= c.margin:
            return False
        # Two one-sided tests, both of which must reject: the chances of failing add up at most.
        ends = (c.margin - abs(c.mean), c.margin + abs(c.mean))
        return sum(power(end, n, 0.05) for end in ends) - 1 >= POWER

    if c.sd is None:
        return None
    counts = range(max(c.n + 1, FEWEST_PAIRS), c.n + MOST_SEEDS + 1)
    place = bisect_left(counts, True, key=decides)
    return counts[place] - c.n if place < len(counts) else None


def _words(c: PairedComparison, verdict: str, holm_p: float, more: int | None) -> str:
    unit = f" {c.unit}" if c.unit else ""
    found = f"the mean difference is {c.mean:+.3g}{unit} ({c.n} pairs"
    if c.interval95 is not None:
        found += f", 95 % interval {c.interval95[0]:+.3g} to {c.interval95[1]:+.3g}"
    found = found.replace("-", "\N{MINUS SIGN}")
    shown = "< .001" if holm_p < 0.001 else f"= {holm_p:.2g}"
    found += f", Holm-adjusted sign-flip p {shown})"
    if verdict in ("better", "worse"):
        small = f", though within the margin of {c.margin:g}{unit}" if _inside_margin(c) else ""
        return f"{verdict.capitalize()}: {found}{small}."
    if verdict == "equivalent":
        return f"Equivalent within {c.margin:g}{unit}: {found}."
    if c.n < FEWEST_PAIRS:
        least = max(FEWEST_PAIRS - c.n, more or 0)
        return (
            f"Undecided: {found}; fewer than {FEWEST_PAIRS} pairs decide nothing: "
            f"at least {least:,} more needed."
        )
    if more is None:
        return f"Undecided: {found}; even {MOST_SEEDS:,} more seeds would not decide it."
    seeds = "seed" if more == 1 else "seeds"
    return (
        f"Undecided: {found}; about {more:,} more {seeds} would decide a difference of this size "
        "and spread, four times in five."
    )


def time_to_target(
    history: Sequence[Mapping[str, Any]],
    target: float,
    *,
    seconds_per_step: float,
    extra_seconds: float = 0,
) -> TimeToTarget:
    """Find when a run first reached a validation error of `target` percent or less.

    A run that never does counts with its full length and is marked censored. The mean of such
    times is the restricted mean survival time, the horizon being the full run: it needs no guess
    at what would have happened later, and unlike the mean of the successful runs it does not
    reward an arm for its failures. A paired difference of it is a lower limit of what separates
    the arms wherever one of the two is censored. Source: Royston and Parmar 2013.

    Args:
        history: per epoch step and validation_error_percent, to the end of the run.
        extra_seconds: charged whether the target was reached or not, such as the range test.

    >>> epochs = [{"step": 275, "validation_error_percent": 4.0},
    ...           {"step": 550, "validation_error_percent": 2.0}]
    >>> time_to_target(epochs, 2.5, seconds_per_step=0.01, extra_seconds=3)
    TimeToTarget(seconds=8.5, steps=550, censored=False)
    """
    if not history:
        raise InputError("need at least one epoch of history, got none: leave out a diverged run")
    for epoch in history:
        if epoch["validation_error_percent"] <= target:
            steps, censored = int(epoch["step"]), False
            break
    else:
        steps, censored = int(history[-1]["step"]), True
    return TimeToTarget(steps * seconds_per_step + extra_seconds, steps, censored)


def wilson_interval(errors: int, n: int) -> Interval:
    """Give the 95 % Wilson interval, in percent, of `errors` among `n` images in a single run.

    It knows the finite test set only, not how runs differ.

    >>> tuple(round(end, 2) for end in wilson_interval(191, 10_000))
    (1.66, 2.2)
    """
    if not 0 <= errors <= n or n < 1:
        raise InputError(f"need 0 <= errors <= n and n >= 1, got errors={errors}, n={n}")
    low, high = stats.binomtest(errors, n).proportion_ci(0.95, method="wilson")
    return 100 * float(low), 100 * float(high)
