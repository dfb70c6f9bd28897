"""Warns of settings that are allowed but unwise."""

from __future__ import annotations

from lrcycles.config import comparisons
from lrcycles.config.resolve import (
    all_arms,
    arm_length,
    arm_phases,
    arm_schedule,
    arm_steps,
    asks_for_advice,
    asks_for_bounds,
    asks_for_peak,
)
from lrcycles.config.schema import GROUPS, ArmConfig, Config, TrainingSet
from lrcycles.errors import InputError
from lrcycles.schedules.cycles import STEP_SIZE_EPOCHS, check_cycles
from lrcycles.schedules.optimizers import LIMITED, class_named, unused_rates
from lrcycles.schedules.table import SCHEDULES, cycle_step_size, rate_table

REPLAYING = "tutorial"  # the experiment that repeats the published runs where it can
PUBLISHED_WITH = ("mnist", "mlp", "adam")
TUTORIAL_EPOCHS = 10


def warnings(config: Config) -> list[str]:
    """Return a sentence for every setting that is allowed but unwise.

    Raises:
        InputError: the cycles of an arm become a constant rate within an epoch.
    """
    return [
        *_left_out(config),
        *comparisons.warnings(config),
        *_unused_rates(config),
        *_unwise_cycles(config),
    ]


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


def _unused_rates(config: Config) -> list[str]:
    """Say which rates an optimizer will not use, of arms whose rates are numbers."""
    sentences = []
    for _, name, arm in all_arms(config):
        optimizer = class_named((arm.optimizer or config.optimizer).name)
        asks = asks_for_bounds(arm) or asks_for_peak(arm) or asks_for_advice(arm)
        if optimizer != LIMITED or asks:
            continue
        schedule = arm_schedule(config, arm, None)
        rates = rate_table(total_steps=arm_steps(config, arm), **schedule)
        if (sentence := unused_rates(optimizer, rates)) is not None:
            sentences.append(f"{name}: {sentence}")
    return sentences


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
    warmup_steps = arm_phases(config, arm).get("warmup_steps", 0)
    if step_size is None:
        cycles = arm.cycles or config.train.cycles
        step_size = cycle_step_size(total_steps, cycles, warmup_steps=warmup_steps)
    unwise = check_cycles(
        arm.schedule.value,
        total_steps=total_steps,
        step_size=step_size,
        steps_per_epoch=steps_per_epoch,
        cycles=cycles,
        warmup_steps=warmup_steps,
    )  # without gamma: the default leaves a tenth at the end of any run
    too_short = step_size < STEP_SIZE_EPOCHS[0] * steps_per_epoch
    if unwise and too_short and epochs == TUTORIAL_EPOCHS:
        unwise[-1] += f" This experiment keeps the {epochs} epochs of the tutorial."
    return unwise
