"""Turns the rows of a file into a sweep: numbers, one row per rate, in the order of the steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.recorded.columns import FEWEST_POINTS
from lrcycles.range_tests.recorded.sizes import need_seeds

if TYPE_CHECKING:
    import pandas as pd

    from lrcycles.range_tests.curves import Array

_MISSING = {"", "nan", "none", "null", "na", "n/a", "<na>", "-"}
_TENSOR = re.compile(r"[\w.]+\(([^,()]+)(,.*)?\)", re.DOTALL)  # tensor(2.3, device='cuda:0')
_LARGEST = 1e100  # of single precision it is 3e38
_SMALLEST = 1 / _LARGEST


def as_numbers(
    where: str, table: pd.DataFrame, columns: Mapping[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """Convert the columns to numbers, join the rows of each step and sort the steps.

    Args:
        columns: the file's name of each column of `Curves.table`.

    Returns:
        The columns seed, step, lr, loss and those that the file has beside them; and notes.
    """
    import pandas as pd

    if table.empty:
        raise InputError(
            f"{where} must have at least {FEWEST_POINTS} rows. Received: columns without rows. "
            "Export the range test again."
        )
    numbers: dict[str, Any] = {}
    notes: list[str] = []
    for role, name in columns.items():
        values, wrong = _floats(table[name], whole=role in ("step", "epoch"))
        if role == "seed":
            values, notes = _seeds(where, table[name], values, wrong)
        elif wrong and role in ("lr", "loss"):
            row = wrong[0]
            raise InputError(
                f"Column {name} of {where} must contain numbers. "
                f"Received: {str(table[name].iloc[row])[:40]!r} in row {row + 1}. "
                "Export the range test again, or name another column with lr_column or "
                "loss_column (--lr-column NAME, --loss-column NAME)."
            )
        elif wrong and role in ("step", "epoch"):
            continue
        numbers[role] = values
    loss = numbers["loss"]
    numbers["loss"] = np.where(np.abs(loss) > _LARGEST, np.sign(loss) * np.inf, loss)
    rows = pd.DataFrame({"seed": 0, **numbers})
    rows, more = _joined(rows)
    ordered, last = _ordered(rows)
    return ordered, [*notes, *more, *last]


def _floats(values: pd.Series[Any], *, whole: bool) -> tuple[Array, list[int]]:
    """Return the values as floats, and the rows that hold none.

    Args:
        whole: the numbers are whole, so that a comma separates thousands.
    """
    from pandas.api import types

    if types.is_integer_dtype(values.dtype) or types.is_float_dtype(values.dtype):
        return values.to_numpy(np.float64, na_value=np.nan), []
    numbers = [_float(value, whole=whole) for value in values.tolist()]
    wrong = [row for row, number in enumerate(numbers) if number is None]
    return np.array(numbers, np.float64), wrong


def _float(value: Any, *, whole: bool) -> float | None:
    """Return a cell's number, NaN where the cell is empty, None where it holds something else."""
    import pandas as pd

    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _MISSING:
            return np.nan
        text = match[1] if (match := _TENSOR.fullmatch(text)) else text
        if "," in text:  # a decimal comma, or commas between thousands
            text = text.replace(",", "" if whole or "." in text else ".")
        value = text
    try:
        return np.nan if pd.isna(value) is True else float(value)
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return None


def _seeds(
    where: str, column: pd.Series[Any], values: Array, wrong: list[int]
) -> tuple[Any, list[str]]:
    """Return whole numbers for the seeds, and a note where the file has names for them."""
    import pandas as pd

    missing = column.isna().to_numpy()
    if missing.all():
        return np.zeros(len(column), int), []
    if missing.any():
        raise InputError(
            f"Every row of {where} must have a seed. Received: none in row "
            f"{int(np.argmax(missing)) + 1}. Add the seeds, or remove the column."
        )
    whole = not wrong and np.isfinite(values).all() and (values == np.round(values)).all()
    if whole and (np.abs(values) < 2**53).all():
        return values.astype(np.int64), []
    codes, names = pd.factorize(np.array([str(name) for name in column.tolist()], object))
    listed = ", ".join(f"{str(name)[:40]} ({code})" for code, name in enumerate(names[:10]))
    more = ", ..." if len(names) > 10 else ""
    return codes, [f"lrcycles numbers the seeds of the file: {listed}{more}."]


