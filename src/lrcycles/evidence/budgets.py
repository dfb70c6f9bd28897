"""Compares schedules at several lengths and peak rates: the shortest training to a target error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from statistics import fmean, median, stdev
from typing import Any

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Key, Quantity, Role
from lrcycles.evidence.families import Family, Tested, decide
from lrcycles.evidence.paired import FEWEST, Interval, compare_pairs, half_width
from lrcycles.evidence.sign_flips import signed_ranks

TINY = 1e-6  # percent: an error of 0 has no logarithm
GOOD = 0.1  # peaks are good if their mean error is above the least one by this share of it or less


@dataclass(frozen=True)
class Plan:
    """A schedule that was trained at several lengths, each planned to its own end.

    Attributes:
        name: of no other plan: the schedule, and what tells plans with the same schedule apart.
        arms: by the number of epochs, the shortest first.
    """

    name: str
    arms: dict[int, Arm]

    @property
    def schedule(self) -> str:
        """The name of the schedule."""
        return next(iter(self.arms.values())).settings.schedule.name

    @property
    def seeds(self) -> list[int]:
        """The seeds that were trained at every length."""
        first, *others = self.arms.values()
        return [seed for seed in first.cells if all(seed in arm.cells for arm in others)]

    def epochs_to_target(self, target: float) -> dict[int, int | None]:
        """Give, by seed, the epochs of the shortest training that ends at `target` percent or less.

        None: no length does.
        """
        return {seed: self._epochs(seed, target) for seed in self.seeds}

    def _epochs(self, seed: int, target: float) -> int | None:
        for epochs, arm in self.arms.items():
            if arm.values(Quantity.ERROR).get(seed, float("inf")) <= target:
                return epochs
        return None


@dataclass(frozen=True)
class Reaching:
    """How the seeds of a plan reach a target error.

    Attributes:
        median_epochs: of the shortest budget; None where half of the seeds or fewer reach it.
        by_epochs: by length, how many seeds end at the target or below.
    """

    plan: str
    seeds: int
    reached: int
    median_epochs: float | None
    by_epochs: dict[int, int]


@dataclass(frozen=True)
class PeakSearch:
    """The trainings that chose an arm's peak rate, with other seeds and on the validation images.

    Attributes:
        peak: the chosen one.
        means: by peak, from the lowest, the mean validation error in percent. A training that
            diverged counts with 100 %.
        errors: by peak, the validation errors of the trainings that finished.
    """

    arm: str
    peak: float
    means: dict[float, float]
    errors: dict[float, list[float]]

    @property
    def at_end(self) -> bool:
        """Whether a better peak may lie beyond the ones that were tried."""
        return self.peak in (min(self.means), max(self.means))

    def good_peaks(self) -> tuple[float, float]:
        """Give the ends of the peaks around the best one with an error up to a tenth larger.

        Between two rates that were tried, the error is interpolated on logarithmic scales. Beyond
        the last rates nothing is known.
        """
        low, high = _good(self.means)
        return exp(low), exp(high)


def compare_widths(first: PeakSearch, second: PeakSearch) -> tuple[float, Interval] | None:
    """Give how many times wider the good peaks of `first` reach than those of `second`.

    The width is the ratio of the ends of `PeakSearch.good_peaks`, and widths are compared by their
    logarithms. The 95 % interval, for other seeds, is a jackknife over the seeds of the search.
    None where a training diverged, or where a width is 0.

    Source: Efron and Tibshirani 1993, chapter 11.
    """
    counts = {len(own) for one in (first, second) for own in one.errors.values()}
    if len(counts) != 1 or (n := counts.pop()) < FEWEST:
        return None
    if first.errors.keys() != first.means.keys() or second.errors.keys() != second.means.keys():
        return None
    every = [_wider(first, second, omitted) for omitted in (None, *range(n))]
    if any(one is None for one in every):
        return None
    whole, *without = (one for one in every if one is not None)
    variance = (n - 1) ** 2 / n * stdev(without) ** 2
    half = half_width(0.95, [(variance, n - 1)]) if variance else 0.0
    return exp(whole), (exp(whole - half), exp(whole + half))


def _wider(first: PeakSearch, second: PeakSearch, omitted: int | None) -> float | None:
    """Return the logarithm of the ratio of two widths, without one seed."""
    widths = []
    for search in (first, second):
        means = {
            peak: fmean(error for place, error in enumerate(own) if place != omitted)
            for peak, own in search.errors.items()
        }
        low, high = _good(means)
        widths.append(high - low)
    return log(widths[0] / widths[1]) if all(widths) else None


def _good(means: Mapping[float, float]) -> tuple[float, float]:
    """Return the logarithms of the ends between which the error is within a tenth of the least."""
    errors = {peak: log(max(means[peak], TINY)) for peak in sorted(means)}
    peaks = list(errors)
    best = peaks.index(min(peaks, key=lambda peak: errors[peak]))
    most = log(1 + GOOD) + errors[peaks[best]]

    def end(outwards: Sequence[float]) -> float:
        for inner, outer in pairwise(outwards):
            if errors[outer] > most:
                share = (most - errors[inner]) / (errors[outer] - errors[inner])
                return log(inner) + share * log(outer / inner)
        return log(outwards[-1])

    return end(peaks[best::-1]), end(peaks[best:])


def find_plans(arms: Sequence[Arm]) -> list[Plan]:
    """Group arms that differ in their length (and the rates chosen for it) alone."""
    groups: dict[str, dict[int, Arm]] = {}
    for arm in arms:
        groups.setdefault(repr(_kind(arm)), {}).setdefault(arm.settings.epochs, arm)
    plans = [dict(sorted(of.items())) for of in groups.values() if len(of) > 1]
    return [Plan(_name(plan, plans), plan) for plan in plans]


def _kind(arm: Arm) -> dict[str, Any]:
    """List what is equal in all arms of a plan."""
    settings = arm.settings
    return {
        "schedule": settings.schedule.name,
        "cycles": settings.schedule.cycles,
        "warm-up": "yes" if arm.warmup_steps else "no",
        "shape": settings.schedule.shape or "linear",
        "batch size": settings.batch_size,
        "optimizer": settings.optimizer,
        "momentum": settings.momentum,
        "training set": settings.training_set,
    }


def _name(plan: Mapping[int, Arm], plans: Sequence[Mapping[int, Arm]]) -> str:
    """Name a plan by its schedule; of several with this schedule, by what differs in them too."""
    first = next(iter(plan.values()))
    kinds = [_kind(next(iter(other.values()))) for other in plans]
    own = _kind(first)
    alike = [kind for kind in kinds if kind["schedule"] == own["schedule"]]
    unlike = [key for key in own if any(kind[key] != own[key] for kind in alike)]
    if not all(isinstance(own[key], int | str) for key in unlike):
        return f"{own['schedule']} ({first.name})"  # nothing that a name could hold
    return ", ".join([own["schedule"], *(f"{key} {own[key]}" for key in unlike)])


def reaching(plan: Plan, target: float) -> Reaching:
    """Count how many seeds reach the target, and at which length."""
    epochs = plan.epochs_to_target(target)
    reached = [count for count in epochs.values() if count is not None]
    half = 2 * len(reached) > len(epochs)
    return Reaching(
        plan=plan.name,
        seeds=len(epochs),
        reached=len(reached),
        median_epochs=median(count or float("inf") for count in epochs.values()) if half else None,
        by_epochs={
            length: sum(
                error <= target
                for seed, error in arm.values(Quantity.ERROR).items()
                if seed in epochs
            )
            for length, arm in plan.arms.items()
        },
    )


def compare_budgets(plans: Sequence[Plan], against: str, target: float) -> dict[Key, Comparison]:
    """Compare every plan with the plan `against` in the epochs that a target needs.

    A seed that never arrives ranks as the slowest. Where no seed of both arrives there is nothing
    to compare.
    """
    by_name: Mapping[str, Plan] = {plan.name: plan for plan in plans}
    if against not in by_name:
        return {}
    theirs = by_name[against].epochs_to_target(target)
    tested = {
        (plan.name, against, Quantity.TIME): _tested(plan.epochs_to_target(target), theirs)
        for plan in plans
        if plan.name != against
    }
    tested = {key: one for key, one in tested.items() if one.seeds}
    verdicts = decide(tested)
    return {
        key: Comparison(
            arm=key[0],
            against=key[1],
            role=Role.CONTROL,
            family=Family.TIME,
            quantity=key[2],
            seeds=one.seeds,
            differences=_differences(by_name[key[0]].epochs_to_target(target), theirs),
            failed=one.failed,
            estimate=one.estimate,
            margin=None,
            verdict=verdicts[key],
        )
        for key, one in tested.items()
    }


def _differences(
    own: Mapping[int, int | None], theirs: Mapping[int, int | None]
) -> dict[int, float]:
    pairs = {seed: (epochs, theirs[seed]) for seed, epochs in own.items() if seed in theirs}
    return {
        seed: float(epochs - other)
        for seed, (epochs, other) in pairs.items()
        if epochs is not None and other is not None
    }


def _tested(own: Mapping[int, int | None], theirs: Mapping[int, int | None]) -> Tested:
    seeds = [seed for seed in own if seed in theirs]
    differences = _differences(own, theirs)
    late = [seed for seed in seeds if seed not in differences]
    signs = [int(own[seed] is None) - int(theirs[seed] is None) for seed in late]
    units = signed_ranks(list(differences.values()), signs)
    return Tested(
        family=Family.TIME,
        seeds=len(seeds),
        units=dict(zip([*differences, *late], units, strict=True)),
        estimate=compare_pairs(list(differences.values())) if differences else None,
        failed=(
            sum(own[seed] is None for seed in seeds),
            sum(theirs[seed] is None for seed in seeds),
        ),
        lone_failures=(signs.count(1), signs.count(-1)),
    )
