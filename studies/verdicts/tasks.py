"""Lists what the study simulates."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lrcycles.evidence.families import LOOKS, Family
from studies.verdicts import families, looks, two_arms
from studies.verdicts.rows import Row

Task = tuple[Callable[..., list[Row]], tuple[Any, ...]]
TWELVE = [0.0] * 12


def tasks() -> list[Task]:
    """List what is simulated, the longest first."""
    everything: list[tuple[Any, tuple[Any, ...]]] = [
        (two_arms.images, (0.0, 1500)),
        (two_arms.images, (0.02, 1500)),
        (two_arms.images, (0.06, 1500)),
        (families.family_error, (Family.SCHEDULES, "normal", TWELVE, LOOKS[:4], 1500)),
        (families.family_error, (Family.SCHEDULES, "skewed (gamma, 4)", TWELVE, LOOKS[:3], 1500)),
        (
            families.family_error,
            (Family.SCHEDULES, "heavy tails (t, 4)", [0.0] * 20, LOOKS[:3], 1500),
        ),
        (
            families.family_error,
            (Family.SCHEDULES, "normal", [-1, 0.5] * 3 + [0.0] * 6, LOOKS[:3], 1500),
        ),
        (families.family_error, (Family.PRIMARY, "normal", [0.0, 0.0], LOOKS, 1000)),
        (families.family_error, (Family.PRIMARY, "normal", [1.0, 0.0], LOOKS, 1000)),
        (families.family_error, (Family.PRIMARY, "skewed (gamma, 4)", [0.0, 0.0], LOOKS, 1000)),
        (looks.look_errors, ("normal", looks.MANY, 3, 8000)),
        (looks.look_errors, ("normal", looks.SD, 1, 8000)),
        (looks.look_errors, ("normal", looks.FEW, 2, 8000)),
        (looks.look_errors, ("heavy tails (t, 4)", looks.SD, 4, 4000)),
        (looks.look_errors, ("skewed (gamma, 4)", looks.SD, 4, 4000)),
        *((two_arms.failures, (each, 800)) for each in [(0.02, 0.02), (0.2, 0.2)]),
        *((two_arms.failures, (each, 1500)) for each in [(0.02, 0.0), (0.2, 0.0)]),
        *((two_arms.equivalence, (each, 0.1, 800)) for each in (0.0, 0.02)),
        *((families.times, (each, 1500)) for each in (0.2, 0.5)),
        (families.times, (1.0, 100)),
        *((two_arms.power, (effect, 0.02, 8, 400)) for effect in (0.1, 0.2, 0.3)),
        *((two_arms.power, (effect, 0.02, 32, 400)) for effect in (0.05, 0.1)),
        *((two_arms.power, (effect, 0.02, 64, 400)) for effect in (0.05, 0.1)),
        (families.at_defaults, (1, 0.0, 6000)),
        (families.at_defaults, (5, 0.0, 6000)),
        *((families.at_defaults, (arms, effect, 600)) for arms in (1, 5) for effect in (1, 2, 3)),
    ]
    return everything


def run(task: Task) -> list[Row]:
    """Run a task and print what it took."""
    function, arguments = task
    start = time.process_time()
    rows = function(*arguments)
    print(f"{function.__name__}{arguments}: {time.process_time() - start:.0f} s", flush=True)
    return rows
