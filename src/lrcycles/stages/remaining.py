"""Counts the trainings that the store lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrcycles.cells.cell import Cell
from lrcycles.cells.store import CellStore
from lrcycles.config.resolve import arm_seeds, arm_steps, asks_for_bounds
from lrcycles.config.schema import GROUPS, Config
from lrcycles.stages import groups, plan
from lrcycles.stages.outlook import trainings


@dataclass(frozen=True)
class Remaining:
    """The trainings of a group that the store lacks.

    `known` is false if stage `bounds` must run first: then all trainings count.
    """

    group: str
    trainings: int
    in_store: int
    steps: int
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
        steps = sum(arm_steps(config, arm) * len(arm_seeds(config, arm)) for arm in arms.values())
        return Remaining(group, trainings(config, group), 0, steps, known=False)
    cells = plan.group_cells(config, group, data=data, bounds=bounds)
    kept = groups.reusable(cells, config.train, store=store)
    steps = sum(steps_of(config, cell) for cell in cells if cell.key not in kept)
    return Remaining(group, len(cells), sum(cell.key in kept for cell in cells), steps)


def steps_of(config: Config, cell: Cell) -> int:
    """Return the number of updates of a training."""
    return arm_steps(config, getattr(config.arms, cell.group)[cell.arm])


def later(group: str) -> Sequence[str]:
    """Return the groups that DVC trains after this one."""
    return GROUPS[GROUPS.index(group) + 1 :]
