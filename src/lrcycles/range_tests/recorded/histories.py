"""Parses range-test histories of lrcycles and of other tools.

A file is CSV (with commas, semicolons or tabs), JSON or parquet. It holds the learning rates and
losses of one sweep, or of several seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import files
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves
from lrcycles.range_tests.recorded.origins import recognise, undone

if TYPE_CHECKING:
    import pandas as pd

FEWEST_POINTS = 20  # the tools' rules leave out up to 16 points at the ends

# Names in lower case, without "_", "-", spaces and anything before a "/". The first match counts.
_NAMES = {
    "seed": ("seed", "run"),
    "step": ("step", "steps", "iteration", "iterations", "iter", "batch"),
    "lr": ("lr", "lrs", "learningrate", "learningrates", "rate", "rates"),
    "loss": ("loss", "losses", "trainloss", "trainingloss", "batchloss", "smoothloss"),
    "heldout_loss": ("heldoutloss", "valloss", "validloss", "validationloss"),
    "accuracy": ("heldoutaccuracy", "valaccuracy", "valacc", "validaccuracy"),
}


@dataclass(frozen=True)
class History:
    """A range test read from a file; `smoothed` where a moving average had to be undone."""

    curves: Curves  # of raw losses
    source: str
    smoothed: bool

    def __str__(self) -> str:
        seeds, points = len(self.curves.seeds), len(self.curves.table)
        size = f"{points} points" if seeds == 1 else f"{seeds} seeds, {points} points"
        return f"{self.source}, {size}, {'smoothed (undone)' if self.smoothed else 'raw losses'}"


def read_history(
    path: Path,
    *,
    smoothed_by: str | None = None,
    steps_per_epoch: int | None = None,
    momentum: float | None = None,
) -> History:
    """Read the range test in `path`.

    Args:
        smoothed_by: fastai, ktrain, lightning, torch-lr-finder, ignite or nobody. By default the
            tool is recognised.
        steps_per_epoch: mini-batches in an epoch; no file contains this number.
        momentum: the momentum of SGD or RMSprop, from 0 to below 1. Only the files of stage
            `range_test` contain it; for other files it is 0 by default.

    Raises:
        InputError: there is no such file, or it holds no range test.
    """
    table = _load(path)
    names = {_plain(str(name)): str(name) for name in table.columns}
    columns = _columns(path, names)
    numbers = _numbers(path, table[list(columns.values())].set_axis(list(columns), axis=1))
    for seed, rows in numbers.groupby("seed", sort=True):
        several = numbers["seed"].nunique() > 1
        _check_sweep(f"{path.name}, seed {seed}" if several else path.name, rows)
    source, average, notes = recognise(set(names), numbers, smoothed_by)
    if average is not None:
        numbers["loss"] = undone(numbers, average)
    summary = path.with_name("range_test.json")
    if path.name == "curves.parquet" and summary.exists():  # stage range_test
        curves = Curves.from_summary(
            numbers, files.read_json(summary), steps_per_epoch=steps_per_epoch
        )
    else:
        curves = Curves(numbers, steps_per_epoch=steps_per_epoch, ramp=_ramp(numbers))
    if momentum is not None:
        if not 0 <= momentum < 1:
            raise InputError(
                f"momentum must be at least 0 and below 1. Received: {momentum}. "
                "Set 0 for an optimizer without momentum."
            )
        curves = replace(curves, momentum=momentum)
    notes = [*curves.notes, *notes]
    return History(replace(curves, notes=notes), source, average is not None)


def _load(path: Path) -> pd.DataFrame:
    """Read the file as a table, with a column seed where it holds several separate sweeps."""
    import pandas as pd

    if path.is_dir():
        raise InputError(
            f"The range test must be a file. Received: the folder {path}. Name a file in it."
        )
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InputError(
            f"The range test must be a file that can be read. Received: {path} "
            f"({error.strerror}). Check the path."
        ) from error
    if not head.strip():
        raise InputError(
            "The file must contain the learning rates and losses of a range test. "
            f"Received: {path}, which is empty. Export the range test again."
        )
    try:
        if head.startswith(b"PAR1"):
            table = pd.read_parquet(path)
        elif head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
            table = _from_json(path)
        else:
            table = _from_csv(path, head)
    except (ValueError, OSError, RecursionError) as error:  # pandas, pyarrow and json raise these
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The range test must be a CSV, JSON or parquet file. Received: {path}, which cannot "
            f"be read ({str(error).splitlines()[0][:80]}). Export the range test again."
        ) from error
    return table


def _from_csv(path: Path, head: bytes) -> pd.DataFrame:
    import pandas as pd

    if b"\0" in head:
        raise ValueError("it is a binary file")
    first, _, rest = head.decode("utf-8-sig", errors="replace").partition("\n")
    separator = max("\t;,", key=first.count)
    # With semicolons as separators, commas may be decimal points.
    decimal = "," if separator == ";" and "," in rest and "." not in rest else "."
    return pd.read_csv(path, sep=separator, decimal=decimal, encoding="utf-8-sig", low_memory=False)


def _from_json(path: Path) -> pd.DataFrame:
    import pandas as pd

    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, Mapping) and content and _all(content.values(), Mapping):
        # {"results": {...}} holds one sweep, {"0": {...}, "1": {...}} one per seed.
        sweeps = [_columns_of(path, sweep) for sweep in content.values()]
        numbered = all(name.isdecimal() for name in content)
        seeds = map(int, content) if numbered else range(len(content))
        return pd.concat([t.assign(seed=s) for s, t in zip(seeds, sweeps, strict=True)])
    if isinstance(content, list) and content and _all(content, Mapping):
        return pd.DataFrame(content)
    if isinstance(content, Mapping):
        return _columns_of(path, content)
    raise InputError(
        'JSON must have the form {"lr": [...], "loss": [...]}. '
        f"Received: {path}, which has no such lists. Export the range test again."
    )


def _columns_of(path: Path, content: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    lists = {name: values for name, values in content.items() if isinstance(values, list)}
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        received = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(
            f"All lists in {path} must have the same length. Received: {received}. "
            "Export them again."
        )
    return pd.DataFrame(lists)


def _all(values: Any, kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def _plain(name: str) -> str:
    name = name.lower().rsplit("/", 1)[-1]
    return "lr" if name.startswith("lr-") else "".join(c for c in name if c not in "_- ")


def _columns(path: Path, present: Mapping[str, str]) -> dict[str, str]:
    """Return the name in the file of each column of `Curves.table` that the file has."""
    names = dict(_NAMES)
    if {"seed", "step"} <= set(present):  # written by lrcycles: accuracy is the held-out one
        names["accuracy"] = (*names["accuracy"], "accuracy")
    columns = {
        column: present[next(name for name in synonyms if name in present)]
        for column, synonyms in names.items()
        if any(name in present for name in synonyms)
    }
    for needed in ("lr", "loss"):
        if needed not in columns:
            received = ", ".join(present.values())[:200] or "none"
            raise InputError(
                f"{path} must have a column {needed} (or {', '.join(_NAMES[needed][1:4])}). "
                f"Received: the columns {received}. Rename the column."
            )
    return columns


def _numbers(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Convert all columns to numbers, and count the steps and seeds."""
    import pandas as pd

    table = table.reset_index(drop=True)
    if table.empty:
        raise InputError(
            f"{path} must have at least {FEWEST_POINTS} rows. Received: columns without rows. "
            "Export the range test again."
        )
    for name in table.columns:
        values = pd.to_numeric(table[name], errors="coerce")
        lost = values.isna() & table[name].notna()
        lost &= table[name].astype(str).str.strip().str.lower() != "nan"
        if lost.any():
            row = int(np.argmax(lost.to_numpy()))
            raise InputError(
                f"Column {name} of {path} must contain numbers. "
                f"Received: {str(table[name][row])[:40]!r} in row {row + 1}. "
                "Export the range test again."
            )
        table[name] = values.astype(float)
    if "seed" not in table:
        table.insert(0, "seed", 0)
    if table["seed"].isna().any():
        row = int(np.argmax(table["seed"].isna().to_numpy())) + 1
        raise InputError(
            f"Every row of {path} must have a seed. Received: none in row {row}. "
            "Add the seeds, or remove the column."
        )
    table["seed"] = table["seed"].astype(int)
    if "step" in table:
        table = _merged(table)
        table = table.sort_values(["seed", "step"], kind="stable", ignore_index=True)
    table["step"] = table.groupby("seed").cumcount() + 1
    return table


