"""Reads range-test histories of lrcycles and of other tools.

A file is CSV (with commas, semicolons or tabs), JSON or parquet, and may be compressed. It holds
the learning rates and losses of one sweep, or of several seeds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves
from lrcycles.range_tests.recorded.columns import (
    find_columns,
    with_group_columns,
    with_unique_names,
)
from lrcycles.range_tests.recorded.contents import where_is
from lrcycles.range_tests.recorded.formats import load
from lrcycles.range_tests.recorded.names import Wanted, is_step, loss_rank, rate_rank, words
from lrcycles.range_tests.recorded.origins import KTRAIN_MEAN, Origin, recognise
from lrcycles.range_tests.recorded.readings import Reading, chosen_reading
from lrcycles.range_tests.recorded.rows import as_numbers, as_sweeps, check_sweeps
from lrcycles.range_tests.recorded.runs import by_run
from lrcycles.range_tests.recorded.summaries import read_summary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class History:
    """A range test read from a file.

    Attributes:
        curves: of raw losses, as far as the file or the user says what they are.
        smoothed: whether a tool's smoothing was undone.
        alternative: the curves of the other reading, where the file leaves a doubt.
        doubt: why there is another reading; empty where there is none.
        options: the options of `lrcycles suggest` that choose `curves` and `alternative`, each
            with the condition under which it is right.
    """

    curves: Curves
    source: str
    smoothed: bool
    alternative: Curves | None = None
    doubt: str = ""
    options: Sequence[tuple[str, str]] = ()

    def __str__(self) -> str:
        seeds, points = len(self.curves.seeds), len(self.curves.table)
        size = f"{points} points" if seeds == 1 else f"{seeds} seeds, {points} points"
        state = "smoothed (undone)" if self.smoothed else "raw losses"
        if self.doubt:
            state = f"read as {'smoothed losses (undone)' if self.smoothed else 'raw losses'}"
        return f"{self.source}, {size}, {state}"

    @property
    def doubt_note(self) -> str:
        """Return the doubt and how to end it, as a note of `curves`; empty without a doubt."""
        if not self.doubt:
            return ""
        (option, condition), (other_option, other_condition) = self.options
        return (
            f"{self.doubt} The bounds hold {condition} ({option}). "
            f"Choose {other_option} {other_condition}."
        )


@np.errstate(all="ignore")  # losses may be infinite or huge
def read_history(
    path: Path | str,
    *,
    smoothed_by: str | None = None,
    smoothing: float | None = None,
    running_mean_of: int | None = None,
    steps_per_epoch: int | None = None,
    momentum: float | None = None,
    lr_column: str | None = None,
    loss_column: str | None = None,
    rates: Path | str | None = None,
) -> History:
    """Read the range test in `path`; `-` is standard input.

    Args:
        smoothed_by: fastai, ktrain, lightning, torch-lr-finder, ignite, flair or nobody. By
            default a smoothing is undone only where the file leaves no doubt about it.
        smoothing: the weight of the previous average, from 0 to below 1, where it is not the
            tool's default. It is 1 - smooth_f of torch-lr-finder and ignite.
        running_mean_of: the steps of an epoch, where each loss is the mean of its epoch so far, as
            Keras reports it.
        steps_per_epoch: mini-batches in an epoch; no file contains this number.
        momentum: the momentum of SGD or RMSprop, from 0 to below 1. Only the files of stage
            `range_test` contain it; for other files it is 0 by default.
        lr_column: the column of the learning rates; by default the name decides.
        loss_column: the column of the training losses; by default the name decides.
        rates: a file with the learning rates of the same steps, where `path` has only losses, as
            TensorBoard exports them.

    Raises:
        InputError: there is no such file, it holds no range test, or a value is wrong.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"path must be the path of a file. Received: {type(path).__name__}. Write the history "
            "to a CSV file with the columns lr and loss."
        )
    path, wanted = Path(path), Wanted(lr_column, loss_column)
    chosen = chosen_reading(smoothed_by, smoothing, running_mean_of, steps_per_epoch)
    _check_numbers(momentum, steps_per_epoch)
    names, rows, notes = _rows(path, wanted, None if rates is None else Path(rates))
    origin = recognise(names, rows, steps_per_epoch=steps_per_epoch)
    if chosen is not None:
        origin = Origin(origin.source, chosen, _chosen_notes(chosen, rows))
        if smoothed_by == "ktrain" and steps_per_epoch is None and running_mean_of is None:
            origin = replace(origin, notes=[*origin.notes, KTRAIN_MEAN])

    def curves(reading: Reading) -> Curves:
        return _curves(
            path,
            rows,
            reading,
            [*notes, *origin.notes],
            steps_per_epoch=steps_per_epoch,
            momentum=momentum,
        )

    history = History(
        curves(origin.reading), origin.source, smoothed=origin.reading.undo is not None
    )
    return history if origin.other is None else _in_doubt(history, origin, curves(origin.other))


