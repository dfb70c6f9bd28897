"""Which arms are of the right types and still make no sense?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from lrcycles.config.resolve import arm_length, arm_schedule, arm_seeds, arm_steps, asks_for_bounds
from lrcycles.config.schema import (
    BOUNDS,
    FEWEST_RATES,
    GROUPS,
    SHAPES,
    TUNED,
    ArmConfig,
    Config,
    Optimizer,
    TrainingSet,
)
from lrcycles.config.training_checks import check_momentum
from lrcycles.errors import InputError
from lrcycles.schedules.table import rate_table, repeats, taken_by

# Names of arms become folders, columns, rows and anchors beside these; pandas reads some as NaN.
RESERVED = frozenset(
    {
        "null",
        "na",
        "nan",
        "none",
        "bounds",
        "comparisons",
        "report",
        "train",
        TUNED,
        "target_validation_error_percent",
    }
)
NOT_FOR_THE_USER = {
    "learning_rate": "the arm's schedule sets the rate",
    "use_ema": "averaged weights are not supported yet",
    "gradient_accumulation_steps": "accumulated gradients are not supported yet",
}
_ANY_BOUNDS = {"base_lr": 1e-3, "max_lr": 1e-2}  # for those that are not selected yet


def check_arms(config: Config) -> None:
    """Raise InputError on the first arm that makes no sense, alone or beside the others."""
    if not config.arms.baseline:
        raise InputError(
            "need an arm or more in arms.baseline, which the report compares with, got none: "
            "add `/arm@arms.baseline.baseline: baseline` to the experiment"
        )
    groups: dict[str, str] = {}
    for group, name, arm in _all_arms(config):
        if name in groups:
            raise InputError(
                f"arm names are unique, got {name!r} in both {groups[name]} and {group}: rename one"
            )
        groups[name] = group
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name.lower() in RESERVED:
            raise InputError(
                f"need arm names of letters, digits and _, starting with a letter and none of "
                f"{', '.join(sorted(RESERVED))}, got {name!r} in arms.{group}: rename it"
            )
        _check_arm(config, f"arms.{group}.{name}", group, arm)
        _check_schedule(config, f"arms.{group}.{name}", group, arm)
        check_momentum(config, f"arms.{group}.{name}", arm)
        if arm.optimizer is not None:
            check_optimizer(f"arms.{group}.{name}.optimizer", arm.optimizer)
    on_split = [name for _, name, arm in _all_arms(config) if arm.training_set == TrainingSet.split]
    for group, name, _ in _all_arms(config):
        _check_chain(config, name, group)
        _check_against(config, name, group, on_split)


def _check_against(config: Config, name: str, group: str, on_split: list[str]) -> None:
    """Only what trains on the split is compared, and the baseline is what others compare to."""
    against = getattr(config.arms, group)[name].against or []
    others = [other for other in (*on_split, TUNED) if other != name]
    if against and (group == "baseline" or name not in on_split):
        raise InputError(
            f"arms.{group}.{name} takes no `against`, got {', '.join(against)}: only arms of "
            "groups clr and controls that train on the split are set against others"
        )
    if wrong := [other for other in against if other not in others]:
        raise InputError(
            f"arms.{group}.{name} is set against {wrong[0]!r}, which is no other arm that trains "
            f"on the split: name one of {', '.join(others)}"
        )
    if TUNED in against and not can_tune(config):
        raise InputError(
            f"arms.{group}.{name} is set against {TUNED}, which needs {FEWEST_RATES} constant "
            "rates or more that differ from the baseline in nothing else: add such arms"
        )


def can_tune(config: Config) -> bool:
    """Whether the report will choose among constant rates, as `tuned.tune` does with results."""
    first = next(iter(config.arms.baseline.values()))

    def alike(arm: ArmConfig) -> bool:
        return (
            arm.schedule.value == "constant"
            and not asks_for_bounds(arm)
            and arm.continues is None
            and arm.training_set == TrainingSet.split
            and arm_length(config, arm) == arm_length(config, first)
            and (arm.optimizer, arm.base_momentum) == (first.optimizer, first.base_momentum)
        )

    return sum(alike(arm) for _, _, arm in _all_arms(config)) >= FEWEST_RATES


def _all_arms(config: Config) -> Iterator[tuple[str, str, ArmConfig]]:
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            yield group, name, arm


def _check_arm(config: Config, where: str, group: str, arm: ArmConfig) -> None:
    epochs, batch_size, images = arm_length(config, arm)
    for key, value in {"epochs": epochs, "batch_size": batch_size, "cycles": arm.cycles}.items():
        if value is not None and value < 1:
            raise InputError(f"need {where}.{key} >= 1, got {value}")
    if batch_size > images:
        raise InputError(
            f"need batch_size <= {images} training images, got {batch_size} in {where}: "
            f"lower train.batch_size or the arm's"
        )
    if arm.training_set == TrainingSet.all and group != "controls":
        raise InputError(
            f"{where} has training_set: all, which leaves only the test set to validate on; only "
            f"the replay in group controls may: remove it or move the arm to controls"
        )


def _check_schedule(config: Config, where: str, group: str, arm: ArmConfig) -> None:
    if asks_for_bounds(arm) and group == "baseline":
        raise InputError(
            f"{where} asks for bounds, but group baseline trains before there are any: "
            f"move the arm to clr or controls"
        )
    name = arm.schedule.value
    takes = taken_by(name)
    wanted = {key: key in takes for key in ("max_lr", "step_size", *SHAPES)}
    wanted["cycles"] = repeats(name)
    given = [key for key in wanted if getattr(arm, key) is not None]
    extra = [key for key in given if not wanted[key]]
    if extra:
        raise InputError(f"{where}: schedule {name} takes no {', '.join(extra)}: leave that out")
    one_rate = "max_lr" not in takes
    if "total_steps" in takes and arm.base_lr == 0:  # a decay may end there; cycles rise from it
        check_rates(where, arm.max_lr, arm.max_lr, names=("max_lr", "max_lr"), equal=True)
    else:
        check_rates(where, arm.base_lr, arm.base_lr if one_rate else arm.max_lr, equal=one_rate)
    if repeats(name) and arm.cycles is not None and arm.step_size is not None:
        raise InputError(
            f"{where}: need either cycles or step_size >= 1, got cycles={arm.cycles}, "
            f"step_size={arm.step_size}"
        )
    try:
        rate_table(
            total_steps=arm_steps(config, arm),
            **arm_schedule(arm, config.train.cycles, _ANY_BOUNDS),
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_chain(config: Config, name: str, group: str) -> None:
    arms: dict[str, ArmConfig] = getattr(config.arms, group)
    seen = [name]
    while (parent := arms[seen[-1]].continues) is not None:
        if parent not in arms:
            raise InputError(
                f"arms.{group}.{seen[-1]} continues {parent!r}, which is not in group {group}: "
                f"add it there or name one of {', '.join(arms)}"
            )
        if parent in seen:
            raise InputError(f"arms.{group}: {' -> '.join([*seen, parent])} continue in a circle")
        if missing := set(arm_seeds(config, arms[seen[-1]])) - set(arm_seeds(config, arms[parent])):
            raise InputError(
                f"arms.{group}.{seen[-1]} continues {parent}, which has not its seeds "
                f"{', '.join(map(str, sorted(missing)))}: give {parent} those too"
            )
        seen.append(parent)


def check_optimizer(where: str, optimizer: Optimizer) -> None:
    """Raise InputError on an argument that belongs to the schedule, or is not supported."""
    for name, value in optimizer.arguments.items():
        if name in NOT_FOR_THE_USER:
            raise InputError(
                f"{where}.arguments cannot have {name}, got {value}: {NOT_FOR_THE_USER[name]}, "
                f"leave it out"
            )


def check_rates(
    where: str,
    base_lr: Any,
    max_lr: Any,
    *,
    names: tuple[str, str] = ("base_lr", "max_lr"),
    equal: bool = False,
) -> None:
    """Raise InputError on what is no rate, or on two of them in the wrong order."""
    for name, value in zip(names, (base_lr, max_lr), strict=True):
        if value in BOUNDS:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise InputError(f"need {where}.{name} to be a rate > 0 or `bounds`, got {value!r}")
    if not equal and not {base_lr, max_lr} & set(BOUNDS) and base_lr >= max_lr:
        raise InputError(
            f"need 0 < {names[0]} < {names[1]}, got {names[0]}={base_lr}, {names[1]}={max_lr} "
            f"in {where}: swap or change them"
        )
