"""Finds the learning rates and the losses among the columns of a file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.recorded.names import OTHERS, Wanted, loss_rank, rate_rank, words
from lrcycles.range_tests.recorded.sizes import need_cells

if TYPE_CHECKING:
    import pandas as pd

FEWEST_POINTS = 20  # the tools' rules leave out up to 16 points at the ends
_MOST_GROUPS = 100  # parameter groups of an optimizer
_MOST_LISTED = 100  # names in a message, which is cut after 200 letters


def with_unique_names(table: pd.DataFrame) -> pd.DataFrame:
    """Number columns of the same name, as pandas does when it reads CSV."""
    unique: dict[str, None] = {}
    before = Counter[str]()
    for name in map(str.strip, map(str, table.columns)):
        one = name
        while one in unique:
            before[name] += 1
            one = f"{name}.{before[name]}"
        unique[one] = None
    return table.set_axis([*unique], axis=1).reset_index(drop=True)


def with_group_columns(where: str, table: pd.DataFrame) -> pd.DataFrame:
    """Give each parameter group's rate a column of its own, where a cell holds a list of them.

    Raises:
        InputError: the columns would be too large.
    """
    import pandas as pd

    for name in list(table.columns):
        if not (rate_rank(name) is not None or loss_rank(name) is not None):
            continue
        first = table[name].dropna().head(1).tolist()
        text = bool(first) and isinstance(first[0], str) and first[0].startswith("[")
        if not first or not (text or isinstance(first[0], list | tuple | np.ndarray)):
            continue
        groups = [_group_rates(cell) for cell in table[name].tolist()]
        width = max(map(len, groups))
        if not 1 <= width <= _MOST_GROUPS:
            continue
        need_cells(where, len(groups), width)
        filled = [group + [None] * (width - len(group)) for group in groups]
        own = [f"{name}/pg{group + 1}" for group in range(width)] if width > 1 else [name]
        wide = pd.DataFrame(filled, index=table.index, columns=own)
        place = list(table.columns).index(name)
        parts = [table.iloc[:, :place], wide, table.iloc[:, place + 1 :]]
        table = pd.concat(parts, axis=1)
    return with_unique_names(table)


def _group_rates(cell: Any) -> list[Any]:
    """Return the list in a cell, which CSV holds as text."""
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return [cell]
    return list(cell) if isinstance(cell, list | tuple | np.ndarray) else [cell]


_OPTION = "loss_column (--loss-column NAME)"
_UNSURE = {2: ", which is a mean of many steps.", 3: " as the training loss."}


def find_columns(
    where: str, table: pd.DataFrame, wanted: Wanted
) -> tuple[dict[str, str], list[str]]:
    """Return the file's name of each column of `Curves.table` that it has, and notes.

    Raises:
        InputError: there are no rates or losses, or several losses from which the user must choose.
    """
    names = list(table.columns)
    lr, notes = _find_rate(where, table, wanted.lr)
    loss = _find_loss(where, table, wanted.loss)
    rank = loss_rank(loss)
    if wanted.loss is None and rank in _UNSURE:
        notes.append(f"lrcycles reads {loss}{_UNSURE[rank]} Choose another one with {_OPTION}.")
    columns = {"lr": lr, "loss": loss}
    for role, is_one in OTHERS.items():
        found = [name for name in names if name not in columns.values() and is_one(words(name))]
        if found:
            columns[role] = min(found, key=lambda name: (_order(role, name), names.index(name)))
    if {"seed", "step"} <= columns.keys() and "accuracy" in names:
        columns["accuracy"] = "accuracy"  # written by lrcycles: accuracy is the held-out one
    return columns, notes


def _find_rate(where: str, table: pd.DataFrame, wanted: str | None) -> tuple[str, list[str]]:
    if wanted is not None:
        return _chosen(where, table, wanted, "lr_column"), []
    rates = _candidates(table, rate_rank, moving=True)
    if not rates:
        raise InputError(
            f"{_none_found(where, table, 'the learning rates', 'lr')[:-1]}, or name the file of "
            "the rates with rates (--rates FILE)."
        )
    if len(rates) == 1 or _equal(table, rates):
        return rates[0], []
    note = (
        f"The file has the learning rates {_listed(rates)}. lrcycles reads {rates[0]}. "
        "Choose another one with lr_column (--lr-column NAME)."
    )
    return rates[0], [note]


def _find_loss(where: str, table: pd.DataFrame, wanted: str | None) -> str:
    if wanted is not None:
        return _chosen(where, table, wanted, "loss_column")
    losses = _candidates(table, loss_rank)
    if not losses:
        raise InputError(_none_found(where, table, "the training losses", "loss"))
    if len(losses) > 1 and not _equal(table, losses):
        raise InputError(
            f"{where} must have one training loss. Received: {_listed(losses)}. "
            f"Choose one with loss_column (--loss-column {_quoted(losses[0])})."
        )
    return losses[0]


def _candidates(
    table: pd.DataFrame, rank: Callable[[str], int | None], *, moving: bool = False
) -> list[str]:
    """Return the columns of the best rank.

    Columns with too few values, or with the same value throughout where others move, count only if
    there are no others.
    """
    named = [(place, name) for name in table.columns if (place := rank(name)) is not None]
    named = [one for one in named if table[one[1]].count() >= FEWEST_POINTS] or named
    if moving and len(named) > 1:
        named = [one for one in named if _is_moving(table[one[1]])] or named
    best = min((place for place, _ in named), default=None)
    return [name for place, name in named if place == best]


def _is_moving(values: pd.Series[Any]) -> bool:
    return len(set(map(str, values.dropna().tolist()))) > 1


def _equal(table: pd.DataFrame, names: Sequence[str]) -> bool:
    return all(table[names[0]].equals(table[name]) for name in names[1:])


def _chosen(where: str, table: pd.DataFrame, wanted: str, option: str) -> str:
    for name in (wanted, wanted.rsplit(" - ", 1)[-1]):  # W&B writes "run - name"
        if name in table.columns:
            return name
    raise InputError(
        f"{option} must be a column of {where}. Received: {wanted!r}, and the columns "
        f"{_listed(table.columns)}. Name one of these columns."
    )


def _none_found(where: str, table: pd.DataFrame, what: str, short: str) -> str:
    return (
        f"{where} must have a column with {what}, such as {short}. "
        f"Received: the columns {_listed(table.columns) or 'none'}. "
        f"Name the column with {short}_column (--{short}-column NAME)."
    )


def _listed(names: Iterable[str]) -> str:
    listed = ", ".join(map(str, islice(names, _MOST_LISTED)))
    return listed if len(listed) <= 200 else f"{listed[:200]}..."


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w./-]", name) else name


# Where several columns have a role, the column with the first of these words.
_FIRST = {
    "seed": ["seed"],
    "step": ["step", "steps", "iteration", "iterations", "iter"],
    "heldout_loss": ["heldout", "val", "valid", "validation"],
    "accuracy": ["heldout", "val", "valid", "validation"],
}


def _order(role: str, name: str) -> tuple[float, int]:
    named = words(name)
    first = [place for place, word in enumerate(_FIRST.get(role, [])) if word in named]
    return min(first, default=np.inf), len(named)
