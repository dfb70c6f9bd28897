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

from dataclasses import dataclass
from typing import Any, Self, get_args

from lrcycles.errors import InputError
from lrcycles.schedules import rates, table
from lrcycles.schedules.keras_base import Cyclic, Schedule, refuse_worked_out, registered
from lrcycles.schedules.limits import check_settings, run_length


@registered
@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """Stay at `base_lr`."""

    rate = staticmethod(rates.constant)
    base_lr: float


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
class LinearDecay(Schedule):
    """Straight down from `max_lr` to `base_lr` at `total_steps`."""

    rate = staticmethod(rates.linear_decay)
    max_lr: float
    total_steps: int
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Down along half a cosine from `max_lr` to `base_lr` at `total_steps`."""

    rate = staticmethod(rates.cosine)
    max_lr: float
    total_steps: int
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class SGDR(Schedule):
    """`Cosine` with warm restarts; every cycle is `cycle_factor` times as long as the last."""

    rate = staticmethod(rates.sgdr)
    max_lr: float
    first_cycle_steps: int
    cycle_factor: int = 1
    base_lr: float = 0.0


@registered
@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
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
        refuse_worked_out(
            others, "base_lr", "max_lr", "rise_steps", "fall_steps", "annihilation_steps"
        )
        check_settings(steps_per_update=steps_per_update)
        total = run_length(epochs, total_steps, bounds.steps_per_epoch)
        if total is None:
            raise InputError("need epochs or total_steps, got neither: give the length of the run")
        if not 0 <= annihilation < 1:
            raise InputError(f"need 0 <= annihilation < 1, got annihilation={annihilation}")
        updates = total // steps_per_update
        half = table.cycle_step_size(round(updates * (1 - annihilation)), 1)
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
class StepDecay(Schedule):
    """`base_lr` times `factor` once every `every_steps` steps."""

    rate = staticmethod(rates.step_decay)
    base_lr: float
    factor: float
    every_steps: int


@registered
@dataclass(frozen=True, kw_only=True)
class InverseTime(Schedule):
    """`base_lr` times (1 + gamma * step) ** -power."""

    rate = staticmethod(rates.inverse_time)
    base_lr: float
    gamma: float
    power: float = 1.0
