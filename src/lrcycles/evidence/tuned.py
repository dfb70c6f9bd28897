"""What would tuning a constant rate have reached, at the price of the range test?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lrcycles.config.schema import FEWEST_RATES, TUNED
from lrcycles.evidence.arms import Arm

_ALIKE = ("optimizer", "model", "batch_size", "epochs", "training_set", "class_weights", "momentum")


@dataclass(frozen=True)
class Tuned:
    """An arm made of other arms' cells: for each seed that of the rate that led after `epochs`."""

    arm: Arm
    candidates: list[str]
    epochs: int
    chosen: dict[int, str]
    tried_steps: int  # of the rates that were tried and dropped


def constant_rates(controlled: Sequence[Arm]) -> list[Arm]:
    """The arms at a constant rate that differ from the first of `controlled` in nothing else."""
    first = controlled[0].settings
    return [
        arm
        for arm in controlled
        if arm.settings["schedule"]["name"] == "constant"
        and arm.settings["continues"] is None
        and all(arm.settings.get(key) == first.get(key) for key in _ALIKE)
    ]


def tune(controlled: Sequence[Arm], *, budget_steps: int) -> Tuned | None:
    """Choose among the constant rates as an expert would, by validation after a short trial each.

    The trials together take as many steps as the range test took, up to whole epochs and at most
    to whole trainings. Rates that the range test found are no candidates: they have their price.

    Args:
        controlled: the baseline first, which is a candidate, and what else may be alike.
        budget_steps: the steps of the whole range test.

    Returns:
        None if there are fewer than three rates that differ in nothing else.
    """
    first = controlled[0].settings
    candidates = [arm for arm in constant_rates(controlled) if not arm.uses_bounds]
    if len(candidates) < FEWEST_RATES:
        return None
    steps_per_epoch = controlled[0].steps_per_epoch
    epochs = math.ceil(budget_steps / (len(candidates) * steps_per_epoch))
    epochs = min(max(epochs, 1), int(first["epochs"]))
    chosen: dict[int, Arm] = {}
    for seed in controlled[0].cells:
        after = {
            arm.cells[seed]["history"][epochs - 1]["validation_error_percent"]: arm
            for arm in reversed(candidates)  # of equal errors the first candidate stays
            if seed in arm.cells and len(arm.cells[seed]["history"]) >= epochs
        }
        if after:
            chosen[seed] = after[min(after)]
    if not chosen:
        return None
    schedule = dict.fromkeys(first["schedule"]) | {"name": f"constant, best of {len(candidates)}"}
    (usual, _), *_ = Counter(arm.name for arm in chosen.values()).most_common(1)
    arm = Arm(
        name=TUNED,
        group="controls",
        cells={
            seed: {**arm.cells[seed], "arm": TUNED, "schedule": schedule}
            for seed, arm in chosen.items()
        },
        rates=next(arm.rates for arm in candidates if arm.name == usual),
    )
    return Tuned(
        arm=arm,
        candidates=[arm.name for arm in candidates],
        epochs=epochs,
        chosen={seed: arm.name for seed, arm in chosen.items()},
        tried_steps=(len(candidates) - 1) * epochs * steps_per_epoch,
    )
