# Keras has no type annotations, so its classes are Any.
# mypy: disallow-subclassing-any=False

"""Holds the schedules as classes for Keras optimizers, and the one of momentum.

Each class is one function of `lrcycles.schedules.rates` with its settings. Pass an instance to any
optimizer as `learning_rate`. It has no state: the optimizer counts the steps, so a saved model goes
on in mid-cycle after it is loaded. Call `lrcycles.register_keras_objects()` before you load one.

>>> float(Triangular(base_lr=1.0, max_lr=3.0, step_size=2)(3))
2.0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import keras

from lrcycles.errors import InputError
from lrcycles.schedules import rates, table, warmup
from lrcycles.schedules.keras_base import Cyclic, Schedule, check_others, need_bounds, registered
from lrcycles.schedules.limits import check_settings, is_number, run_length


@registered
@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """A rate that stays at `base_lr`."""

    rate = staticmethod(rates.constant)
    base_lr: float


@registered
class Triangular(Cyclic):
    """A rise from base_lr to max_lr in `step_size` steps, a fall in as many, both straight."""

    rate = staticmethod(rates.triangular)


@registered
class Triangular2(Cyclic):
    """As `Triangular`, with half the amplitude after every cycle."""

    rate = staticmethod(rates.triangular2)


@registered
@dataclass(frozen=True, kw_only=True)
class ExpRange(Cyclic):
    """As `Triangular`, but every step multiplies the amplitude by `gamma`; base_lr stays."""

    rate = staticmethod(rates.exp_range)
    gamma: float


@registered
@dataclass(frozen=True, kw_only=True)
class ExpRangeBounds(Cyclic):
    """As `Triangular`, but every step multiplies both bounds by `gamma`: the paper's exp_range."""

    rate = staticmethod(rates.exp_range_bounds)
    gamma: float


@registered
class Welch(Cyclic):
    """As `Triangular`, but along a parabola."""

    rate = staticmethod(rates.welch)


@registered
class Hann(Cyclic):
    """As `Triangular`, but along a sine."""

    rate = staticmethod(rates.hann)


@registered
@dataclass(frozen=True, kw_only=True)
class LinearDecay(Schedule):
    """A straight fall from `max_lr` to `base_lr` at `total_steps`."""

    rate = staticmethod(rates.linear_decay)
    max_lr: float
    total_steps: int
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """A fall along half a cosine from `max_lr` to `base_lr` at `total_steps`."""

    rate = staticmethod(rates.cosine)
    max_lr: float
    total_steps: int
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(Schedule):
    """A linear rise to `max_lr`, a constant rate, then a fall to `base_lr` at `total_steps`.

    Args:
        decay_steps: the steps of the fall.
        shape: linear or 1-sqrt.
    """

    rate = staticmethod(warmup.warmup_stable_decay)
    max_lr: float
    total_steps: int
    decay_steps: int
    base_lr: float = 0.0
    shape: warmup.Cooldown = "linear"


