"""Which settings of training are of the right types and still make no sense?"""

from __future__ import annotations

import math
from typing import Any

from lrcycles.config.schema import ArmConfig, Backend, Compile, Config, OptimizerName
from lrcycles.errors import InputError
from lrcycles.schedules.table import taken_by

WITHOUT_MOMENTUM = (OptimizerName.adagrad, OptimizerName.adadelta)


def check_training(config: Config) -> None:
    """Raise InputError on settings of `train` and `optimizer` that do not go together."""
    train = config.train
    for name in ("workers", "threads_per_cell", "side_by_side"):
        value = getattr(train, name)
        if value != "auto" and not (_is_int(value) and value >= 1):
            raise InputError(f"need train.{name} to be auto or a count >= 1, got {value!r}")
    if train.backend == Backend.tensorflow and train.side_by_side not in ("auto", 1):
        raise InputError(
            f"need train.backend=jax for train.side_by_side > 1, got {train.side_by_side} with "
            "tensorflow: its cells run side by side as train.workers"
        )
    if train.backend == Backend.jax and train.compile == Compile.graph:
        raise InputError(
            "need train.compile=auto or xla with train.backend=jax, which knows no other, got graph"
        )
    _check_class_weights(train.class_weights, classes=len(config.data.classes))
    for pattern, rate in config.optimizer.layer_rates.items():
        if not _is_number(rate) or rate < 0:
            raise InputError(
                f"need optimizer.layer_rates to be numbers >= 0, got {rate!r} for {pattern!r}"
            )


def check_momentum(config: Config, where: str, arm: ArmConfig) -> None:
    """Raise InputError if an arm asks for a momentum that can't cycle."""
    low, high = arm.base_momentum, arm.max_momentum
    if low is None and high is None:
        return
    if low is None or high is None or not 0 < low < high < 1:
        raise InputError(
            f"need 0 < base_momentum < max_momentum < 1 in {where}, got base_momentum={low}, "
            f"max_momentum={high}: give both or neither"
        )
    schedule = arm.schedule.value
    if "step_size" not in taken_by(schedule) or schedule == "exp_range_bounds":
        raise InputError(
            f"{where}: momentum cycles against a rate that rises and falls between bounds that "
            f"stay, got schedule {schedule}: take triangular, or leave the momenta out"
        )
    optimizer = arm.optimizer or config.optimizer
    if optimizer.name in WITHOUT_MOMENTUM:
        raise InputError(
            f"{where} cycles momentum, which optimizer {optimizer.name.value} has not: "
            "take sgd or adam, or leave the momenta out"
        )


def _check_class_weights(weights: Any, *, classes: int) -> None:
    if weights in ("none", "balanced"):
        return
    numbers = isinstance(weights, list) and all(_is_number(w) and w >= 0 for w in weights)
    if not numbers or len(weights) != classes or not any(weights):
        raise InputError(
            f"need train.class_weights to be none, balanced or {classes} numbers >= 0, one per "
            f"class, got {weights!r}"
        )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
