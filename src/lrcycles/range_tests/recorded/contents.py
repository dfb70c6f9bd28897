"""Reads the bytes of a range test from a file or a pipe, compressed or not, up to a limit."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from lrcycles.errors import InputError

MOST_BYTES = 100_000_000  # after decompression; a million points take about 50 MB of CSV
_COMPRESSED = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ": lzma}
_SUFFIXES = {".csv", ".tsv", ".json", ".parquet"}
STANDARD_INPUT = Path("-")


def where_is(path: Path) -> str:
    """Return the file's name for messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def read(path: Path) -> bytes:
    """Read a file, a pipe or standard input, and decompress gzip, bzip2 and xz.

    Raises:
        InputError: it is no file or pipe, cannot be read, is empty or has too many bytes.
    """
    where = where_is(path)
    try:
        data = _within_limit(where, _read(path))
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"The range test must be a file that can be read. Received: {where} ({reason}). "
            "Check the path."
        ) from error
    data = _decompressed(where, data)
    if not re.search(rb"[^\0 \t\r\n]", data):
        raise InputError(
            "The file must contain the learning rates and losses of a range test. "
            f"Received: {where}, which is empty. Export the range test again."
        )
    return data


def _read(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        return b"" if sys.stdin is None else sys.stdin.buffer.read(MOST_BYTES + 1)
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        inside = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        raise InputError(
            f"The range test must be a file. Received: the folder {path}. Name a file in it"
            f"{f', such as {inside[0]}' if inside else ''}."
        )
    if stat.S_ISFIFO(status.st_mode):
        return _read_pipe(path)
    if not stat.S_ISREG(status.st_mode):  # a device may have no end
        raise InputError(
            f"The range test must be a file or a pipe. Received: {path}, a device or a socket. "
            "Name a file."
        )
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _read_pipe(path: Path) -> bytes:
    """Read a named pipe until its writer closes it; b"" if it has no writer."""
    # Without O_NONBLOCK, opening waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    with open(descriptor, "rb") as pipe:  # noqa: PTH123
        return pipe.read(MOST_BYTES + 1)


def _decompressed(where: str, data: bytes) -> bytes:
    module = next((one for start, one in _COMPRESSED.items() if data.startswith(start)), None)
    if module is None:
        return data
    try:
        file: BinaryIO = module.open(io.BytesIO(data))
        unpacked = file.read(MOST_BYTES + 1)
    except Exception as error:  # the modules raise errors of many kinds
        raise InputError(
            f"A compressed range test must be whole. Received: {where}, which cannot be read "
            f"({str(error)[:80] or type(error).__name__}). Compress it again."
        ) from error
    return _within_limit(where, unpacked)


def _within_limit(where: str, data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise InputError(
            f"The range test must have at most {MOST_BYTES // 1_000_000} MB after decompression. "
            f"Received: {where}, which has more. Keep the columns of the rates and losses only."
        )
    return data