def _check_numbers(momentum: float | None, steps_per_epoch: int | None) -> None:
    if momentum is not None and not 0 <= momentum < 1:
        raise InputError(
            f"momentum must be at least 0 and below 1. Received: {momentum}. "
            "Set 0 for an optimizer without momentum."
        )
    if steps_per_epoch is not None and not steps_per_epoch >= 1:
        raise InputError(
            f"steps_per_epoch must be at least 1. Received: {steps_per_epoch}. "
            "Set the number of mini-batches in an epoch."
        )


def _chosen_notes(chosen: Reading, rows: pd.DataFrame) -> list[str]:
    """Return a note where the reading that the user chose gives losses below zero."""
    first = rows[rows["seed"] == rows["seed"].iloc[0]]["loss"].to_numpy()
    if chosen.undo is None or chosen.is_possible(first):
        return []
    return [f"Some losses are below zero if the smoothing is undone. Check {chosen.option}."]


def _in_doubt(history: History, origin: Origin, alternative: Curves) -> History:
    """Add the other reading of the losses, with a note in the curves."""
    readings = [reading for reading in (origin.reading, origin.other) if reading is not None]
    history = replace(
        history,
        alternative=alternative,
        doubt=origin.doubt,
        options=[(reading.option, reading.condition) for reading in readings],
    )
    curves = history.curves
    return replace(history, curves=replace(curves, notes=[*curves.notes, history.doubt_note]))


def _rows(
    path: Path, wanted: Wanted, rates: Path | None
) -> tuple[list[str], pd.DataFrame, list[str]]:
    """Return the names of the file's columns, its rows in the order of the steps, and notes."""
    where = where_is(path)
    table, notes = _load(path, wanted)
    names = list(table.columns)
    if rates is not None:
        table = _with_rates(table, rates, wanted)
    _need_two_scalars(where, table, wanted)
    table, of_runs = by_run(where, table, wanted)
    names = [*dict.fromkeys([*names, *table.columns])]
    table = with_group_columns(where, with_unique_names(table))
    columns, of_columns = find_columns(where, table, wanted)
    rows, of_rows = as_numbers(where, table, columns)
    sweeps, _ = as_sweeps(rows)
    check_sweeps(where, sweeps)
    rows = rows[rows["seed"].isin(sweeps["seed"].unique())]
    return names, rows, [*notes, *of_runs, *of_columns, *of_rows]


def _load(path: Path, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    table, notes = load(path, wanted)
    return with_unique_names(table), notes


def _need_two_scalars(where: str, table: pd.DataFrame, wanted: Wanted) -> None:
    names = {name.lower() for name in table.columns}
    if names == {"wall time", "step", "value"} and wanted == Wanted():
        raise InputError(
            "A range test must have learning rates and losses. "
            f"Received: {where}, a TensorBoard export of one scalar. Export both scalars. "
            "Name the file of the losses, and the file of the rates with rates (--rates FILE)."
        )


def _with_rates(table: pd.DataFrame, path: Path, wanted: Wanted) -> pd.DataFrame:
    """Add the rates of another file, with the columns step, lr and loss."""
    import pandas as pd

    other, _ = _load(path, wanted)
    parts = []
    for part, name, role, rank in (
        (other, wanted.lr, "lr", rate_rank),
        (table, wanted.loss, "loss", loss_rank),
    ):
        where = where_is(path) if role == "lr" else "The file of the losses"
        part = with_unique_names(by_run(where, part, wanted)[0])
        steps = [column for column in part if is_step(words(column))]
        values = [name] if name in part else [c for c in part if rank(c) is not None]
        values = values or [column for column in part if column.lower() == "value"]
        if not steps or not values:
            raise InputError(
                f"{where} must have the columns step and {role} (or Value). "
                f"Received: the columns {', '.join(part.columns)[:200]}. "
                f"Name the column with {role}_column (--{role}-column NAME)."
            )
        parts.append(part[[steps[0], values[0]]].set_axis(["step", role], axis=1))
    return pd.concat(parts, ignore_index=True)


def _curves(
    path: Path,
    rows: pd.DataFrame,
    reading: Reading,
    notes: Sequence[str],
    *,
    steps_per_epoch: int | None,
    momentum: float | None,
) -> Curves:
    """Return the curves of the raw losses that a reading gives."""
    loss = rows.groupby("seed")["loss"].transform(lambda seen: reading.raw_losses(seen.to_numpy()))
    table, of_sweeps = as_sweeps(rows.assign(loss=loss))
    check_sweeps(where_is(path), table)
    summary = path.with_name("range_test.json") if path.name == "curves.parquet" else None
    if summary is not None and summary.exists():  # of stage range_test
        curves = Curves.from_summary(table, read_summary(summary), steps_per_epoch=steps_per_epoch)
    else:
        curves = Curves(table, steps_per_epoch=steps_per_epoch, ramp=_ramp(table))
    momentum = curves.momentum if momentum is None else momentum
    return replace(curves, momentum=momentum, notes=[*curves.notes, *notes, *of_sweeps])


def _ramp(table: pd.DataFrame) -> str:
    lr = table[table["seed"] == table["seed"].iloc[0]]["lr"].to_numpy()
    uneven = [np.ptp(np.diff(values)) / np.mean(np.diff(values)) for values in (lr, np.log(lr))]
    return "linear" if uneven[0] < uneven[1] else "exponential"
