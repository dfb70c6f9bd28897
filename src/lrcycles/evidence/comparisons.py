"""Sets arms against each other, seed by seed, and gives each pair its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.families import Family, Outcome, Tested, Verdict, decide
from lrcycles.evidence.paired import Chance, Estimate, chance_better, compare_pairs
from lrcycles.evidence.sign_flips import signed_ranks


class Quantity(StrEnum):
    """What two arms are compared in; the value names it in metrics.json."""

    ERROR = "test_error_percent"
    LOSS = "test_loss"
    TIME = "epochs_to_target"


class Role(StrEnum):
    """Why a comparison is made."""

    CANDIDATE = "candidate"  # the arm is what the report asks about
    CONTROL = "control"  # the arm is a control of the controlled comparison
    SENSITIVITY = "sensitivity"  # another constant rate
    REPLAY = "replay"  # the published pair, repeated
    AVERAGE = "average"  # an average of the weights of a training
    OTHER = "other"  # asked for by the arm, outside of the controlled comparison


@dataclass(frozen=True)
class Pair:
    """An arm, the arm it is compared with, why, and the family that it is judged in."""

    arm: str
    against: str
    role: Role
    family: Family = Family.NONE


@dataclass(frozen=True)
class Comparison:
    """One arm against another in one quantity; differences are arm minus other, by seed.

    Attributes:
        differences: of the seeds that trained in both arms; failed runs are left out.
        failed: of the common seeds, the failed runs of the arm and of the other.
        estimate: None where no seed trained in both arms.
        margin: differences of this size or less do not matter; None where there is no margin.
    """

    arm: str
    against: str
    role: Role
    family: Family
    quantity: Quantity
    seeds: int
    differences: dict[int, float]
    failed: tuple[int, int]
    estimate: Estimate | None
    margin: float | None
    verdict: Verdict

    @property
    def title(self) -> str:
        """The two arms."""
        return f"{self.arm} vs {self.against}"

    @property
    def outcome(self) -> Outcome:
        """What it decides."""
        return self.verdict.outcome

    @property
    def chance(self) -> Chance | None:
        """How often the arm is the better one of a pair; None where no seed trained in both."""
        return chance_better(list(self.differences.values())) if self.differences else None

    @property
    def robust_disagrees(self) -> bool:
        """Whether median or Hodges-Lehmann's estimate is half the margin away from the mean."""
        if self.estimate is None or self.margin is None:
            return False
        return self.estimate.robust_disagrees >= self.margin / 2


Key = tuple[str, str, Quantity]


def compare_errors(
    arms: Mapping[str, Arm], pairs: Sequence[Pair], *, margin: float, absent_primary: int = 0
) -> dict[Key, Comparison]:
    """Compare the test errors of pairs of arms.

    A pair that is named twice, in whatever order, counts once.

    Args:
        margin: in percentage points of test error.
        absent_primary: declared primary comparisons that were not trained. Those of arms without a
            common seed are added to them.
    """
    first: dict[Key, Pair] = {}
    for pair in pairs:
        if (pair.against, pair.arm, Quantity.ERROR) not in first:
            first.setdefault((pair.arm, pair.against, Quantity.ERROR), pair)
    tested = {
        key: _error_pairs(arms[pair.arm], arms[pair.against], pair.family, margin)
        for key, pair in first.items()
        if arms[pair.arm].cells.keys() & arms[pair.against].cells.keys()
    }
    apart = sum(pair.family == Family.PRIMARY and key not in tested for key, pair in first.items())
    verdicts = decide(tested, absent_primary=absent_primary + apart)
    return {
        key: Comparison(
            arm=key[0],
            against=key[1],
            role=first[key].role,
            family=first[key].family,
            quantity=key[2],
            seeds=one.seeds,
            differences=seedwise(arms, *key),
            failed=one.failed,
            estimate=one.estimate,
            margin=margin,
            verdict=verdicts[key],
        )
        for key, one in tested.items()
    }


