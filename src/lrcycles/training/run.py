"""Trains many chains of cells, over processes, into one store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Cell, teams
from lrcycles.cells.store import CellStore
from lrcycles.training import pool
from lrcycles.training.checkpoints import EVERY_SECONDS, remove_finished


@dataclass(frozen=True)
class Job:
    """Chains that one worker trains side by side, and what the worker needs for it."""

    team: Sequence[Sequence[Cell]]
    data: Path
    store: CellStore
    reuse: bool
    models: Sequence[str]
    checkpoint_seconds: float

    def __str__(self) -> str:
        cells = [cell for chain in self.team for cell in chain]
        others = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        return f"{cells[0]}{others}"


def train_all(
    chains: Sequence[Sequence[Cell]],
    *,
    data: Path,
    store: CellStore,
    workers: Any,
    reuse: bool,
    models: Sequence[str],
    on_event: Callable[[str, str], None],
    checkpoint_seconds: float = EVERY_SECONDS,
) -> None:
    """Train every chain; an interrupted training continues at its last checkpoint.

    Args:
        workers: auto or a number of processes; changes no result.
        reuse: skip the cells that the store has, and continue those that have a checkpoint.
        models: keys of the cells whose trained network is kept.
        on_event: is called with ("epoch", key) and ("cell", key) after each epoch and each cell,
            and with ("message", text for the user).
        checkpoint_seconds: the time between two checkpoints of a training.
    """
    runtime = chains[0][0].runtime
    kept = set(models)
    jobs = [
        Job(team, data, store, reuse, _of_team(team, kept), checkpoint_seconds)
        for team in teams(chains)
    ]
    count = pool.worker_count(
        workers, jobs=len(jobs), device=runtime.device, threads=runtime.threads
    )
    with pool.workers(count, runtime=runtime) as run:
        for _ in run(_train, jobs, on_event):
            pass
    remove_finished(store)


def _of_team(team: Sequence[Sequence[Cell]], keys: set[str]) -> list[str]:
    return [cell.key for chain in team for cell in chain if cell.key in keys]


def _train(job: Job, notify: Callable[[str, str], None]) -> None:
    from lrcycles.training.chain import Setting, train_team

    setting = Setting(job.data, job.store, job.reuse, job.models, job.checkpoint_seconds)
    train_team(job.team, setting, notify)
