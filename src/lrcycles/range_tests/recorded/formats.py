"""Reads the bytes of a range test's file into a table: CSV, JSON or parquet."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles.errors import InputError
from lrcycles.range_tests.recorded.columns import Wanted, loss_rank, rate_rank
from lrcycles.range_tests.recorded.shapes import tables_of, without_names

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSED = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ": lzma}
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SUFFIXES = {".csv", ".tsv", ".json", ".parquet"}
STANDARD_INPUT = Path("-")


def where_is(path: Path) -> str:
    """Return the file's name for messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def load(path: Path, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    """Return the file's table, with a column seed where it holds several sweeps, and notes.

    Raises:
        InputError: there is no such file, or it holds no table.
    """
    where = where_is(path)
    data = _bytes(path)
    if not data.strip(b"\0 \t\r\n"):
        raise InputError(
            "The file must contain the learning rates and losses of a range test. "
            f"Received: {where}, which is empty. Export the range test again."
        )
    try:
        return _parsed(where, data, wanted)
    except InputError:
        raise
    except Exception as error:  # parsers raise errors of many kinds
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError(
            f"The range test must be a CSV, JSON or parquet file. Received: {where}, which cannot "
            f"be read ({reason}). Export the range test again."
        ) from error


def _bytes(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        raise InputError(
            f"The range test must be a file. Received: the folder {path}. Name a file in it"
            f"{f', such as {inside[0]}' if inside else ''}."
        )
    try:
        return path.read_bytes()  # in one go: a pipe can be read only once
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"The range test must be a file that can be read. Received: {path} ({reason}). "
            "Check the path."
        ) from error


def _parsed(where: str, data: bytes, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    for start, module in _COMPRESSED.items():
        if data.startswith(start):
            data = module.decompress(data)
    if data.startswith(b"PAR1"):
        table = pd.read_parquet(io.BytesIO(data))
        return (table.reset_index() if any(table.index.names) else table), []
    text = _text(data)
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(where, text, wanted)
    return _from_csv(text)


def _text(data: bytes) -> str:
    for mark, encoding in _ENCODINGS.items():
        if data.startswith(mark):
            return data.decode(encoding)
    if b"\0" in data:
        raise ValueError("it is a binary file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _from_csv(text: str) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    text = _without_remarks(text)
    first = text.partition("\n")[0]
    separator = max("\t;,|", key=first.count)
    if separator not in first:
        separator = r"\s+"
    named = not _is_numbers(first)
    table = pd.read_csv(
        io.StringIO(text),
        sep=separator,
        header="infer" if named else None,
        low_memory=False,
        index_col=False,
    )
    return (table, []) if named else _first_two(table)


def _without_remarks(text: str) -> str:
    """Leave out the lines before the table; numpy writes the names into the last of them."""
    text = re.sub(r"\A\s*?sep=.\s*\n", "", text).lstrip("\r\n")  # Excel's first line
    last = ""
    while text.startswith(("#", "%")):
        last, _, text = text.partition("\n")
    return f"{last[1:].strip()}\n{text}" if last and _is_numbers(text.partition("\n")[0]) else text


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


def _from_json(where: str, text: str, wanted: Wanted) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    sweeps = tables_of(where, _json(text), wanted)
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
    names = [name for name, _ in sweeps]
    numbered = all(name.isdecimal() and len(name) < 10 for name in names)
    numbered = numbered and len(set(names)) == len(names)
    seeds = [int(name) for name in names] if numbered else list(range(len(names)))
    table = pd.concat([t.assign(seed=seed) for seed, (_, t) in zip(seeds, sweeps, strict=True)])
    return table, [] if numbered else [_named_seeds(names)]


def _named_seeds(names: list[str]) -> str:
    listed = ", ".join(f"{name} ({seed})" for seed, name in enumerate(names[:10]))
    more = ", ..." if len(names) > 10 else ""
    return f"The file holds {len(names)} sweeps. lrcycles reads them as seeds: {listed}{more}."


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if "\n{" not in text:
            raise
        return [json.loads(line) for line in text.splitlines() if line.strip()]  # JSON lines


def by_run(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Take apart the columns of W&B, `run - name`, with a seed for each of several runs."""
    import pandas as pd

    bands = [name for name in table.columns if name.endswith(("__MIN", "__MAX"))]
    table = table.drop(columns=bands)
    split = {name: name.rsplit(" - ", 1) for name in table.columns if " - " in name}
    runs = dict.fromkeys(run for run, _ in split.values())
    shared = [name for name in table.columns if name not in split]
    tables = {}
    for run in runs:
        own = {name: metric for name, (of, metric) in split.items() if of == run}
        ranks = [{rank(metric) for metric in own.values()} for rank in (rate_rank, loss_rank)]
        if all(rank - {None} for rank in ranks):
            tables[run] = table[[*shared, *own]].rename(columns=own)
    if len(runs) == 1 and not tables:
        (run,) = runs
        return table.rename(columns={name: metric for name, (_, metric) in split.items()}), []
    if not tables:
        return table, []
    if len(tables) == 1:
        ((run, own),) = tables.items()
        alone = f"lrcycles reads the run {run}, the only one of {len(runs)} with rates and losses."
        return own, [alone] if len(runs) > 1 else []
    numbered = [own.assign(seed=seed) for seed, own in enumerate(tables.values())]
    return pd.concat(numbered, ignore_index=True), [_named_seeds(list(tables))]
