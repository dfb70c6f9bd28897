"""The bounds that a rule reads from one seed's range-test curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrcycles.range_tests.basin import Missing
from lrcycles.range_tests.curves import SeedCurve


@dataclass(frozen=True)
class SeedBounds:
    """The bounds of one seed, and the reason for each.

    Attributes:
        base_lr: None where the curve does not show it.
        max_lr: None where the curve does not show it.
        base_lr_reason: a clause on why base_lr is this rate, or why it is None.
        max_lr_reason: the same for max_lr.
        missing: which rates may show the bounds that are None; None where the rule does not know.
        warning: a sentence on what the curve does not show, although there are bounds.
    """

    seed: int
    base_lr: float | None
    max_lr: float | None
    base_lr_reason: str
    max_lr_reason: str
    missing: Missing | None = None
    warning: str | None = None

    @classmethod
    def none(cls, seed: int, reason: str, missing: Missing | None = None) -> SeedBounds:
        """Make an entry without bounds, with the same reason for both."""
        return cls(seed, None, None, reason, reason, missing)


BoundsRule = Callable[[SeedCurve], SeedBounds]
