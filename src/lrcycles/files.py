"""Writes files and folders so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it is renamed to `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary_path
        temporary_path.replace(path)
    finally:
        temporary_path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary_path:
        temporary_path.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, not UTF-8
        raise InputError(_damaged(path, "JSON", error)) from error


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as parquet."""
    with replacing(path) as temporary_path:
        table.to_parquet(temporary_path, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """Read a parquet file.

    Raises:
        InputError: it is damaged.
    """
    import pandas as pd
    from pyarrow import ArrowInvalid

    try:
        return pd.read_parquet(path)
    except ArrowInvalid as error:
        raise InputError(_damaged(path, "parquet", error)) from error


def _damaged(path: Path, kind: str, error: Exception) -> str:
    return (
        f"{path} must be a whole {kind} file. Received: a damaged file ({error}). Make the file "
        "again with `dvc repro --force --single-item STAGE`."
    )


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG and close it; equal figures give equal bytes."""
    import matplotlib.pyplot as plt

    with replacing(path) as temporary_path:
        figure.savefig(temporary_path, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)


def replace_folder(new: Path, old: Path) -> None:
    """Rename folder `new` to `old`, which it replaces; if that fails, `old` stays as it was."""
    aside = new.with_name(f"{new.name}.old")
    with suppress(FileNotFoundError):
        old.rename(aside)
    try:
        new.rename(old)
    except BaseException:  # also an interruption
        if aside.exists() and not old.exists():
            aside.rename(old)
        raise
    shutil.rmtree(aside, ignore_errors=True)
