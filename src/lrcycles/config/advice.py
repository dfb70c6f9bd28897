"""Warns of settings that are allowed but unwise."""

from __future__ import annotations

from lrcycles.config.arms import can_tune
from lrcycles.config.resolve import arm_length, seed_list
from lrcycles.config.schema import GROUPS, Config, TrainingSet
from lrcycles.errors import InputError
from lrcycles.schedules.limits import check_cycles
from lrcycles.schedules.table import cycle_step_size, repeats

FEWEST_SEEDS = 6  # with 5 pairs the smallest two-sided sign-flip p is 2 / 32
MANY_COMPARISONS, SEEDS_FOR_MANY = 6, 12


def warnings(config: Config) -> list[str]:
    """What is allowed but unwise, in sentences.

    Raises:
        InputError: an arm whose cycles are a constant rate after less than an epoch.
    """
    return [*_few_seeds(config), *_unwise_cycles(config)]


def _few_seeds(config: Config) -> list[str]:
    family = _comparisons(config)
    seeds = len(seed_list(config.train.seeds, "train.seeds"))
    enough = SEEDS_FOR_MANY if family > MANY_COMPARISONS else FEWEST_SEEDS
    while not _can_be_decided(family, enough):
        enough += 1
    if family == 0 or seeds >= enough:
        return []
    if seeds < FEWEST_SEEDS:
        return [
            f"fewer than {FEWEST_SEEDS} seeds leave every comparison undecided, got {seeds}: "
            f"raise train.seeds to {enough}"
        ]
    if not _can_be_decided(family, seeds):
        return [
            f"{family} comparisons of {seeds} seeds leave even the clearest difference undecided: "
            f"raise train.seeds to {enough}"
        ]
    return [
        f"{family} comparisons need {SEEDS_FOR_MANY} seeds or more to be decided, "
        f"got {seeds}: raise train.seeds"
    ]


def _unwise_cycles(config: Config) -> list[str]:
    """What there is to say of each arm's cycles; a replay's are as they were published."""
    told = []
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            if not repeats(arm.schedule.value) or arm.training_set == TrainingSet.all:
                continue
            epochs, batch_size, images = arm_length(config, arm)
            steps_per_epoch = images // batch_size
            total_steps = epochs * steps_per_epoch
            step_size, cycles = arm.step_size, None
            if step_size is None:
                cycles = arm.cycles or config.train.cycles
                step_size = cycle_step_size(total_steps, cycles)
            try:
                said = check_cycles(
                    arm.schedule.value,
                    total_steps=total_steps,
                    step_size=step_size,
                    steps_per_epoch=steps_per_epoch,
                    cycles=cycles,
                )  # without gamma: that of a run leaves a tenth at its end, however long it is
            except InputError as error:
                raise InputError(f"arms.{group}.{name}: {error}") from error
            told += [f"{name}: {sentence}" for sentence in said]
    return told


def _comparisons(config: Config) -> int:
    """How many verdicts the report will give: the family that it adjusts for."""
    arms = {name: arm for group in GROUPS for name, arm in getattr(config.arms, group).items()}
    first = next(iter(config.arms.baseline))
    pairs = sum(
        1 if arm.against is None else len(arm.against)
        for name, arm in arms.items()
        if arm.training_set == TrainingSet.split and name != first
    )
    pairs += can_tune(config)
    replayed = len(arms.keys() & config.report.published.keys())
    steps = len(arms.keys() & config.report.waterfall.keys())
    # Error and time of the pairs; only the error of a replay and of what it consists of.
    return 2 * pairs + max(replayed - 1, 0) + max(steps - 1, 0)


def _can_be_decided(family: int, seeds: int) -> bool:
    """Whether the smallest p that `seeds` sign flips can give survives Holm's first step."""
    return family * 0.5 ** (seeds - 1) < 0.05
