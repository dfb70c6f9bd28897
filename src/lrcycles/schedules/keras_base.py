# Keras has no type annotations, so its classes are Any.
# mypy: disallow-subclassing-any=False

"""Holds what the Keras schedules share: settings, saving, and cycles that fill a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.schedules import rates, table
from lrcycles.schedules.cycles import check_cycles
from lrcycles.schedules.limits import check_settings, run_length
from lrcycles.schedules.warmup import after_warmup, risen

registered = keras.saving.register_keras_serializable(package="lrcycles")


class CycleWarning(UserWarning):
    """The cycles run, but they are not as Smith advises."""


@dataclass(frozen=True, kw_only=True)
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A function of `lrcycles.schedules.rates` with its settings.

    Args:
        steps_per_update: the optimizer's gradient_accumulation_steps. With gradient accumulation
            Keras counts every mini-batch as a step, while the schedule counts updates.
        warmup_steps: updates in which the rate first rises to the first rate of the schedule, as in
            `lrcycles.linear_warmup`. total_steps includes them.
    """

    rate: ClassVar[Callable[..., Any]]

    steps_per_update: int = 1
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.default is MISSING and getattr(self, field.name) is None:
                raise InputError(
                    f"{field.name} must have a value. Received: {field.name}=None. "
                    f"Give {field.name} a number."
                )
        row = table.SCHEDULES.get(type(self).rate.__name__)
        may_be_0 = row is not None and row.base_lr_may_be_0
        shapes = row.shapes if row is not None else ()
        check_settings(**self.get_config(), base_lr_may_be_0=may_be_0, shapes=shapes)

    def __call__(self, step: Any) -> Any:
        rate = risen(self.at(step), self._updates(step), self.warmup_steps)
        return keras.ops.cast(rate, "float32")

    def at(self, step: Any, **changed: float) -> Any:
        """Return the rate at `step` as float32, with some settings `changed`.

        During the warm-up it is the first rate of the schedule.
        """
        settings = self.get_config() | changed
        del settings["steps_per_update"], settings["warmup_steps"]
        cycles = settings.pop("cycles", None)
        if "total_steps" in settings:
            settings["total_steps"] -= self.warmup_steps
        updates = after_warmup(self._updates(step), self.warmup_steps)
        # A whole cycle ends where the next one begins. Holding the step there holds the rate.
        if cycles is not None:
            fall = settings["fall_size"] or settings["step_size"]
            updates = keras.ops.minimum(updates, cycles * (settings["step_size"] + fall))
        return keras.ops.cast(type(self).rate(updates, **settings), "float32")

    def _updates(self, step: Any) -> Any:
        # Arithmetic on a Keras variable would round to 32 bits; its value does not.
        counted = step.value if isinstance(step, keras.Variable) else step
        updates = keras.ops.convert_to_tensor(counted)
        if self.steps_per_update > 1:
            updates = keras.ops.floor_divide(updates, self.steps_per_update)
        return updates

    def get_config(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        # Keras saves the settings as JSON, which has no NumPy numbers.
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class Cyclic(Schedule):
    """Cycles between two bounds.

    Args:
        step_size: half a cycle in updates; with `fall_size`, the rise alone.
        fall_size: updates of the fall; None for as many as the rise.
        cycles: after so many whole cycles the rate stays where the last one ended; None: never.
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
        warmup_steps: int = 0,
        steps_per_epoch: int | None = None,
        **others: Any,
    ) -> Self:
        """Fill a run with whole cycles between `bounds`. Warn of cycles that are unwise.

        Args:
            bounds: the result of `select_bounds`. Its steps are mini-batches, as `total_steps`.
            epochs: the length of the run. 12 epochs are the fewest for three cycles of the length
                that Smith advises.
            total_steps: the length of the run in mini-batches, instead of `epochs`. Without both,
                the length follows from the step_size of `bounds`.
            cycles: whole cycles of the run; by default those of `bounds`.
            fall_size: updates of each cycle in which the rate falls; None for half of them.
            steps_per_update: mini-batches of an update.
            warmup_steps: updates of the run before the cycles, in which the rate rises to base_lr.
            steps_per_epoch: mini-batches of an epoch; by default those of `bounds`, which has none
                if the range test read a generator.
            others: further settings of the schedule, such as gamma.

        Raises:
            InputError: the length is unknown, or too short for the cycles, or one of `others` is
                a setting that follows from the bounds and the length.
        """
        check_others(cls, others, "base_lr", "max_lr", "step_size")
        need_bounds(bounds)
        check_settings(cycles=cycles, fall_size=fall_size, steps_per_update=steps_per_update)
        check_settings(steps_per_epoch=steps_per_epoch)  # 0 is an error, not the default
        steps_per_epoch = steps_per_epoch or bounds.steps_per_epoch
        total = run_length(epochs, total_steps, steps_per_epoch) or _length_of_cycles(
            bounds, cycles
        )
        cycles = cycles or bounds.cycles
        updates = total // steps_per_update
        half = table.cycle_step_size(updates, cycles, warmup_steps=warmup_steps)
        of_cycles = updates - warmup_steps
        gamma = others.get("gamma")
        if gamma is None and "gamma" in {field.name for field in fields(cls)}:
            others = others | {"gamma": rates.default_gamma(of_cycles)}
        schedule = cls(
            base_lr=bounds.base_lr,
            max_lr=bounds.max_lr,
            step_size=half if fall_size is None else _rise(of_cycles, cycles, fall_size),
            fall_size=fall_size,
            cycles=cycles,
            steps_per_update=steps_per_update,
            warmup_steps=warmup_steps,
            **others,
        )
        warn_of_cycles(
            check_cycles(
                cls.rate.__name__,
                total_steps=updates,
                step_size=half,
                steps_per_epoch=steps_per_epoch and max(1, steps_per_epoch // steps_per_update),
                cycles=cycles,
                warmup_steps=warmup_steps,
                gamma=gamma,  # the default leaves a tenth at the end of any run
            )
        )
        return schedule


def _rise(updates: int, cycles: int, fall_size: int) -> int:
    """Return the updates of each cycle in which the rate rises."""
    in_cycle = updates // cycles
    if fall_size >= in_cycle:
        raise InputError(
            f"fall_size must be below {in_cycle}, the updates of each of {cycles} cycles. "
            f"Received: fall_size={fall_size}. Lower fall_size or cycles."
        )
    return in_cycle - fall_size


def _length_of_cycles(bounds: Any, cycles: int | None) -> int:
    """Return the mini-batches of the cycles of `bounds`."""
    if bounds.step_size and cycles in (None, bounds.cycles):
        return int(2 * bounds.cycles * bounds.step_size)
    missing = "" if bounds.steps_per_epoch else " and steps_per_epoch"
    raise InputError(
        "The length of the run must be known. Received: neither epochs nor total_steps, "
        f"cycles={cycles}, bounds.step_size={bounds.step_size}. "
        f"Give epochs{missing}, or total_steps."
    )


def need_bounds(bounds: Any) -> None:
    """Refuse what is not the result of `select_bounds`."""
    names = ("base_lr", "max_lr", "cycles", "step_size", "steps_per_epoch")
    if not all(hasattr(bounds, name) for name in names):
        raise InputError(
            "bounds must be the result of select_bounds. "
            f"Received: {type(bounds).__name__}. Pass that, or make the schedule without "
            "from_bounds."
        )


def check_others(schedule: type[Schedule], others: dict[str, Any], *derived: str) -> None:
    """Refuse a setting that from_bounds derives, and one that the schedule does not have."""
    known = {field.name for field in fields(schedule)} - set(derived)
    for name in others:
        if name not in {*known, *derived}:
            raise InputError(
                f"{schedule.__name__} must get settings that it has. Received: "
                f"{name}={others[name]!r}. Choose from {', '.join(sorted(known))}."
            )
        if name in derived:
            raise InputError(
                f"{name} must not be given to from_bounds, which derives it. Received: "
                f"{name}={others[name]}. Leave it out, or make the schedule without from_bounds."
            )


def warn_of_cycles(sentences: list[str]) -> None:
    """Warn the caller of the caller once with all `sentences`, if there are any."""
    if sentences:
        warnings.warn(" ".join(sentences), CycleWarning, stacklevel=3)
