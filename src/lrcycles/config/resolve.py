"""Fills in what an arm or a list of seeds leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from lrcycles.config import plain
from lrcycles.config.schema import (
    ADVICE,
    BOUNDS,
    GROUPS,
    PEAKS,
    SHAPES,
    ArmConfig,
    Arms,
    Average,
    Config,
    TrainingSet,
)
from lrcycles.errors import InputError
from lrcycles.schedules.limits import is_count
from lrcycles.schedules.table import SCHEDULES

SEEDS = 2**32  # NumPy and the backends take seeds from 0 to SEEDS - 1
MOST_SEEDS = 10_000  # a larger number is a seed, typed where a count belongs
FIRST_TUNING_SEED = 1000
PEAK_RATIO = 40  # of a peak to peak.base_lr, as in the rule `calibrated`


def seed_list(seeds: Any, name: str) -> list[int]:
    """Return the seeds of a count n, which are 0 to n-1, or of a list.

    Args:
        name: the key, for the error.

    >>> seed_list(3, "train.seeds"), seed_list([7, 0], "train.seeds")
    ([0, 1, 2], [7, 0])
    """
    if is_count(seeds) and seeds <= MOST_SEEDS:
        return list(range(seeds))
    whole = isinstance(seeds, list) and all(is_count(s, least=0) and s < SEEDS for s in seeds)
    if not whole or not 0 < len(set(seeds)) == len(seeds) <= MOST_SEEDS:
        raise InputError(
            f"{name} must be a count from 1 to {MOST_SEEDS}, or a list of different seeds of at "
            f"least 0 and below 2**32. Received: {plain.received(seeds)}. Set {name}=8, for "
            "example."
        )
    return cast(list[int], seeds)


def arm_seeds(config: Config, arm: ArmConfig) -> list[int]:
    """Return an arm's own seeds, or train.seeds."""
    if arm.seeds is None:
        return seed_list(config.train.seeds, "train.seeds")
    return seed_list(arm.seeds, "seeds")


def tuning_seeds(config: Config) -> list[int]:
    """Return the seeds of the trainings that choose a peak; a count n is 1000 to 1000 + n - 1."""
    given = config.train.tuning_seeds
    seeds = seed_list(given, "train.tuning_seeds")
    return seeds if isinstance(given, list) else [FIRST_TUNING_SEED + seed for seed in seeds]


def all_arms(config: Config) -> Iterator[tuple[str, str, ArmConfig]]:
    """Yield group, name and arm of all groups."""
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            yield group, name, arm


def arm_length(config: Config, arm: ArmConfig) -> tuple[int, int, int]:
    """Return an arm's epochs, batch size, and number of training images."""
    data = config.data
    images = data.train_images
    if arm.training_set == TrainingSet.all:
        images += data.validation_images
    epochs = config.train.epochs if arm.epochs is None else arm.epochs
    batch_size = config.train.batch_size if arm.batch_size is None else arm.batch_size
    return epochs, batch_size, images


