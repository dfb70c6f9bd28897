"""Looks again and again at growing numbers of seeds: how often is a verdict wrong?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lrcycles.evidence.families import LATER_LEVELS, LOOKS, look_level
from lrcycles.evidence.sign_flips import sign_flip_p
from studies.verdicts.rows import Goal, Row, count

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

# Differences with mean 0 and standard deviation 1.
SHAPES: Mapping[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "heavy tails (t, 4)": lambda rng, n: rng.standard_t(4, n) / np.sqrt(2),
    "skewed (gamma, 4)": lambda rng, n: (rng.gamma(4, 1, n) - 4) / 2,
}
SD = 10  # images, of 10,000; typical of paired differences on MNIST (docs/reports)
FEW = 1.5  # images: many differences are equal or 0
MANY = 100  # images: hardly any are


def look_errors(shape: str, sd: float, seed: int, repeats: int) -> list[Row]:
    """Look at one comparison without a true difference, at every look."""
    rng = np.random.default_rng(seed)
    p = np.array([_p_values(SHAPES[shape](rng, LOOKS[-1]), sd) for _ in range(repeats)])
    rows = []
    for share in LATER_LEVELS if shape == "normal" else (1,):
        levels = [look_level(seeds, share) for seeds in LOOKS]
        rows.append(
            count(
                Goal.LOOKS,
                f"{shape}, sd {sd:g} images, 1 of {share} comparisons",
                "p at or below the level at any of five looks",
                int((p <= levels).any(axis=1).sum()),
                repeats,
                at_most=5 / share,
            )
        )
    return rows


def _p_values(differences: NDArray[np.float64], sd: float) -> list[float]:
    units = np.rint(sd * differences).astype(int)
    return [sign_flip_p(units[:seeds].tolist()) for seeds in LOOKS]
