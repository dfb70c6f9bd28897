# Keras ships no types, so that its classes are Any.
# mypy: disallow-subclassing-any=False

"""What do all Keras schedules share: a function with its settings, cycles that fill a run?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.schedules import table
from lrcycles.schedules.limits import check_cycles, check_settings, run_length

registered = keras.saving.register_keras_serializable(package="lrcycles")


class CycleWarning(UserWarning):
    """Cycles that run, but from which little can be expected."""


@dataclass(frozen=True, kw_only=True)
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A function of `lrcycles.rates` with its settings.

    Args:
        steps_per_update: with gradient accumulation Keras counts every micro-batch as a step;
            give the optimizer's gradient_accumulation_steps, and a step is an update again.
    """

    rate: ClassVar[Callable[..., Any]]

    steps_per_update: int = 1

    def __post_init__(self) -> None:
        check_settings(**self.get_config())

    def __call__(self, step: Any) -> Any:
        return self.at(step)

    def at(self, step: Any, **instead: float) -> Any:
        """The rate at `step` as float32, with other settings `instead` of its own."""
        settings = self.get_config() | instead
        steps_per_update, cycles = settings.pop("steps_per_update"), settings.pop("cycles", None)
        # Keras leaves a variable as it is, and its arithmetic rounds to 32 bits.
        counted = step.value if isinstance(step, keras.Variable) else step
        updates = keras.ops.convert_to_tensor(counted)
        if steps_per_update > 1:
            updates = keras.ops.floor_divide(updates, steps_per_update)
        # A whole cycle ends where the next begins: holding the step there holds the rate there.
        if cycles is not None:
            fall = settings["fall_size"] or settings["step_size"]
            updates = keras.ops.minimum(updates, cycles * (settings["step_size"] + fall))
        return keras.ops.cast(type(self).rate(updates, **settings), "float32")

    def get_config(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        # NumPy's numbers are not JSON.
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class Cyclic(Schedule):
    """Cycles between two bounds.

    Args:
        step_size: half a cycle in updates; with `fall_size`, the rising part alone.
        cycles: so many whole cycles, then stay where the last one ended; None for no end.
    """

    base_lr: float
    max_lr: float
    step_size: int
    fall_size: int | None = None
    cycles: int | None = None

    @classmethod
    def from_bounds(
        cls,
        bounds: Any,
        *,
        epochs: int | None = None,
        total_steps: int | None = None,
        cycles: int | None = None,
        fall_size: int | None = None,
        steps_per_update: int = 1,
        **others: Any,
    ) -> Self:
        """Fill a run with whole cycles between `bounds`; warn of those that make no sense.

        Args:
            bounds: what `select_bounds` gives: base_lr, max_lr, cycles, and step_size and
                steps_per_epoch, which are None where unknown. Its steps and those of the run are
                mini-batches; `steps_per_update` of them make an update.
            epochs: the length of the run, if `bounds` knows the steps of an epoch.
            total_steps: instead of `epochs`. Without either, `bounds` knows step_size.
            cycles: instead of those of `bounds`.
            fall_size: in so many updates of each cycle the rate falls; None for half of them.
            others: further settings of the schedule, such as gamma.

        Raises:
            InputError: the length is unknown, or too short for the cycles; one of `others` is
                what this works out.
        """
        refuse_worked_out(others, "base_lr", "max_lr", "step_size")
        check_settings(cycles=cycles, fall_size=fall_size, steps_per_update=steps_per_update)
        total = run_length(epochs, total_steps, bounds.steps_per_epoch)
        if total is None and bounds.step_size and cycles in (None, bounds.cycles):
            total = 2 * bounds.cycles * bounds.step_size
        if total is None:
            raise InputError(
                f"need the length of the run, got neither epochs nor total_steps, cycles={cycles} "
                f"and bounds.step_size={bounds.step_size}: give total_steps"
            )
        cycles = cycles or bounds.cycles
        updates = total // steps_per_update
        half = table.cycle_step_size(updates, cycles)
        step_size = half if fall_size is None else updates // cycles - fall_size
        if step_size < 1:
            raise InputError(
                f"need fall_size < {updates // cycles}, the updates of each of {cycles} cycles, "
                f"got fall_size={fall_size}: lower it or cycles"
            )
        if "gamma" in {field.name for field in fields(cls)}:
            others = {"gamma": table.default_gamma(updates)} | others
        schedule = cls(
            base_lr=bounds.base_lr,
            max_lr=bounds.max_lr,
            step_size=step_size,
            fall_size=fall_size,
            cycles=cycles,
            steps_per_update=steps_per_update,
            **others,
        )
        steps_per_epoch = bounds.steps_per_epoch
        warn_of_cycles(
            check_cycles(
                cls.rate.__name__,
                total_steps=updates,
                step_size=half,
                steps_per_epoch=steps_per_epoch and max(1, steps_per_epoch // steps_per_update),
                cycles=cycles,
                gamma=getattr(schedule, "gamma", None),
            )
        )
        return schedule


def refuse_worked_out(others: dict[str, Any], *names: str) -> None:
    for name in names:
        if name in others:
            raise InputError(
                f"from_bounds works out {name} itself, got {name}={others[name]}: leave it out, "
                "or make the schedule without from_bounds"
            )


def warn_of_cycles(sentences: list[str]) -> None:
    """Give one CycleWarning of all `sentences`, if any, to the caller of the caller."""
    if sentences:
        warnings.warn("; ".join(sentences), CycleWarning, stacklevel=3)
