"""Runs sweeps over processes and keeps each in the cell store: one seed's sweep is one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell, digest_of
from lrcycles.cells.code import code_digest, source_files
from lrcycles.cells.store import CellStore
from lrcycles.range_tests import cell_sweep
from lrcycles.range_tests.cell_sweep import Sweep, Team, TimedCurve, sweep_team
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.training import pool

_FILE = "sweep.npz"
_CURVES = ("lr", "loss", "heldout_loss", "metric")
_STARTS = ("initial_loss", "initial_metric")
_SECONDS = ("train_seconds", "evaluate_seconds", "compile_seconds")


def sweep_seeds(
    cells: Sequence[Cell],
    sweep: Sweep,
    *,
    data: Path,
    workers: Any,
    store: CellStore,
    reuse: bool,
    announce: Callable[[str], None] = lambda _: None,
) -> list[TimedCurve]:
    """Sweep the rate once per cell; the cells differ by seed.

    Args:
        data: the folder that stage `data` wrote.
        workers: auto or a number of processes; changes no curve.
        reuse: take the sweeps that the store has.
        announce: gets a line about each sweep that has ended.

    Returns:
        The curves in the cells' order.
    """
    kept = [_read(store, cell, sweep) if reuse else None for cell in cells]
    curves = {timed.curve.seed: timed for timed in kept if timed is not None}
    if missing := [cell for cell in cells if cell.seed not in curves]:
        by_seed = {cell.seed: cell for cell in missing}
        for timed in _sweeps(missing, sweep, data=data, workers=workers):
            curves[timed.curve.seed] = timed
            _keep(store, by_seed[timed.curve.seed], sweep, timed)
            announce(
                f"[{len(curves)}/{len(cells)}] sweep of seed {timed.curve.seed}: "
                f"{len(timed.curve.lr):,} steps, {timed.seconds:.2g} s"
            )
    return [curves[cell.seed] for cell in cells]


def _sweeps(
    cells: Sequence[Cell], sweep: Sweep, *, data: Path, workers: Any
) -> Iterator[TimedCurve]:
    """Sweep the cells in teams, over as many processes as are worth their compilation."""
    runtime = cells[0].runtime
    size = runtime.side_by_side
    teams = [Team(cells[begin : begin + size]) for begin in range(0, len(cells), size)]
    count = pool.worker_count(
        workers, jobs=len(teams), device=runtime.device, threads=runtime.threads
    )
    with pool.workers(count, runtime=runtime) as run:
        job = partial(sweep_team, sweep=sweep, data=data)
        (first,) = run(job, teams[:1])
        yield from first
        # Each process compiles once. One process alone is cheaper if the rest is short.
        rest = (len(teams) - 1) * sum(timed.seconds for timed in first)
        together = rest < 2 * sum(timed.compile_seconds for timed in first)
        for some in [[team] for team in teams[1:]] if together else [teams[1:]]:
            for curves in run(job, some):
                yield from curves


def has_all(cells: Sequence[Cell], sweep: Sweep, store: CellStore) -> bool:
    """Return whether the store has every seed's first sweep; a wider one may still be missing."""
    return all(_read(store, cell, sweep) is not None for cell in cells)


def sweep_key(cell: Cell, sweep: Sweep) -> str:
    """Compute the SHA-256 of all that decides a sweep's curve and its seconds."""
    return digest_of(
        {
            "measured": "sweep",
            "seed": cell.seed,
            "cell": cell.setting,
            "sweep": asdict(sweep),
            "sources": _sources(),
        }
    )


@cache
def _sources() -> str:
    # The engine and the network's own module are in the cell's runtime.
    return code_digest(source_files([cell_sweep.__name__]))


def _keep(store: CellStore, cell: Cell, sweep: Sweep, timed: TimedCurve) -> None:
    with store.adding(sweep_key(cell, sweep)) as folder:
        np.savez(
            folder / _FILE,
            **{name: getattr(timed.curve, name) for name in (*_CURVES, *_STARTS)},
            **{name: getattr(timed, name) for name in _SECONDS},
        )


def _read(store: CellStore, cell: Cell, sweep: Sweep) -> TimedCurve | None:
    """Read a kept sweep; None if the store has none or a damaged one."""
    folder = store.entry(sweep_key(cell, sweep))
    if folder is None:
        return None
    with np.load(folder / _FILE, allow_pickle=False) as held:
        columns = [held[name] for name in _CURVES]
        starts = [float(held[name]) for name in _STARTS]
        seconds = {name: float(held[name]) for name in _SECONDS}
    return TimedCurve(SeedCurve(cell.seed, *columns, *starts), **seconds)
