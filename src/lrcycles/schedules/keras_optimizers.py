# Keras ships no types, so that its classes are Any.
# mypy: disallow-subclassing-any=False

"""How does momentum cycle against the rate, and how does each layer get a rate of its own?

Keras reads momentum (`beta_1` of the Adam family) as a Python number, and knows one rate for all
layers. The optimizers here are Keras's own, made by `controlled`, with both read at every update.
To load a model that was saved with one, import this module first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Self

import keras
from keras import ops, optimizers

from lrcycles.errors import InputError
from lrcycles.schedules.keras_base import Cyclic, registered
from lrcycles.schedules.keras_schedules import ExpRangeBounds, OneCycle


def controlled(
    optimizer: optimizers.Optimizer,
    *,
    layer_rates: Mapping[str, float] | None = None,
    momentum: Any = None,
) -> optimizers.Optimizer:
    """Give an optimizer with the settings of `optimizer`, and rates and momentum of its own.

    Args:
        optimizer: SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW or Nadam of Keras, not yet used;
            call exclude_from_weight_decay, if at all, on the result.
        layer_rates: pattern of a layer's name -> what its rate is multiplied by; 0 freezes it.
            The first pattern that matches counts. One with a slash is matched with the end of the
            variable's path: "*/bias" are all biases.
        momentum: a schedule, such as `CyclicMomentum`, of the momentum of SGD and RMSprop, or
            the beta_1 of Adam, AdamW and Nadam. Adam's bias correction stays 1 - beta_1**t with
            the beta_1 of the step, as in PyTorch's OneCycleLR.

    The update is multiplied, not the gradient, to whose size Adam is blind; weight decay with it.

    Raises:
        InputError: another optimizer, one in use, a negative multiplier; when the model is
            known, a pattern without a layer.
    """
    kind = _KINDS.get(type(optimizer))
    if kind is None:
        raise InputError(
            f"need one of {', '.join(base.__name__ for base in _KINDS)}, "
            f"got {type(optimizer).__name__}: wrap the inner optimizer of a LossScaleOptimizer"
        )
    if optimizer.built:
        raise InputError("need an optimizer not yet in use, got one that has state: make a new one")
    config = optimizer.get_config()
    del config["name"]  # each has its own
    schedule = config.pop("learning_rate")
    if isinstance(schedule, dict):
        schedule = keras.saving.deserialize_keras_object(schedule)
    return kind(
        **config, learning_rate=schedule, layer_rates=layer_rates, momentum_schedule=momentum
    )


@dataclass
class GivenMomentum:
    """A momentum that whoever makes the steps sets before each: `now`."""

    now: Any

    def __call__(self, _step: Any) -> Any:
        return self.now


@registered
@dataclass(frozen=True, kw_only=True)
class CyclicMomentum(keras.optimizers.schedules.LearningRateSchedule):
    """Momentum against the rate: `max_momentum` where it is lowest, `base_momentum` at its peak.

    For `lrcycles.controlled(optimizer, momentum=...)`. Where the amplitude of the rate shrinks,
    that of the momentum does too, as in PyTorch.
    Source: Smith 2018, sec. 4.3.
    """

    schedule: Cyclic | OneCycle
    base_momentum: float = 0.85
    max_momentum: float = 0.95

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Cyclic | OneCycle):
            raise InputError(
                f"need a cyclic schedule or OneCycle, got {self.schedule!r}: momentum runs "
                "against a rate that rises and falls"
            )
        if isinstance(self.schedule, ExpRangeBounds):
            raise InputError(
                "need bounds that stay, got ExpRangeBounds: as its rate, the momentum would end "
                "at 0: use ExpRange"
            )
        if not 0 <= self.base_momentum < self.max_momentum < 1:
            raise InputError(
                "need 0 <= base_momentum < max_momentum < 1, got "
                f"base_momentum={self.base_momentum}, max_momentum={self.max_momentum}"
            )

    def __call__(self, step: Any) -> Any:
        low_rate, high_rate = self.max_momentum, self.base_momentum
        instead = {"final_lr": low_rate} if isinstance(self.schedule, OneCycle) else {}
        return self.schedule.at(step, base_lr=low_rate, max_lr=high_rate, **instead)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "base_momentum": float(self.base_momentum),
            "max_momentum": float(self.max_momentum),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**config | {"schedule": schedule})


class _Controlled(optimizers.Optimizer):
    """Before one of Keras's optimizers: each update at the rate of its layer and its momentum."""

    momentum_name = ""  # the attribute that Keras's update reads; empty if it has no momentum
    weight_decay: float | None

    def __init__(
        self,
        *args: Any,
        layer_rates: Mapping[str, float] | None = None,
        momentum_schedule: Any = None,
        **settings: Any,
    ) -> None:
        rates = tuple((pattern, float(m)) for pattern, m in (layer_rates or {}).items())
        for pattern, multiplier in rates:
            if not 0 <= multiplier < float("inf"):
                raise InputError(
                    f"need layer_rates to be finite numbers >= 0, got {multiplier} for {pattern!r}"
                )
        if momentum_schedule is not None:
            if not self.momentum_name:
                raise InputError(
                    f"need an optimizer that has momentum, got {type(self).__name__}: "
                    "leave momentum out"
                )
            # Keras makes no slot for a momentum of 0.
            settings[self.momentum_name] = float(momentum_schedule(0))
        super().__init__(*args, **settings)
        self._layer_rates = rates
        self._momentum_schedule = momentum_schedule

    def build(self, variables: list[keras.Variable]) -> None:
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
        decay = self.weight_decay
        if decay is None:
            return
        try:
            for variable in variables:
                if multiplier := self._multiplier_of(variable):
                    self.weight_decay = decay * multiplier
                    super()._apply_weight_decay([variable])
        finally:
            self.weight_decay = decay

    @contextmanager
    def _momentum_of_this_step(self) -> Iterator[None]:
        """Let Keras's update read the schedule where it reads its own number."""
        if self._momentum_schedule is None:
            yield
            return
        number = getattr(self, self.momentum_name)
        # The counter that Keras hands to the schedule of the rate: micro-steps, if it accumulates.
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
        schedule = config["momentum_schedule"]
        read = schedule and keras.saving.deserialize_keras_object(schedule, custom_objects)
        built: Self = super().from_config({**config, "momentum_schedule": read}, custom_objects)
        return built


