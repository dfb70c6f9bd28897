"""Decides families of comparisons: at looks, adjusted for the family, beyond the margin."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from lrcycles.config.schema import LOOKS as LOOKS
from lrcycles.evidence.paired import Estimate, Interval
from lrcycles.evidence.sign_flips import max_t, sign_flip_p

Key = TypeVar("Key", bound=Hashable)

FIRST_LEVEL = 0.0079  # at 8 seeds: 2 of 256 sign flips, the least that 8 pairs can show
# By the number of comparisons that share 5 %: the level of each at every later look.
# Source: studies/verdicts, which confirms them with the tests that are used here.
LATER_LEVELS = {1: 0.013, 2: 0.0053, 3: 0.0027, 4: 0.0014}


class Family(StrEnum):
    """Which comparisons share 5 % false verdicts; the value stands in metrics.json."""

    PRIMARY = "primary"  # report.primary, in test error: Holm
    SCHEDULES = "schedules"  # the other schedules against one arm: max-T
    AVERAGES = "averages"  # averages of the weights against the trained weights: max-T
    TIME = "time"  # budgets until the target: max-T
    NONE = "none"  # an interval only


class Outcome(StrEnum):
    """What a comparison decides."""

    BETTER = "better"
    WORSE = "worse"
    SLIGHTLY_BETTER = "better, by less than matters"
    SLIGHTLY_WORSE = "worse, by less than matters"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    NO_VERDICT = "no verdict"
    NOT_COMPARABLE = "not comparable"

    @property
    def is_better(self) -> bool:
        """Whether the arm is better, by however much."""
        return self in (Outcome.BETTER, Outcome.SLIGHTLY_BETTER)

    @property
    def is_worse(self) -> bool:
        """Whether the arm is worse, by however much."""
        return self in (Outcome.WORSE, Outcome.SLIGHTLY_WORSE)


class Reason(StrEnum):
    """Why a comparison is not decided."""

    NONE = ""
    NO_FAMILY = "only an interval is asked for"
    SEEDS = "the number of seeds is none of the looks"
    IMAGES_UNKNOWN = "the results do not say which test images are wrong"
    SAME = "both arms are the same trainings"
    EMPTY = "nothing can decide it"
    CHANCE = "the p value is above the level"
    INTERVAL = "the interval for seeds and test images contains 0"
    FAILS_MORE = "the arm fails more often"


@dataclass(frozen=True)
class Tested:
    """What a comparison is tested with.

    Attributes:
        seeds: common to both arms, failed runs included.
        units: by seed the difference as a whole number, or twice its signed rank: see `sign_flips`.
        failed: of the common seeds, the failed runs of the arm and of the other.
        lone_failures: pairs in which only the arm failed, and in which only the other did.
    """

    family: Family
    seeds: int
    units: Mapping[int, int]
    estimate: Estimate | None
    failed: tuple[int, int] = (0, 0)
    lone_failures: tuple[int, int] = (0, 0)
    same: bool = False
    margin: float | None = None
    images_known: bool = True  # which of them are wrong, and that both arms have the same ones


@dataclass(frozen=True)
class Verdict:
    """What a comparison decides within its family.

    Attributes:
        p: exact, two-sided, of the sign flips; None where nothing was tested.
        adjusted_p: of max-T; in Holm's method the level is adjusted instead.
        level: that the adjusted p must not exceed, at this look and place in the family.
        alone: the level of the combined interval that must exclude 0.
    """

    outcome: Outcome
    reason: Reason
    p: float | None = None
    adjusted_p: float | None = None
    level: float | None = None
    alone: float | None = None


def look_level(seeds: int, share: int = 1) -> float:
    """Give the level of a test at a look, if `share` comparisons share 5 % over all looks.

    >>> look_level(8), look_level(32), look_level(32, 2)
    (0.0079, 0.013, 0.0053)
    """
    assert seeds in LOOKS, "no verdict is asked for at other numbers of seeds"
    return FIRST_LEVEL if seeds == LOOKS[0] else LATER_LEVELS[share]


def next_look(seeds: int) -> int | None:
    """Give the next number of seeds at which there is a verdict; None after the last."""
    return next((look for look in LOOKS if look > seeds), None)


def decide(comparisons: Mapping[Key, Tested], *, absent_primary: int = 0) -> dict[Key, Verdict]:
    """Give every comparison its verdict within its family.

    Better or worse needs both: the adjusted sign-flip p at the level of the look, and a combined
    interval at that level that excludes 0. Equivalent: the interval of two one-sided tests at the
    level of the look lies inside the margin.

    Args:
        absent_primary: declared primary comparisons that were not trained; they count in Holm.
    """
    verdicts = {key: _undecidable(one) for key, one in comparisons.items()}
    for family in (Family.PRIMARY, Family.SCHEDULES, Family.AVERAGES, Family.TIME):
        members = {
            key: one
            for key, one in comparisons.items()
            if one.family == family and verdicts[key] is None
        }
        if family == Family.PRIMARY:
            # A comparison that waits for seeds or images will be tested too: it keeps its share.
            waiting = sum(
                one.family == family
                and verdict is not None
                and verdict.outcome == Outcome.NO_VERDICT
                for one, verdict in zip(comparisons.values(), verdicts.values(), strict=True)
            )
            verdicts |= _holm(members, absent_primary + waiting)
        elif members:
            verdicts |= _together(members)
    return {key: verdict for key, verdict in verdicts.items() if verdict is not None}


def _undecidable(one: Tested) -> Verdict | None:
    """Give the verdict on a comparison that no test is made for; None if it is to be tested."""
    if one.same:
        return Verdict(Outcome.NOT_COMPARABLE, Reason.SAME)
    if one.family == Family.NONE:
        return Verdict(Outcome.NO_VERDICT, Reason.NO_FAMILY)
    if one.seeds not in LOOKS:
        return Verdict(Outcome.NO_VERDICT, Reason.SEEDS)
    if not one.images_known:
        return Verdict(Outcome.NO_VERDICT, Reason.IMAGES_UNKNOWN)
    if not any(one.units.values()):  # its least possible p is 1 (Tarone 1990)
        if _is_equivalent(one):
            return Verdict(Outcome.EQUIVALENT, Reason.NONE)
        return Verdict(Outcome.NOT_COMPARABLE, Reason.EMPTY)
    return None


def _holm(members: Mapping[Key, Tested], absent: int) -> dict[Key, Verdict]:
    p_values = {key: sign_flip_p(list(one.units.values())) for key, one in members.items()}
    both = {key: max(p, _second_p(members[key])) for key, p in p_values.items()}
    verdicts: dict[Key, Verdict] = {}
    decided = 0
    for key in sorted(members, key=lambda key: both[key]):
        one, p = members[key], p_values[key]
        # Only a decided comparison hands its share on: the others may be true null hypotheses.
        level = look_level(one.seeds, len(members) + absent - decided)
        verdicts[key] = _judge(one, p, p, level, level, significant=p <= level)
        decided += verdicts[key].outcome.is_better or verdicts[key].outcome.is_worse
    return verdicts


def _together(members: Mapping[Key, Tested]) -> dict[Key, Verdict]:
    seeds = sorted({seed for one in members.values() for seed in one.units})
    rows = [[one.units.get(seed, 0) for seed in seeds] for one in members.values()]
    level = min(look_level(one.seeds) for one in members.values())
    test = max_t(rows, level)
    return {
        key: _judge(one, p, adjusted, level, alone, significant=adjusted <= level)
        for (key, one), p, adjusted, alone in zip(
            members.items(), test.p, test.adjusted, test.levels, strict=True
        )
    }


def _judge(
    one: Tested, p: float, adjusted: float, level: float, alone: float, *, significant: bool
) -> Verdict:
    outcome, reason = Outcome.UNDECIDED, Reason.CHANCE
    if significant:
        outcome, reason = _side(one, alone)
    if outcome == Outcome.UNDECIDED and _is_equivalent(one):
        outcome, reason = Outcome.EQUIVALENT, Reason.NONE
    return Verdict(outcome, reason, p, adjusted, level, alone)


def _side(one: Tested, alone: float) -> tuple[Outcome, Reason]:
    """Name the side of a significant comparison, unless the interval or failures forbid it."""
    better = sum(one.units.values()) < 0
    fails_more = one.failed[0] - one.failed[1]
    if fails_more > 0 if better else fails_more < 0:
        return Outcome.UNDECIDED, Reason.FAILS_MORE
    big = Outcome.BETTER if better else Outcome.WORSE
    small = Outcome.SLIGHTLY_BETTER if better else Outcome.SLIGHTLY_WORSE
    if _second_p(one) > alone:
        return Outcome.UNDECIDED, Reason.INTERVAL
    mean = None if one.estimate is None else one.estimate.mean
    within = mean is not None and one.margin is not None and abs(mean) <= one.margin
    return (small if within and _failures_p(one) > alone else big), Reason.NONE


def _second_p(one: Tested) -> float:
    """Give the p value of the combined interval, or that of the failures if it is smaller.

    The sign flips hold for these test images, the interval also for others. Failures do not depend
    on the test images. A time is judged for these test images alone.
    """
    better = sum(one.units.values()) < 0
    if one.family == Family.TIME:
        return 0.0
    of_images = 1.0
    if one.estimate is not None and (one.estimate.mean < 0) == better:
        of_images = one.estimate.p
    return min(of_images, _failures_p(one))


def _failures_p(one: Tested) -> float:
    """Test the pairs in which one run failed: each is as likely that of the arm as the other's."""
    own, other = one.lone_failures
    return sign_flip_p([1] * own + [-1] * other)


def _is_equivalent(one: Tested) -> bool:
    """Whether two one-sided tests at the level of the look exclude a difference that matters."""
    if one.margin is None or one.estimate is None or any(one.failed):
        return False
    interval = one.estimate.interval(1 - 2 * look_level(one.seeds))
    return interval is not None and inside(interval, one.margin)


def inside(interval: Interval, margin: float) -> bool:
    """Whether an interval lies within plus or minus the margin."""
    return -margin < interval[0] and interval[1] < margin
