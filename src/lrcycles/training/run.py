"""Trains many chains of cells, over processes, into one store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Cell, teams
from lrcycles.cells.store import CellStore
from lrcycles.training import pool


@dataclass(frozen=True)
class Job:
    """Chains that one worker trains side by side, and what the worker needs for it."""

    team: Sequence[Sequence[Cell]]
    data: Path
    store: CellStore
    reuse: bool
    models: Sequence[str]


def train_all(
    chains: Sequence[Sequence[Cell]],
    *,
    data: Path,
    store: CellStore,
    workers: Any,
    reuse: bool,
    models: Sequence[str],
    on_event: Callable[[str, str], None],
) -> None:
    """Train every chain; call `on_event(event, key)` after each epoch and each cell.

    Args:
        workers: auto or a number of processes; changes no result.
        reuse: skip the cells that the store has.
        models: keys of the cells whose trained network is kept.
    """
    runtime = chains[0][0].runtime
    jobs = [Job(team, data, store, reuse, models) for team in teams(chains)]
    count = pool.worker_count(
        workers, jobs=len(jobs), device=runtime.device, threads=runtime.threads
    )
    with pool.workers(count, runtime=runtime) as run:
        for _ in run(_train, jobs, on_event):
            pass


def _train(job: Job, notify: Callable[[str, str], None]) -> None:
    from lrcycles.training.chain import train_team

    train_team(
        job.team,
        data=job.data,
        store=job.store,
        reuse=job.reuse,
        models=job.models,
        notify=notify,
    )
