"""Which settings can no schedule run on, and which make cycles that teach nothing?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lrcycles.errors import InputError

# Smith 2017, sec. 3.2: half a cycle of 2 to 10 epochs, three cycles or more, whole ones.
STEP_SIZE_EPOCHS = (2, 10)
FEWEST_CYCLES = 3
MID_CYCLE = 0.1  # a run whose last rate is this far up is not read at the end of a cycle
COLLAPSED = 0.001  # an amplitude of which so little is left is a constant rate

COUNTS = frozenset(
    {"total_steps", "step_size", "fall_size", "cycles", "epochs", "steps_per_epoch"}
    | {"first_cycle_steps", "cycle_factor", "every_steps", "steps_per_update"}
    | {"patience_epochs"}
)
POSITIVE = frozenset({"rise_steps", "fall_steps", "power", "min_lr"})
NOT_NEGATIVE = frozenset({"annihilation_steps", "final_lr"})
SHARES = frozenset({"gamma", "factor"})
ENDS_ANYWHERE = frozenset({"total_steps", "first_cycle_steps"})


def check_settings(**settings: Any) -> None:
    """Refuse a value that its setting cannot have, whatever the schedule; None is no value.

    A `base_lr` at which a schedule merely ends (one with total_steps or first_cycle_steps) may
    be 0; one from which cycles rise may not.

    Raises:
        InputError: the first setting that breaks its rule.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    for name, value in given.items():
        if name in COUNTS:
            need_count(name, value)
        elif name in POSITIVE:
            need_positive(name, value)
        elif name in NOT_NEGATIVE and not (math.isfinite(value) and value >= 0):
            raise InputError(f"need {name} to be a finite number >= 0, got {name}={value}")
        elif name in SHARES and not 0 < value <= 1:
            raise InputError(f"need 0 < {name} <= 1, got {name}={value}")
    if "base_lr" in given and not (ENDS_ANYWHERE & given.keys() and given["base_lr"] == 0):
        need_positive("base_lr", given["base_lr"])
    if "max_lr" in given:
        need_order("base_lr", given.get("base_lr", 0.0), given["max_lr"])
    if "final_lr" in given and given["final_lr"] >= given["max_lr"]:
        raise InputError(
            f"need final_lr < max_lr, got final_lr={given['final_lr']}, max_lr={given['max_lr']}"
        )


def check_cycles(
    schedule: str,
    *,
    total_steps: int,
    step_size: int,
    steps_per_epoch: int | None = None,
    cycles: int | None = None,
    gamma: float | None = None,
) -> list[str]:
    """Say in sentences what is unwise about cycles of 2 * `step_size` steps in a run.

    Args:
        schedule: a name in `schedules.SCHEDULES`; those that shrink can collapse.
        steps_per_epoch: without it, nothing is said that is counted in epochs.
        cycles: where the schedule rests at base_lr after so many cycles.
        gamma: of exp_range and exp_range_bounds, the factor of each step.

    Raises:
        InputError: a setting out of its range, or an amplitude that is gone within an epoch.

    >>> check_cycles("triangular", total_steps=600, step_size=100, steps_per_epoch=50)
    []
    >>> check_cycles("triangular", total_steps=600, step_size=150, steps_per_epoch=50)
    ['cycles in the run: 2, three or more are advised: lower step_size to 100 or train longer']
    """
    check_settings(
        total_steps=total_steps,
        step_size=step_size,
        steps_per_epoch=steps_per_epoch,
        cycles=cycles,
        gamma=gamma,
    )
    if step_size > total_steps:
        return [
            f"the rate never turns: step_size={step_size} is longer than the run of {total_steps} "
            f"steps: lower step_size to {max(1, total_steps // (2 * FEWEST_CYCLES))}"
        ]
    count = min(total_steps / (2 * step_size), cycles or math.inf)
    said = [_few(count, cycles, total_steps), _cut(count, cycles, step_size)]
    if steps_per_epoch is not None:
        said += [_length(step_size, steps_per_epoch)]
        said += [_shrinkage(schedule, step_size, steps_per_epoch, gamma)]
    return [sentence for sentence in said if sentence]


