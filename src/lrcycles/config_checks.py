"""Which configurations are of the right types and still make no sense?"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lrcycles.errors import InputError
from lrcycles.schedules import cycle_step_size, taken_by
from lrcycles.schema import BOUNDS, GROUPS, SOURCES, Arm, Config, TrainingSet
from lrcycles.training_checks import check_momentum, check_training

SEEDS = 2**32  # what NumPy and the backends take: 0 to this - 1
MOST_SEEDS = 10_000  # a count beyond is a seed typed in its place

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
        "target_validation_error_percent",
    }
)
NOT_FOR_THE_USER = {
    "learning_rate": "the arm's schedule sets the rate",
    "use_ema": "averaged weights are not supported yet",
    "gradient_accumulation_steps": "accumulated gradients are not supported yet",
}


def check_values(config: Config) -> None:
    """Raise InputError on the first value, or combination of values, that makes no sense."""
    _check_counts(config)
    check_training(config)
    _check_data(config)
    _check_range_test(config)
    _check_report(config)
    check_function(config.model.function, "model.function")
    for name, value in config.optimizer.arguments.items():
        if name in NOT_FOR_THE_USER:
            raise InputError(
                f"optimizer.arguments cannot have {name}, got {value}: {NOT_FOR_THE_USER[name]}, "
                f"leave it out"
            )
    _check_arms(config)


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


def arm_length(config: Config, arm: Arm) -> tuple[int, int, int]:
    """An arm's (epochs, batch_size, images it trains on)."""
    data = config.data
    images = data.train_images
    if arm.training_set == TrainingSet.all:
        images += data.validation_images
    epochs = config.train.epochs if arm.epochs is None else arm.epochs
    batch_size = config.train.batch_size if arm.batch_size is None else arm.batch_size
    return epochs, batch_size, images


def check_function(function: str, name: str) -> None:
    """Check that "module:function" names a module that can be found, without importing it."""
    module, _, attribute = function.partition(":")
    try:
        found = importlib.util.find_spec(module) if module and attribute else None
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise InputError(
            f'need {name} as "module:function" with a module importable from the project\'s '
            f"root, got {function!r}"
        )


def _check_counts(config: Config) -> None:
    train, sweep, data = config.train, config.range_test, config.data
    for name, value in {
        "train.epochs": train.epochs,
        "train.batch_size": train.batch_size,
        "train.cycles": train.cycles,
        "range_test.evaluate_every_steps": sweep.evaluate_every_steps,
        "range_test.heldout_images": sweep.heldout_images,
        "data.train_images": data.train_images,
        "data.validation_images": data.validation_images,
        "data.test_images": data.test_images,
    }.items():
        if value < 1:
            raise InputError(f"need {name} >= 1, got {value}")
    seed_list(train.seeds, "train.seeds")
    seed_list(sweep.seeds, "range_test.seeds")


def _check_data(config: Config) -> None:
    data = config.data
    if ":" in data.source:
        check_function(data.source, "data.source")
    elif data.source not in SOURCES:
        raise InputError(
            f"need data.source to be {', '.join(SOURCES)} or module:function, got {data.source!r}"
        )
    if not 0 <= data.split_seed < SEEDS:
        raise InputError(f"need 0 <= data.split_seed < 2**32, got {data.split_seed}")
    if len(data.classes) < 2:
        raise InputError(f"need 2 data.classes or more, got {data.classes}: name each of them")
    if not data.image_shape or min(data.image_shape) < 1:
        raise InputError(
            f"need data.image_shape as a list of sizes >= 1, got {data.image_shape}: "
            f"give height, width and any channels"
        )
    if config.train.batch_size > data.train_images:
        raise InputError(
            f"need train.batch_size <= data.train_images, got {config.train.batch_size} > "
            f"{data.train_images}: lower train.batch_size (the range test uses it too)"
        )


def _check_range_test(config: Config) -> None:
    sweep = config.range_test
    if sweep.widen < 0:
        raise InputError(f"need range_test.widen >= 0, got {sweep.widen}: 0 never widens")
    if sweep.steps < 2:
        raise InputError(f"need range_test.steps >= 2, got {sweep.steps}: a ramp has two ends")
    _check_rates("range_test", sweep.min_lr, sweep.max_lr, names=("min_lr", "max_lr"))
    if not sweep.stop_factor > 1:
        raise InputError(f"need range_test.stop_factor > 1, got {sweep.stop_factor}")
    if sweep.heldout_images > config.data.validation_images:
        raise InputError(
            f"need range_test.heldout_images <= data.validation_images, got "
            f"{sweep.heldout_images} > {config.data.validation_images}: "
            f"lower range_test.heldout_images"
        )


