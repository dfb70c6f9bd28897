"""Counts the trainings that the store lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrcycles.cells.cell import Cell
from lrcycles.cells.store import CellStore
from lrcycles.config.resolve import (
    arm_seeds,
    arm_steps,
    arm_trainings,
    asks_for_bounds,
    asks_for_peak,
)
from lrcycles.config.schema import GROUPS, Config
from lrcycles.stages import groups, peaks, plan
from lrcycles.stages.outlook import trainings


@dataclass(frozen=True)
class Remaining:
    """The trainings of a group that the store lacks.

    `known` is false if stage `bounds` must run first: then all trainings count. So do the trainings
    of an arm whose peak is not chosen yet.
    """

    group: str
    trainings: int
    in_store: int
    steps: int
    tuning_steps: int = 0  # of those that choose a peak
    known: bool = True

    def __str__(self) -> str:
        if not self.known:
            return f"{self.group} unknown before stage bounds ({self.trainings} in all)"
        return f"{self.group} {self.in_store} of {self.trainings}"


def of_group(
    config: Config,
    group: str,
    *,
    data: Mapping[str, Any],
    bounds: Mapping[str, Any] | None,
    store: CellStore,
) -> Remaining:
    """Count what is left to train in a group.

    Args:
        data: the content of data.json.
        bounds: the content of bounds.json; None if stage `bounds` has not run for these settings.
    """
    arms = getattr(config.arms, group)
    if bounds is None and any(asks_for_bounds(arm) for arm in arms.values()):
        steps = sum(arm_steps(config, arm) * arm_trainings(config, arm) for arm in arms.values())
        return Remaining(group, trainings(config, group), 0, steps, known=False)
    tuning = plan.tuning_cells(config, group, data=data)
    kept = groups.reusable(tuning, config.train, store=store)
    untuned = [cell for cell in tuning if cell.key not in kept]
    tuning_steps = sum(steps_of(config, cell) for cell in untuned)
    chosen = {} if untuned else peaks.peaks_of(peaks.choose(tuning, store))
    cells = plan.group_cells(config, group, data=data, bounds=bounds, chosen=chosen)
    kept |= groups.reusable(cells, config.train, store=store)
    steps = tuning_steps + sum(steps_of(config, cell) for cell in cells if cell.key not in kept)
    for name, arm in arms.items():
        if asks_for_peak(arm) and name not in chosen:
            steps += arm_steps(config, arm) * len(arm_seeds(config, arm))
    in_store = sum(cell.key in kept for cell in (*tuning, *cells))
    return Remaining(group, trainings(config, group), in_store, steps, tuning_steps)


def steps_of(config: Config, cell: Cell) -> int:
    """Return the number of updates of a training."""
    arm, _ = peaks.arm_and_peak(cell.arm)
    return arm_steps(config, getattr(config.arms, cell.group)[arm])


def later(group: str) -> Sequence[str]:
    """Return the groups that DVC trains after this one."""
    return GROUPS[GROUPS.index(group) + 1 :]
