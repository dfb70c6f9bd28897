"""Which rates does a run of so many steps go through?"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Set
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lrcycles.errors import InputError
from lrcycles.schedules import on_plateau, rates
from lrcycles.schedules.limits import check_settings, need_count, need_order, need_positive
from lrcycles.schedules.rates import Rates

# What can be said with base_lr, max_lr and the length of the run or of half a cycle.
SCHEDULES: Mapping[str, Callable[..., Rates]] = MappingProxyType(
    {
        "constant": rates.constant,
        "triangular": rates.triangular,
        "triangular2": rates.triangular2,
        "exp_range": rates.exp_range,
        "exp_range_bounds": rates.exp_range_bounds,
        "welch": rates.welch,
        "hann": rates.hann,
        "linear_decay": rates.linear_decay,
        "cosine": rates.cosine,
        "sgdr": rates.sgdr,
        "one_cycle": rates.one_cycle,
        "inverse_time": rates.inverse_time,
        "reduce_on_plateau": on_plateau.reduce_on_plateau,
    }
)
RAMPS: Mapping[str, Callable[..., Rates]] = MappingProxyType(
    {"linear": rates.linear_ramp, "exponential": rates.exponential_ramp}
)


_PHASES = frozenset({"first_cycle_steps", "rise_steps", "fall_steps", "annihilation_steps"})
_ONE_CYCLE_SHARE = 0.45  # of the run, for each of its two ways: a tenth is left to anneal
_FINAL_SHARE = 1e-3  # of base_lr: "several orders of magnitude" below (Smith 2018, sec. 4.3)


def taken_by(name: str) -> Set[str]:
    """Name the settings that a schedule of `SCHEDULES` takes, such as step_size."""
    taken = inspect.signature(SCHEDULES[name]).parameters.keys() - {"cycle_factor", "shape"}
    return taken - _PHASES | {"step_size"} if taken & _PHASES else taken


def repeats(name: str) -> bool:
    """Whether a schedule of `SCHEDULES` goes through cycles, of which there can be several."""
    return "step_size" in taken_by(name) and name != "one_cycle"


def cycle_step_size(total_steps: int, cycles: int) -> int:
    """Give the half-cycle, in steps, of `cycles` whole cycles within `total_steps`.

    Raises:
        InputError: the run is too short for a rise and a fall of one step per cycle.

    >>> cycle_step_size(2750, 3)
    458
    """
    need_count("cycles", cycles)
    if total_steps < 2 * cycles:
        raise InputError(
            f"need total_steps >= 2 * cycles, got total_steps={total_steps}, cycles={cycles}: "
            "train longer, or lower cycles or the batch size"
        )
    return total_steps // (2 * cycles)


def default_gamma(total_steps: int) -> float:
    """Give the `gamma` of exp_range that leaves a tenth of the amplitude after `total_steps`.

    As the paper's own run does: .99994 over 42,000 steps leaves .08 (Smith 2017, table 1).

    >>> round(default_gamma(2) ** 2, 9)
    0.1
    """
    return float(0.1 ** (1 / total_steps))


def rate_table(
    name: str,
    *,
    total_steps: int,
    base_lr: float,
    max_lr: float | None = None,
    step_size: int | None = None,
    cycles: int | None = None,
    **others: float | None,
) -> NDArray[np.float32]:
    """Tabulate the rate of updates 0 to `total_steps` - 1 under the schedule `name`.

    Args:
        base_lr: the lower bound; where linear_decay, cosine and sgdr end, and may be 0 for them.
        step_size: half a cycle in steps; the schedule runs for as long as there are steps.
        cycles: instead of `step_size`: so many whole cycles; the few steps left over stay where
            the last cycle ended, at `base_lr`. one_cycle takes only `step_size`, and without it
            rises and falls in .45 of the run each.
        others: what else the schedule of that name takes: `gamma` of exp_range, if left out
            `default_gamma(total_steps)`; `final_lr` of one_cycle, if left out `base_lr` / 1000;
            `gamma` and `power` of inverse_time; `factor` and `patience_epochs`.

    Raises:
        InputError: an unknown name, a bound out of order, settings the schedule does not take.

    >>> rate_table("triangular", total_steps=5, base_lr=1, max_lr=3, cycles=1).tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0]
    """
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule {name!r}: need one of {', '.join(sorted(SCHEDULES))}")
    schedule = SCHEDULES[name]
    takes = taken_by(name)
    need_count("total_steps", total_steps)
    others = {key: value for key, value in others.items() if value is not None}
    if name == "one_cycle" and step_size is None and cycles is None:
        step_size = max(1, int(_ONE_CYCLE_SHARE * total_steps))
    if "gamma" in takes and "max_lr" in takes:
        others = {"gamma": default_gamma(total_steps), **others}
    if "final_lr" in takes:
        others = {"final_lr": base_lr * _FINAL_SHARE, **others}
    _need_what_it_takes(name, takes, max_lr=max_lr, step_size=step_size, cycles=cycles, **others)
    steps = np.arange(total_steps)
    if cycles is not None:
        step_size = cycle_step_size(total_steps, cycles)
        # A whole cycle ends at base_lr, where sgdr restarts: holding the step holds the rate.
        steps = np.minimum(steps, 2 * cycles * step_size - (name == "sgdr"))
    known = {
        "base_lr": base_lr,
        "max_lr": max_lr,
        "step_size": step_size,
        "total_steps": total_steps,
        **_phases(total_steps, step_size),
        **others,
    }
    parameters = inspect.signature(schedule).parameters
    settings = {key: value for key, value in known.items() if key in parameters}
    check_settings(**settings)
    return np.asarray(schedule(steps, **settings), dtype=np.float32)


def _phases(total_steps: int, step_size: int | None) -> dict[str, int]:
    """The phases of sgdr and one_cycle, which are told in half-cycles here."""
    if step_size is None:
        return {}
    return {
        "first_cycle_steps": 2 * step_size,
        "rise_steps": step_size,
        "fall_steps": step_size,
        "annihilation_steps": max(0, total_steps - 1 - 2 * step_size),
    }


def ramp_table(name: str, *, min_lr: float, max_lr: float, steps: int) -> NDArray[np.float32]:
    """Tabulate the rates of a range test: `steps` updates from `min_lr` to `max_lr`.

    Raises:
        InputError: an unknown ramp, bounds out of order, fewer than two steps.

    >>> ramp_table("exponential", min_lr=1, max_lr=4, steps=3).tolist()
    [1.0, 2.0, 4.0]
    """
    if name not in RAMPS:
        raise InputError(f"unknown ramp {name!r}: need one of {', '.join(sorted(RAMPS))}")
    need_positive("min_lr", min_lr)
    need_order("min_lr", min_lr, max_lr)
    need_count("steps", steps, least=2)
    risen = RAMPS[name](np.arange(steps), min_lr=min_lr, max_lr=max_lr, steps=steps)
    return np.asarray(risen, dtype=np.float32)


def _need_what_it_takes(name: str, takes: Set[str], **given: float | None) -> None:
    """Refuse settings that the schedule would ignore, and the lack of those it needs."""
    as_taken = {"cycles": "step_size"} if repeats(name) else {}  # two ways to say the same
    extra = {
        key: value
        for key, value in given.items()
        if value is not None and as_taken.get(key, key) not in takes
    }
    if extra:
        received = ", ".join(f"{key}={value}" for key, value in extra.items())
        refused = ", ".join(extra)
        raise InputError(f"schedule {name} takes no {refused}, got {received}: leave that out")
    if "max_lr" in takes and given["max_lr"] is None:
        raise InputError(f"schedule {name} needs max_lr, got none: give 0 < base_lr < max_lr")
    parameters = inspect.signature(SCHEDULES[name]).parameters
    for key in takes - {"step", "base_lr", "max_lr", "step_size", "total_steps"}:
        if given.get(key) is None and parameters[key].default is inspect.Parameter.empty:
            raise InputError(f"schedule {name} needs {key}, got none: give it")
    if "step_size" in takes and (given["step_size"] is None) == (given["cycles"] is None):
        raise InputError(
            f"schedule {name} needs either cycles or step_size, "
            f"got cycles={given['cycles']}, step_size={given['step_size']}: give one of them"
        )
