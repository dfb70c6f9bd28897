"""The rule `scaled`: calibrated, scaled for the optimizer and the length of the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from lrcycles.bounds.calibrated import RATIO, calibrated
from lrcycles.bounds.seed_bounds import SeedBounds
from lrcycles.range_tests.basin import Basin, find_basin
from lrcycles.range_tests.curves import SeedCurve

NEUTRAL_STEPS = 1000  # updates of a training that needs no correction for its length
ENOUGH = 0.75  # of the whole fall of the loss
BEYOND_OCTAVES = 2.0  # above the rate at which the loss has fallen by `ENOUGH`


@dataclass(frozen=True)
class Kind:
    """How far the best max_lr of a kind of optimizer is from the one of rule `calibrated`.

    Attributes:
        octaves: in factors of 2, where the length of the training needs no correction.
        slope: by which power of the length the best rate falls.
    """

    name: str
    octaves: float
    slope: float


ADAPTIVE = Kind("an optimizer that divides by the size of the gradients", -2.0, 0.3)
VELOCITY = Kind("SGD with momentum", -0.8, 0.0)
PLAIN = Kind("an optimizer whose steps shrink with the gradients", 0.6, 0.0)
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(
            ("adam", "adamw", "adamax", "nadam", "rmsprop", "lion", "lamb", "muon", "adafactor"),
            ADAPTIVE,
        ),
        **dict.fromkeys(("sgd", "adagrad"), PLAIN),
    }
)


def scaled(curve: SeedCurve) -> SeedBounds:
    """Read one seed's bounds as `calibrated` does, and scale them for the training that comes.

    A sweep spends a few updates on each rate. Where the optimizer divides by the size of the
    gradients, a rate that such a short time calls best is too high for a training: there the noise
    of its steps counts, and the best rate falls with the length. Where the steps shrink with the
    gradients, the highest rate that is stable is best at every length.

    1. max_lr of `calibrated`, times 2^octaves of the kind of optimizer (`KINDS`): -2 for Adam and
       its like, -0.8 for SGD with momentum, 0.6 for plain SGD and Adagrad. An optimizer that is not
       known changes nothing.
    2. For Adam and its like, and a known length, times (updates / 1000)^-0.3.
    3. Where the loss never rises again, so that `calibrated` has no answer: 2^2 times the rate at
       which the loss has fallen by 75 % of its whole fall. Higher rates gain nothing that a sweep
       shows.
    4. max_lr is never above the rate at which the loss explodes. base_lr is max_lr / 40.

    The numbers were chosen on 13 tasks of docs/study-networks, and are judged on eight others.

    Source: docs/study-networks.
    """
    before = calibrated(curve)
    kind = kind_of(curve.optimizer, curve.momentum)
    basin = find_basin(curve)
    if before.max_lr is None and isinstance(basin, Basin) and basin.open_above and basin.first:
        return _enough(curve, basin, kind)
    if before.max_lr is None or kind is None:
        return before
    octaves = kind.octaves + _for_length(curve, kind)
    max_lr = before.max_lr * 2**octaves
    if isinstance(basin, Basin) and basin.exploded < len(curve.lr):
        max_lr = min(max_lr, float(curve.lr[basin.exploded]))
    reason = f"{before.max_lr_reason}; times {2**octaves:.2g} for {kind.name}"
    if kind.slope and curve.total_steps:
        reason += f" and {curve.total_steps:,} updates"
    return replace(before, base_lr=max_lr / RATIO, max_lr=max_lr, max_lr_reason=reason)


def kind_of(optimizer: str | None, momentum: float) -> Kind | None:
    """Return the kind of an optimizer by its name in lower case; None where it is not known."""
    kind = KINDS.get(optimizer or "")
    return VELOCITY if kind is PLAIN and momentum else kind


def _for_length(curve: SeedCurve, kind: Kind) -> float:
    """Return the correction for the length of the training, in factors of 2."""
    if not curve.total_steps:
        return 0.0
    return -kind.slope * math.log2(curve.total_steps / NEUTRAL_STEPS)


def _enough(curve: SeedCurve, basin: Basin, kind: Kind | None) -> SeedBounds:
    """Return the bounds for a loss that stays low up to the last rate."""
    before = float(np.median(basin.smooth[: max(1, len(basin.smooth) // 10)]))
    level = before - ENOUGH * (before - float(basin.smooth.min()))
    rate = 10 ** float(basin.exponent[int(np.argmax(basin.smooth <= level))])
    length = 0.0 if kind is None else _for_length(curve, kind)
    max_lr = min(rate * 2 ** (BEYOND_OCTAVES + length), float(curve.lr[-1]))
    return SeedBounds(
        curve.seed,
        base_lr=max_lr / RATIO,
        max_lr=max_lr,
        base_lr_reason=f"base_lr is max_lr / {RATIO}",
        max_lr_reason=f"the loss has done {100 * ENOUGH:.0f} % of its fall at {rate:.3g}",
        warning=(
            f"The loss stays low up to the last rate, {curve.lr[-1]:.3g}, so no rate shows as too "
            f"high. Rates above {max_lr:.3g} gain nothing that the range test shows."
        ),
    )