def _merged(table: pd.DataFrame) -> pd.DataFrame:
    """Join the rows of a step where its rate and its loss are in separate rows, as in Lightning.

    Steps with neither a rate nor a loss, such as those of a validation, are left out.
    """
    steps = table.groupby(["seed", "step"], sort=False, dropna=False)
    if table["lr"].notna().all() or (steps[["lr", "loss"]].count() > 1).any(axis=None):
        return table
    return steps.first().reset_index().dropna(subset=["lr", "loss"], how="all")


def _check_sweep(where: str, rows: pd.DataFrame) -> None:
    """Refuse rows in which the rates do not rise from step to step or losses are missing."""
    lr, loss = rows["lr"].to_numpy(), rows["loss"].to_numpy()
    if len(lr) < FEWEST_POINTS:
        raise InputError(
            f"{where} must have at least {FEWEST_POINTS} points. Received: {len(lr)}. "
            "Run the range test with more steps."
        )
    bad = np.flatnonzero(~(np.isfinite(lr) & (lr > 0)))
    if len(bad):
        raise InputError(
            f"The learning rates of {where} must be finite and above 0. "
            f"Received: {lr[bad[0]]:g} at point {bad[0] + 1}. Remove the row."
        )
    stuck = np.flatnonzero(np.diff(lr) <= 0)
    if len(stuck):
        at = int(stuck[0])
        raise InputError(
            f"The learning rates of {where} must rise from step to step. "
            f"Received: {lr[at + 1]:g} after {lr[at]:g} at point {at + 2}. "
            "Check that the file is a range test and not a training."
        )
    if not np.isfinite(loss).any():
        raise InputError(
            f"{where} must have finite losses. Received: none. "
            "Run the range test again from smaller rates."
        )
    # Losses may be missing at the end, after a loss that was not finite, but not before.
    gaps = np.flatnonzero(np.isnan(loss[: np.flatnonzero(np.isfinite(loss))[-1]]))
    if len(gaps):
        raise InputError(
            f"{where} must have a loss at every rate up to the last finite one. "
            f"Received: none at point {gaps[0] + 1}. Remove rows without a loss."
        )


def _ramp(table: pd.DataFrame) -> str:
    lr = table[table["seed"] == table["seed"].iloc[0]]["lr"].to_numpy()
    uneven = [np.ptp(np.diff(values)) / np.mean(np.diff(values)) for values in (lr, np.log(lr))]
    return "linear" if uneven[0] < uneven[1] else "exponential"
