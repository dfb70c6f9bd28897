"""Reads .npz and gzip files no larger than the machine's memory, whatever they claim to hold."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import psutil

from lrcycles.errors import InputError


def read_npz(file: Path, keys: Sequence[str], *, optional: Sequence[str] = ()) -> list[np.ndarray]:
    """Read the named arrays of an .npz file.

    Args:
        optional: names of arrays that are left out if the file has none of them.

    Raises:
        InputError: the file is damaged, no .npz file, lacks an array or does not fit into memory.
    """
    try:
        with (
            file.open("rb") as opened,
            zipfile.ZipFile(opened) as archive,  # np.load accepts other formats too
        ):
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            opened.seek(0)
            stored = np.load(opened, allow_pickle=False)
            asked = [*keys, *(optional if {*optional} & {*stored.files} else ())]
            check_fits(file, sum(sizes.get(f"{key}.npy", 0) for key in asked))
            return [stored[key] for key in asked]
    except KeyError:
        held = ", ".join(entry.removesuffix(".npy") for entry in sizes)
        if_any = f", and {', '.join(optional)} if there is a test set" if optional else ""
        raise InputError(
            f"{file} must hold the arrays {', '.join(keys)}{if_any}. Received: {held}. "
            "Rename the arrays."
        ) from None
    except InputError:
        raise
    # MemoryError: of an array that claims to be larger than the file
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{file} must be a whole .npz file. Received: {error}. Get the file again."
        ) from error


@contextmanager
def opened(file: Path) -> Iterator[BufferedIOBase]:
    """Open a file for reading, decompressed if its name ends in .gz.

    Raises:
        InputError: the file cannot be read, or what the block reads is damaged.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{file} must be a whole gzip file. Received: {error}. Get the file again."
        ) from error
    except OSError as error:
        raise InputError(
            f"{file} must be readable. Received: {error.strerror}. Allow reading it."
        ) from error


def check_fits(where: object, size: int) -> None:
    """Check the size in bytes before so much is read.

    Raises:
        InputError: it is more than the free memory.
    """
    free = psutil.virtual_memory().available
    if size > free:
        raise InputError(
            f"{where} must fit into this machine's memory. Received: {size / 1e9:,.1f} GB, where "
            f"{free / 1e9:,.1f} GB are free. Get the right file, or keep fewer images in it."
        )
