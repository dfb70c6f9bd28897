"""Estimates differences and shares, and how far seeds and test images move them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrcycles.errors import InputError

Interval = tuple[float, float]

FEWEST = 3  # pairs: one or two say nothing of their spread


@dataclass(frozen=True)
class Estimate:
    """Mean of paired differences over seeds and test images; lower is better.

    Attributes:
        n: pairs.
        sd: standard deviation over the pairs; None below `FEWEST`.
        images: the number of test images; None where the images do not count or are not known.
        images_variance: the part of the mean's variance that other test images would add. It does
            not shrink with more seeds.
    """

    n: int
    mean: float
    median: float
    hodges_lehmann: float
    sd: float | None = None
    images: int | None = None
    images_variance: float | None = None

    @property
    def seeds_variance(self) -> float | None:
        """The part of the mean's variance that other seeds would add."""
        return None if self.sd is None else self.sd**2 / self.n

    @property
    def robust_disagrees(self) -> float:
        """The largest distance of the median and Hodges-Lehmann's estimate from the mean."""
        return max(abs(self.median - self.mean), abs(self.hodges_lehmann - self.mean))

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Give the interval for seeds and test images together; None where nothing is known."""
        half = self._half(confidence, self.seeds_variance, self.images_variance or 0.0)
        return None if half is None else (self.mean - half, self.mean + half)

    @property
    def p(self) -> float:
        """The level at which the interval starts to contain 0; 1 where nothing is known."""
        if self.interval() is None:
            return 1.0
        parts = self._parts(self.seeds_variance or 0.0, self.images_variance or 0.0)
        t = abs(self.mean) / math.sqrt(sum(variance for variance, _ in parts))
        return float(2 * stats.t.sf(t, freedom(parts)))

    def halves(self, confidence: float = 0.95) -> tuple[float | None, float | None]:
        """Give half the interval of the seeds alone, and of the test images alone."""
        seeds = self._half(confidence, self.seeds_variance, 0.0)
        images = self._half(confidence, 0.0, self.images_variance or 0.0)
        return seeds, images

    def _half(self, confidence: float, seeds: float | None, images: float) -> float | None:
        if seeds is None or seeds + images <= 0:
            return None
        return half_width(confidence, self._parts(seeds, images))

    def _parts(self, seeds: float, images: float) -> list[tuple[float, int]]:
        return [(seeds, self.n - 1), (images, (self.images or 2) - 1)]


def half_width(confidence: float, parts: Sequence[tuple[float, int]]) -> float:
    """Give half an interval of Student's t for a sum of independent variances.

    Args:
        parts: each variance, and its degrees of freedom.
    """
    total = sum(variance for variance, _ in parts)
    return float(stats.t.ppf((1 + confidence) / 2, freedom(parts))) * math.sqrt(total)


def freedom(parts: Sequence[tuple[float, int]]) -> float:
    """Give the degrees of freedom of a sum of independent variances.

    Source: Satterthwaite 1946.
    """
    total = sum(variance for variance, _ in parts)
    return total**2 / sum(variance**2 / df for variance, df in parts)


def compare_pairs(
    differences: Sequence[float], by_image: NDArray[np.generic] | None = None
) -> Estimate:
    """Estimate the mean of paired differences.

    Args:
        differences: one per pair, arm minus other.
        by_image: the differences of each test image, shape (pairs, images), in units whose mean
            over the images, times 100, is the pair's difference in percentage points: 1 where only
            the arm is wrong, -1 where only the other one is. None: the images are left out.

    Raises:
        InputError: no differences, or one that is not finite.

    >>> compare_pairs([-2.0, -1.0, -3.0]).mean
    -2.0
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise InputError(
            "Differences must be finite, one per pair, from at least one pair. "
            f"Received: {list(differences)}. Leave out pairs of which a run failed."
        )
    n = len(values)
    # Subtraction leaves rounding errors: differences that are equal but for those have no spread.
    constant = float(np.ptp(values)) <= 1e-9 * max(1.0, float(np.abs(values).max()))
    sd = 0.0 if constant else float(values.std(ddof=1)) if n > 1 else None
    first, second = np.triu_indices(n)
    known = by_image is not None and n >= FEWEST
    return Estimate(
        n=n,
        mean=float(values.mean()),
        median=float(np.median(values)),
        hodges_lehmann=float(np.median((values[first] + values[second]) / 2)),
        sd=sd if n >= FEWEST else None,
        images=by_image.shape[1] if known and by_image is not None else None,
        images_variance=_images_variance(by_image) if known and by_image is not None else None,
    )


