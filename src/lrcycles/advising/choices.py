"""Lists the schedules that an advice may name, with the settings that follow from a peak."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from lrcycles.advising.peak import Z90, PeakEstimate
from lrcycles.bounds.calibrated import RATIO
from lrcycles.errors import InputError
from lrcycles.schedules.rates import default_gamma
from lrcycles.schedules.table import (
    DECAY_SHARE,
    FINAL_SHARE,
    ONE_CYCLE_SHARE,
    cycle_step_size,
)

AUTO = "linear_decay"  # what `auto` answers: docs/findings.md, docs/study-networks: none is better
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


def _shrinking(peak: float, updates: int, own: int) -> Settings:
    return {**_cyclic(peak, updates, own), "gamma": float(f"{default_gamma(own):.8g}")}


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


@dataclass(frozen=True, kw_only=True)
class Row:
    """A schedule, and how its best training compares with that of linear decay after a warm-up.

    Attributes:
        settings: returns the settings from the peak, the updates of the training, and those of them
            that come after the warm-up.
        has_warmup: the schedule begins at its peak, so that its answer has a warm-up.
        peak: the best peak, relative to that of linear decay: the median over the tasks.
        octaves: the standard deviation of log2 of that ratio over the tasks.
        loss: the loss at the best peak, relative to that of linear decay: the geometric mean.
    """

    keras_class: str
    settings: Callable[[float, int, int], Settings]
    has_warmup: bool
    peak: float = 1.0
    octaves: float = 0.0
    loss: float = 1.0


# The ratios are those of docs/study-networks ("Which schedule?"). The median of the peaks, because
# the mean follows single tasks whose loss hardly depends on the peak. There the constant rate had
# no warm-up.
TASKS = 20
SCHEDULES: Mapping[str, Row] = MappingProxyType(
    {
        "linear_decay": Row(keras_class="LinearDecay", settings=_falling, has_warmup=True),
        "cosine": Row(
            keras_class="Cosine",
            settings=_falling,
            has_warmup=True,
            peak=0.99,
            octaves=1.29,
            loss=1.01,
        ),
        "warmup_stable_decay": Row(
            keras_class="WarmupStableDecay",
            settings=_stable,
            has_warmup=True,
            peak=0.65,
            octaves=0.39,
            loss=0.999,
        ),
        "one_cycle": Row(
            keras_class="OneCycle",
            settings=_one_cycle,
            has_warmup=False,
            peak=1.1,
            octaves=0.82,
            loss=0.997,
        ),
        "triangular": Row(
            keras_class="Triangular",
            settings=_cyclic,
            has_warmup=False,
            peak=0.98,
            octaves=0.59,
            loss=1.05,
        ),
        "triangular2": Row(
            keras_class="Triangular2",
            settings=_cyclic,
            has_warmup=False,
            peak=1.5,
            octaves=0.65,
            loss=1.04,
        ),
        "exp_range_bounds": Row(
            keras_class="ExpRangeBounds",
            settings=_shrinking,
            has_warmup=False,
            peak=2.1,
            octaves=0.59,
            loss=1.05,
        ),
        "constant": Row(
            keras_class="Constant",
            settings=_constant,
            has_warmup=True,
            peak=0.42,
            octaves=0.59,
            loss=1.11,
        ),
    }
)


def transferred(estimate: PeakEstimate, name: str) -> PeakEstimate:
    """Return the estimate for another schedule than the linear decay that the probes have.

    The interval widens by how much the ratio of the best peaks differs between tasks. The chance is
    not known.
    """
    if name == AUTO:
        return estimate
    row, peak = SCHEDULES[name], estimate.peak_lr

    def wider(octaves: float) -> float:
        return math.hypot(octaves, Z90 * row.octaves)

    def scaled(loss: float) -> float:
        return loss + (row.loss - 1) * abs(loss)

    return replace(
        estimate,
        peak_lr=peak * row.peak,
        low=peak * row.peak * 2 ** -wider(math.log2(peak / estimate.low)),
        high=peak * row.peak * 2 ** wider(math.log2(estimate.high / peak)),
        chance=math.nan,
        expected_loss=scaled(estimate.expected_loss),
        expected_low=scaled(estimate.expected_low),
        expected_high=scaled(estimate.expected_high),
    )


def need_schedule(name: Any) -> str:
    """Return the name of the schedule that is asked for; refuse an unknown one."""
    if isinstance(name, str) and name == "auto":
        return AUTO
    if not isinstance(name, str) or name not in SCHEDULES:
        near = get_close_matches(name, SCHEDULES, 1) if isinstance(name, str) else []
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
    row = SCHEDULES[name]
    settings = row.settings(peak_lr, updates, updates - warmup_steps)
    if warmup_steps:
        settings["warmup_steps"] = warmup_steps
    if steps_per_update > 1:
        settings["steps_per_update"] = steps_per_update
    return Choice(row.keras_class, settings)
