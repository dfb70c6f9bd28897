"""What range test does a file hold, whichever tool wrote it?

CSV (commas, semicolons or tabs), JSON or parquet; rates and losses of one sweep or of several
seeds. What a file does not say is judged by its names and numbers, and told in one line.
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

FEWEST_POINTS = 20  # the tools trim up to 16 points off the ends

# Names without case, "_", "-", spaces and whatever stands before a "/". The first found counts.
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
    """A range test read from a file; `smoothed` says that a moving average had to be undone."""

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
        smoothed_by: fastai, ktrain, lightning, torch-lr-finder, ignite or nobody, where that is
            recognised wrongly.
        steps_per_epoch: mini-batches in an epoch, which no file says.
        momentum: of SGD or RMSprop, which only our own stage's files say; 0 unless given.

    Raises:
        InputError: there is no such file, or it holds no range test.
    """
    table = _load(path)
    found = {_plain(str(name)): str(name) for name in table.columns}
    columns = _columns(path, found)
    numbers = _numbers(path, table[list(columns.values())].set_axis(list(columns), axis=1))
    for seed, rows in numbers.groupby("seed", sort=True):
        several = numbers["seed"].nunique() > 1
        _check_sweep(f"{path.name}, seed {seed}" if several else path.name, rows)
    source, average, notes = recognise(set(found), numbers, smoothed_by)
    if average is not None:
        numbers["loss"] = undone(numbers, average)
    summary = path.with_name("range_test.json")
    if path.name == "curves.parquet" and summary.exists():  # our own stage's
        known = Curves.from_summary(
            numbers, files.read_json(summary), steps_per_epoch=steps_per_epoch
        )
    else:
        known = Curves(numbers, steps_per_epoch=steps_per_epoch, ramp=_ramp(numbers))
    if momentum is not None:
        if not 0 <= momentum < 1:
            raise InputError(
                f"need 0 <= momentum < 1, got {momentum}: 0 means the optimizer has none"
            )
        known = replace(known, momentum=momentum)
    notes = [*known.notes, *notes]
    return History(replace(known, notes=notes), source, average is not None)


def _load(path: Path) -> pd.DataFrame:
    """The file as a table, with a column seed if it holds several sweeps in separate places."""
    import pandas as pd

    if path.is_dir():
        raise InputError(f"need a file with a range test, got the folder {path}: name a file in it")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InputError(f"need a file with a range test, got {path}: {error.strerror}") from error
    if not head.strip():
        raise InputError(f"{path} is empty: export the rates and losses of a range test to it")
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
            f"{path} is no CSV, JSON or parquet file that can be read "
            f"({str(error).splitlines()[0][:80]}): export the range test again"
        ) from error
    return table


def _from_csv(path: Path, head: bytes) -> pd.DataFrame:
    import pandas as pd

    if b"\0" in head:
        raise ValueError("it is binary")
    first, _, rest = head.decode("utf-8-sig", errors="replace").partition("\n")
    separator = max("\t;,", key=first.count)
    # Where semicolons separate, commas may be decimal.
    decimal = "," if separator == ";" and "," in rest and "." not in rest else "."
    return pd.read_csv(path, sep=separator, decimal=decimal, encoding="utf-8-sig", low_memory=False)


def _from_json(path: Path) -> pd.DataFrame:
    import pandas as pd

    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, Mapping) and content and _all(content.values(), Mapping):
        # {"results": {...}} holds one sweep, {"0": {...}, "1": {...}} one a seed.
        sweeps = [_columns_of(path, sweep) for sweep in content.values()]
        numbered = all(name.isdecimal() for name in content)
        seeds = map(int, content) if numbered else range(len(content))
        return pd.concat([t.assign(seed=s) for s, t in zip(seeds, sweeps, strict=True)])
    if isinstance(content, list) and content and _all(content, Mapping):
        return pd.DataFrame(content)
    if isinstance(content, Mapping):
        return _columns_of(path, content)
    raise InputError(f'{path} holds no columns: need {{"lr": [...], "loss": [...]}}')


def _columns_of(path: Path, content: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    lists = {name: values for name, values in content.items() if isinstance(values, list)}
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"need as many losses as rates, got {told} in {path}: export both again")
    return pd.DataFrame(lists)


