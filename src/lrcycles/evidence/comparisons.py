"""Which arms are set against which, seed by seed, and what is the verdict?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.chances import Chance, chance_better
from lrcycles.evidence.paired import (
    Interval,
    PairedComparison,
    TimeToTarget,
    Verdict,
    compare_pairs,
    judge,
)

ERROR, LOSS, TIME = "test_error_percent", "test_loss", "time_to_target_seconds"
UNITS = {ERROR: "percentage points", LOSS: "", TIME: "s"}


@dataclass(frozen=True)
class Comparison:
    """One arm against another in one quantity; differences are arm minus other, by seed."""

    arm: str
    against: str
    quantity: str
    differences: dict[int, float]
    paired: PairedComparison
    judged: Verdict
    left_open: tuple[float, float] | None = None  # the mean's range, if censoring hides its sign
    limit: bool = False  # runs never reached the target: the mean is its limit next to zero

    @property
    def title(self) -> str:
        return f"{self.arm} vs {self.against}"

    @property
    def chance(self) -> Chance:
        """How often the arm is the better one of a pair."""
        return chance_better(list(self.differences.values()))

    @property
    def bca95(self) -> Interval | None:
        """Beside the t interval where there are pairs enough, unless censoring hides the sign."""
        return None if self.left_open else self.paired.bca95

    @property
    def verdict(self) -> str:
        return "undecided" if self.left_open else str(self.judged.verdict)


def compare_arms(
    arms: Mapping[str, Arm],
    pairs: Sequence[tuple[str, str]],
    untimed: Sequence[tuple[str, str]],
    reached: Mapping[str, Mapping[int, TimeToTarget]],
    margin: float,
) -> dict[tuple[str, str, str], Comparison]:
    """Every comparison that carries a verdict: one family for Holm's adjustment."""
    differences: dict[tuple[str, str, str], dict[int, float]] = {}
    left_open: dict[tuple[str, str, str], tuple[float, float]] = {}
    limits = set()
    for arm, against in [*pairs, *untimed]:
        differences[arm, against, ERROR] = seedwise(arms, arm, against, ERROR)
        if (arm, against) in pairs and arm in reached and against in reached:
            key = (arm, against, TIME)
            differences[key], least, most = _time_differences(reached[arm], reached[against])
            if _censored(reached[arm], reached[against]):
                limits.add(key)
                if least <= 0 <= most:
                    left_open[key] = (least, most)
    paired = {
        key: compare_pairs(
            [found[seed] for seed in sorted(found)],
            margin=margin if key[2] == ERROR else None,
            unit=UNITS[key[2]],
        )
        for key, found in differences.items()
        if found
    }
    verdicts = judge({" ".join(key): result for key, result in paired.items()})
    return {
        key: Comparison(
            *key,
            differences[key],
            result,
            verdicts[" ".join(key)],
            left_open.get(key),
            key in limits,
        )
        for key, result in paired.items()
    }


def seedwise(arms: Mapping[str, Arm], arm: str, against: str, key: str) -> dict[int, float]:
    """Arm minus other, by each seed that both finished."""
    own, other = arms[arm].values(key), arms[against].values(key)
    return {seed: own[seed] - other[seed] for seed in own if seed in other}


def without_charges(times: Mapping[int, TimeToTarget], extra: float) -> dict[int, TimeToTarget]:
    """The times of an arm's training alone."""
    return {seed: replace(time, seconds=time.seconds - extra) for seed, time in times.items()}


def compare_times(
    own: Mapping[int, TimeToTarget], other: Mapping[int, TimeToTarget]
) -> PairedComparison | None:
    """Times of two arms described, without a verdict; None if censored runs hide the sign."""
    differences, least, most = _time_differences(own, other)
    if not differences or (_censored(own, other) and least <= 0 <= most):
        return None
    return compare_pairs([differences[seed] for seed in sorted(differences)])


def _censored(own: Mapping[int, TimeToTarget], other: Mapping[int, TimeToTarget]) -> bool:
    return any(times[seed].censored for times in (own, other) for seed in own.keys() & other.keys())


def _time_differences(
    own: Mapping[int, TimeToTarget], other: Mapping[int, TimeToTarget]
) -> tuple[dict[int, float], float, float]:
    """Differences by seed whose mean is nearest to zero, and the least and the largest mean.

    A run that never reached the target may have been about to, or may have gone on to the longest
    run of both arms. Taking it at its full length only would call an arm slower whose rival often
    fails.
    """
    shared = sorted(own.keys() & other.keys())
    times = [time for seed in shared for time in (own[seed], other[seed])]
    horizon = max((time.seconds for time in times), default=0.0)

    def latest(time: TimeToTarget) -> float:
        return horizon if time.censored else time.seconds

    if not shared:
        return {}, 0.0, 0.0
    least = {seed: own[seed].seconds - latest(other[seed]) for seed in shared}
    most = {seed: latest(own[seed]) - other[seed].seconds for seed in shared}
    nearest = min(least, most, key=lambda found: abs(sum(found.values())))
    return nearest, _mean(least), _mean(most)


def _mean(found: Mapping[int, float]) -> float:
    return sum(found.values()) / len(found)
