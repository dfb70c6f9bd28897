"""Which configurations are of the right types and still make no sense?"""

from __future__ import annotations

import importlib.util
import math

from lrcycles.config.arms import check_arms, check_optimizer, check_rates
from lrcycles.config.resolve import SEEDS, seed_list
from lrcycles.config.schema import GROUPS, SOURCES, Config
from lrcycles.config.training_checks import check_training
from lrcycles.errors import InputError


def check_values(config: Config) -> None:
    """Raise InputError on the first value, or combination of values, that makes no sense."""
    _check_counts(config)
    check_training(config)
    _check_data(config)
    _check_range_test(config)
    _check_report(config)
    check_function(config.model.function, "model.function")
    check_optimizer("optimizer", config.optimizer)
    check_arms(config)


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
    check_rates("range_test", sweep.min_lr, sweep.max_lr, names=("min_lr", "max_lr"))
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
    arms = {name for group in GROUPS for name in getattr(config.arms, group)}
    if lost := [name for name in report.waterfall if name not in arms]:
        raise InputError(
            f"report.waterfall.{lost[0]} is no arm, got {', '.join(sorted(arms))}: what it adds "
            f"would count for the next; add the arm, or say ~report.waterfall.{lost[0]}"
        )
