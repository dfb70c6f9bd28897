"""Writes files and folders whole, and finds what has changed since they were written.

A folder of results holds manifest.json: the size and SHA-256 of every file, and what the folder
belongs to. It is written last, so a folder without it is not whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

MANIFEST = "manifest.json"
_SCHEMA = 1  # of manifest.json
_digests: dict[tuple[Path, int, int, int], str] = {}  # by path, size, time of change and inode


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


def write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns as parquet, without pandas: it takes longer to load than to write them."""
    import pyarrow as pa
    from pyarrow import parquet

    with replacing(path) as temporary_path:
        parquet.write_table(pa.table(columns), temporary_path)


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Read the columns of a parquet file, without pandas.

    Raises:
        InputError: it is damaged.
    """
    from pyarrow import ArrowInvalid, parquet

    try:
        with parquet.ParquetFile(path) as file:
            table = file.read(use_threads=False)  # of small files, a quarter of the time
    except ArrowInvalid as error:
        raise InputError(_damaged(path, "parquet", error)) from error
    return {name: table.column(name).to_numpy() for name in table.column_names}


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


@dataclass(frozen=True)
class Damage:
    """Why a folder is not as it was written: `file` is the name of the file, `reason` the words."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} {self.reason}"


def seal(folder: Path, key: str) -> None:
    """Write manifest.json of a folder that is complete.

    Args:
        key: what the folder belongs to, such as the key of a training or the name of a stage.
    """
    names = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    held = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
        for path in names
        if path != folder / MANIFEST
    }
    write_json(folder / MANIFEST, {"schema": _SCHEMA, "key": key, "files": held})


def damage(folder: Path, key: str) -> Damage | None:
    """Find the first file that is not as `seal` saw it; None if the folder is whole.

    Files that came later are no damage. A process reads the bytes of a file once, and again where
    its size or the time of its last change differ.

    Args:
        key: what the folder must belong to.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        schema, owner, held = (manifest[name] for name in ("schema", "key", "files"))
        listed = [(name, entry["bytes"], entry["sha256"]) for name, entry in held.items()]
    except FileNotFoundError:
        return Damage(MANIFEST, "is missing")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Damage(MANIFEST, "is damaged")
    if schema != _SCHEMA:
        return Damage(MANIFEST, f"has schema {schema}, and this version reads schema {_SCHEMA}")
    if owner != key:
        return Damage(MANIFEST, f"belongs to {owner}")
    for name, size, sha256 in listed:
        path = folder / name
        try:
            there = path.stat().st_size
            if there != size:
                return Damage(name, f"has {there} bytes instead of {size}")
            if file_digest(path) != sha256:
                return Damage(name, "has other bytes than were written")
        except OSError as error:
            return Damage(name, f"cannot be read ({error.strerror or error})")
    return None


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file, once in a process while size and time stay the same."""
    status = path.stat()
    known = (path.absolute(), status.st_size, status.st_mtime_ns, status.st_ino)
    if known not in _digests:
        with path.open("rb") as file:
            _digests[known] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[known]
