"""Finds the tables of rates and losses in the content of a JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrcycles.errors import InputError
from lrcycles.range_tests.recorded.columns import FEWEST_POINTS
from lrcycles.range_tests.recorded.names import Wanted, is_heldout, is_sweep, loss_rank, rate_rank
from lrcycles.range_tests.recorded.sizes import MOST_COLUMNS, need_cells

if TYPE_CHECKING:
    import pandas as pd

MOST_LEVELS = 5
_MOST_PARTS = 1000  # of a list that is searched
_MOST_SEARCHED = 20_000  # lists and objects of a file


def tables_of(where: str, content: Any, wanted: Wanted) -> list[tuple[str, pd.DataFrame]]:
    """Return all tables of a learning rate and a loss, each with the name of its sweep.

    Tables without names count only where there are no others: weights are lists of lists, too.

    Raises:
        InputError: the rates and the losses of a sweep are not equally many.
    """
    tables = list(_search(_Place(where, wanted), content, "", MOST_LEVELS))
    return [(name, table) for name, table in tables if is_sweep(table, wanted)] or tables


@dataclass
class _Place:
    """The file that is searched, the columns that the user wants, and the number of steps."""

    where: str
    wanted: Wanted
    searched: int = 0

    def count(self) -> None:
        """Count a list or an object; refuse a file that has too many."""
        self.searched += 1
        if self.searched > _MOST_SEARCHED:
            raise InputError(
                f"JSON must have at most {_MOST_SEARCHED:,} lists or objects in which the range "
                f"test may be. Received: {self.where} with more. Write the rates and losses as CSV."
            )


def _search(
    place: _Place, content: Any, name: str, levels: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    place.count()
    where, wanted = place.where, place.wanted
    table = _table(where, content, wanted)
    if table is not None:
        yield name, table
        return
    if levels == 0:
        return
    found = [
        sweep
        for key, child in _children(content)
        if isinstance(child, Mapping | list) and not is_heldout(key)
        for sweep in _search(place, child, key, levels - 1)
    ]
    if not found and isinstance(content, Mapping):
        flat = dict(_flattened(content, "", levels))
        table = _from_lists(where, flat, wanted)
        found = [] if table is None else [(name, table)]
    yield from found


def _children(content: Any) -> list[tuple[str, Any]]:
    if isinstance(content, Mapping):
        return [(str(key), child) for key, child in content.items()]
    if isinstance(content, list) and len(content) <= _MOST_PARTS:
        return [(str(place), child) for place, child in enumerate(content)]
    return []


def _table(where: str, content: Any, wanted: Wanted) -> pd.DataFrame | None:
    """Return the content as a table, if it is one with a rate and a loss."""

    if isinstance(content, list):
        if not content or not all(isinstance(row, Mapping) for row in content):
            return _from_rows(content)
        return None if _holds_columns(content[0]) else _from_records(where, content, wanted)
    if not isinstance(content, Mapping):
        return None
    if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
        return _from_rows([content["columns"], *content["data"]])  # pandas, orient="split"
    if len(content) <= MOST_COLUMNS:
        lists = {str(key): _as_list(values) for key, values in content.items()}
        table = _from_lists(where, {k: v for k, v in lists.items() if v is not None}, wanted)
        if table is not None or not content:
            return table
    first = next(iter(content.values()))
    few = isinstance(first, Mapping) and len(first) <= MOST_COLUMNS
    if few and is_sweep(first, wanted) and not _holds_columns(first):
        rows = [row for row in content.values() if isinstance(row, Mapping)]
        return _from_records(where, rows, wanted)  # pandas, orient="index"
    return None


def _from_records(where: str, rows: list[Mapping[str, Any]], wanted: Wanted) -> pd.DataFrame | None:
    """Make a table of rows with names, such as `metrics/loss` for an object in a row."""
    import pandas as pd

    if any(isinstance(value, Mapping) for value in rows[0].values()):
        rows = [dict(_leaves(row, "", MOST_LEVELS)) for row in rows]
    names = set().union(*rows)
    if len(names) > MOST_COLUMNS or not is_sweep(names, wanted):
        return None
    need_cells(where, len(rows), len(names))
    return pd.DataFrame(rows)


def _leaves(row: Mapping[str, Any], above: str, levels: int) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, Mapping) and levels:
            yield from _leaves(value, f"{above}{key}/", levels - 1)
        else:
            yield f"{above}{key}", value


def _as_list(values: Any) -> list[Any] | None:
    """Return a list, or the values of a mapping from the index to numbers, as pandas writes."""
    if isinstance(values, Mapping) and not any(
        isinstance(v, Mapping | list) for v in values.values()
    ):
        return list(values.values())
    return values if isinstance(values, list) else None


def _holds_columns(row: Mapping[str, Any]) -> bool:
    """Return whether the values are whole columns; groups of an optimizer are short lists."""
    return any(
        isinstance(value, Mapping | list) and len(value) >= FEWEST_POINTS for value in row.values()
    )


def _from_rows(rows: Sequence[Any]) -> pd.DataFrame | None:
    """Make a table of rows without names; a first row of words holds the names."""
    import pandas as pd

    if not all(isinstance(row, list | tuple) for row in rows):
        return None
    if len(rows) == 2 and all(len(r) >= FEWEST_POINTS for r in rows):
        rows = list(zip(*rows, strict=True)) if len(rows[0]) == len(rows[1]) else []
    width = len(rows[0]) if rows else 0
    if not 2 <= width <= MOST_COLUMNS or any(len(row) != width for row in rows):
        return None
    if all(isinstance(name, str) for name in rows[0]):
        return pd.DataFrame(rows[1:], columns=rows[0])
    return without_names(pd.DataFrame(rows))


def without_names(table: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of a table without names by their places."""
    return table.set_axis([f"column {place + 1}" for place in range(table.shape[1])], axis=1)


def _from_lists(where: str, lists: Mapping[str, list[Any]], wanted: Wanted) -> pd.DataFrame | None:
    """Make a table of the lists that are as long as the list of rates."""
    import pandas as pd

    if len(lists) > MOST_COLUMNS or not is_sweep(lists, wanted):
        return None
    rates, losses = (
        [name for name in lists if name == chosen]
        or [name for name in lists if rank(name) is not None]
        for chosen, rank in ((wanted.lr, rate_rank), (wanted.loss, loss_rank))
    )
    for rate in rates:
        length = len(lists[rate])
        if any(len(lists[loss]) == length for loss in losses):
            return pd.DataFrame({k: v for k, v in lists.items() if len(v) == length})
    received = ", ".join(f"{name} {len(lists[name])}" for name in (*rates, *losses))
    raise InputError(
        f"The lists of learning rates and losses in {where} must have the same length. "
        f"Received: {received[:200]}. Export them again."
    )


def _flattened(content: Mapping[str, Any], above: str, levels: int) -> Iterator[tuple[str, Any]]:
    """Yield the lists of nested mappings, with names such as `metrics/loss`."""
    for key, value in content.items():
        name = f"{above}{key}"
        if (values := _as_list(value)) is not None:
            yield name, values
        elif isinstance(value, Mapping) and levels:
            yield from _flattened(value, f"{name}/", levels - 1)
