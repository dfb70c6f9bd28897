# Keras ships no types, so that its classes are Any.
# mypy: disallow-subclassing-any=False

"""How does a Keras optimizer follow a schedule of this library?

Each class is one function of `lrcycles.rates` with its settings: pass it to any optimizer as
`learning_rate`. It has no state: the optimizer owns the step, so a model that is saved and loaded
goes on in mid-cycle by itself. To load it, import this module first: Keras looks classes up by
their registered names.

>>> float(Triangular(base_lr=1.0, max_lr=3.0, step_size=2)(3))
2.0
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, get_args

import keras
import numpy as np

from lrcycles import rates, schedules
from lrcycles.errors import InputError
from lrcycles.schedule_checks import check_cycles, check_settings

registered = keras.saving.register_keras_serializable(package="lrcycles")


class CycleWarning(UserWarning):
    """Cycles that run, but from which little can be expected."""


@dataclass(frozen=True, kw_only=True)
class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
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
        updates = keras.ops.convert_to_tensor(step)
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


@registered
@dataclass(frozen=True, kw_only=True)
class Constant(_Schedule):
    """Stay at `base_lr`."""

    rate = staticmethod(rates.constant)
    base_lr: float


@dataclass(frozen=True, kw_only=True)
class Cyclic(_Schedule):
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
        _refuse_worked_out(others, "base_lr", "max_lr", "step_size")
        check_settings(cycles=cycles, fall_size=fall_size, steps_per_update=steps_per_update)
        total = _run_length(bounds, epochs, total_steps)
        if total is None and bounds.step_size and cycles in (None, bounds.cycles):
            total = 2 * bounds.cycles * bounds.step_size
        if total is None:
            raise InputError(
                f"need the length of the run, got neither epochs nor total_steps, cycles={cycles} "
                f"and bounds.step_size={bounds.step_size}: give total_steps"
            )
        cycles = cycles or bounds.cycles
        updates = total // steps_per_update
        half = schedules.cycle_step_size(updates, cycles)
        step_size = half if fall_size is None else updates // cycles - fall_size
        if step_size < 1:
            raise InputError(
                f"need fall_size < {updates // cycles}, the updates of each of {cycles} cycles, "
                f"got fall_size={fall_size}: lower it or cycles"
            )
        if "gamma" in {field.name for field in fields(cls)}:
            others = {"gamma": schedules.default_gamma(updates)} | others
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


@registered
class Triangular(Cyclic):
    """Straight up from base_lr to max_lr in `step_size` steps, straight down in as many."""

    rate = staticmethod(rates.triangular)


@registered
class Triangular2(Cyclic):
    """As `Triangular`, with half the amplitude after every cycle."""

    rate = staticmethod(rates.triangular2)


@registered
@dataclass(frozen=True, kw_only=True)
class ExpRange(Cyclic):
    """As `Triangular`, with an amplitude that shrinks by `gamma` every step; base_lr stays."""

    rate = staticmethod(rates.exp_range)
    gamma: float


@registered
@dataclass(frozen=True, kw_only=True)
class ExpRangeBounds(Cyclic):
    """As `Triangular`, with both bounds shrinking by `gamma` every step: the paper's exp_range."""

    rate = staticmethod(rates.exp_range_bounds)
    gamma: float


@registered
class Welch(Cyclic):
    """As `Triangular`, along a parabola."""

    rate = staticmethod(rates.welch)


@registered
class Hann(Cyclic):
    """As `Triangular`, along a sine."""

    rate = staticmethod(rates.hann)