def _joined(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Join rates and losses that are in separate rows, as in the logs of Lightning.

    Rows of the same step belong together. Without such steps each loss has the last rate before.
    """
    has_lr, has_loss = rows["lr"].notna(), rows["loss"].notna()
    if 2 * (has_lr & has_loss).sum() >= min(has_lr.sum(), has_loss.sum()):
        return rows, []
    if "step" in rows:
        steps = rows.groupby(["seed", "step"], sort=False, dropna=False)
        if not (steps[["lr", "loss"]].count() > 1).any(axis=None):
            joined = steps.first().assign(rows=steps.size()).reset_index()
            whole = joined["lr"].notna() & joined["loss"].notna()
            if 2 * whole.sum() >= min(has_lr.sum(), has_loss.sum()):
                # A step of two rows has a row for its loss: the loss itself is NaN.
                kept = whole | (joined["lr"].notna() & (joined["rows"] > 1))
                left = int((~kept & (joined["lr"].notna() | joined["loss"].notna())).sum())
                joined = joined[kept].drop(columns="rows")
                return joined, [_left_out(left, "a rate or a loss")] if left else []
    rows = rows.assign(lr=rows.groupby("seed")["lr"].ffill())[has_loss]
    return rows, [
        "The rates and the losses are in different rows. Each loss has the last rate before it."
    ]


def _left_out(count: int, what: str) -> str:
    steps = "1 step is" if count == 1 else f"{count} steps are"
    return f"{steps} left out, because the file does not have {what} there."


def _ordered(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Sort the rows by seed and step, where the steps are whole and occur once."""
    notes = []
    for keys in (["seed", "step"], ["seed", "epoch", "step"]):
        whole = set(keys) <= set(rows) and rows[keys].notna().all(axis=None)
        if whole and not rows.duplicated(keys).any():
            rows = rows.sort_values(keys, kind="stable", ignore_index=True)
            break
    else:
        rows = rows.sort_values("seed", kind="stable", ignore_index=True)
        down = rows.groupby("seed")["lr"].diff().dropna()
        if len(down) and (down <= 0).all() and (down < 0).any():
            rows = rows.iloc[::-1].sort_values("seed", kind="stable", ignore_index=True)
            notes = ["The rates fall from row to row. lrcycles reads the last row first."]
    rows["step"] = rows.groupby("seed").cumcount() + 1
    return rows, notes


def as_sweeps(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out rows without a rate or a loss, and merge the rows of equal rates."""
    lr, loss = rows["lr"], rows["loss"]
    notes = []
    finite = rows["step"].where(np.isfinite(loss), 0)
    # At the end losses may be missing: training had broken down.
    no_loss = loss.isna() & (rows["step"] < finite.groupby(rows["seed"]).transform("max"))
    no_rate = lr.isna()
    zero = (lr == 0) & (lr.fillna(0).groupby(rows["seed"]).cummax() == 0)
    if count := int((no_rate & loss.notna()).sum()):
        notes.append(_left_out(count, "a rate"))
    if count := int((no_loss & ~no_rate).sum()):
        notes.append(_left_out(count, "a loss"))
    if zero.any():
        notes.append("The first rates are 0. Their steps are left out.")
    rows = rows[~(no_rate | no_loss | zero)]
    new = (rows["lr"] != rows["lr"].shift()) | (rows["seed"] != rows["seed"].shift())
    if not new.all():
        rows = _merged(rows, new.cumsum())
        notes.append(
            f"{int((~new).sum())} steps have the rate of the step before. lrcycles uses the mean "
            "of the losses at each rate."
        )
    rows = rows.drop(columns="epoch", errors="ignore").reset_index(drop=True)
    rows["step"] = rows.groupby("seed").cumcount() + 1
    return rows, notes


def _merged(rows: pd.DataFrame, places: pd.Series[int]) -> pd.DataFrame:
    """Take the mean of all rows at the same place of a sweep."""
    lr = rows["lr"]
    largest = places.value_counts()
    if 2 * largest.iloc[0] > len(rows) and largest.iloc[0] > 1:
        constant = lr[places == largest.index[0]].iloc[0]
        raise InputError(
            "The learning rates must rise from step to step. "
            f"Received: {constant:g} in {largest.iloc[0]} of {len(rows)} steps. "
            "Check that the file is a range test and not a training."
        )
    means = rows.groupby(places, sort=False).mean()
    first = rows.groupby(places, sort=False)[["seed", "lr"]].first()
    return means.assign(seed=first["seed"], lr=first["lr"])


def check_sweeps(where: str, rows: pd.DataFrame) -> None:
    """Refuse sweeps that are too short, do not rise, or have no losses.

    Raises:
        InputError: see above.
    """
    need_seeds(where, rows["seed"].nunique())
    several = rows["seed"].nunique() > 1
    if rows.empty:
        _check(where, rows)
    for seed, sweep in rows.groupby("seed", sort=True):
        _check(f"{where}, seed {seed}" if several else where, sweep)


def _check(where: str, rows: pd.DataFrame) -> None:
    lr, loss = rows["lr"].to_numpy(), rows["loss"].to_numpy()
    bad = np.flatnonzero(~((lr > _SMALLEST) & (lr < _LARGEST)))
    if len(bad):
        raise InputError(
            f"The learning rates of {where} must be above 0 and below {_LARGEST:g}. "
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
    if len(lr) < FEWEST_POINTS:
        raise InputError(
            f"{where} must have at least {FEWEST_POINTS} points with a rate of their own. "
            f"Received: {len(lr)}. Run the range test with more steps, or log every step."
        )
    if not np.isfinite(loss).any():
        raise InputError(
            f"{where} must have finite losses. Received: none. "
            "Run the range test again from smaller rates."
        )