@registered
@dataclass(frozen=True, kw_only=True)
class SGDR(Schedule):
    """`Cosine` with restarts. Every cycle is `cycle_factor` times as long as the one before."""

    rate = staticmethod(rates.sgdr)
    max_lr: float
    first_cycle_steps: int
    cycle_factor: int = 1
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """A rise to `max_lr`, a fall to `base_lr`, then a fall to `final_lr`, far below `base_lr`.

    Args:
        annihilation_steps: the steps of the last fall. With 0, the first fall ends at `final_lr`.
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

    @classmethod
    def from_bounds(
        cls,
        bounds: Any,
        *,
        epochs: int | None = None,
        total_steps: int | None = None,
        annihilation: float = 0.1,
        steps_per_update: int = 1,
        warmup_steps: int = 0,
        steps_per_epoch: int | None = None,
        **others: Any,
    ) -> Self:
        """Fill a run with one cycle.

        Args:
            bounds: the result of `select_bounds`.
            epochs: the length of the run.
            total_steps: the length of the run in mini-batches, instead of `epochs`.
            annihilation: the share of the run, without the warm-up, in which the rate falls from
                base_lr to final_lr.
            steps_per_update: mini-batches of an update.
            warmup_steps: updates before the cycle, in which the rate rises to base_lr.
            steps_per_epoch: mini-batches of an epoch; by default those of `bounds`.
            others: further settings of the schedule: final_lr, by default base_lr / 1000 as in the
                pipeline, and shape.

        Raises:
            InputError: the length is unknown, or too short for a cycle, or one of `others` is a
                setting that follows from the bounds and the length.
        """
        check_others(
            cls, others, "base_lr", "max_lr", "rise_steps", "fall_steps", "annihilation_steps"
        )
        need_bounds(bounds)
        check_settings(steps_per_update=steps_per_update, steps_per_epoch=steps_per_epoch)
        total = run_length(epochs, total_steps, steps_per_epoch or bounds.steps_per_epoch)
        if total is None:
            raise InputError(
                "The length of the run must be known. Received: neither epochs nor total_steps. "
                "Give one of them."
            )
        if not (is_number(annihilation) and 0 <= annihilation < 1):
            raise InputError(
                "annihilation must be at least 0 and below 1, a share of the run. "
                f"Received: {annihilation!r}. Set 0.1, for example."
            )
        updates = total // steps_per_update
        check_settings(total_steps=updates, warmup_steps=warmup_steps)
        updates -= warmup_steps
        half = table.cycle_step_size(round(updates * (1 - annihilation)), 1)
        settings = {
            "base_lr": bounds.base_lr,
            "max_lr": bounds.max_lr,
            "final_lr": bounds.base_lr * table.FINAL_SHARE,
            "rise_steps": half,
            "fall_steps": half,
            # The last update of the run has final_lr.
            "annihilation_steps": max(0, updates - 1 - 2 * half) if annihilation else 0,
            "steps_per_update": steps_per_update,
            "warmup_steps": warmup_steps,
        }
        return cls(**settings | others)


@registered
@dataclass(frozen=True, kw_only=True)
class StepDecay(Schedule):
    """A rate that starts at `base_lr`; every `every_steps` steps multiply it by `factor`."""

    rate = staticmethod(rates.step_decay)
    base_lr: float
    factor: float
    every_steps: int


@registered
@dataclass(frozen=True, kw_only=True)
class InverseTime(Schedule):
    """A rate of `base_lr` times (1 + gamma * step) ** -power."""

    rate = staticmethod(rates.inverse_time)
    base_lr: float
    gamma: float
    power: float = 1.0


@registered
@dataclass(frozen=True, kw_only=True)
class CyclicMomentum(keras.optimizers.schedules.LearningRateSchedule):
    """Momentum against the rate: highest at the lowest rate, lowest at the highest rate.

    For `lrcycles.controlled(optimizer, momentum=...)`. Where the amplitude of the rate shrinks, the
    amplitude of the momentum shrinks too, as in PyTorch. During a warm-up of the rate the momentum
    stays at its first value.
    Source: Smith 2018, sec. 4.3.
    """

    schedule: Cyclic | OneCycle
    base_momentum: float = 0.85
    max_momentum: float = 0.95

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Cyclic | OneCycle):
            raise InputError(
                "CyclicMomentum must have a schedule that rises and falls. Received: "
                f"{self.schedule!r}. Use a cyclic schedule or OneCycle."
            )
        if isinstance(self.schedule, ExpRangeBounds):
            raise InputError(
                "CyclicMomentum must have a schedule whose base_lr stays: otherwise the momentum "
                "falls to 0 too. Received: ExpRangeBounds. Use ExpRange."
            )
        momenta = self.base_momentum, self.max_momentum
        if not (all(map(is_number, momenta)) and 0 <= momenta[0] < momenta[1] < 1):
            raise InputError(
                "base_momentum must be at least 0 and below max_momentum, and max_momentum below "
                f"1. Received: base_momentum={self.base_momentum!r}, "
                f"max_momentum={self.max_momentum!r}. Set 0.85 and 0.95, for example."
            )

    def __call__(self, step: Any) -> Any:
        at_low_rate, at_high_rate = self.max_momentum, self.base_momentum
        final = {"final_lr": at_low_rate} if isinstance(self.schedule, OneCycle) else {}
        return self.schedule.at(step, base_lr=at_low_rate, max_lr=at_high_rate, **final)

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
