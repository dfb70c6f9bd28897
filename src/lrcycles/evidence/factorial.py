"""Splits a change between two arms into the effects of its factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.paired import Estimate, Interval, compare_pairs


@dataclass(frozen=True)
class Effect:
    """What a factor changes in test error, on average over all orders of adding the factors.

    Attributes:
        share: of the whole change, in percent with its 95 % interval over the seeds; None unless
            the whole change is certain and larger than the margin.
        by_seed: what it changes in each seed.
    """

    factor: str
    estimate: Estimate
    share: tuple[float, Interval] | None
    by_seed: list[float]

    @property
    def sign(self) -> int:
        """-1 if it takes errors away, 1 if it adds errors, 0 if its 95 % interval contains 0."""
        interval = self.estimate.interval()
        if interval is None or interval[0] <= 0 <= interval[1]:
            return 0
        return -1 if self.estimate.mean < 0 else 1


@dataclass(frozen=True)
class Factorial:
    """The whole change from the arm without factors to the arm with all, and its parts."""

    none: str
    all: str
    whole: Effect
    effects: list[Effect]
    seeds: int
    failed: int  # runs of these arms that diverged or guess; their seeds are left out


def split(
    arms: Mapping[str, Arm], factors: Mapping[str, Sequence[str]], margin: float
) -> Factorial | None:
    """Split the change of a full factorial; None where an arm or a seed is missing.

    The effect of a factor is its Shapley value: the mean over all orders in which the factors can
    be added, so that the effects add up to the whole. Source: Shapley 1953.

    Args:
        factors: by arm, the factors that it has; every combination must be there once.
        margin: in percentage points of test error.
    """
    by_set = {frozenset(own): arms[name] for name, own in factors.items() if name in arms}
    names = list(dict.fromkeys(factor for own in factors.values() for factor in own))
    needed = [frozenset(s) for k in range(len(names) + 1) for s in combinations(names, k)]
    if not names or any(each not in by_set for each in needed):
        return None
    every = list(by_set.values())
    seeds = [seed for seed in every[0].trained if all(seed in arm.trained for arm in every)]
    if len(seeds) < 2:
        return None
    whole_weights = {frozenset(names): 1.0, frozenset(): -1.0}
    whole, changes = _contrast(by_set, whole_weights, seeds)
    together = Effect("all together", whole, None, changes.tolist())
    effects = []
    for name in names:
        effect, parts = _contrast(by_set, _shapley(name, names), seeds)
        shown = together.sign != 0 and abs(whole.mean) > margin
        share = _share(parts, changes) if shown else None
        effects.append(Effect(name, effect, share, parts.tolist()))
    return Factorial(
        none=by_set[frozenset()].name,
        all=by_set[frozenset(names)].name,
        whole=together,
        effects=effects,
        seeds=len(seeds),
        failed=sum(len(arm.failed) for arm in every),
    )


def _shapley(name: str, names: Sequence[str]) -> dict[frozenset[str], float]:
    """Weight every arm, so that the weighted sum is the mean effect over all orders."""
    others = [each for each in names if each != name]
    weights: dict[frozenset[str], float] = {}
    for k in range(len(others) + 1):
        share = factorial(k) * factorial(len(others) - k) / factorial(len(names))
        for before in combinations(others, k):
            weights[frozenset((*before, name))] = share
            weights[frozenset(before)] = -share
    return weights


def _contrast(
    by_set: Mapping[frozenset[str], Arm],
    weights: Mapping[frozenset[str], float],
    seeds: Sequence[int],
) -> tuple[Estimate, NDArray[np.float64]]:
    """Estimate a weighted sum of arms; also return it by seed."""
    pairs = [(weight, by_set[own]) for own, weight in weights.items()]
    values = np.zeros(len(seeds))
    for weight, arm in pairs:
        own = arm.values(Quantity.ERROR)
        values += weight * np.array([own[seed] for seed in seeds])
    by_image: NDArray[np.generic] | None = None
    if all(seed in arm.mistakes for _, arm in pairs for seed in seeds):
        stacks = [w * np.stack([arm.mistakes[seed] for seed in seeds]) for w, arm in pairs]
        by_image = np.sum(stacks, axis=0)
    return compare_pairs(values.tolist(), by_image), values


def _share(parts: NDArray[np.float64], whole: NDArray[np.float64]) -> tuple[float, Interval]:
    """Give a part of the whole in percent, with its bootstrap interval over the seeds."""

    def share(
        part: NDArray[np.float64], all_of_it: NDArray[np.float64], axis: int = -1
    ) -> NDArray[np.float64]:
        return np.asarray(100 * part.mean(axis=axis) / all_of_it.mean(axis=axis))

    interval = stats.bootstrap(
        (parts, whole),
        share,
        paired=True,
        vectorized=True,
        n_resamples=5_000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(share(parts, whole)), (float(interval.low), float(interval.high))
