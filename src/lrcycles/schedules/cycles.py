"""Checks whether the cycles of a run are wise, by what Smith advises."""

from __future__ import annotations

import math

from lrcycles.errors import InputError
from lrcycles.schedules.limits import check_settings
from lrcycles.schedules.table import SCHEDULES

# Smith 2017, sec. 3.2: half a cycle of 2 to 10 epochs; at least three cycles, whole ones.
STEP_SIZE_EPOCHS = (2, 10)
FEWEST_CYCLES = 3
MID_CYCLE = 0.1  # share of the amplitude; a run that ends higher does not end with its cycle
COLLAPSED = 0.001  # share of the amplitude; cycles with less are a constant rate
SMALL = 0.5


def check_cycles(
    schedule: str,
    *,
    total_steps: int,
    step_size: int,
    steps_per_epoch: int | None = None,
    cycles: int | None = None,
    gamma: float | None = None,
) -> list[str]:
    """Return a sentence for everything that is unwise about cycles of 2 * `step_size` steps.

    Args:
        schedule: a name in `SCHEDULES`. The amplitude of some schedules shrinks.
        steps_per_epoch: if None, nothing that is counted in epochs is checked.
        cycles: the schedule stays at base_lr after so many cycles.
        gamma: of exp_range and exp_range_bounds, the factor of each step.

    Raises:
        InputError: a setting is out of its range, or the amplitude is gone within an epoch.

    >>> check_cycles("triangular", total_steps=600, step_size=100, steps_per_epoch=50)
    []
    >>> check_cycles("triangular", total_steps=600, step_size=150, steps_per_epoch=50)
    ['The run has 2 cycles; Smith advises 3 or more. Lower step_size to 100, or train longer.']
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
            f"The rate never turns: step_size={step_size} is longer than the run of "
            f"{total_steps:,} steps. Lower step_size to {_advised_step_size(total_steps):,}."
        ]
    count = min(total_steps / (2 * step_size), cycles or math.inf)
    sentences = [_few(count, cycles, total_steps), _cut(count, cycles, step_size)]
    if steps_per_epoch is not None:
        sentences += [_length(step_size, steps_per_epoch, total_steps, cycles)]
        sentences += [_shrinkage(schedule, step_size, steps_per_epoch, gamma)]
    return [sentence for sentence in sentences if sentence]


def _advised_step_size(total_steps: int) -> int:
    return max(1, total_steps // (2 * FEWEST_CYCLES))


def _few(count: float, cycles: int | None, total_steps: int) -> str | None:
    if count >= FEWEST_CYCLES:
        return None
    remedy = f"Lower step_size to {_advised_step_size(total_steps):,}, or train longer"
    if count == cycles:  # a longer run has no more of them
        remedy = f"Raise cycles to {FEWEST_CYCLES}"
    noun = "cycle" if count == 1 else "cycles"
    return f"The run has {count:.3g} {noun}; Smith advises {FEWEST_CYCLES} or more. {remedy}."


def _cut(count: float, cycles: int | None, step_size: int) -> str | None:
    part = count % 1
    if cycles is not None or 1 - abs(2 * part - 1) <= MID_CYCLE:
        return None
    # Measured by coxy1989's replication of the CLR paper on CIFAR-10.
    return (
        f"The run ends {100 * part:.0f} % into a cycle, where the accuracy is lower than at the "
        "end of a cycle (by about 1.9 percentage points in a replication). "
        f"End the run after a multiple of {2 * step_size:,} steps."
    )


def _length(
    step_size: int, steps_per_epoch: int, total_steps: int, cycles: int | None
) -> str | None:
    least, most = STEP_SIZE_EPOCHS
    epochs = step_size / steps_per_epoch
    if least <= epochs <= most:
        return None
    noun = "epoch" if epochs == 1 else "epochs"
    shortest, longest = least * steps_per_epoch, most * steps_per_epoch
    enough = f"train for at least {2 * least * max(cycles or 0, FEWEST_CYCLES)} epochs"
    most_cycles = total_steps // (2 * shortest)
    if cycles is None and shortest <= _advised_step_size(total_steps):
        longest = min(longest, _advised_step_size(total_steps))
        remedy = f"Set step_size between {shortest:,} and {longest:,} steps"
    elif cycles is None:
        remedy = f"Set step_size={shortest:,} and {enough}"
    elif epochs > most:
        remedy = f"Raise cycles to {-(-total_steps // (2 * longest))}"
    elif most_cycles >= FEWEST_CYCLES:
        remedy = f"Lower cycles to {most_cycles}, or {enough}"
    else:
        remedy = f"{enough[0].upper()}{enough[1:]}"
    return f"Half a cycle is {epochs:.3g} {noun}; Smith advises {least} to {most}. {remedy}."


def _shrinkage(
    schedule: str, step_size: int, steps_per_epoch: int, gamma: float | None
) -> str | None:
    """Say if an epoch leaves little of the amplitude; refuse if it leaves a constant rate."""
    row = SCHEDULES.get(schedule)
    if row is None:
        return None
    by_gamma = "gamma" in row.takes
    factor = gamma if by_gamma else row.amplitude_per_cycle ** (1 / (2 * step_size))
    if factor is None:
        return None
    left = factor**steps_per_epoch
    remedy = f"Raise step_size to {2 * steps_per_epoch:,} or more"
    if by_gamma:
        remedy = "Raise gamma"
    if left < COLLAPSED:
        raise InputError(
            f"{schedule} must keep {100 * COLLAPSED} % of its amplitude for an epoch. "
            f"Received: {100 * left:.1g} % after {steps_per_epoch:,} steps. {remedy}."
        )
    if left > SMALL:
        return None
    return f"{schedule} keeps {100 * left:.0f} % of its amplitude after one epoch. {remedy}."