def _images_variance(by_image: NDArray[np.generic]) -> float:
    """Estimate the variance that the test images add to a mean over seeds, in points squared.

    Two seeds share the images and nothing else, so the covariance of their differences over the
    images is the part of the images. Its mean over all pairs of seeds, divided by the images.
    """
    values = np.asarray(by_image, dtype=np.float32)
    seeds, images = values.shape
    means = values.mean(axis=1, dtype=float)
    of_sum = float(((values.sum(axis=0) - means.sum()) ** 2).sum())
    alone = float((values**2).sum(dtype=float) - images * (means**2).sum())
    covariance = (of_sum - alone) / (seeds * (seeds - 1) * (images - 1))
    return float(100**2 * max(covariance, 0.0) / images)


@dataclass(frozen=True)
class Chance:
    """The share of pairs in which an arm is better, in percent, with its 95 % Wilson interval."""

    percent: float
    low: float
    high: float


def chance_better(differences: Sequence[float]) -> Chance:
    """Estimate P(A > B), the probability that a run of the arm is better than its pair.

    A tie counts as half a win. The interval counts ties as losses at its lower end and as wins at
    its upper end. Source: Bouthillier et al. 2021 (arXiv 2103.03098), sec. 4.

    Args:
        differences: one per pair, arm minus other; negative means that the arm is better.

    Raises:
        InputError: there are no pairs.

    >>> chance_better([-0.1, -0.2, -0.1, 0.3]).percent
    75.0
    """
    if not differences:
        raise InputError("At least one pair must be there. Received: none. Leave the arm out.")
    values = np.asarray(differences, dtype=float)
    wins, ties, n = int((values < 0).sum()), int((values == 0).sum()), len(values)
    low = stats.binomtest(wins, n).proportion_ci(0.95, method="wilson").low
    high = stats.binomtest(wins + ties, n).proportion_ci(0.95, method="wilson").high
    return Chance(100 * (wins + ties / 2) / n, 100 * float(low), 100 * float(high))


def wilson_interval(errors: int, n: int) -> tuple[float, float]:
    """Give the 95 % Wilson interval, in percent, of `errors` among `n` images in a single run.

    The interval covers the finite test set only, not the variation between runs.

    Raises:
        InputError: there are no images, or more errors than images.

    >>> tuple(round(end, 2) for end in wilson_interval(191, 10_000))
    (1.66, 2.2)
    """
    if not 0 <= errors <= n or n < 1:
        raise InputError(
            "errors must lie between 0 and n, and n must be at least 1. "
            f"Received: errors={errors}, n={n}. Count the errors among n images."
        )
    low, high = stats.binomtest(errors, n).proportion_ci(0.95, method="wilson")
    return 100 * float(low), 100 * float(high)


def unpaired_interval(first_percent: float, second_percent: float, images: int) -> Interval:
    """Give the 95 % interval of the second error rate minus the first one, in percentage points.

    For two single runs of which nobody knows which images are wrong.
    Source: Newcombe 1998 (Statistics in Medicine 17), method 10.

    >>> tuple(round(end, 2) for end in unpaired_interval(1.91, 1.64, 10_000))
    (-0.64, 0.1)
    """
    first, second = (wilson_percent(error, images) for error in (first_percent, second_percent))
    middle = second_percent - first_percent
    below = math.hypot(second_percent - second[0], first[1] - first_percent)
    above = math.hypot(second[1] - second_percent, first_percent - first[0])
    return middle - below, middle + above


def wilson_percent(error_percent: float, images: int) -> tuple[float, float]:
    """Give the 95 % interval of an error rate measured once on `images` images, in percent."""
    return wilson_interval(round(error_percent / 100 * images), images)
