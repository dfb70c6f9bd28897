"""Compares schedules at several lengths and peak rates: the shortest training to a target error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import median
from typing import Any

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Key, Quantity, Role
from lrcycles.evidence.families import Family, Tested, decide
from lrcycles.evidence.paired import compare_pairs
from lrcycles.evidence.sign_flips import signed_ranks


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

    def good_peaks(self, tolerance: float = 0.1) -> tuple[float, float]:
        """Give the ends of the peaks around the chosen one that are nearly as good.

        Args:
            tolerance: how far a mean error may exceed the least one, as a share of it.
        """
        most = (1 + tolerance) * self.means[self.peak]
        peaks = sorted(self.means)
        place = peaks.index(self.peak)
        above = list(takewhile(lambda peak: self.means[peak] <= most, peaks[place:]))
        below = list(takewhile(lambda peak: self.means[peak] <= most, peaks[place::-1]))
        return below[-1], above[-1]


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
