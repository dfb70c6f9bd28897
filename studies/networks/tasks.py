"""Names the tasks of each part of the study."""

from __future__ import annotations

from studies.networks import choosing, choosing_more, judging
from studies.networks.task import Task

HALVES = {"choose": [*choosing.TASKS, *choosing_more.TASKS], "judge": judging.TASKS}


def of_part(part: str) -> list[Task]:
    """Return the tasks of a part: all of them, or those that judge."""
    if part in ("advice", "tuners"):
        return list(judging.TASKS)
    return [task for half in HALVES.values() for task in half]


def half_of(name: str) -> str:
    """Return the half that a task belongs to."""
    return next(half for half, tasks in HALVES.items() if name in {task.name for task in tasks})


def named(name: str) -> Task:
    """Return the task of this name."""
    return next(task for task in (*of_part("grid"), *choosing.EARLIER) if task.name == name)
