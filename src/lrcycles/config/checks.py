"""Checks that values of the right types also make sense."""

from __future__ import annotations

import math
from typing import Any

from lrcycles.config.arguments import check_model, check_optimizer
from lrcycles.config.arms import check_arms, check_rates
from lrcycles.config.resolve import SEEDS, seed_list
from lrcycles.config.schema import GROUPS, SOURCES, Backend, Compile, Config
from lrcycles.config.signatures import check_function, function_signature
from lrcycles.errors import InputError
from lrcycles.schedules.limits import is_count, is_number, need_count

PUBLISHED_ON = "mnist"  # the figures in conf/report/ are of this data set


def check_values(config: Config) -> None:
    """Raise InputError on the first value, or combination of values, that makes no sense."""
    _check_counts(config)
    _check_training(config)
    _check_data(config)
    _check_range_test(config)
    _check_report(config)
    check_function(config.model.function, "model.function")
    check_model(config.model)
    check_optimizer("optimizer", config.optimizer)
    _check_batch(config)  # late, because the user's own mistakes are to be named first
    check_arms(config)


def _check_counts(config: Config) -> None:
    train, sweep, data = config.train, config.range_test, config.data
    need_count("train.epochs", train.epochs)
    need_count("train.batch_size", train.batch_size)
    need_count("train.cycles", train.cycles)
    need_count("range_test.evaluate_every_steps", sweep.evaluate_every_steps)
    need_count("range_test.heldout_images", sweep.heldout_images)
    need_count("range_test.steps", sweep.steps, least=2)  # a ramp has two ends
    need_count("range_test.widen", sweep.widen, least=0)  # 0: the range is never widened
    need_count("data.train_images", data.train_images)
    need_count("data.validation_images", data.validation_images)
    need_count("data.test_images", data.test_images)
    seed_list(train.seeds, "train.seeds")
    seed_list(sweep.seeds, "range_test.seeds")


def _check_training(config: Config) -> None:
    train = config.train
    for name in ("workers", "threads_per_cell", "side_by_side"):
        value = getattr(train, name)
        if value != "auto" and not is_count(value):
            raise InputError(
                f"train.{name} must be auto or a whole number of at least 1. Received: {value!r}. "
                f"Set train.{name}=auto, for example."
            )
    if not train.checkpoint_every_seconds > 0:
        raise InputError(
            "train.checkpoint_every_seconds must be above 0. Received: "
            f"{train.checkpoint_every_seconds}. Set train.checkpoint_every_seconds=60, for example."
        )
    if train.backend == Backend.tensorflow and train.side_by_side not in ("auto", 1):
        raise InputError(
            "train.side_by_side must be auto or 1 with train.backend=tensorflow, which trains "
            f"cells side by side in processes. Received: {train.side_by_side}. "
            "Set train.backend=jax, or set train.workers instead."
        )
    if train.backend == Backend.jax and train.compile == Compile.graph:
        raise InputError(
            "train.compile must be auto or xla with train.backend=jax. Received: graph. "
            "Set train.compile=auto."
        )
    _check_class_weights(train.class_weights, classes=len(config.data.classes))


def _check_class_weights(weights: Any, *, classes: int) -> None:
    if weights in ("none", "balanced"):
        return
    numbers = isinstance(weights, list) and all(is_number(w) and w >= 0 for w in weights)
    if not numbers or len(weights) != classes or not any(weights):
        raise InputError(
            f"train.class_weights must be none, balanced or a list of {classes} numbers of at "
            f"least 0, one per class and not all 0. Received: {weights!r}. "
            "Set train.class_weights=balanced, for example."
        )


def _check_data(config: Config) -> None:
    data = config.data
    if ":" in data.source:
        check_function(data.source, "data.source")
        _check_loader(data.source)
    elif data.source not in SOURCES:
        raise InputError(
            f"data.source must be one of {', '.join(SOURCES)} or module:function. "
            f"Received: {data.source!r}. Set data.source=auto, for example."
        )
    if data.path is not None and not data.path.strip():
        raise InputError(
            f"data.path must name a folder or an .npz file. Received: {data.path!r}. "
            "Set data.path=FOLDER, or data.path=null."
        )
    if not 0 <= data.split_seed < SEEDS:
        raise InputError(
            f"data.split_seed must be at least 0 and below 2**32. Received: {data.split_seed}. "
            "Set data.split_seed=0, for example."
        )
    if len(data.classes) < 2:
        raise InputError(
            f"data.classes must name at least 2 classes. Received: {data.classes}. "
            "Name every class."
        )
    if len(set(data.classes)) < len(data.classes):
        raise InputError(
            f"data.classes must have different names. Received: {data.classes}. "
            "Rename or remove the second of two equal ones."
        )
    if not data.image_shape or min(data.image_shape) < 1:
        raise InputError(
            "data.image_shape must be a list of sizes of at least 1. "
            f"Received: {data.image_shape}. Give height, width and any channels."
        )


def _check_loader(function: str) -> None:
    signature = function_signature(function)
    try:
        if signature is not None:
            signature.bind()
    except TypeError as error:
        raise InputError(
            f"data.source={function} must need no arguments. Received: a function {signature} "
            f"({error}). Give every argument a default."
        ) from error


def _check_batch(config: Config) -> None:
    images = config.data.train_images
    if config.train.batch_size > images:
        raise InputError(
            f"train.batch_size must be at most data.train_images={images}. "
            f"Received: {config.train.batch_size}. Lower train.batch_size; the range test uses it "
            "too."
        )


def _check_range_test(config: Config) -> None:
    sweep = config.range_test
    check_rates("range_test", sweep.min_lr, sweep.max_lr, names=("min_lr", "max_lr"))
    if not sweep.stop_factor > 1:
        raise InputError(
            f"range_test.stop_factor must be above 1. Received: {sweep.stop_factor}. "
            "Set range_test.stop_factor=4, for example."
        )


def _check_report(config: Config) -> None:
    report = config.report
    if not 0 < report.margin_percent < 100:
        raise InputError(
            "report.margin_percent must be above 0 and below 100. "
            f"Received: {report.margin_percent}. Set report.margin_percent=0.05, for example."
        )
    for name, figures in report.published.items():
        where = f"report.published.{name}"
        if not 0 <= figures.error_percent <= 100:
            raise InputError(
                f"{where}.error_percent must be from 0 to 100. Received: {figures.error_percent}. "
                "Give the test error in percent."
            )
        if not 0 < figures.seconds < math.inf:
            raise InputError(
                f"{where}.seconds must be a finite number above 0. Received: {figures.seconds}. "
                "Give the training time in seconds."
            )
    arms = {name for group in GROUPS for name in getattr(config.arms, group)}
    if missing := [name for name in report.waterfall if name not in arms]:
        raise InputError(
            f"Every key of report.waterfall must be an arm, one of {', '.join(sorted(arms))}. "
            f"Received: report.waterfall.{missing[0]}. Add the arm, or remove the key with "
            f"~report.waterfall.{missing[0]}."
        )
    figures_of = {**report.published, **report.reference, **report.waterfall}
    repeated = [name for name in figures_of if name in arms]
    if repeated and config.data.name != PUBLISHED_ON:
        raise InputError(
            f"Arms that repeat published runs must train on {PUBLISHED_ON}, as those runs did. "
            f"Received: data.name={config.data.name} with {', '.join(repeated)}. Choose an "
            "experiment without them, such as experiment=schedules."
        )
