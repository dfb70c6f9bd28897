"""Says where a stage stands in the pipeline, and what the whole pipeline has to do."""

from __future__ import annotations

import os

from lrcycles.config.resolve import (
    advised_arms,
    all_arms,
    arm_trainings,
    seed_list,
    tuning_trainings,
)
from lrcycles.config.schema import GROUPS, Config
from lrcycles.stages.command_line import STAGES

# The order in which DVC runs them.
ORDER = [
    run
    for stage in STAGES
    for run in ([f"{stage}@{group}" for group in GROUPS] if stage == "train" else [stage])
]


def in_pipeline() -> bool:
    """Return whether DVC runs this stage, and the others after it."""
    return "DVC_STAGE" in os.environ


def place(name: str) -> str:
    """Say which of the stages this is.

    >>> place("train@clr")
    'train@clr: stage 7 of 9'
    """
    return f"{name}: stage {ORDER.index(name) + 1} of {len(ORDER)}"


def to_do(config: Config) -> str:
    """Say how many sweeps and trainings a configuration asks for."""
    sweeps = len(seed_list(config.range_test.seeds, "range_test.seeds"))
    counts = {group: trainings(config, group) for group in GROUPS}
    parts = ", ".join(f"{group} {count}" for group, count in counts.items())
    tuning = sum(tuning_trainings(config, arm) for *_, arm in all_arms(config))
    to_choose = f", {tuning} of them to choose peak rates" if tuning else ""
    if advised_arms(config):
        to_choose += f", an advice for at most {config.advise.budget:g} trainings"
    return (
        f"To do: {sweeps} sweeps of the range test and {sum(counts.values())} "
        f"trainings ({parts}){to_choose}, without those that the store has."
    )


def trainings(config: Config, group: str) -> int:
    """Return how many trainings a group asks for."""
    return sum(arm_trainings(config, arm) for arm in getattr(config.arms, group).values())
