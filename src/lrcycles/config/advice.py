"""Warns of settings that are allowed but unwise."""

from __future__ import annotations

from lrcycles.config.resolve import arm_length, can_tune, seed_list
from lrcycles.config.schema import GROUPS, ArmConfig, Config, TrainingSet
from lrcycles.errors import InputError
from lrcycles.schedules.cycles import STEP_SIZE_EPOCHS, check_cycles
from lrcycles.schedules.table import SCHEDULES, cycle_step_size

FEWEST_SEEDS = 6  # with 5 pairs the smallest two-sided sign-flip p is 2 / 32
REPLAYING = "tutorial"  # the experiment that repeats the published runs where it can
PUBLISHED_WITH = ("mnist", "mlp", "adam")
TUTORIAL_EPOCHS = 10
MANY_COMPARISONS, SEEDS_FOR_MANY = 6, 12


def warnings(config: Config) -> list[str]:
    """Return a sentence for every setting that is allowed but unwise.

    Raises:
        InputError: the cycles of an arm become a constant rate within an epoch.
    """
    return [*_left_out(config), *_few_seeds(config), *_unwise_cycles(config)]


def _left_out(config: Config) -> list[str]:
    """Say what an experiment does not do because of its data."""
    sentences = []
    arms = [name for group in GROUPS for name in getattr(config.arms, group)]
    here = (config.data.name, config.model.name, config.optimizer.name.value)
    replayed = config.report.published.keys() & set(arms)
    if config.experiment == REPLAYING and not replayed and here != PUBLISHED_WITH:
        sentences.append(
            "The published runs are left out: they belong to data=mnist, model=mlp and "
            f"optimizer=adam. Received: data.name={config.data.name} with "
            f"{config.data.train_images:,} training images, model.name={config.model.name}, "
            f"optimizer.name={config.optimizer.name.value}."
        )
    asked, held_out = config.range_test.heldout_images, config.data.validation_images
    if asked > held_out:
        sentences.append(
            f"The range test measures the accuracy on all {held_out:,} validation images: "
            f"range_test.heldout_images={asked:,} is more."
        )
    return sentences


def _few_seeds(config: Config) -> list[str]:
    family = _comparisons(config)
    seeds = len(seed_list(config.train.seeds, "train.seeds"))
    enough = SEEDS_FOR_MANY if family > MANY_COMPARISONS else FEWEST_SEEDS
    while not _can_be_decided(family, enough):
        enough += 1
    if family == 0 or seeds >= enough:
        return []
    received = "1 seed" if seeds == 1 else f"{seeds} seeds"
    if seeds < FEWEST_SEEDS:
        return [
            f"Fewer than {FEWEST_SEEDS} seeds leave every comparison undecided. "
            f"Received: {received}. Raise train.seeds to {enough}."
        ]
    if not _can_be_decided(family, seeds):
        return [
            f"With {family} comparisons, too few seeds leave even the clearest difference "
            f"undecided. Received: {received}. Raise train.seeds to {enough}."
        ]
    return [
        f"For {family} comparisons at least {SEEDS_FOR_MANY} seeds are advised. "
        f"Received: {received}. Raise train.seeds to {enough}."
    ]


def _unwise_cycles(config: Config) -> list[str]:
    """Check every arm's cycles, except a replay's: they stay as published."""
    arms_of: dict[str, list[str]] = {}
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            if not SCHEDULES[arm.schedule.value].repeats or arm.training_set == TrainingSet.all:
                continue
            try:
                unwise = _unwise_arm(config, arm)
            except InputError as error:
                raise InputError(f"arms.{group}.{name}: {error}") from error
            for sentence in unwise:
                arms_of.setdefault(sentence, []).append(name)
    return [f"{', '.join(names)}: {sentence}" for sentence, names in arms_of.items()]


def _unwise_arm(config: Config, arm: ArmConfig) -> list[str]:
    epochs, batch_size, images = arm_length(config, arm)
    steps_per_epoch = images // batch_size
    total_steps = epochs * steps_per_epoch
    step_size, cycles = arm.step_size, None
    if step_size is None:
        cycles = arm.cycles or config.train.cycles
        step_size = cycle_step_size(total_steps, cycles)
    unwise = check_cycles(
        arm.schedule.value,
        total_steps=total_steps,
        step_size=step_size,
        steps_per_epoch=steps_per_epoch,
        cycles=cycles,
    )  # without gamma: the default leaves a tenth at the end of any run
    too_short = step_size < STEP_SIZE_EPOCHS[0] * steps_per_epoch
    if unwise and too_short and epochs == TUTORIAL_EPOCHS:
        unwise[-1] += f" This experiment keeps the {epochs} epochs of the tutorial."
    return unwise


def _comparisons(config: Config) -> int:
    """Return how many verdicts the report will give, which is the family it adjusts for."""
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
    # The pairs have an error and a time. A replay and the steps of a waterfall have an error.
    return 2 * pairs + max(replayed - 1, 0) + max(steps - 1, 0)


def _can_be_decided(family: int, seeds: int) -> bool:
    """Return whether the smallest p of `seeds` sign flips passes Holm's first step."""
    return family * 0.5 ** (seeds - 1) < 0.05
