"""Finds the learning rates and the losses among the columns of a file, by their names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FEWEST_POINTS = 20  # the tools' rules leave out up to 16 points at the ends
_MOST_GROUPS = 100  # parameter groups of an optimizer

_HELDOUT = {"val", "valid", "validation", "eval", "evaluation", "test", "testing", "dev"}
_HELDOUT |= {"heldout", "holdout"}
_RATE = {"lr", "lrs", "learning", "rate", "rates"}
_NOT_A_RATE = re.compile(
    r"\b(momentum|betas?\d?|weight decay|wd|eps|epsilon|lr decay|rate decay|gamma|dropout|mult|"
    r"multiplier|scaler?|factor|min|max|(log|log10) (lrs?|learning)|"
    r"(base|initial|init|target|start|end|final|warmup) (lrs?|learning))\b"
)
_LOSS = {"loss", "losses"}
_STEP = {"step", "steps", "iteration", "iterations", "iter", "iters", "batch", "batches"}
# Words that do not change what a column is.
_FILLERS = {"train", "training", "trainer", "global", "current", "mini", "minibatch", "optimizer"}
_FILLERS |= {"total", "raw", "value", "idx", "index", "num", "number", "opt"}
_GLUED = re.compile(
    "(train|training|batch|smooth|val|valid|validation|eval|test|dev|heldout|learning)"
    "(loss|losses|acc|accuracy|rate|rates)"
)


@dataclass(frozen=True)
class Wanted:
    """The columns that the user names; None where the file's names decide."""

    lr: str | None = None
    loss: str | None = None


def words(name: str) -> list[str]:
    """Split a column's name into words in lower case.

    >>> words("train/Loss_step"), words("LearningRate"), words("lr-SGD/pg1"), words("valLoss.1")
    (['train', 'loss', 'step'], ['learning', 'rate'], ['lr', 'sgd', 'pg1'], ['val', 'loss'])
    """
    name = re.sub(r"\.\d+$", "", name)  # pandas numbers columns of the same name
    name = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()
    name = re.sub(r"\bheld[ _-]out|\bhold[ _-]out", "heldout", name)
    parts = re.split(r"[^a-z0-9]+", name)
    split = [match.groups() if (match := _GLUED.fullmatch(part)) else (part,) for part in parts]
    return [word for glued in split for word in glued if word]


def is_heldout(name: str) -> bool:
    """Return whether the column is of validation or test data."""
    return bool(_HELDOUT & set(words(name)))


def rate_rank(name: str) -> int | None:
    """Return 0 for the learning rate, 1 for the rate of one group or optimizer, None for others."""
    named = {re.sub(r"^lr\d+$", "lr", word) for word in words(name)}
    alone = bool(named) and named <= {"rate", "rates"}
    rate = named & {"lr", "lrs"} or ("learning" in named and named & {"rate", "rates"}) or alone
    if not rate or named & (_HELDOUT | _LOSS) or _NOT_A_RATE.search(" ".join(words(name))):
        return None
    numbered = re.search(r"lr\d", name.lower())
    return 1 if numbered or named - _RATE - _FILLERS - _STEP else 0


def loss_rank(name: str) -> int | None:
    """Return a rank for training losses, None for others.

    The ranks are 0 for the loss of a step, 1 for the loss, 2 for means of an epoch, and 3 for a
    loss with an unknown word in its name, such as a part of the loss.
    """
    named = set(words(name))
    if not named & _LOSS or named & _HELDOUT:
        return None
    rest = named - _LOSS - _FILLERS
    if not rest:
        return 1
    if rest <= _STEP:
        return 0
    return 2 if rest <= {"epoch", "epochs", "mean", "avg", "average"} else 3


def with_unique_names(table: pd.DataFrame) -> pd.DataFrame:
    """Number columns of the same name, as pandas does when it reads CSV."""
    names = [str(name).strip() for name in table.columns]
    unique = [
        f"{name}.{before}" if (before := names[:place].count(name)) else name
        for place, name in enumerate(names)
    ]
    return table.set_axis(unique, axis=1).reset_index(drop=True)


def with_group_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Give each parameter group's rate a column of its own, where a cell holds a list of them."""
    import pandas as pd

    parts = []
    for name in table.columns:
        first = table[name].dropna().head(1).tolist()
        named = rate_rank(name) is not None or loss_rank(name) is not None
        text = bool(first) and isinstance(first[0], str) and first[0].startswith("[")
        if named and first and (text or isinstance(first[0], list | tuple | np.ndarray)):
            groups = [_group_rates(cell) for cell in table[name].tolist()]
            width = max(map(len, groups))
            if 1 <= width <= _MOST_GROUPS:
                filled = [group + [None] * (width - len(group)) for group in groups]
                wide = pd.DataFrame(filled, index=table.index)
                own = [f"{name}/pg{group + 1}" for group in range(width)]
                parts.append(wide.set_axis(own if width > 1 else [name], axis=1))
                continue
        parts.append(table[[name]])
    return with_unique_names(pd.concat(parts, axis=1)) if parts else table


def _group_rates(cell: Any) -> list[Any]:
    """Return the list in a cell, which CSV holds as text."""
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except ValueError:
            return [cell]
    return list(cell) if isinstance(cell, list | tuple | np.ndarray) else [cell]


def is_sweep(names: Iterable[str], wanted: Wanted) -> bool:
    """Return whether there are names of a learning rate and of a loss."""
    names = list(names)
    rate = wanted.lr in names or any(rate_rank(name) is not None for name in names)
    return rate and (wanted.loss in names or any(loss_rank(name) is not None for name in names))


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
    for role, is_one in _OTHERS.items():
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
        named = [one for one in named if table[one[1]].dropna().astype(str).nunique() > 1] or named
    best = min((place for place, _ in named), default=None)
    return [name for place, name in named if place == best]


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
    listed = ", ".join(map(str, names))
    return listed if len(listed) <= 200 else f"{listed[:200]}..."


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w./-]", name) else name


def is_step(named: list[str]) -> bool:
    """Return whether these words name the number of a step."""
    rest = set(named) - _FILLERS
    return bool(rest) and rest <= _STEP


def _is_metric(named: list[str], *kinds: str) -> bool:
    return bool(set(named) & set(kinds) and set(named) & _HELDOUT)


_OTHERS: dict[str, Callable[[list[str]], bool]] = {
    "seed": lambda named: named in (["seed"], ["run"]),
    "step": is_step,
    "epoch": lambda named: set(named) - _FILLERS == {"epoch"},
    "heldout_loss": lambda named: _is_metric(named, "loss", "losses"),
    "accuracy": lambda named: _is_metric(named, "acc", "accuracy"),
}
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
