"""Sets arms against each other, seed by seed, and gives each pair its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.chances import Chance, chance_better
from lrcycles.evidence.paired import (
    Interval,
    Outcome,
    PairedComparison,
    Verdict,
    compare_pairs,
    judge,
)
from lrcycles.evidence.times import TimeDifferences, TimeToTarget, time_differences


class Quantity(StrEnum):
    """What two arms are compared in; the value names it in metrics.json."""

    ERROR = "test_error_percent"
    LOSS = "test_loss"
    TIME = "time_to_target_seconds"


class Role(StrEnum):
    """Why a comparison is made."""

    CANDIDATE = "candidate"  # the arm is what the report asks about
    CONTROL = "control"  # the arm is a control of the controlled comparison
    REPLAY = "replay"  # the published pair, repeated
    INGREDIENT = "ingredient"  # a step of the waterfall


@dataclass(frozen=True)
class Pair:
    """An arm, the arm it is compared with, and why."""

    arm: str
    against: str
    role: Role


@dataclass(frozen=True)
class Comparison:
    """One arm against another in one quantity; differences are arm minus other, by seed.

    Attributes:
        possible_means: the least and the largest possible mean, where runs that never reached the
            target hide its sign.
        is_limit: runs never reached the target, so that the mean is the limit nearest to zero.
    """

    arm: str
    against: str
    role: Role
    quantity: Quantity
    differences: dict[int, float]
    paired: PairedComparison
    judged: Verdict
    possible_means: tuple[float, float] | None = None
    is_limit: bool = False

    @property
    def title(self) -> str:
        """The two arms."""
        return f"{self.arm} vs {self.against}"

    @property
    def chance(self) -> Chance:
        """How often the arm is the better one of a pair."""
        return chance_better(list(self.differences.values()))

    @property
    def bca95(self) -> Interval | None:
        """The bootstrap interval, where there are enough pairs and the sign is known."""
        return None if self.possible_means else self.paired.bca95

    @property
    def outcome(self) -> Outcome:
        """The verdict; undecided where runs that never arrived hide the sign."""
        return Outcome.UNDECIDED if self.possible_means else self.judged.outcome


Key = tuple[str, str, Quantity]


def compare_arms(
    arms: Mapping[str, Arm],
    pairs: Sequence[Pair],
    times: Mapping[str, Mapping[int, TimeToTarget]],
    margin: float,
) -> dict[Key, Comparison]:
    """Make every comparison that carries a verdict: one family for Holm's adjustment.

    Args:
        pairs: candidates and controls are compared in time too, the rest in error only.
        times: by arm and seed the time to the target, of the arms whose time is known.
        margin: in percentage points of test error.
    """
    role: dict[Key, Role] = {}
    differences: dict[Key, dict[int, float]] = {}
    of_times: dict[Key, TimeDifferences] = {}
    for pair in pairs:
        key = (pair.arm, pair.against, Quantity.ERROR)
        if key in role:
            continue
        role[key] = pair.role
        differences[key] = seedwise(arms, *key)
        timed = pair.arm in times and pair.against in times
        if timed and pair.role in (Role.CANDIDATE, Role.CONTROL):
            key = (pair.arm, pair.against, Quantity.TIME)
            role[key] = pair.role
            of_times[key] = time_differences(times[pair.arm], times[pair.against])
            differences[key] = of_times[key].nearest
    paired = {
        key: compare_pairs(
            [by_seed[seed] for seed in sorted(by_seed)],
            margin=margin if key[2] == Quantity.ERROR else None,
        )
        for key, by_seed in differences.items()
        if by_seed
    }
    verdicts = judge({" ".join(key): comparison for key, comparison in paired.items()})
    return {
        key: Comparison(
            arm=key[0],
            against=key[1],
            role=role[key],
            quantity=key[2],
            differences=differences[key],
            paired=comparison,
            judged=verdicts[" ".join(key)],
            possible_means=_possible_means(of_times.get(key)),
            is_limit=key in of_times and of_times[key].censored,
        )
        for key, comparison in paired.items()
    }


def _possible_means(times: TimeDifferences | None) -> tuple[float, float] | None:
    return (times.least, times.most) if times and times.hides_sign else None


def seedwise(
    arms: Mapping[str, Arm], arm: str, against: str, quantity: Quantity
) -> dict[int, float]:
    """Subtract the figures of two arms for each seed that both finished."""
    own, other = arms[arm].values(quantity), arms[against].values(quantity)
    return {seed: own[seed] - other[seed] for seed in own if seed in other}