def arm_steps(config: Config, arm: ArmConfig) -> int:
    """Return the number of updates of an arm."""
    epochs, batch_size, images = arm_length(config, arm)
    return epochs * (images // batch_size)


def arm_phases(config: Config, arm: ArmConfig) -> dict[str, int]:
    """Return the steps of an arm's warm-up and of its final decay, as far as it sets them.

    A share is of all steps. The share of a warm-up is rounded up, as in Hugging Face, and that of a
    decay down, so that shares of 100 % in all fit into the training.
    """
    total = arm_steps(config, arm)
    warmup, decay = arm.warmup_steps, arm.decay_steps
    if arm.warmup_percent is not None:
        warmup = math.ceil(round(total * arm.warmup_percent / 100, 6))
    if arm.decay_percent is not None:
        decay = max(1, math.floor(round(total * arm.decay_percent / 100, 6)))
    # A warm-up of 0 steps is none.
    return {key: n for key, n in (("warmup_steps", warmup), ("decay_steps", decay)) if n}


def arm_averages(config: Config, arm: ArmConfig) -> dict[str, dict[str, Any]]:
    """Return the settings of an arm's averages of the weights, by name."""
    train = config.train
    averages = train.averages if arm.averages is None else arm.averages
    decay = train.ema_decay if arm.ema_decay is None else arm.ema_decay
    last = train.last_checkpoints if arm.last_checkpoints is None else arm.last_checkpoints
    settings: dict[Average, dict[str, Any]] = {
        Average.ema: {"decay": decay},
        Average.last: {"checkpoints": last},
    }
    return {name.value: settings[name] for name in Average if name in averages}


def tuning_trainings(config: Config, arm: ArmConfig) -> int:
    """Return how many trainings choose the arm's peak."""
    return len(config.train.peaks) * len(tuning_seeds(config)) if asks_for_peak(arm) else 0


def arm_trainings(config: Config, arm: ArmConfig) -> int:
    """Return how many trainings an arm asks for, with those that choose its peak."""
    return len(arm_seeds(config, arm)) + tuning_trainings(config, arm)


def asks_for_bounds(arm: ArmConfig) -> bool:
    """Return whether a rate of the arm is one that stage `bounds` chose."""
    return arm.base_lr in BOUNDS or arm.max_lr in BOUNDS


def asks_for_peak(arm: ArmConfig) -> bool:
    """Return whether the arm trains at the best of train.peaks."""
    return arm.base_lr in PEAKS or arm.max_lr in PEAKS


def asks_for_advice(arm: ArmConfig) -> bool:
    """Return whether the arm trains as stage `advise` answered."""
    return ADVICE in (arm.max_lr, arm.warmup_percent)


def advised_arms(config: Config) -> list[str]:
    """Name the arms that train as stage `advise` answered."""
    return [name for _, name, arm in all_arms(config) if asks_for_advice(arm)]


def advised_arm(arm: ArmConfig, advice: Mapping[str, Any]) -> ArmConfig:
    """Replace the word `advice` by numbers.

    Args:
        advice: peak_lr and warmup_percent of advice.json.
    """
    answers = {"max_lr": "peak_lr", "warmup_percent": "warmup_percent"}
    asked = {key: advice[name] for key, name in answers.items() if getattr(arm, key) == ADVICE}
    return replace(arm, **asked)


def with_advice(config: Config, advice: Mapping[str, Any]) -> Config:
    """Replace the word `advice` in every arm."""
    filled: dict[str, dict[str, ArmConfig]] = {group: {} for group in GROUPS}
    for group, name, arm in all_arms(config):
        filled[group][name] = advised_arm(arm, advice)
    return replace(config, arms=Arms(**filled))


def arm_schedule(
    config: Config, arm: ArmConfig, bounds: Mapping[str, Any] | None, peak: float | None = None
) -> dict[str, Any]:
    """Return the arguments of `rate_table` for an arm, except the number of steps.

    Args:
        bounds: base_lr and max_lr for an arm that asks for the selected bounds.
        peak: the rate for an arm that asks for a peak.
    """

    def value(key: str) -> Any:
        given = getattr(arm, key)
        if given in PEAKS:
            assert peak is not None, "no peak was chosen"
            return peak if given == "peak" else peak / PEAK_RATIO
        if given not in BOUNDS:
            return given
        assert bounds is not None, "the configuration was not checked"
        if given == "bounds.geometric_mean":
            return math.sqrt(bounds["base_lr"] * bounds["max_lr"])
        if given == "bounds.mean":
            return (bounds["base_lr"] + bounds["max_lr"]) / 2
        return bounds[given.removeprefix("bounds").removeprefix(".") or key]

    name = arm.schedule.value
    row = SCHEDULES[name]
    settings = {"name": name, "base_lr": value("base_lr")}
    if "max_lr" in row.takes:
        settings["max_lr"] = value("max_lr")
    if row.repeats and arm.step_size is None:
        settings["cycles"] = arm.cycles or config.train.cycles
    for key in ("step_size", *SHAPES):
        if getattr(arm, key) is not None:
            settings[key] = plain.plain(getattr(arm, key))
    return settings | arm_phases(config, arm)