def _check_report(config: Config) -> None:
    report = config.report
    if not 0 < report.margin_percent < 100:
        raise InputError(f"need 0 < report.margin_percent < 100, got {report.margin_percent}")
    for name, figures in report.published.items():
        where = f"report.published.{name}"
        if not 0 <= figures.error_percent <= 100:
            raise InputError(
                f"need 0 <= {where}.error_percent <= 100, got {figures.error_percent}: "
                f"give the test error in percent"
            )
        if not 0 < figures.seconds < math.inf:
            raise InputError(
                f"need {where}.seconds > 0, got {figures.seconds}: give the training time"
            )


def _check_arms(config: Config) -> None:
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
    for group, name, _ in _all_arms(config):
        _check_chain(getattr(config.arms, group), name, group)


def _all_arms(config: Config) -> Iterator[tuple[str, str, Arm]]:
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            yield group, name, arm


def _check_arm(config: Config, where: str, group: str, arm: Arm) -> None:
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


def _check_schedule(config: Config, where: str, group: str, arm: Arm) -> None:
    if BOUNDS in (arm.base_lr, arm.max_lr) and group == "baseline":
        raise InputError(
            f"{where} asks for bounds, but group baseline trains before there are any: "
            f"move the arm to clr or controls"
        )
    takes = taken_by(arm.schedule.value)
    of_cycles = "step_size" in takes
    given = {"max_lr": arm.max_lr, "cycles": arm.cycles, "step_size": arm.step_size}
    wanted = {"max_lr": "max_lr" in takes, "cycles": of_cycles, "step_size": of_cycles}
    if extra := [key for key, value in given.items() if value is not None and not wanted[key]]:
        raise InputError(
            f"{where}: schedule {arm.schedule.value} takes no {', '.join(extra)}: leave that out"
        )
    one_rate = "max_lr" not in takes
    if "total_steps" in takes and arm.base_lr == 0:  # a decay may end there; cycles rise from it
        _check_rates(where, arm.max_lr, arm.max_lr, names=("max_lr", "max_lr"), equal=True)
    else:
        _check_rates(where, arm.base_lr, arm.base_lr if one_rate else arm.max_lr, equal=one_rate)
    if not of_cycles:
        return
    if arm.step_size is None:
        epochs, batch_size, images = arm_length(config, arm)
        try:
            cycle_step_size(epochs * (images // batch_size), arm.cycles or config.train.cycles)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    elif arm.step_size < 1 or arm.cycles is not None:
        raise InputError(
            f"{where}: need either cycles or step_size >= 1, got cycles={arm.cycles}, "
            f"step_size={arm.step_size}"
        )


def _check_chain(arms: Mapping[str, Arm], name: str, group: str) -> None:
    seen = [name]
    while (parent := arms[seen[-1]].continues) is not None:
        if parent not in arms:
            raise InputError(
                f"arms.{group}.{seen[-1]} continues {parent!r}, which is not in group {group}: "
                f"add it there or name one of {', '.join(arms)}"
            )
        if parent in seen:
            raise InputError(f"arms.{group}: {' -> '.join([*seen, parent])} continue in a circle")
        seen.append(parent)


def _check_rates(
    where: str,
    base_lr: Any,
    max_lr: Any,
    *,
    names: tuple[str, str] = ("base_lr", "max_lr"),
    equal: bool = False,
) -> None:
    for name, value in zip(names, (base_lr, max_lr), strict=True):
        if value == BOUNDS:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise InputError(f"need {where}.{name} to be a rate > 0 or `bounds`, got {value!r}")
    if BOUNDS not in (base_lr, max_lr) and not equal and base_lr >= max_lr:
        raise InputError(
            f"need 0 < {names[0]} < {names[1]}, got {names[0]}={base_lr}, {names[1]}={max_lr} "
            f"in {where}: swap or change them"
        )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
