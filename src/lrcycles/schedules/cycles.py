"""Checks whether the cycles of a run are wise, by what Smith advises."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lrcycles.errors import InputError
from lrcycles.schedules.limits import check_settings
from lrcycles.schedules.table import ScheduleRow, schedule_row

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
    warmup_steps: int = 0,
    gamma: float | None = None,
) -> list[str]:
    """Return a sentence for everything that is unwise about cycles of 2 * `step_size` steps.

    Args:
        schedule: a name in `SCHEDULES`. The amplitude of some schedules shrinks.
        steps_per_epoch: if None, nothing that is counted in epochs is checked.
        cycles: the schedule stays at base_lr after so many cycles.
        warmup_steps: the steps of the run before the first cycle.
        gamma: of exp_range and exp_range_bounds, the factor of each step.

    Raises:
        InputError: a setting is out of its range, or the amplitude is gone within an epoch.

    >>> check_cycles("triangular", total_steps=600, step_size=100, steps_per_epoch=50)
    []
    >>> check_cycles("triangular", total_steps=600, step_size=150, steps_per_epoch=50)
    ['The run has 2 cycles; Smith advises 3 or more. Set step_size to 100.']
    """
    check_settings(
        total_steps=total_steps,
        step_size=step_size,
        steps_per_epoch=steps_per_epoch,
        cycles=cycles,
        warmup_steps=warmup_steps,
        gamma=gamma,
    )
    row = schedule_row(schedule)
    run = _Run(total_steps - warmup_steps, step_size, steps_per_epoch, cycles, warmup_steps)
    if step_size > run.total_steps:
        return [
            f"The rate never turns: step_size={step_size} is longer than the run of "
            f"{run.total_steps:,} steps{run.after}. {run.remedy()}."
        ]
    unwise = [_few(run), _length(run), _shrinkage(schedule, row, run)]
    if faults := [sentence for sentence in unwise if sentence]:
        sentences = [" ".join([*faults, f"{run.remedy()}."])]
    else:  # the remedy above leaves whole cycles
        sentences = _cut(run)
    return sentences + _lost_to_gamma(schedule, row, run, gamma)


@dataclass(frozen=True)
class _Run:
    """The length of a run without its warm-up, and of its half-cycles."""

    total_steps: int
    step_size: int
    steps_per_epoch: int | None
    cycles: int | None
    warmup_steps: int

    @property
    def after(self) -> str:
        """What follows a number of steps or epochs that are counted from the end of a warm-up."""
        return " after the warm-up" if self.warmup_steps else ""

    @property
    def count(self) -> float:
        """The cycles of the run, which need not be whole."""
        return min(self.total_steps / (2 * self.step_size), self.cycles or math.inf)

    def remedy(self) -> str:
        """Name the settings with which Smith would agree, as near to the given ones as possible."""
        fewest, most = FEWEST_CYCLES, float("inf")
        if self.steps_per_epoch is not None:
            shortest, longest = (2 * n * self.steps_per_epoch for n in STEP_SIZE_EPOCHS)
            fewest = max(fewest, math.ceil(self.total_steps / longest))
            most = self.total_steps // shortest
        if fewest <= most:
            cycles = int(min(max(round(self.count), fewest), most))
            if self.cycles is not None:
                return f"Set cycles to {cycles}"
            return f"Set step_size to {max(1, self.total_steps // (2 * cycles)):,}"
        # The run is too short for three cycles of four epochs.
        assert self.steps_per_epoch is not None
        least = STEP_SIZE_EPOCHS[0]
        train = f"Train for at least {2 * least * FEWEST_CYCLES} epochs{self.after}"
        if self.cycles is None:
            return f"{train} with step_size {least * self.steps_per_epoch:,}"
        return train if self.cycles == FEWEST_CYCLES else f"{train} with {FEWEST_CYCLES} cycles"


def _few(run: _Run) -> str | None:
    if run.count >= FEWEST_CYCLES:
        return None
    noun = "cycle" if run.count == 1 else "cycles"
    return f"The run has {run.count:.3g} {noun}; Smith advises {FEWEST_CYCLES} or more."


def _length(run: _Run) -> str | None:
    if run.steps_per_epoch is None:
        return None
    least, most = STEP_SIZE_EPOCHS
    epochs = run.step_size / run.steps_per_epoch
    if least <= epochs <= most:
        return None
    noun = "epoch" if epochs == 1 else "epochs"
    return f"Half a cycle is {epochs:.3g} {noun}; Smith advises {least} to {most}."


def _cut(run: _Run) -> list[str]:
    part = run.count % 1
    if run.cycles is not None or 1 - abs(2 * part - 1) <= MID_CYCLE:
        return []
    # Measured by coxy1989's replication of the CLR paper on CIFAR-10.
    return [
        f"The run ends {100 * part:.0f} % into a cycle, where the accuracy is lower than at the "
        "end of a cycle (by about 1.9 percentage points in a replication). "
        f"End the run after a multiple of {2 * run.step_size:,} steps{run.after}."
    ]


def _shrinkage(schedule: str, row: ScheduleRow, run: _Run) -> str | None:
    """Say if the cycles of an epoch leave little of the amplitude; refuse if they leave nothing."""
    if run.steps_per_epoch is None:
        return None
    left = row.amplitude_per_cycle ** (run.steps_per_epoch / (2 * run.step_size))
    return _left_after_an_epoch(schedule, left, run.steps_per_epoch, run.remedy())


def _lost_to_gamma(schedule: str, row: ScheduleRow, run: _Run, gamma: float | None) -> list[str]:
    """Say if gamma leaves little of the amplitude after an epoch; refuse if it leaves nothing."""
    if "gamma" not in row.takes or gamma is None or run.steps_per_epoch is None:
        return []
    enough = math.ceil(1e6 * SMALL ** (1 / run.steps_per_epoch)) / 1e6
    remedy = f"Raise gamma to {enough:g} or more"
    left = gamma**run.steps_per_epoch
    fault = _left_after_an_epoch(schedule, left, run.steps_per_epoch, remedy)
    return [f"{fault} {remedy}."] if fault else []


def _left_after_an_epoch(
    schedule: str, left: float, steps_per_epoch: int, remedy: str
) -> str | None:
    if left < COLLAPSED:
        raise InputError(
            f"{schedule} must keep {100 * COLLAPSED} % of its amplitude for an epoch. "
            f"Received: {100 * left:.1g} % after {steps_per_epoch:,} steps. {remedy}."
        )
    if left > SMALL:
        return None
    return f"{schedule} keeps {100 * left:.0f} % of its amplitude after one epoch."
