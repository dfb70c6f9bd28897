"""Lets the learning rates of a model's optimizers rise, in place of their own rates.

The optimizers themselves are changed and later restored, not copied: a train step may hold them
under any name, and a copy would miss what their get_config leaves out.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.keras_model import reachable

# Not 0, by which some optimizers divide.
ALMOST_ZERO = 1e-10
_SCHEDULE_FREE = getattr(keras.optimizers, "ScheduleFreeAdamW", ())  # not in every Keras


class SweptRates:
    """The learning rates of all optimizers that a model holds, which keep their ratios.

    Attributes:
        main: the optimizer whose rate is the rate of the sweep.
    """

    def __init__(self, model: Any, *, fresh: bool) -> None:
        parts = reachable.parts_of(model)
        self._names = _names(parts)
        outer = reachable.optimizers_of(parts)
        self._all = [optimizer for optimizer in outer if not hasattr(optimizer, "inner_optimizer")]
        self._before = {id(optimizer): _present(optimizer) for optimizer in self._all}
        with _scope(model):
            for optimizer in outer:
                if fresh or not optimizer.built:
                    _build(optimizer, model.trainable_variables)
            for optimizer in self._all:
                _make_variable(optimizer)
        self.main = _inner(model.optimizer) if model.optimizer is not None else self._all[0]
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
        others = [o for o in self._all if id(o) in self._used and o is not self.main]
        if not others:
            return []
        named = ", ".join(
            f"{self._ratio(o):g} times that rate for {self._names[id(o)]}" for o in others
        )
        return [
            "The model trains with several optimizers. Their rates rose together: the rate of the "
            f"curve for {self._names[id(self.main)]}, and {named}."
        ]

    def _counts(self) -> dict[int, int]:
        """Count the mini-batches that each optimizer has seen."""
        return {id(o): int(keras.ops.convert_to_numpy(o._iterations)) for o in self._all}

    def _ratio(self, optimizer: Any) -> float:
        own, main = self._before[id(optimizer)], self._before[id(self.main)]
        return own / main if own > 0 and main > 0 else 1.0

    @property
    def has_own_optimizer(self) -> bool:
        """Whether an optimizer is of a class that the user wrote, which may ignore its rate."""
        packages = {type(one).__module__.partition(".")[0] for one in self._all}
        return bool(packages - {"keras", "lrcycles"})

    @property
    def keeps_weights_apart(self) -> bool:
        """Whether an optimizer puts other weights into the model than those it has updated."""
        return any(one.use_ema or isinstance(one, _SCHEDULE_FREE) for one in self._all)

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


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


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
                    names.setdefault(id(_inner(held)), f"{place} ({type(held).__name__})")
    for optimizer in reachable.optimizers_of(parts):
        names.setdefault(id(optimizer), type(optimizer).__name__)
    return names


def _build(optimizer: Any, variables: list[Any]) -> None:
    """Make the slots of an optimizer anew, with their initial values."""
    inner = _inner(optimizer)
    for part in {id(inner): inner, id(optimizer): optimizer}.values():
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
