"""Tests paired differences by flipping their signs: one comparison exactly, a family together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

EXACT_FAMILY = 14  # seeds: all 16,384 sign flips of a family are counted up to here
FLIPS = 50_000  # random sign flips of a family with more seeds


def sign_flip_p(units: Sequence[int]) -> float:
    """Give the exact two-sided p value of the sum of paired differences.

    Without a true difference, each difference is as likely with the other sign. The distribution
    of the sum over all sign flips is computed by convolution.

    Args:
        units: the differences as whole multiples of the smallest possible one, such as one image.

    >>> sign_flip_p([-3, -1, -2])
    0.25
    """
    return float(sum_tail(units, [abs(sum(units))])[0])


def sum_tail(units: Sequence[int], sums: Sequence[float]) -> NDArray[np.float64]:
    """Give the exact share of the sign flips whose sum is as far from 0 as each of `sums`."""
    sizes = np.abs(np.asarray(units, dtype=np.int64))
    sizes = sizes[sizes > 0]
    divisor = int(np.gcd.reduce(sizes)) if sizes.size else 1
    sizes = sizes // divisor
    total = int(sizes.sum())
    share = np.zeros(total + 1)  # of the sign flips, by the sum of the positive differences
    share[0] = 1.0
    for size in sizes:
        share[size:] = (share[size:] + share[:-size]) / 2
        share[:size] /= 2
    reached = np.abs(2 * np.arange(total + 1) - total)
    # Subtraction leaves rounding errors in `sums`, which must not part equal sums.
    far = [np.abs(each) / divisor - 1e-9 * (1 + total) for each in sums]
    return np.array([min(1.0, float(share[reached >= each].sum())) for each in far])


def signed_ranks(differences: Sequence[float], failed: Sequence[int]) -> list[int]:
    """Rank the sizes of differences, and rank pairs in which one run failed above all.

    Source: Wilcoxon 1945; equal sizes share the mean of their ranks, and zeros have rank 0.

    Args:
        differences: of the pairs in which both runs trained.
        failed: for each pair in which one run failed, 1 if it is the arm's and -1 if it is the
            other's; 0 if both failed.

    Returns:
        Twice the signed ranks, which are whole numbers: first those of `differences`.

    >>> signed_ranks([-0.2, 0.1, 0.0], [1])
    [-4, 2, 0, 6]
    """
    sizes = np.abs(np.asarray(differences, dtype=float))
    ranks = np.zeros(len(sizes), dtype=np.int64)
    # Subtraction leaves rounding errors, which must not part equal sizes.
    ranks[sizes > 0] = np.round(2 * stats.rankdata(np.round(sizes[sizes > 0], 9)))
    signed = [int(value) for value in np.sign(differences) * ranks]
    count, below = sum(sign != 0 for sign in failed), int((sizes > 0).sum())
    highest = 2 * below + count + 1  # twice the mean of the ranks below + 1 ... below + count
    return signed + [sign * highest for sign in failed]


@dataclass(frozen=True)
class FamilyTest:
    """The p values of a family, and what its size means for a single comparison.

    Attributes:
        p: by comparison, as `sign_flip_p` gives it.
        adjusted: by comparison, the p value adjusted for the family.
        levels: by comparison, the level at which it alone has to be significant.
    """

    p: list[float]
    adjusted: list[float]
    levels: list[float]


def max_t(rows: Sequence[Sequence[int]], level: float) -> FamilyTest:
    """Adjust the p values of comparisons that share seeds, with the largest statistic of a flip.

    A sign flip turns all comparisons of a seed together, so that the correlation between the
    comparisons, which share an arm, is kept. Source: Westfall and Young 1993, step-down max-T.

    Args:
        rows: for each comparison its differences (or ranks) by seed, 0 where a seed is missing.
        level: of the whole family.
    """
    values = np.asarray(rows, dtype=float)
    size = np.sqrt((values**2).sum(axis=1))
    size[size == 0] = 1.0
    observed = np.abs(values.sum(axis=1)) / size
    flipped = np.abs(_flips(values.shape[1]) @ (values / size[:, None]).T)
    # By comparison: the chance that each of them reaches the statistic of this one.
    tails = np.array([sum_tail(row, observed * per) for row, per in zip(rows, size, strict=True)]).T
    order = np.argsort(-observed, kind="stable")
    adjusted, bound = np.ones(len(rows)), np.ones(len(rows))
    largest = np.zeros(len(flipped))
    for at in range(len(order) - 1, -1, -1):  # this comparison and all with smaller statistics
        place = order[at]
        largest = np.maximum(largest, flipped[:, place])
        adjusted[place] = (largest >= observed[place] - 1e-9).mean()
        bound[place] = tails[place, order[at:]].sum()
    # Random flips give no p below 1 / FLIPS. The sum over the comparisons is an exact bound.
    own = np.diagonal(tails)
    adjusted = np.maximum(np.minimum(adjusted, bound), own)
    for before, after in pairwise(order):
        adjusted[after] = max(adjusted[after], adjusted[before])
    reach = max(1, int(level * len(flipped)))  # so many flips may reach the critical value
    critical = np.sort(flipped.max(axis=1))[-reach]
    alone = (flipped >= critical - 1e-9).mean(axis=0)
    levels = np.clip(alone, level / len(rows), level)
    return FamilyTest(own.tolist(), adjusted.tolist(), levels.tolist())


def _flips(seeds: int) -> NDArray[np.floating]:
    """List all sign flips of few seeds, or draw random ones; the first is no flip."""
    if seeds <= EXACT_FAMILY:
        bits = np.arange(2**seeds)[:, None] >> np.arange(seeds) & 1
        return np.asarray(1.0 - 2.0 * bits)
    signs = np.random.default_rng(0).integers(0, 2, (FLIPS, seeds)) * 2.0 - 1
    signs[0] = 1.0
    return np.asarray(signs)
