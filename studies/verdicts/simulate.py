"""Counts wrong verdicts, intervals that miss and effects found, where the truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from lrcycles.evidence.paired import Outcome, compare_pairs, judge
from lrcycles.evidence.times import TimeToTarget, compare_times

MARGIN = 0.05  # percentage points, as in conf/report
SD = 0.1  # percentage points; typical of paired differences on MNIST (docs/reports)
Draw = Callable[[np.random.Generator, int], np.ndarray]

# Differences with mean 0 and standard deviation 1. Hundredths imitate a finite test set: ties.
SHAPES: Mapping[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "heavy tails (t, 4)": lambda rng, n: rng.standard_t(4, n) / np.sqrt(2),
    "skewed (gamma, 4)": lambda rng, n: (rng.gamma(4, 1, n) - 4) / 2,
    "counted in hundredths": lambda rng, n: np.round(rng.normal(0, SD, n), 2) / SD,
}


@dataclass(frozen=True)
class Case:
    """A comparison of `n` pairs, or a family of such comparisons, repeated `repeats` times."""

    shape: str
    n: int
    effect: float  # the true mean difference, percentage points
    family: int = 1
    repeats: int = 1000


def cases() -> Iterator[Case]:
    """Yield comparisons without a difference, families of them, and planted differences."""
    for shape in SHAPES:
        yield Case(shape, 8, 0.0)
    yield Case("normal", 12, 0.0)
    yield Case("normal", 30, 0.0)
    yield Case("normal", 12, 0.0, family=6)
    yield Case(
        "normal", 12, 0.0, family=40, repeats=300
    )  # about as many as in experiment schedules
    for effect in (0.05, 0.1, 0.2):
        for n in (8, 12):
            yield Case("normal", n, effect)


def run(case: Case, *, seed: int = 0) -> dict[str, Any]:
    """Repeat a case and return shares in percent, with their 99 % Clopper-Pearson intervals."""
    rng = np.random.default_rng([seed, case.n, case.family, round(1000 * case.effect)])
    draw = SHAPES[case.shape]
    decided = covered = equivalent = wrong = 0
    for _ in range(case.repeats):
        family = {
            str(k): compare_pairs(list(case.effect + SD * draw(rng, case.n)), margin=MARGIN)
            for k in range(case.family)
        }
        verdicts = [judged.outcome for judged in judge(family).values()]
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
    """Compare the times to a target of two equal arms.

    Args:
        n: pairs of runs.
        never: expected share of runs that never reach the target, 0 to 1. The rest reach it at the
            end of one of ten epochs.
    """
    rng = np.random.default_rng([seed, n, round(100 * never)])
    decided = 0
    for _ in range(repeats):
        first, second = (
            {
                k: TimeToTarget(float(min(epoch, 10)), int(min(epoch, 10)), bool(lost))
                for k, (epoch, lost) in enumerate(zip(epochs, epochs > 10, strict=True))
            }
            for epochs in np.where(rng.random((2, n)) < never, 11, rng.integers(1, 11, (2, n)))
        )
        comparison = compare_times(first, second)
        verdict = judge({"": comparison})[""].outcome if comparison else Outcome.UNDECIDED
        decided += verdict in (Outcome.BETTER, Outcome.WORSE)
    return {
        "n": n,
        "never_percent": 100 * never,
        "repeats": repeats,
        "decided": share(decided, repeats),
    }


def share(count: int, of: int) -> dict[str, float]:
    """Return a share in percent and its 99 % Clopper-Pearson interval."""
    interval = stats.binomtest(int(count), of).proportion_ci(0.99, method="exact")
    ends = {"low": 100 * float(interval.low), "high": 100 * float(interval.high)}
    return {"percent": 100 * count / of, **ends}


def predicted_power(case: Case) -> float:
    """Return the power of the paired t test at 5 %, in percent."""
    from statsmodels.stats.power import TTestPower

    return 100 * float(TTestPower().power(case.effect / SD, case.n, 0.05, alternative="two-sided"))


def run_real(errors: Sequence[float], *, pairs: int) -> dict[str, Any]:
    """Compare real trainings that differ by their seeds, each in one comparison.

    Args:
        errors: test errors in percent, one per training.
        pairs: pairs per comparison; a comparison uses twice as many trainings.
    """
    groups = np.asarray(errors)[: len(errors) // (2 * pairs) * 2 * pairs].reshape(-1, 2, pairs)
    # The trainings differ by their seeds alone: the true difference of the means is zero.
    comparisons = [compare_pairs(list(a - b), margin=MARGIN) for a, b in groups]
    verdicts = [judge({"": comparison})[""].outcome for comparison in comparisons]
    decided = sum(verdict in (Outcome.BETTER, Outcome.WORSE) for verdict in verdicts)
    intervals = [comparison.interval95 or (1, 0) for comparison in comparisons]
    covered = sum(low <= 0 <= high for low, high in intervals)
    return {
        "comparisons": len(comparisons),
        "pairs": pairs,
        "trainings": 2 * pairs * len(comparisons),
        "sd_of_differences": float(np.std(groups[:, 0] - groups[:, 1], ddof=1)),
        "decided": share(decided, len(comparisons)),
        "covered": share(covered, len(comparisons)),
    }