def _all(values: Any, kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def _plain(name: str) -> str:
    name = name.lower().rsplit("/", 1)[-1]
    return "lr" if name.startswith("lr-") else "".join(c for c in name if c not in "_- ")


def _columns(path: Path, found: Mapping[str, str]) -> dict[str, str]:
    """The name in the file of each column of ours that it has."""
    names = dict(_NAMES)
    if {"seed", "step"} <= set(found):  # our own: its accuracy is of the held-out batch
        names["accuracy"] = (*names["accuracy"], "accuracy")
    columns = {
        ours: found[next(name for name in theirs if name in found)]
        for ours, theirs in names.items()
        if any(name in found for name in theirs)
    }
    for needed in ("lr", "loss"):
        if needed not in columns:
            there = ", ".join(found.values())[:200] or "none"
            raise InputError(
                f"need a column {needed} (or {', '.join(_NAMES[needed][1:4])}) in {path}, "
                f"got: {there}"
            )
    return columns


def _numbers(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """All as numbers; steps and seeds are counted where the file has none."""
    import pandas as pd

    table = table.reset_index(drop=True)
    if table.empty:
        raise InputError(f"{path} has columns but no rows: export the range test again")
    for name in table.columns:
        values = pd.to_numeric(table[name], errors="coerce")
        lost = values.isna() & table[name].notna()
        lost &= table[name].astype(str).str.strip().str.lower() != "nan"
        if lost.any():
            row = int(np.argmax(lost.to_numpy()))
            raise InputError(
                f"need numbers in column {name} of {path}, got {str(table[name][row])[:40]!r} in "
                f"row {row + 1}"
            )
        table[name] = values.astype(float)
    if "seed" not in table:
        table.insert(0, "seed", 0)
    if table["seed"].isna().any():
        raise InputError(f"need a seed in every row of {path}, row {_first(table['seed'].isna())}")
    table["seed"] = table["seed"].astype(int)
    if "step" in table:
        table = _merged(table)
        table = table.sort_values(["seed", "step"], kind="stable", ignore_index=True)
    table["step"] = table.groupby("seed").cumcount() + 1
    return table


def _merged(table: pd.DataFrame) -> pd.DataFrame:
    """One row a step where rate and loss of a step stand in rows of their own, as Lightning logs.

    Rows of steps at which neither was logged, such as a validation's, are left out.
    """
    steps = table.groupby(["seed", "step"], sort=False, dropna=False)
    if table["lr"].notna().all() or (steps[["lr", "loss"]].count() > 1).any(axis=None):
        return table
    return steps.first().reset_index().dropna(subset=["lr", "loss"], how="all")


def _first(wrong: pd.Series[bool]) -> int:
    return int(np.argmax(wrong.to_numpy())) + 1


def _check_sweep(where: str, rows: pd.DataFrame) -> None:
    """Refuse what is no sweep: the rates rise from step to step, the loss is finite at first."""
    lr, loss = rows["lr"].to_numpy(), rows["loss"].to_numpy()
    if len(lr) < FEWEST_POINTS:
        raise InputError(f"need {FEWEST_POINTS} points or more, got {len(lr)} in {where}")
    bad = np.flatnonzero(~(np.isfinite(lr) & (lr > 0)))
    if len(bad):
        raise InputError(
            f"need finite rates above 0, got {lr[bad[0]]:g} at point {bad[0] + 1} of {where}"
        )
    stuck = np.flatnonzero(np.diff(lr) <= 0)
    if len(stuck):
        at = int(stuck[0])
        raise InputError(
            f"need rates that rise from step to step, got {lr[at + 1]:g} after {lr[at]:g} at point "
            f"{at + 2} of {where}: is it the history of a training instead of a range test?"
        )
    if not np.isfinite(loss).any():
        raise InputError(f"need finite losses, got none in {where}")
    # Missing at the end: the sweep diverged. Missing in between: rows of something else.
    gaps = np.flatnonzero(np.isnan(loss[: np.flatnonzero(np.isfinite(loss))[-1]]))
    if len(gaps):
        raise InputError(
            f"need a loss at every rate, got none at point {gaps[0] + 1} of {where}, though later "
            "ones are there: leave out rows that hold something else"
        )


def _ramp(table: pd.DataFrame) -> str:
    lr = table[table["seed"] == table["seed"].iloc[0]]["lr"].to_numpy()
    uneven = [np.ptp(np.diff(values)) / np.mean(np.diff(values)) for values in (lr, np.log(lr))]
    return "linear" if uneven[0] < uneven[1] else "exponential"