class _SGD(optimizers.SGD):
    """Keras's update, which asks `momentum != 0` in Python, for a momentum that is a tensor."""

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
    """The same for `momentum > 0`."""

    momentum: Any

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not isinstance(self.momentum, float):
            velocity = self._momentums[self._get_variable_index(variable)]
            self.assign(velocity, velocity * ops.cast(self.momentum, variable.dtype))
            self.momentum = 1.0  # already in; `_Controlled` puts its own number back
        super().update_step(gradient, variable, learning_rate)


@registered
class ControlledSGD(_Controlled, _SGD):
    momentum_name = "momentum"


@registered
class ControlledRMSprop(_Controlled, _RMSprop):
    momentum_name = "momentum"


@registered
class ControlledAdagrad(_Controlled, optimizers.Adagrad):
    pass


@registered
class ControlledAdadelta(_Controlled, optimizers.Adadelta):
    pass


@registered
class ControlledAdam(_Controlled, optimizers.Adam):
    momentum_name = "beta_1"


@registered
class ControlledAdamW(_Controlled, optimizers.AdamW):
    momentum_name = "beta_1"


@registered
class ControlledNadam(_Controlled, optimizers.Nadam):
    momentum_name = "beta_1"

    def _backend_update_step(self, *args: Any) -> None:
        with self._momentum_of_this_step():  # Nadam's product of all beta_1 is updated here
            super()._backend_update_step(*args)


_KINDS = {
    optimizers.SGD: ControlledSGD,
    optimizers.RMSprop: ControlledRMSprop,
    optimizers.Adagrad: ControlledAdagrad,
    optimizers.Adadelta: ControlledAdadelta,
    optimizers.Adam: ControlledAdam,
    optimizers.AdamW: ControlledAdamW,
    optimizers.Nadam: ControlledNadam,
}


def _multipliers(rates: Sequence[tuple[str, float]], paths: Sequence[str]) -> tuple[float, ...]:
    """What the rate of the variable at each path is multiplied by."""
    for pattern, _ in rates:
        if not any(_matches(path, pattern) for path in paths):
            layers = dict.fromkeys(path.rpartition("/")[0] for path in paths)
            raise InputError(
                f"need layer_rates that match a trainable layer, got {pattern!r}: "
                f"there are {', '.join(layers)}"
            )
    return tuple(
        next((multiplier for pattern, multiplier in rates if _matches(path, pattern)), 1.0)
        for path in paths
    )


def _matches(path: str, pattern: str) -> bool:
    """Whether a pattern names a layer around the variable, or, with a slash, the path's end."""
    if "/" in pattern:
        return fnmatchcase(f"/{path}", f"*/{pattern}")
    return any(fnmatchcase(layer, pattern) for layer in path.split("/")[:-1])
