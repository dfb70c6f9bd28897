"""Lists the schedules of the pipeline and tabulates their rates.

To add a schedule, write its function in rates.py or warmup.py, its row in `SCHEDULES` here, and its
arm in conf/arm/. The configuration and the checks follow. A test asks for a word in
docs/pipeline.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lrcycles.errors import InputError
from lrcycles.schedules import plateau, rates, warmup
from lrcycles.schedules.limits import check_settings, need_count
from lrcycles.schedules.rates import Rates

ONE_CYCLE_SHARE = 0.45  # of the run, for the rise and for the fall: a tenth is left to anneal
# The default final_lr of one_cycle, as a share of base_lr: "several orders of magnitude" below it
# (Smith 2018, sec. 4.3). PyTorch has 1/10,000.
FINAL_SHARE = 1e-3
# The default decay_steps of warmup_stable_decay, as a share of the run (Hägele et al. 2024).
DECAY_SHARE = 0.2

Lengths = Callable[[int, int], dict[str, int]]
Default = Callable[[int, float], float]


def _half_cycle(_total_steps: int, step_size: int) -> dict[str, int]:
    return {"step_size": step_size}


def _whole_run(total_steps: int, _step_size: int) -> dict[str, int]:
    return {"total_steps": total_steps}


def _whole_cycle(_total_steps: int, step_size: int) -> dict[str, int]:
    return {"first_cycle_steps": 2 * step_size}


def _three_phases(total_steps: int, step_size: int) -> dict[str, int]:
    return {
        "rise_steps": step_size,
        "fall_steps": step_size,
        "annihilation_steps": max(0, total_steps - 1 - 2 * step_size),
    }


@dataclass(frozen=True, kw_only=True)
class ScheduleRow:
    """What the pipeline and its checks must know of one schedule.

    Every schedule has a base_lr. A length is given as step_size, half a cycle in steps, or, by a
    schedule that repeats, as a number of whole cycles.

    Args:
        rate: the function of the step.
        lengths: returns the lengths that `rate` takes, from total_steps and step_size.
        needs: the settings that must be given.
        options: the settings that may be left out, each with its default as a function of
            total_steps and base_lr, or None where `rate` has a default.
        repeats: the rate goes through cycles, any number of them.
        restarts: a cycle ends with a jump to max_lr, one step after its lowest rate.
        base_lr_may_be_0: the rate ends at base_lr instead of rising from it.
        shapes: the values of `shape`.
        momentum_may_cycle: the rate rises and falls between bounds that stay, so that momentum can
            cycle against it.
        amplitude_per_cycle: one cycle multiplies the amplitude by this; `gamma` does so each step.
        between_epochs: returns the rate of the next epoch from the validation losses so far, the
            base_lr, and all of `needs`; `rate` then takes base_lr alone.
    """

    rate: Callable[..., Rates]
    lengths: Lengths | None = None
    needs: tuple[str, ...] = ()
    options: Mapping[str, Default | None] = field(default_factory=dict)
    repeats: bool = False
    restarts: bool = False
    base_lr_may_be_0: bool = False
    shapes: tuple[str, ...] = ()
    momentum_may_cycle: bool = False
    amplitude_per_cycle: float = 1.0
    between_epochs: Callable[..., float] | None = None

    @property
    def takes(self) -> frozenset[str]:
        """All settings that may be given."""
        lengths = {"step_size", "cycles"} if self.repeats else set()
        return frozenset({"base_lr", *self.needs, *self.options, *lengths})


def _cyclic(
    rate: Callable[..., Rates],
    *,
    gamma: bool = False,
    bounds_stay: bool = True,
    amplitude_per_cycle: float = 1.0,
) -> ScheduleRow:
    """Return the row of a schedule that rises and falls between two bounds, again and again."""
    shrinking: dict[str, Default | None] = {"gamma": lambda steps, _: rates.default_gamma(steps)}
    return ScheduleRow(
        rate=rate,
        lengths=_half_cycle,
        needs=("max_lr",),
        options={"fall_size": None, **(shrinking if gamma else {})},
        repeats=True,
        momentum_may_cycle=bounds_stay,
        amplitude_per_cycle=amplitude_per_cycle,
    )


def _decay(rate: Callable[..., Rates]) -> ScheduleRow:
    """Return the row of a schedule that falls from max_lr to base_lr over the whole run."""
    return ScheduleRow(rate=rate, lengths=_whole_run, needs=("max_lr",), base_lr_may_be_0=True)


SCHEDULES: Mapping[str, ScheduleRow] = MappingProxyType(
    {
        "constant": ScheduleRow(rate=rates.constant),
        "triangular": _cyclic(rates.triangular),
        "triangular2": _cyclic(rates.triangular2, amplitude_per_cycle=0.5),
        "exp_range": _cyclic(rates.exp_range, gamma=True),
        "exp_range_bounds": _cyclic(rates.exp_range_bounds, gamma=True, bounds_stay=False),
        "welch": _cyclic(rates.welch),
        "hann": _cyclic(rates.hann),
        "linear_decay": _decay(rates.linear_decay),
        "cosine": _decay(rates.cosine),
        "sgdr": ScheduleRow(
            rate=rates.sgdr,
            lengths=_whole_cycle,
            needs=("max_lr",),
            repeats=True,
            restarts=True,
            base_lr_may_be_0=True,
            momentum_may_cycle=True,
        ),
        "one_cycle": ScheduleRow(
            rate=rates.one_cycle,
            lengths=_three_phases,
            needs=("max_lr",),
            options={
                "step_size": lambda steps, _: max(1, int(ONE_CYCLE_SHARE * steps)),
                "final_lr": lambda _, base_lr: base_lr * FINAL_SHARE,
                "shape": None,
            },
            shapes=get_args(rates.Shape),
            momentum_may_cycle=True,
        ),
        "warmup_stable_decay": ScheduleRow(
            rate=warmup.warmup_stable_decay,
            lengths=_whole_run,
            needs=("max_lr",),
            options={
                "decay_steps": lambda steps, _: max(1, int(DECAY_SHARE * steps)),
                "shape": None,
            },
            base_lr_may_be_0=True,
            shapes=get_args(warmup.Cooldown),
        ),
        "inverse_time": ScheduleRow(
            rate=rates.inverse_time, needs=("gamma",), options={"power": None}
        ),
        "reduce_on_plateau": ScheduleRow(
            rate=rates.constant,
            needs=("factor", "patience_epochs"),
            between_epochs=plateau.lr_after,
        ),
    }
)


def cycle_step_size(total_steps: int, cycles: int, *, warmup_steps: int = 0) -> int:
    """Return the half-cycle, in steps, of `cycles` whole cycles within `total_steps`.

    The warm-up is a part of the run and no part of a cycle.

    Raises:
        InputError: the run is too short for a rise and a fall of one step per cycle.

    >>> cycle_step_size(2750, 3), cycle_step_size(2750, 3, warmup_steps=50)
    (458, 450)
    """
    need_count("cycles", cycles)
    need_count("total_steps", total_steps)
    check_settings(total_steps=total_steps, warmup_steps=warmup_steps)
    if total_steps - warmup_steps < 2 * cycles:
        left = f" after the warm-up of {warmup_steps} steps" if warmup_steps else ""
        lower = "cycles, the warm-up" if warmup_steps else "cycles"
        raise InputError(
            f"total_steps must be at least 2 * cycles{left}. Received: total_steps={total_steps}, "
            f"cycles={cycles}. Train longer, or lower {lower} or the batch size."
        )
    return (total_steps - warmup_steps) // (2 * cycles)


def rate_table(
    name: str,
    *,
    total_steps: int,
    base_lr: float,
    max_lr: float | None = None,
    step_size: int | None = None,
    cycles: int | None = None,
    warmup_steps: int = 0,
    **others: Any,
) -> NDArray[np.float32]:
    """Tabulate the rate of updates 0 to `total_steps` - 1 under the schedule `name`.

    Args:
        base_lr: the lower bound. linear_decay, cosine and sgdr end there, and may end at 0.
        step_size: half a cycle in steps. The cycles repeat until the run ends.
        cycles: whole cycles that fill the run, instead of `step_size`. The few steps left over
            stay where the last cycle ended, at `base_lr`. one_cycle takes only `step_size`;
            by default its rise and its fall each take 0.45 of the run.
        warmup_steps: the rate first rises linearly to the first rate of the schedule, which has the
            rest of the run.
        others: the other settings of the schedule. By default `gamma` of exp_range is
            `default_gamma` of the steps after the warm-up, `decay_steps` of warmup_stable_decay is
            a fifth of them, and `final_lr` of one_cycle is `base_lr` / 1000. The table of
            reduce_on_plateau stays at `base_lr` until validation reduces the rate.

    Raises:
        InputError: the name is unknown, a bound is out of order, a setting is missing, or the
            schedule does not take a setting.

    >>> rate_table("triangular", total_steps=5, base_lr=1, max_lr=3, cycles=1).tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0]
    """
    row = schedule_row(name)
    need_count("total_steps", total_steps)
    check_settings(total_steps=total_steps, warmup_steps=warmup_steps)
    given = {"max_lr": max_lr, "step_size": step_size, "cycles": cycles, **others}
    settings = {key: value for key, value in given.items() if value is not None}
    _check_names(name, row, settings)
    own_steps = total_steps - warmup_steps
    for key, default in row.options.items():
        if default is not None and key not in settings:
            settings[key] = default(own_steps, base_lr)
    check_settings(
        total_steps=total_steps,
        warmup_steps=warmup_steps,
        base_lr=base_lr,
        base_lr_may_be_0=row.base_lr_may_be_0,
        shapes=row.shapes,
        **settings,
    )
    run = np.arange(total_steps)
    steps = warmup.after_warmup(run, warmup_steps)
    half = int(settings.pop("step_size", 0))
    if settings.pop("cycles", None) is not None:
        assert cycles is not None
        half = cycle_step_size(total_steps, cycles, warmup_steps=warmup_steps)
        # A whole cycle ends at base_lr. Holding the step there holds the rate there.
        steps = np.minimum(steps, 2 * cycles * half - row.restarts)
    if row.between_epochs is not None:
        row.between_epochs([], base_lr=base_lr, **settings)  # refuses a setting that cannot work
        settings = {}
    lengths = row.lengths(own_steps, half) if row.lengths else {}
    drawn = row.rate(steps, base_lr=base_lr, **lengths, **settings)
    return np.asarray(warmup.risen(drawn, run, warmup_steps), dtype=np.float32)


def schedule_row(name: str) -> ScheduleRow:
    """Return the row of a schedule; refuse an unknown name."""
    if not isinstance(name, str) or name not in SCHEDULES:
        listed = ", ".join(sorted(SCHEDULES))
        raise InputError(f"The schedule must be one of {listed}. Received: {name!r}. Choose one.")
    return SCHEDULES[name]


def _check_names(name: str, row: ScheduleRow, settings: Mapping[str, float]) -> None:
    """Refuse a setting that the schedule would ignore, and a missing one that it needs."""
    if extra := [key for key in settings if key not in row.takes]:
        received = ", ".join(f"{key}={settings[key]}" for key in extra)
        raise InputError(
            f"Schedule {name} takes no {', '.join(extra)}. Received: {received}. Leave that out."
        )
    for key in row.needs:
        if key not in settings:
            raise InputError(
                f"Schedule {name} must have {key}. Received: none. Give {key} a value."
            )
    if row.repeats and ("step_size" in settings) == ("cycles" in settings):
        raise InputError(
            f"Schedule {name} must have either cycles or step_size. Received: "
            f"cycles={settings.get('cycles')}, step_size={settings.get('step_size')}. "
            "Give one of them."
        )
