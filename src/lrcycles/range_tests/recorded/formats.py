"""Reads the bytes of a range test's file into a table: CSV, JSON or parquet.

Every reader counts the rows and cells before it makes them: a small file may claim a large table.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.recorded import contents
from lrcycles.range_tests.recorded.contents import where_is
from lrcycles.range_tests.recorded.names import Wanted, may_matter
from lrcycles.range_tests.recorded.runs import named_seeds
from lrcycles.range_tests.recorded.shapes import tables_of, without_names
from lrcycles.range_tests.recorded.sizes import need_cells, need_json, need_seeds

if TYPE_CHECKING:
    import pandas as pd

_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LONGEST_TEXT = 5000  # of a cell that may hold a number or the rates of groups
_LONGEST_LINE = 1_000_000  # bytes of the names of the columns


def load(path: Path, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    """Return the file's table, with a column seed where it holds several sweeps, and notes.

    Raises:
        InputError: there is no such file, it holds no table, or the table is too large.
    """
    where = where_is(path)
    data = contents.read(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns with mixed types
            return _parsed(where, data, wanted)
    except InputError:
        raise
    except Exception as error:  # parsers raise errors of many kinds
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError(
            f"The range test must be a CSV, JSON or parquet file. Received: {where}, which cannot "
            f"be read ({reason}). Export the range test again."
        ) from error


def _parsed(where: str, data: bytes, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    if data.startswith(b"PAR1"):
        return _from_parquet(where, data, wanted), []
    data = _as_utf8(data)
    if re.match(rb"\s*[\[{]", data):
        return _from_json(where, data, wanted)
    return _from_csv(where, data)


def _from_parquet(where: str, data: bytes, wanted: Wanted) -> pd.DataFrame:
    """Read the columns of numbers, and other columns only where their names may matter."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(data))
    schema, shape = file.schema_arrow, file.metadata
    groups = [shape.row_group(group) for group in range(shape.num_row_groups)]
    held = sum(g.column(c).num_values for g in groups for c in range(shape.num_columns))
    need_cells(where, shape.num_rows, len(schema.names), held)
    named = {field.name: field.type for field in schema}
    numbers = [n for n, t in named.items() if pa.types.is_integer(t) or pa.types.is_floating(t)]
    kept = [name for name in named if name in numbers or may_matter(name, wanted)]
    # A text that is in many rows must stay in memory once.
    texts = [n for n in kept if pa.types.is_string(named[n]) or pa.types.is_large_string(named[n])]
    table = parquet.read_table(
        io.BytesIO(data), columns=kept, use_pandas_metadata=True, read_dictionary=texts
    ).to_pandas()
    table = table.reset_index() if any(table.index.names) else table
    for name in {*texts} & {*table.columns}:
        cells = table[name].array
        shared = [str(text)[:_LONGEST_TEXT] for text in cells.categories]
        table[name] = pd.Series(np.array([*shared, None], object)[cells.codes], dtype=object)
    return table.reindex(columns=[*dict.fromkeys([*table.columns, *named])])


def _as_utf8(data: bytes) -> bytes:
    for mark, encoding in _ENCODINGS.items():
        if data.startswith(mark):
            return data.decode(encoding).encode()
    if b"\0" in data:
        raise ValueError("it is a binary file")
    return data


def _from_csv(where: str, data: bytes) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    data = _without_remarks(data)
    first = _first_line(where, data)
    separator = max("\t;,|", key=first.count)
    if separator not in first:
        separator = r"\s+"
    columns = len(re.split(separator, first)) if separator == r"\s+" else first.count(separator) + 1
    rows = max(data.count(b"\n"), data.count(b"\r"))
    need_cells(where, rows, columns)
    named = not _is_numbers(first)

    def read(encoding: str) -> pd.DataFrame:
        return pd.read_csv(
            io.BytesIO(data),
            sep=separator,
            header="infer" if named else None,
            index_col=False,
            encoding=encoding,
        )

    warnings.simplefilter("error", pd.errors.ParserWarning)  # a row has more cells than names
    try:
        table = read("utf-8")
    except UnicodeDecodeError:
        table = read("latin-1")
    return (table, []) if named else _first_two(table)


def _without_remarks(data: bytes) -> bytes:
    """Leave out the lines before the table; numpy writes the names into the last of them."""
    excel = re.match(rb"\s*sep=.[ \t\r]*\n[\r\n]*", data)
    start = excel.end() if excel else len(data) - len(data.lstrip(b"\r\n"))
    last = b""
    while data[start : start + 1] in (b"#", b"%"):
        end = data.find(b"\n", start) + 1 or len(data)
        last, start = data[start + 1 : end].strip(), end
    data = data[start:]
    if last and _is_numbers(data[:_LONGEST_LINE].partition(b"\n")[0].decode("latin-1")):
        return last + b"\n" + data
    return data


def _first_line(where: str, data: bytes) -> str:
    first = re.match(rb"[^\r\n]{0,%d}" % _LONGEST_LINE, data)
    line = first[0] if first else b""
    if len(line) == _LONGEST_LINE:
        raise InputError(
            f"The first line of a range test must have less than {_LONGEST_LINE:,} bytes. "
            f"Received: {where}, whose first line has more. Keep the columns of the rates and "
            "losses only."
        )
    return line.decode("utf-8", "replace")


def _is_numbers(line: str) -> bool:
    """Return whether a line of CSV holds numbers, and so no names."""
    cells = [cell.strip().strip('"') for cell in re.split(r"[\t;|,]|\s+", line.strip())]
    return all(_is_number(cell) for cell in cells if cell) and any(cells)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_two(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Name the columns of a table without names; of two, the first holds the rates."""
    table = without_names(table)
    if table.shape[1] != 2:
        return table, []
    note = (
        "The file names no columns. lrcycles reads the first one as learning rates and the second "
        "one as losses."
    )
    return table.set_axis(["lr", "loss"], axis=1), [note]


def _from_json(where: str, data: bytes, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    sweeps = tables_of(where, _json(where, data), wanted)
    if not sweeps:
        raise InputError(
            'JSON must have the form {"lr": [...], "loss": [...]}. Received: '
            f"{where}, which has no such lists. Name them with lr_column and loss_column "
            "(--lr-column NAME --loss-column NAME), or export the range test again."
        )
    if len(sweeps) == 1:
        ((_, table),) = sweeps
        unnamed = list(table.columns) == ["column 1", "column 2"]
        return _first_two(table) if unnamed else (table, [])
    need_seeds(where, len(sweeps))
    names = [name for name, _ in sweeps]
    numbered = all(name.isdecimal() and len(name) < 10 for name in names)
    numbered = numbered and len(set(names)) == len(names)
    seeds = [int(name) for name in names] if numbered else list(range(len(names)))
    table = pd.concat([t.assign(seed=seed) for seed, (_, t) in zip(seeds, sweeps, strict=True)])
    return table, [] if numbered else [named_seeds(names)]


def _json(where: str, data: bytes) -> Any:
    """Return the content of JSON, and of JSON lines as a list."""
    need_json(where, data)
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        return json.loads(data.decode("latin-1"))
    except json.JSONDecodeError:
        if b"\n{" not in data:
            raise
    return [json.loads(line) for line in data.splitlines() if line.strip()]