@registered
@dataclass(frozen=True, kw_only=True)
class LinearDecay(_Schedule):
    """Straight down from `max_lr` to `base_lr` at `total_steps`."""

    rate = staticmethod(rates.linear_decay)
    max_lr: float
    total_steps: int
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class Cosine(_Schedule):
    """Down along half a cosine from `max_lr` to `base_lr` at `total_steps`."""

    rate = staticmethod(rates.cosine)
    max_lr: float
    total_steps: int
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class SGDR(_Schedule):
    """`Cosine` with warm restarts; every cycle is `cycle_factor` times as long as the last."""

    rate = staticmethod(rates.sgdr)
    max_lr: float
    first_cycle_steps: int
    cycle_factor: int = 1
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class OneCycle(_Schedule):
    """Up to `max_lr`, down to `base_lr`, then far below it, to `final_lr`.

    Args:
        annihilation_steps: the last part; with 0, the fall itself ends at `final_lr`.
        shape: linear or cosine.
    """

    rate = staticmethod(rates.one_cycle)
    base_lr: float
    max_lr: float
    final_lr: float
    rise_steps: float
    fall_steps: float
    annihilation_steps: float = 0
    shape: rates.Shape = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape not in get_args(rates.Shape):
            raise InputError(f"need shape to be linear or cosine, got shape={self.shape!r}")

    @classmethod
    def from_bounds(
        cls,
        bounds: Any,
        *,
        epochs: int | None = None,
        total_steps: int | None = None,
        annihilation: float = 0.1,
        steps_per_update: int = 1,
        **others: Any,
    ) -> Self:
        """Fill a run with one cycle; its last part, the share `annihilation`, goes far below.

        Args:
            total_steps: mini-batches, as an epoch's; `steps_per_update` of them make an update.
            others: further settings of the schedule: final_lr and shape.

        Raises:
            InputError: the length is unknown, or too short for a cycle; one of `others` is what
                this works out.
        """
        _refuse_worked_out(
            others, "base_lr", "max_lr", "rise_steps", "fall_steps", "annihilation_steps"
        )
        check_settings(steps_per_update=steps_per_update)
        total = _run_length(bounds, epochs, total_steps)
        if total is None:
            raise InputError("need epochs or total_steps, got neither: give the length of the run")
        if not 0 <= annihilation < 1:
            raise InputError(f"need 0 <= annihilation < 1, got annihilation={annihilation}")
        updates = total // steps_per_update
        half = schedules.cycle_step_size(round(updates * (1 - annihilation)), 1)
        settings = {
            "base_lr": bounds.base_lr,
            "max_lr": bounds.max_lr,
            "final_lr": bounds.base_lr / 1e4,  # "several orders of magnitude", Smith 2018
            "rise_steps": half,
            "fall_steps": half,
            # The last update, not the one after it, is the one at final_lr.
            "annihilation_steps": max(0, updates - 1 - 2 * half) if annihilation else 0,
            "steps_per_update": steps_per_update,
        }
        return cls(**settings | others)


@registered
@dataclass(frozen=True, kw_only=True)
class StepDecay(_Schedule):
    """`base_lr` times `factor` once every `every_steps` steps."""

    rate = staticmethod(rates.step_decay)
    base_lr: float
    factor: float
    every_steps: int


@registered
@dataclass(frozen=True, kw_only=True)
class InverseTime(_Schedule):
    """`base_lr` times (1 + gamma * step) ** -power."""

    rate = staticmethod(rates.inverse_time)
    base_lr: float
    gamma: float
    power: float = 1.0


def _run_length(bounds: Any, epochs: int | None, total_steps: int | None) -> int | None:
    check_settings(epochs=epochs, total_steps=total_steps)
    if epochs is None:
        return total_steps
    if total_steps is not None:
        raise InputError(
            f"need epochs or total_steps, got epochs={epochs}, total_steps={total_steps}: "
            "give one of them"
        )
    if bounds.steps_per_epoch is None:
        raise InputError(
            f"need bounds.steps_per_epoch to turn epochs={epochs} into steps, got None: "
            "give total_steps"
        )
    length: int = epochs * bounds.steps_per_epoch
    return length


def _refuse_worked_out(others: dict[str, Any], *names: str) -> None:
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
