# Keras has no type annotations, so its classes are Any.
# mypy: disallow-subclassing-any=False

"""Holds Keras optimizers whose momentum follows a schedule and whose layers differ in rate.

Keras reads momentum (`beta_1` of the Adam family) as a Python number and has one rate for all
layers. `controlled` returns the same optimizer of Keras with a momentum that is computed at every
update and a rate for each layer. Call `lrcycles.register_keras_objects()` before you load a model
that was saved with one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Self

import keras
from keras import ops, optimizers
from keras.optimizers.schedules import LearningRateSchedule

from lrcycles.errors import InputError
from lrcycles.schedules.keras_base import registered
from lrcycles.schedules.limits import is_number
from lrcycles.schedules.optimizers import OPTIMIZERS

_DECAYS = ("weight_decay", "adam_weight_decay")  # the second is of Muon, for vectors


def controlled(
    optimizer: optimizers.Optimizer,
    *,
    layer_rates: Mapping[str, float] | None = None,
    momentum: Any = None,
) -> optimizers.Optimizer:
    """Return a copy of `optimizer` with a rate for each layer and a schedule of the momentum.

    Args:
        optimizer: a new optimizer of Keras, not Ftrl, ScheduleFreeAdamW or one that holds others.
            If you use exclude_from_weight_decay, call it on the result.
        layer_rates: pattern of a layer's name -> factor of the layer's rate; 0 freezes the layer.
            The first pattern that matches counts. A pattern with a slash is compared with the end
            of the variable's path: "*/bias" means all biases. The factor multiplies the update and
            the weight decay, not the gradient, because Adam ignores the size of the gradient.
        momentum: a schedule, such as `CyclicMomentum`, of the momentum of SGD, RMSprop and Muon,
            or of the beta_1 of Adam, AdamW, Nadam, Adamax, Lamb and Lion. Adam's bias correction
            stays 1 - beta_1**t with the beta_1 of the step, as in PyTorch's OneCycleLR.

    Raises:
        InputError: the optimizer is of another kind or already in use, or a factor is negative.
            Building the optimizer raises it if a pattern matches no layer.
    """
    kind = _KINDS.get(type(optimizer))
    if kind is None:
        raise InputError(
            f"optimizer must be one of {', '.join(base.__name__ for base in _KINDS)}. "
            f"Received: {type(optimizer).__name__}. Pass one of these; with a LossScaleOptimizer, "
            "pass the inner optimizer and wrap the result."
        )
    if optimizer.built:
        raise InputError(
            "optimizer must not be in use yet. Received: an optimizer with state. Make a new one."
        )
    config = optimizer.get_config()
    del config["name"]  # the copy gets its own name
    schedule = config.pop("learning_rate")
    if isinstance(schedule, dict):
        schedule = keras.saving.deserialize_keras_object(schedule)
    return kind(
        **config, learning_rate=schedule, layer_rates=layer_rates, momentum_schedule=momentum
    )


@dataclass
class GivenMomentum:
    """A momentum that the training loop sets before each step, in `now`."""

    now: Any

    def __call__(self, _step: Any) -> Any:
        return self.now


class _Controlled(optimizers.Optimizer):
    """A mixin for Keras optimizers: each update has the rate of its layer and its momentum."""

    momentum_name = ""  # the attribute that Keras's update reads; empty without momentum

    def __init__(
        self,
        *args: Any,
        layer_rates: Mapping[str, float] | None = None,
        momentum_schedule: Any = None,
        **settings: Any,
    ) -> None:
        if not isinstance(layer_rates, Mapping | None):
            raise InputError(
                "layer_rates must be a dictionary of a pattern and a factor for each layer. "
                f"Received: {layer_rates!r}. Set {{'low': 0.1}}, for example."
            )
        rates = tuple((layer_rates or {}).items())
        for pattern, multiplier in rates:
            if not (is_number(multiplier) and multiplier >= 0):
                raise InputError(
                    "layer_rates must be finite numbers of at least 0. "
                    f"Received: {multiplier!r} for {pattern!r}. Set 0 or more."
                )
        if momentum_schedule is not None:
            if not isinstance(momentum_schedule, LearningRateSchedule | GivenMomentum):
                raise InputError(
                    "momentum must be a schedule. "
                    f"Received: {momentum_schedule!r}. Pass a CyclicMomentum, or set a constant "
                    "momentum on the optimizer itself."
                )
            if not self.momentum_name:
                raise InputError(
                    "With a momentum schedule the optimizer must have momentum. "
                    f"Received: {type(self).__name__}. Leave momentum out."
                )
            # Keras creates no variable for a momentum of 0.
            settings[self.momentum_name] = float(momentum_schedule(0))
        # Keras names the optimizer when it cannot read one from an .h5 file.
        settings.setdefault("name", f"lrcycles_{type(self).__name__.lower()}")
        super().__init__(*args, **settings)
        self._layer_rates = tuple((pattern, float(factor)) for pattern, factor in rates)
        self._momentum_schedule = momentum_schedule

    def build(self, variables: list[keras.Variable]) -> None:
        # Keras builds an optimizer from an .h5 file for no variables. It could not train then, and
        # no layer would match a pattern. Unbuilt, it starts without a state when training does.
        if not variables:
            return
        if not self.built:
            paths = [variable.path for variable in variables]
            self._multipliers = _multipliers(self._layer_rates, paths)
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        multiplier = self._multiplier_of(variable)
        if multiplier == 0:
            return
        if multiplier != 1:
            learning_rate = learning_rate * multiplier
        with self._momentum_of_this_step():
            super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        decays = {name: decay for name in _DECAYS if (decay := getattr(self, name, None))}
        try:
            for variable in variables if decays else ():
                if multiplier := self._multiplier_of(variable):
                    for name, decay in decays.items():
                        setattr(self, name, decay * multiplier)
                    super()._apply_weight_decay([variable])
        finally:
            for name, decay in decays.items():
                setattr(self, name, decay)

    @contextmanager
    def _momentum_of_this_step(self) -> Iterator[None]:
        """Put the schedule's value where Keras's update reads its own number."""
        if self._momentum_schedule is None:
            yield
            return
        number = getattr(self, self.momentum_name)
        # Keras gives the schedule of the rate the same counter: of mini-batches, if it accumulates.
        setattr(self, self.momentum_name, self._momentum_schedule(self._iterations))
        try:
            yield
        finally:
            setattr(self, self.momentum_name, number)

    def _multiplier_of(self, variable: Any) -> float:
        return float(self._multipliers[self._get_variable_index(variable)])

    def get_config(self) -> dict[str, Any]:
        schedule = self._momentum_schedule
        return {
            **super().get_config(),
            "layer_rates": dict(self._layer_rates),
            "momentum_schedule": schedule and keras.saving.serialize_keras_object(schedule),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        schedule = config.get("momentum_schedule")
        read = schedule and keras.saving.deserialize_keras_object(schedule, custom_objects)
        built: Self = super().from_config({**config, "momentum_schedule": read}, custom_objects)
        return built


class _SGD(optimizers.SGD):
    """SGD for a momentum that is a tensor: Keras's update asks `momentum != 0` in Python."""

    momentum: Any

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if isinstance(self.momentum, float):
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = ops.cast(self.momentum, variable.dtype)
        push = ops.cast(gradient, variable.dtype) * ops.cast(learning_rate, variable.dtype)
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, velocity * momentum - push)
        self.assign_add(variable, velocity * momentum - push if self.nesterov else velocity)


