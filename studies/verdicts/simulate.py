"""How often is a verdict wrong, an interval off and an effect found, where the truth is known?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from lrcycles.evidence.paired import Outcome, compare_pairs, judge
from lrcycles.evidence.times import TimeToTarget, compare_times

MARGIN = 0.05  # percentage points, as in conf/report
SD = 0.1  # of a paired difference between two arms on MNIST, percentage points; see docs/reports
Draw = Callable[[np.random.Generator, int], np.ndarray]

# Differences of mean 0 and standard deviation 1. A finite test set makes ties.
SHAPES: Mapping[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "heavy tails (t, 4)": lambda rng, n: rng.standard_t(4, n) / np.sqrt(2),
    "skewed (gamma, 4)": lambda rng, n: (rng.gamma(4, 1, n) - 4) / 2,
    "counted in hundredths": lambda rng, n: np.round(rng.normal(0, SD, n), 2) / SD,
}


@dataclass(frozen=True)
class Case:
    """So many repeats of a comparison of `n` pairs, or of a family of them."""

    shape: str
    n: int
    effect: float  # the true mean difference, percentage points
    family: int = 1
    repeats: int = 1000


def cases() -> Iterator[Case]:
    """A/A comparisons of every shape, families of them, and planted effects."""
    for shape in SHAPES:
        yield Case(shape, 8, 0.0)
    yield Case("normal", 12, 0.0)
    yield Case("normal", 30, 0.0)
    yield Case("normal", 12, 0.0, family=6)
    yield Case("normal", 12, 0.0, family=40, repeats=300)  # as large as experiment schedules
    for effect in (0.05, 0.1, 0.2):
        for n in (8, 12):
            yield Case("normal", n, effect)


def run(case: Case, *, seed: int = 0) -> dict[str, Any]:
    """Repeat a case; what came out, with Clopper-Pearson intervals at 99 %, in percent."""
    rng = np.random.default_rng([seed, case.n, case.family, round(1000 * case.effect)])
    draw = SHAPES[case.shape]
    decided = covered = equivalent = wrong = 0
    for _ in range(case.repeats):
        family = {
            str(k): compare_pairs(list(case.effect + SD * draw(rng, case.n)), margin=MARGIN)
            for k in range(case.family)
        }
        verdicts = [one.outcome for one in judge(family).values()]
        decided += any(verdict in (Outcome.BETTER, Outcome.WORSE) for verdict in verdicts)
        wrong += case.effect > 0 and verdicts[0] == "better"
        equivalent += verdicts[0] == "equivalent"
        low, high = family["0"].interval95 or (np.nan, np.nan)
        covered += bool(low <= case.effect <= high)
    return {
        **vars(case),
        "decided": share(decided, case.repeats),
        "wrong_way": share(wrong, case.repeats),
        "equivalent": share(equivalent, case.repeats),
        "covered": share(covered, case.repeats),
        "predicted_power_percent": predicted_power(case) if case.effect else None,
    }


def run_times(n: int, *, never: float, repeats: int = 1000, seed: int = 0) -> dict[str, Any]:
    """A/A comparisons of the time to a target that a share of both arms' runs never reaches.

    Args:
        never: of all runs, in expectation. The others arrive at the end of one of ten epochs.
    """
    rng = np.random.default_rng([seed, n, round(100 * never)])
    decided = 0
    for _ in range(repeats):
        own, other = (
            {
                k: TimeToTarget(float(min(epoch, 10)), int(min(epoch, 10)), bool(lost))
                for k, (epoch, lost) in enumerate(zip(epochs, epochs > 10, strict=True))
            }
            for epochs in np.where(rng.random((2, n)) < never, 11, rng.integers(1, 11, (2, n)))
        )
        found = compare_times(own, other)
        verdict = judge({"": found})[""].outcome if found else Outcome.UNDECIDED
        decided += verdict in (Outcome.BETTER, Outcome.WORSE)
    return {
        "n": n,
        "never_percent": 100 * never,
        "repeats": repeats,
        "decided": share(decided, repeats),
    }


def share(count: int, of: int) -> dict[str, float]:
    """A share in percent, and its Clopper-Pearson interval at 99 %."""
    interval = stats.binomtest(int(count), of).proportion_ci(0.99, method="exact")
    ends = {"low": 100 * float(interval.low), "high": 100 * float(interval.high)}
    return {"percent": 100 * count / of, **ends}


def predicted_power(case: Case) -> float:
    """The power of the paired t test at 5 %, in percent: what a sign-flip test comes close to."""
    from statsmodels.stats.power import TTestPower

    return 100 * float(TTestPower().power(case.effect / SD, case.n, 0.05, alternative="two-sided"))


def run_real(errors: Sequence[float], *, pairs: int) -> dict[str, Any]:
    """A/A comparisons of real runs: disjoint groups of equal trainings that differ by their seeds.

    Args:
        errors: percent, one of each training.
        pairs: of each comparison, which takes twice as many trainings.
    """
    groups = np.asarray(errors)[: len(errors) // (2 * pairs) * 2 * pairs].reshape(-1, 2, pairs)
    # Runs of other seeds share nothing: the true difference of their means is zero.
    found = [compare_pairs(list(one - other), margin=MARGIN) for one, other in groups]
    verdicts = [judge({"": comparison})[""].outcome for comparison in found]
    decided = sum(verdict in (Outcome.BETTER, Outcome.WORSE) for verdict in verdicts)
    covered = sum(low <= 0 <= high for low, high in (one.interval95 or (1, 0) for one in found))
    return {
        "comparisons": len(found),
        "pairs": pairs,
        "trainings": 2 * pairs * len(found),
        "sd_of_differences": float(np.std(groups[:, 0] - groups[:, 1], ddof=1)),
        "decided": share(decided, len(found)),
        "covered": share(covered, len(found)),
    }
