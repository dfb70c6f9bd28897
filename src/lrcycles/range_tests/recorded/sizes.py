"""Refuses tables that would take too much memory or time, before they are made."""

from __future__ import annotations

from lrcycles.errors import InputError

MOST_ROWS = 2_000_000  # a log may have two rows for each step
MOST_COLUMNS = 20_000
MOST_CELLS = 20_000_000
MOST_SEEDS = 256
_MOST_JSON_BYTES = 420_000_000  # in memory
# Bytes in memory for each of these in a JSON text: a list, an object and another number.
_BYTES_OF_PARTS = {b"[": 64, b"{": 190, b",": 32}


def need_cells(where: str, rows: int, columns: int, cells: int = 0) -> None:
    """Refuse a table with too many rows, columns or cells.

    Args:
        cells: the number of values, where a cell may hold several.
    """
    for count, most, unit in (
        (rows, MOST_ROWS, "rows"),
        (columns, MOST_COLUMNS, "columns"),
        (max(rows * columns, cells), MOST_CELLS, "cells"),
    ):
        if count > most:
            raise InputError(
                f"The range test must have at most {most:,} {unit}. Received: {where} with "
                f"{count:,}. Keep the columns of the rates and losses, or every tenth step."
            )


def need_seeds(where: str, count: int) -> None:
    """Refuse too many sweeps in one file."""
    if count > MOST_SEEDS:
        raise InputError(
            f"The range test must have at most {MOST_SEEDS} seeds. Received: {where} with "
            f"{count:,}. Keep fewer seeds."
        )


def need_json(where: str, data: bytes) -> None:
    """Refuse a JSON text that takes too much memory when it is parsed."""
    parts = sum(data.count(part) * size for part, size in _BYTES_OF_PARTS.items())
    if 2 * len(data) + parts > _MOST_JSON_BYTES:
        raise InputError(
            f"JSON must take at most {_MOST_JSON_BYTES // 1_000_000} MB when it is read. "
            f"Received: {where}, which takes about {(2 * len(data) + parts) // 1_000_000:,} MB. "
            "Write the rates and losses as CSV or parquet."
        )
