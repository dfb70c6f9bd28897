"""Lets the learning rates of a model's optimizers rise, in place of their own rates.

The optimizers themselves are changed and later restored, not copied: a train step may hold them
under any name, and a copy would miss what their get_config leaves out.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.keras_model import reachable
from lrcycles.schedules.optimizers import OPTIMIZERS, need_usable, unused_rates

# Not 0, by which some optimizers divide.
ALMOST_ZERO = 1e-10


class SweptRates:
    """The learning rates of all optimizers that a model holds, which keep their ratios.

    Attributes:
        main: the optimizer whose rate is the rate of the sweep.
    """

    def __init__(self, model: Any, *, fresh: bool) -> None:
        with _scope(model):
            parts, held = _built(model, fresh=fresh)
            self._names = _names(parts)
            self._all = [optimizer for optimizer in held if not _inner(optimizer)]
            self._before = {id(optimizer): _present(optimizer) for optimizer in self._all}
            for optimizer in self._all:
                _make_variable(optimizer)
        self.main = self._all[0] if model.optimizer is None else _decisive(model.optimizer)
        self._start = self._counts()
        self._used: set[int] = set()

    def assign(self, rate: float) -> None:
        """Set the main rate, and the others in their ratios to it."""
        for optimizer in self._all:
            optimizer._learning_rate.assign(rate * self._ratio(optimizer))

    def all_almost_zero(self) -> None:
        """Set every rate so low that no update changes a weight."""
        for optimizer in self._all:
            optimizer._learning_rate.assign(ALMOST_ZERO)

    def stop_momentum(self) -> None:
        """Set velocities to 0: they hold earlier rates, and would move weights at a rate of 0."""
        for optimizer in self._all:
            for velocity in getattr(optimizer, "_momentums", None) or getattr(
                optimizer, "momentums", []
            ):
                if velocity is not None:
                    velocity.assign(np.zeros(velocity.shape, dtype="float32"))

    def find_used(self) -> bool:
        """Note which optimizers have made updates since the start; return whether any has.

        A train step may use one of them now and then only, so this is asked again and again.
        """
        counts = self._counts()
        self._used |= {key for key, count in counts.items() if count > self._start[key]}
        return bool(self._used)

    def choose_main(self) -> None:
        """Let an optimizer that the train step uses decide the rate of the curve.

        Raises:
            InputError: the train step uses no optimizer that the model holds.
        """
        self.find_used()
        used = [optimizer for optimizer in self._all if id(optimizer) in self._used]
        if not used:
            raise InputError(
                "The train step must update the weights with a Keras optimizer that the model "
                "holds. Received: a train step that uses none. Keep the optimizer as an attribute "
                "of the model, for example model.optimizer."
            )
        if id(self.main) not in self._used:
            self.main = used[0]

    @property
    def notes(self) -> list[str]:
        """A sentence about the optimizers, where several have made updates."""
        used = [one for one in self._all if id(one) in self._used]
        untested = {type(one).__name__ for one in used if _is_untested(one)}
        notes = [
            f"The range test has not been tried with {name}, an optimizer of a newer Keras."
            for name in sorted(untested)
        ]
        others = [one for one in used if one is not self.main]
        if others:
            named = dict.fromkeys(
                f"{self._ratio(o):g} times that rate for {self._names[id(o)]}" for o in others
            )
            notes.append(
                "The model trains with several optimizers. Their rates rose together: the rate of "
                f"the curve for {self._names[id(self.main)]}, and {', '.join(named)}."
            )
        return notes

    def unused(self, rates: np.ndarray) -> list[str]:
        """Say which rates of a sweep the main optimizer has replaced by lower ones."""
        updates = self._start[id(self.main)] // self.accumulated
        note = unused_rates(type(self.main).__name__, rates, updates=updates)
        return [note] if note else []

    def _counts(self) -> dict[int, int]:
        """Count the mini-batches that each optimizer has seen."""
        return {id(o): int(keras.ops.convert_to_numpy(o._iterations)) for o in self._all}

    def _ratio(self, optimizer: Any) -> float:
        own, main = self._before[id(optimizer)], self._before[id(self.main)]
        return own / main if own > 0 and main > 0 else 1.0

    @property
    def has_own_optimizer(self) -> bool:
        """Whether an optimizer is of a class that the user wrote, which may ignore its rate.

        A class of Keras that is newer than this library counts as one.
        """
        packages = {type(one).__module__.partition(".")[0] for one in self._all}
        return bool(packages - {"keras", "lrcycles"}) or any(map(_is_untested, self._all))

    @property
    def keeps_weights_apart(self) -> bool:
        """Whether an optimizer puts other weights into the model than those it has updated."""
        return any(one.use_ema for one in self._all)

    @property
    def accumulated(self) -> int:
        """The number of mini-batches in one update."""
        return int(self.main.gradient_accumulation_steps or 1)

    @property
    def momentum(self) -> float:
        """The momentum of SGD or RMSprop, and 0 for other optimizers."""
        has_velocity = isinstance(self.main, keras.optimizers.SGD | keras.optimizers.RMSprop)
        return float(self.main.momentum) if has_velocity else 0.0


def _scope(model: Any) -> AbstractContextManager[Any]:
    """Return the scope in which a distribution strategy wants variables made."""
    strategy = getattr(model, "distribute_strategy", None)
    return nullcontext() if strategy is None else strategy.scope()


def _inner(optimizer: Any) -> list[Any]:
    """Return all optimizers inside of a LossScaleOptimizer or a MultiOptimizer."""
    if hasattr(optimizer, "inner_optimizer"):
        inner = [optimizer.inner_optimizer]
    else:
        inner = list(getattr(optimizer, "_inner_optimizers", []))
    return [*inner, *(deeper for one in inner for deeper in _inner(one))]


def _decisive(optimizer: Any) -> Any:
    """Return the optimizer, or the one inside of it that updates most weights."""
    return max(
        (one for one in [optimizer, *_inner(optimizer)] if not _inner(one)),
        key=lambda one: sum(math.prod(v.shape) for v in one._trainable_variables),
    )


def _built(model: Any, *, fresh: bool) -> tuple[list[Any], list[Any]]:
    """Build the model's optimizers, and return the parts of the model and the optimizers in it.

    A MultiOptimizer may make its optimizers when it is built, so they are looked for again.

    Raises:
        InputError: one of them cannot follow a schedule.
    """
    done: set[int] = set()
    while True:
        parts = reachable.parts_of(model)
        held = reachable.optimizers_of(parts)
        for optimizer in held:
            _need_usable(optimizer)
        waiting = next((one for one in held if id(one) not in done), None)
        if waiting is None:
            return parts, held
        if fresh or not waiting.built:
            _build(waiting, model.trainable_variables)
        done |= {id(one) for one in [waiting, *_inner(waiting)]}


def _need_usable(optimizer: Any) -> None:
    for kind in type(optimizer).__mro__:
        if kind is getattr(keras.optimizers, kind.__name__, None):
            need_usable("The optimizer", kind.__name__)


def _is_untested(optimizer: Any) -> bool:
    """Return whether the optimizer is of a class of Keras that this library does not know."""
    kind = type(optimizer)
    return kind.__module__.startswith("keras.") and kind.__name__ not in OPTIMIZERS


def _names(parts: list[Any]) -> dict[int, str]:
    """Name each optimizer as its holder does, with its class."""
    names: dict[int, str] = {}
    for part in parts:
        # Keras stores some attributes a second time under private names.
        public_first = sorted(
            reachable.attributes_of(part).items(), key=lambda item: item[0].startswith("_")
        )
        for attribute, value in public_first:
            values = value.items() if isinstance(value, dict) else [("", value)]
            for key, held in values:
                if isinstance(held, keras.optimizers.Optimizer):
                    place = attribute.removeprefix("_") + (f"[{key!r}]" if key != "" else "")
                    for one in [held, *_inner(held)]:
                        names.setdefault(id(one), f"{place} ({type(one).__name__})")
    for optimizer in reachable.optimizers_of(parts):
        names.setdefault(id(optimizer), type(optimizer).__name__)
    return names


def _build(optimizer: Any, variables: list[Any]) -> None:
    """Make the slots of an optimizer anew, with their initial values."""
    for part in [*_inner(optimizer), optimizer]:
        if part.built:
            part._variables[:] = [
                v for v in part._variables if v is part._iterations or v is part._learning_rate
            ]
            part._iterations.assign(0)
            part.built = False
    optimizer.build(variables)


def _present(optimizer: Any) -> float:
    try:
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    except Exception:  # a schedule of the user may raise anything, and the range test replaces it
        return 0.0


def _make_variable(optimizer: Any) -> None:
    """Give the optimizer a rate that can be assigned, in place of a schedule."""
    if isinstance(optimizer._learning_rate, keras.Variable):
        return
    variable = keras.Variable(
        ALMOST_ZERO, name="learning_rate", dtype=keras.config.floatx(), trainable=False
    )
    optimizer._track_variable(variable)
    optimizer._learning_rate = variable