def _error_pairs(arm: Arm, other: Arm, family: Family, margin: float) -> Tested:
    seeds = [seed for seed in arm.cells if seed in other.cells]
    own_trained, other_trained = arm.trained, other.trained
    trained = [seed for seed in seeds if seed in own_trained and seed in other_trained]
    own, theirs = arm.values(Quantity.ERROR), other.values(Quantity.ERROR)
    differences = [own[seed] - theirs[seed] for seed in trained]
    by_image = image_differences(arm, other, trained)
    failed = [seed for seed in seeds if seed not in trained]
    signs = [int(seed not in own_trained) - int(seed not in other_trained) for seed in failed]
    if failed or by_image is None:
        units = signed_ranks(differences, signs)
    else:
        units = [int(count) for count in by_image.sum(axis=1)]
    return Tested(
        family=family,
        seeds=len(seeds),
        units=dict(zip([*trained, *failed], units, strict=True)),
        estimate=compare_pairs(differences, by_image) if differences else None,
        failed=(
            sum(seed not in own_trained for seed in seeds),
            sum(seed not in other_trained for seed in seeds),
        ),
        lone_failures=(signs.count(1), signs.count(-1)),
        same=all(arm.cells[seed].key == other.cells[seed].key for seed in seeds),
        margin=margin,
        images_known=by_image is not None or not trained,
    )


def image_differences(arm: Arm, other: Arm, seeds: Sequence[int]) -> NDArray[np.int8] | None:
    """Subtract the mistakes of two arms, shape (seeds, images); None where they are not known."""
    if arm.settings.data != other.settings.data or not seeds:
        return None
    if any(seed not in side.mistakes for side in (arm, other) for seed in seeds):
        return None
    own, theirs = (np.stack([side.mistakes[s] for s in seeds]) for side in (arm, other))
    return own.astype(np.int8) - theirs.astype(np.int8)


def seedwise(
    arms: Mapping[str, Arm], arm: str, against: str, quantity: Quantity
) -> dict[int, float]:
    """Subtract the figures of two arms for each seed that trained in both."""
    own, other = arms[arm].values(quantity), arms[against].values(quantity)
    return {seed: own[seed] - other[seed] for seed in own if seed in other}


@dataclass(frozen=True)
class Averages:
    """What averages of the weights reach.

    Attributes:
        arms: by name, such as clr.ema.
        own: each against the trained weights of its own arm, in a family of their own.
        decays: each against the trained weights of a linear decay, without a verdict.
    """

    arms: dict[str, Arm]
    own: list[Comparison]
    decays: list[Comparison]


def compare_averages(
    arms: Mapping[str, Arm], controlled: Sequence[str], *, margin: float
) -> Averages | None:
    """Compare the averages of all arms; None where no arm has one.

    Args:
        controlled: the arms among which a linear decay is sought.
        margin: in percentage points of test error.
    """
    averaged = {one.name: one for arm in arms.values() for one in arm.averages.values()}
    if not averaged:
        return None
    own = [
        Pair(one.name, arm.name, Role.AVERAGE, Family.AVERAGES)
        for arm in arms.values()
        for one in arm.averages.values()
    ]
    decays = [
        Pair(one.name, decay.name, Role.AVERAGE)
        for name in controlled
        if (decay := _decay_like(arms[name], [arms[each] for each in controlled])) is not None
        for one in arms[name].averages.values()
    ]
    every = {**arms, **averaged}
    compared = compare_errors(every, [*own, *decays], margin=margin).values()
    return Averages(
        averaged,
        [one for one in compared if one.family == Family.AVERAGES],
        [one for one in compared if one.family == Family.NONE],
    )


def _decay_like(arm: Arm, controlled: Sequence[Arm]) -> Arm | None:
    """Find the linear decay of equal length, batch size and optimizer; None for itself."""

    def kind(one: Arm) -> list[object]:
        return [one.settings.epochs, one.settings.batch_size, one.settings.optimizer]

    decays = (one for one in controlled if one.settings.schedule.name == "linear_decay")
    found = next((one for one in decays if kind(one) == kind(arm)), None)
    return None if found is arm else found
