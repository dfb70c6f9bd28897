"""Takes apart the runs of one file: W&B writes each of them into columns of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrcycles.range_tests.recorded.names import Wanted, loss_rank, may_matter, rate_rank
from lrcycles.range_tests.recorded.sizes import need_cells, need_seeds

if TYPE_CHECKING:
    import pandas as pd


def by_run(where: str, table: pd.DataFrame, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    """Give each of several runs, in the columns `run - name`, a seed; return notes too.

    Raises:
        InputError: there are too many runs.
    """
    import pandas as pd

    bands = [name for name in table.columns if name.endswith(("__MIN", "__MAX"))]
    table = table.drop(columns=bands)
    runs: dict[str, dict[str, str]] = {}
    for name in table.columns:
        run, mark, metric = name.rpartition(" - ")
        if mark:
            runs.setdefault(run, {})[name] = metric
    if not runs:
        return table, []
    shared = [name for name in table.columns if " - " not in name and may_matter(name, wanted)]
    whole = {
        run: own
        for run, own in runs.items()
        if all(any(rank(m) is not None for m in own.values()) for rank in (rate_rank, loss_rank))
    }
    if len(runs) == 1 and not whole:
        ((_, own),) = runs.items()
        return table.rename(columns=own), []
    if not whole:
        return table, []
    tables = {run: table[[*shared, *own]].rename(columns=own) for run, own in whole.items()}
    if len(tables) == 1:
        ((run, only),) = tables.items()
        alone = f"lrcycles reads the run {run}, the only one of {len(runs)} with rates and losses."
        return only, [alone] if len(runs) > 1 else []
    need_seeds(where, len(tables))
    need_cells(where, len(table) * len(tables), len(set().union(*tables.values())))
    numbered = [own.assign(seed=seed) for seed, own in enumerate(tables.values())]
    return pd.concat(numbered, ignore_index=True), [named_seeds([*tables])]


def named_seeds(names: list[str]) -> str:
    """Word which sweep has which seed."""
    listed = ", ".join(f"{name[:40]} ({seed})" for seed, name in enumerate(names[:10]))
    more = ", ..." if len(names) > 10 else ""
    return f"The file holds {len(names)} sweeps. lrcycles reads them as seeds: {listed}{more}."
