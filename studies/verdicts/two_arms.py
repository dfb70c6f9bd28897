"""Compares two simulated arms on test images: wrong verdicts, coverage, power, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Pair, Quantity, Role, compare_errors
from lrcycles.evidence.families import LOOKS, Family, Outcome, look_level
from lrcycles.evidence.paired import Interval
from studies.verdicts.rows import Goal, Row, count
from studies.verdicts.trainings import World, draw_arms, first_seeds

SEEDS = LOOKS[:4]  # 128 seeds are looked at in `looks`, without images
FEW_SEEDS = LOOKS[:3]  # where every look costs and little happens later
MARGIN = 0.05  # percentage points, as in conf/report
PAIR = [Pair("arm", "other", Role.CANDIDATE, Family.PRIMARY)]
BETTER = (Outcome.BETTER, Outcome.SLIGHTLY_BETTER)
WORSE = (Outcome.WORSE, Outcome.SLIGHTLY_WORSE)
Looks = list[list[Comparison]]  # by repeat and look


def compare(world: World, repeats: int, seeds: Sequence[int], margin: float = MARGIN) -> Looks:
    """Draw a world `repeats` times and compare its arms at every look."""
    rng = np.random.default_rng([2, repeats, *seeds, round(1000 * world.images_error)])
    looks = []
    for _ in range(repeats):
        arms = draw_arms(rng, world, seeds[-1])
        looks.append([_compared(first_seeds(arms, each), margin) for each in seeds])
    return looks


def _compared(arms: Mapping[str, Arm], margin: float) -> Comparison:
    return compare_errors(arms, PAIR, margin=margin)["arm", "other", Quantity.ERROR]


def ever(looks: Looks, *outcomes: Outcome) -> int:
    """Count the repeats in which any look has one of the outcomes."""
    return sum(any(one.outcome in outcomes for one in each) for each in looks)


def images(images_error: float, repeats: int) -> list[Row]:
    """Compare equal arms; their images differ by chance, with a known standard error."""
    looks = compare(World(images_error=images_error), repeats, SEEDS)
    case = f"standard error of the images {images_error:g} points"
    rows = [
        count(
            Goal.IMAGES,
            case,
            f"better or worse at any look up to {SEEDS[-1]} seeds",
            ever(looks, *BETTER, *WORSE),
            repeats,
            at_most=5,
            narrow=1.5,
        ),
        count(
            Goal.IMAGES,
            case,
            "the same, if seeds alone decided (p at or below the level)",
            sum(any(_p(one) <= look_level(one.seeds) for one in each) for each in looks),
            repeats,
        ),
    ]
    return rows + _coverage(looks, case, repeats)


def _p(one: Comparison) -> float:
    return 1.0 if one.verdict.p is None else one.verdict.p


def _coverage(looks: Looks, case: str, repeats: int) -> list[Row]:
    rows = []
    for at, seeds in enumerate(SEEDS):
        if seeds == 16:
            continue
        own = [each[at] for each in looks]
        for counted, give in (("seeds and images", _combined), ("seeds alone", _seeds_alone)):
            missed = sum(not low <= 0 <= high for low, high in map(give, own))
            rows.append(
                count(
                    Goal.COVERAGE,
                    f"{case}, {seeds} seeds",
                    f"95 % interval of {counted} misses the truth",
                    missed,
                    repeats,
                    at_most=5 if give is _combined else None,
                    narrow=1.75,
                )
            )
    return rows


def _combined(one: Comparison) -> Interval:
    return (one.estimate and one.estimate.interval()) or (np.nan, np.nan)


def _seeds_alone(one: Comparison) -> Interval:
    assert one.estimate is not None
    half = one.estimate.halves()[0] or np.nan
    return one.estimate.mean - half, one.estimate.mean + half


def failures(failing: tuple[float, float], repeats: int) -> list[Row]:
    """Compare arms that are equal but for their failures."""
    looks = compare(World(failing=failing, images_error=0.02), repeats, FEW_SEEDS)
    own, other = (f"{100 * share:.0f} %" for share in failing)
    case = f"{own} of the arm's runs fail, {other} of the other's"
    if failing[0] == failing[1]:
        decided = ever(looks, *BETTER, *WORSE)
        counted = f"better or worse at any look up to {FEW_SEEDS[-1]} seeds"
        return [count(Goal.FAILURES, case, counted, decided, repeats, at_most=5)]
    return [
        count(
            Goal.FAILURES, case, "better at any look", ever(looks, *BETTER), repeats, at_most=2.5
        ),
        count(
            Goal.FAILURES,
            case,
            f"worse at {FEW_SEEDS[-1]} seeds",
            ever([each[-1:] for each in looks], *WORSE),
            repeats,
        ),
    ]


def equivalence(images_error: float, margin: float, repeats: int) -> list[Row]:
    """Compare arms whose true difference is the margin: equivalent would be wrong."""
    rows = []
    for effect, promise, times in ((margin, 5.0, repeats), (0.0, None, repeats // 4)):
        world = World(effect=effect, images_error=images_error)
        looks = compare(world, times, FEW_SEEDS, margin)
        rows.append(
            count(
                Goal.EQUIVALENT,
                f"margin {margin:g}, true difference {effect:g}, "
                f"standard error of the images {images_error:g} points",
                f"equivalent at any look up to {FEW_SEEDS[-1]} seeds",
                ever(looks, Outcome.EQUIVALENT),
                times,
                at_most=promise,
            )
        )
    return rows


def power(effect: float, images_error: float, seeds: int, repeats: int) -> list[Row]:
    """Compare arms with a true difference; the t test with known variances predicts the rest."""
    looks = compare(World(effect=-effect, images_error=images_error), repeats, [seeds])
    sd = float(np.mean([one.estimate.sd or 0 for (one,) in looks if one.estimate]))
    case = f"{effect:g} points, {seeds} seeds, standard error of the images {images_error:g} points"
    predicted = _t_power(effect, sd, images_error, seeds)
    return [
        count(
            Goal.POWER,
            f"{case} (a t test that knows both variances: {predicted:.0f} %)",
            "better",
            ever(looks, *BETTER),
            repeats,
        ),
        count(Goal.POWER, case, "worse", ever(looks, *WORSE), repeats, at_most=0.5, narrow=0.75),
    ]


def _t_power(effect: float, sd: float, images_error: float, seeds: int) -> float:
    variance = sd**2 / seeds + images_error**2
    freedom = variance**2 / ((sd**2 / seeds) ** 2 / (seeds - 1) + 1e-30)
    critical = stats.t.isf(look_level(seeds) / 2, freedom)
    return 100 * float(stats.nct.sf(critical, freedom, effect / np.sqrt(variance)))