class _RMSprop(optimizers.RMSprop):
    """RMSprop for a momentum that is a tensor: Keras's update asks `momentum > 0` in Python."""

    momentum: Any

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not isinstance(self.momentum, float):
            velocity = self._momentums[self._get_variable_index(variable)]
            self.assign(velocity, velocity * ops.cast(self.momentum, variable.dtype))
            self.momentum = 1.0  # already applied; `_Controlled` restores the number
        super().update_step(gradient, variable, learning_rate)


class _Nadam(optimizers.Nadam):
    """Nadam whose product of all beta_1, which Keras updates here, follows the schedule."""

    def _backend_update_step(self, *args: Any) -> None:
        with self._momentum_of_this_step():
            super()._backend_update_step(*args)


_BASES = {"SGD": _SGD, "RMSprop": _RMSprop, "Nadam": _Nadam}
# Where a model is saved, Keras writes the name of the class, such as lrcycles>ControlledAdam.
_KINDS = {
    getattr(optimizers, name): registered(
        type(
            f"Controlled{name}",
            (_Controlled, _BASES.get(name) or getattr(optimizers, name)),
            {"momentum_name": momentum, "__module__": __name__},
        )
    )
    for name, momentum in OPTIMIZERS.items()
}
globals().update({kind.__name__: kind for kind in _KINDS.values()})  # where pickle looks for them


def _multipliers(rates: Sequence[tuple[str, float]], paths: Sequence[str]) -> tuple[float, ...]:
    """Return the factor of the rate of the variable at each path."""
    for pattern, _ in rates:
        if not any(_matches(path, pattern) for path in paths):
            layers = dict.fromkeys(path.rpartition("/")[0] for path in paths)
            raise InputError(
                f"A pattern of layer_rates must match a trainable layer. Received: {pattern!r}. "
                f"Choose from {', '.join(layers)}."
            )
    return tuple(
        next((multiplier for pattern, multiplier in rates if _matches(path, pattern)), 1.0)
        for path in paths
    )


def _matches(path: str, pattern: str) -> bool:
    """Return whether a pattern matches a layer of the path, or, with a slash, the path's end."""
    if "/" in pattern:
        return fnmatchcase(f"/{path}", f"*/{pattern}")
    return any(fnmatchcase(layer, pattern) for layer in path.split("/")[:-1])
