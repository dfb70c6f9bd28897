"""Measures when runs reach a target error, and compares those times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrcycles.cells.result import EpochResult
from lrcycles.errors import InputError
from lrcycles.evidence.paired import PairedComparison, compare_pairs


@dataclass(frozen=True)
class TimeToTarget:
    """When a run reached the target; if censored, it never did, and its full length counts."""

    seconds: float
    steps: int
    censored: bool


@dataclass(frozen=True)
class Reaching:
    """How many runs reach an error, and the Kaplan-Meier median of the steps until then.

    The median is None where fewer than half of the runs reach the error. An end of its 95 %
    interval is None where the runs were too short to show it.
    """

    runs: int
    reached: int
    median_steps: float | None
    low_steps: float | None
    high_steps: float | None


@dataclass(frozen=True)
class TimeDifferences:
    """Differences in seconds by seed, arm minus other, where runs may never have arrived.

    Attributes:
        nearest: the differences whose mean is nearest to zero.
        least: the smallest possible mean.
        most: the largest possible mean.
        censored: whether a run of a pair never arrived.
    """

    nearest: dict[int, float]
    least: float
    most: float
    censored: bool

    @property
    def hides_sign(self) -> bool:
        """Whether runs that never arrived leave open which arm is sooner."""
        return self.censored and self.least <= 0 <= self.most


def time_to_target(
    history: Sequence[EpochResult],
    target: float,
    *,
    seconds_per_step: float,
    extra_seconds: float = 0,
) -> TimeToTarget:
    """Find when a run first reached a validation error of `target` percent or less.

    A run that never does counts with its full length and is marked censored. The mean of such
    times is the restricted mean survival time with the full run as its horizon. It needs no guess
    at what would have happened later. Unlike the mean of the successful runs, it does not reward
    an arm for its failures. Source: Royston and Parmar 2013.

    Args:
        history: every epoch, to the end of the run.
        extra_seconds: charged whether the target was reached or not, such as the range test.

    Raises:
        InputError: there is no epoch.
    """
    if not history:
        raise InputError(
            "history must hold at least one epoch. Received: none. Leave out a diverged run."
        )
    reached = [epoch.step for epoch in history if epoch.validation_error_percent <= target]
    steps = reached[0] if reached else history[-1].step
    return TimeToTarget(steps * seconds_per_step + extra_seconds, steps, not reached)


def without_charges(times: Mapping[int, TimeToTarget], extra: float) -> dict[int, TimeToTarget]:
    """Take `extra` seconds off every time: what the training alone took."""
    return {seed: replace(time, seconds=time.seconds - extra) for seed, time in times.items()}


def time_differences(
    own: Mapping[int, TimeToTarget], other: Mapping[int, TimeToTarget]
) -> TimeDifferences:
    """Subtract the times of equal seeds.

    A run that never reached the target may have been about to reach it, or may have needed until
    the end of the longest run of both arms. Counting it at its own full length only would call an
    arm slower whose rival often fails.
    """
    shared = sorted(own.keys() & other.keys())
    if not shared:
        return TimeDifferences({}, 0.0, 0.0, censored=False)
    times = [time for seed in shared for time in (own[seed], other[seed])]
    horizon = max(time.seconds for time in times)

    def latest(time: TimeToTarget) -> float:
        return horizon if time.censored else time.seconds

    least = {seed: own[seed].seconds - latest(other[seed]) for seed in shared}
    most = {seed: latest(own[seed]) - other[seed].seconds for seed in shared}
    nearest = min(least, most, key=lambda by_seed: abs(sum(by_seed.values())))
    return TimeDifferences(
        nearest, _mean(least), _mean(most), censored=any(time.censored for time in times)
    )


def compare_times(
    own: Mapping[int, TimeToTarget], other: Mapping[int, TimeToTarget]
) -> PairedComparison | None:
    """Describe the difference of two arms' times, without a verdict.

    Returns:
        None if there are no pairs, or if runs that never arrived hide the sign.
    """
    differences = time_differences(own, other)
    if not differences.nearest or differences.hides_sign:
        return None
    return compare_pairs([differences.nearest[seed] for seed in sorted(differences.nearest)])


def time_to_reach(steps: Sequence[int], censored: Sequence[bool]) -> Reaching:
    """Estimate the median number of steps to an error that some runs never reach.

    Kaplan-Meier's estimate with its log-log interval at 95 %.

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
    # The first time at which half have arrived; `quantile` of statsmodels waits for more than half.
    halved = survival.surv_times[survival.surv_prob <= 0.5 + 1e-9]
    median = float(halved[0]) if len(halved) else None
    if len(set(steps)) == 1 or reached == 1:  # a single time has no variance
        return Reaching(len(censored), reached, median, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):  # the log of a survival of 0
        low, high = survival.quantile_ci(0.5, method="cloglog")
    if math.isnan(low):  # the curve falls past the whole interval of a half at its median
        return Reaching(len(censored), reached, median, median, median)
    ends = (float(end) if math.isfinite(end) else None for end in (low, high))
    return Reaching(len(censored), reached, median, *ends)


def _mean(by_seed: Mapping[int, float]) -> float:
    return sum(by_seed.values()) / len(by_seed)
