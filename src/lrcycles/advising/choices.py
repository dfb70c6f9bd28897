"""Lists the schedules that an advice may name, with the settings that follow from a peak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from lrcycles.bounds.calibrated import RATIO
from lrcycles.errors import InputError
from lrcycles.schedules.table import (
    DECAY_SHARE,
    FINAL_SHARE,
    ONE_CYCLE_SHARE,
    cycle_step_size,
)

AUTO = "linear_decay"  # what `auto` answers: it won every comparison of docs/findings.md
CYCLES = 3
Settings = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """A schedule as a class of lrcycles for Keras, with its settings.

    Attributes:
        keras_class: the name of the class in `lrcycles`.
    """

    keras_class: str
    settings: Settings

    def build(self) -> Any:
        """Make the schedule."""
        from lrcycles.schedules import keras_schedules  # lazily: it imports Keras

        return getattr(keras_schedules, self.keras_class)(**self.settings)

    def code(self) -> str:
        """Return the expression that makes the schedule.

        >>> Choice("Constant", {"base_lr": 0.01}).code()
        'lrcycles.Constant(base_lr=0.01)'
        """
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"lrcycles.{self.keras_class}({settings})"


def _falling(peak: float, updates: int, _own: int) -> Settings:
    return {"max_lr": peak, "total_steps": updates}


def _stable(peak: float, updates: int, own: int) -> Settings:
    return {**_falling(peak, updates, own), "decay_steps": max(1, int(DECAY_SHARE * own))}


def _cyclic(peak: float, _updates: int, own: int) -> Settings:
    half = cycle_step_size(own, CYCLES)
    return {"base_lr": _base(peak), "max_lr": peak, "step_size": half, "cycles": CYCLES}


def _one_cycle(peak: float, _updates: int, own: int) -> Settings:
    half = max(1, int(ONE_CYCLE_SHARE * own))
    return {
        "base_lr": _base(peak),
        "max_lr": peak,
        "final_lr": _base(peak) * FINAL_SHARE,
        "rise_steps": half,
        "fall_steps": half,
        "annihilation_steps": max(0, own - 1 - 2 * half),
    }


def _constant(peak: float, _updates: int, _own: int) -> Settings:
    return {"base_lr": peak}


def _base(peak: float) -> float:
    return float(f"{peak / RATIO:.3g}")


# The class of each schedule, and a function that returns its settings from the peak, the updates of
# the training, and those of them that come after the warm-up.
SCHEDULES: Mapping[str, tuple[str, Callable[[float, int, int], Settings]]] = MappingProxyType(
    {
        "linear_decay": ("LinearDecay", _falling),
        "cosine": ("Cosine", _falling),
        "warmup_stable_decay": ("WarmupStableDecay", _stable),
        "one_cycle": ("OneCycle", _one_cycle),
        "triangular": ("Triangular", _cyclic),
        "triangular2": ("Triangular2", _cyclic),
        "constant": ("Constant", _constant),
    }
)


def need_schedule(name: Any) -> str:
    """Return the name of the schedule that is asked for; refuse an unknown one."""
    if name == "auto":
        return AUTO
    if not isinstance(name, str) or name not in SCHEDULES:
        near = get_close_matches(str(name), SCHEDULES, 1)
        remedy = f"Did you mean {near[0]}?" if near else "Choose one of them."
        raise InputError(
            f"schedule must be auto or one of {', '.join(SCHEDULES)}. Received: {name!r}. {remedy}"
        )
    return name


def choose(
    name: str, *, peak_lr: float, updates: int, warmup_steps: int = 0, steps_per_update: int = 1
) -> Choice:
    """Return the schedule `name` with `peak_lr` as its highest rate.

    Args:
        updates: of the training, with those of the warm-up.
        warmup_steps: updates of a linear rise to the first rate.
        steps_per_update: mini-batches of an update.
    """
    keras_class, settings_of = SCHEDULES[name]
    settings = settings_of(peak_lr, updates, updates - warmup_steps)
    if warmup_steps:
        settings["warmup_steps"] = warmup_steps
    if steps_per_update > 1:
        settings["steps_per_update"] = steps_per_update
    return Choice(keras_class, settings)