def run_length(
    epochs: int | None, total_steps: int | None, steps_per_epoch: int | None
) -> int | None:
    """Give the steps of a run, however its length is told; None if it is not.

    Raises:
        InputError: both ways to tell it are used, or epochs whose steps nobody knows.
    """
    check_settings(epochs=epochs, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    if epochs is None:
        return total_steps
    if total_steps is not None:
        raise InputError(
            f"need epochs or total_steps, got epochs={epochs}, total_steps={total_steps}: "
            "leave one out"
        )
    if steps_per_epoch is None:
        raise InputError(
            f"need steps_per_epoch to turn epochs={epochs} into steps, got None: "
            "give total_steps instead"
        )
    return epochs * steps_per_epoch


def need_count(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse what is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"need {name} to be a whole number >= {least}, got {name}={value}")


def need_positive(name: str, value: float) -> None:
    """Refuse what is 0 or less, not finite, or too small for 32 bits."""
    if not math.isfinite(value) or value < np.finfo(np.float32).tiny:
        raise InputError(f"need {name} to be a positive finite number, got {name}={value}")


def need_order(low_name: str, low: float, max_lr: float) -> None:
    """Refuse bounds that don't rise; a lower one of 0 is left to the caller."""
    need_positive("max_lr", max_lr)
    if low >= max_lr:
        raise InputError(f"need 0 < {low_name} < max_lr, got {low_name}={low}, max_lr={max_lr}")


def _few(count: float, cycles: int | None, total_steps: int) -> str | None:
    if count >= FEWEST_CYCLES:
        return None
    remedy = f"lower step_size to {max(1, total_steps // (2 * FEWEST_CYCLES))} or train longer"
    if count == cycles:  # a longer run has no more of them
        remedy = f"raise cycles to {FEWEST_CYCLES}"
    return f"cycles in the run: {count:.3g}, three or more are advised: {remedy}"


def _cut(count: float, cycles: int | None, step_size: int) -> str | None:
    part = count % 1
    if cycles is not None or 1 - abs(2 * part - 1) <= MID_CYCLE:
        return None
    # Measured by coxy1989's replication of the CLR paper on CIFAR-10.
    return (
        f"the run ends {part:.0%} into a cycle, where accuracy reads lower (by about 1.9 points in "
        f"a replication): end it after a multiple of {2 * step_size} steps"
    )


def _length(step_size: int, steps_per_epoch: int) -> str | None:
    least, most = STEP_SIZE_EPOCHS
    epochs = step_size / steps_per_epoch
    if least <= epochs <= most:
        return None
    return (
        f"step_size in epochs: {epochs:.3g}, {least} to {most} are advised: set it between "
        f"{least * steps_per_epoch} and {most * steps_per_epoch} steps"
    )


def _shrinkage(
    schedule: str, step_size: int, steps_per_epoch: int, gamma: float | None
) -> str | None:
    """Where so much of the amplitude is lost in an epoch that cycles are a constant rate."""
    factors = {"triangular2": 0.5 ** (1 / (2 * step_size)), "exp_range": gamma}
    factor = factors.get(schedule.removesuffix("_bounds"))
    if factor is None:
        return None
    left = factor**steps_per_epoch
    remedy = "raise gamma"
    if schedule == "triangular2":
        remedy = f"raise step_size to {2 * steps_per_epoch} or more"
    if left < COLLAPSED:
        raise InputError(
            f"need {schedule} to keep {COLLAPSED:.1%} of its amplitude for an epoch, "
            f"got {left:.1g} of it after {steps_per_epoch} steps: {remedy}"
        )
    if left > 0.5:
        return None
    return f"{schedule} keeps {left:.0%} of its amplitude after one epoch: {remedy}"
