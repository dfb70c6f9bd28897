"""What does an arm or a list of seeds mean, where the configuration leaves something out?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from lrcycles.config.schema import BOUNDS, SHAPES, ArmConfig, Config, TrainingSet
from lrcycles.errors import InputError
from lrcycles.schedules.table import repeats, taken_by

SEEDS = 2**32  # what NumPy and the backends take: 0 to this - 1
MOST_SEEDS = 10_000  # a count beyond is a seed typed in its place


def seed_list(seeds: Any, name: str) -> list[int]:
    """A count n means 0..n-1; a list is itself.

    >>> seed_list(3, "train.seeds"), seed_list([7, 0], "train.seeds")
    ([0, 1, 2], [7, 0])
    """
    if _is_int(seeds) and 1 <= seeds <= MOST_SEEDS:
        return list(range(seeds))
    whole = isinstance(seeds, list) and all(_is_int(seed) and 0 <= seed < SEEDS for seed in seeds)
    if not whole or not seeds or len(set(seeds)) != len(seeds):
        raise InputError(
            f"need {name} to be a count >= 1 and <= {MOST_SEEDS}, or a list of different seeds "
            f">= 0 and < 2**32, got {seeds!r}"
        )
    return cast(list[int], seeds)


def arm_seeds(config: Config, arm: ArmConfig) -> list[int]:
    """An arm's own seeds, or else those of all arms."""
    if arm.seeds is None:
        return seed_list(config.train.seeds, "train.seeds")
    return seed_list(arm.seeds, "an arm's seeds")


def arm_length(config: Config, arm: ArmConfig) -> tuple[int, int, int]:
    """An arm's (epochs, batch_size, images it trains on)."""
    data = config.data
    images = data.train_images
    if arm.training_set == TrainingSet.all:
        images += data.validation_images
    epochs = config.train.epochs if arm.epochs is None else arm.epochs
    batch_size = config.train.batch_size if arm.batch_size is None else arm.batch_size
    return epochs, batch_size, images


def arm_steps(config: Config, arm: ArmConfig) -> int:
    """How many updates an arm makes."""
    epochs, batch_size, images = arm_length(config, arm)
    return epochs * (images // batch_size)


def asks_for_bounds(arm: ArmConfig) -> bool:
    """Whether a rate of the arm is one that stage `bounds` chose."""
    return arm.base_lr in BOUNDS or arm.max_lr in BOUNDS


def arm_schedule(arm: ArmConfig, cycles: int, bounds: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `schedules.rate_table` takes of an arm, beside the number of steps.

    Args:
        cycles: of an arm that goes through cycles and does not say how many.
        bounds: base_lr and max_lr for an arm that asks for those that were selected.
    """

    def value(key: str) -> Any:
        given = getattr(arm, key)
        if given not in BOUNDS:
            return given
        assert bounds is not None, "the configuration was not checked"
        if given == "bounds.geometric_mean":
            return math.sqrt(bounds["base_lr"] * bounds["max_lr"])
        return bounds[given.removeprefix("bounds").removeprefix(".") or key]

    name = arm.schedule.value
    found = {"name": name, "base_lr": value("base_lr")}
    if "max_lr" in taken_by(name):
        found["max_lr"] = value("max_lr")
    if repeats(name) and arm.step_size is None:
        found["cycles"] = arm.cycles or cycles
    for key in ("step_size", *SHAPES):
        if getattr(arm, key) is not None:
            found[key] = getattr(arm, key)
    return found


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
