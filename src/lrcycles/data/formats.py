"""Reads image files of several formats, and checks that they are whole and the right ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any

import numpy as np

from lrcycles.data.compressed import check_fits, opened, read_npz
from lrcycles.errors import InputError
from lrcycles.files import replacing

PARTS = ("train_images", "train_labels", "test_images", "test_labels")
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")  # as Keras ships mnist.npz
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}  # of image files
IDX_MAGIC = {"images": (0x803, 0x804), "labels": (0x801,)}  # 8: uint8; last digit: dimensions


@dataclass(frozen=True)
class RawImages:
    """Images and labels as published, uint8; `test_*` are empty if there is no test set."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str  # keras, npm, local, sklearn or module:function


def checked_images(arrays: Sequence[Any], *, source: str, where: str) -> RawImages:
    """Make `RawImages` of train images and labels, and test images and labels if there are any.

    Args:
        where: the origin of the arrays, for messages.

    Raises:
        InputError: an array has another type, shape or length than labelled images have.
    """
    x_train, y_train = _checked_pair(arrays[:2], PARTS[:2], where)
    x_test, y_test = _checked_pair(arrays[2:] or (x_train[:0], y_train[:0]), PARTS[2:], where)
    if len(x_train) == 0:
        raise InputError(
            f"{where}: at least one training image must be there. Received: none. Add images."
        )
    if len(x_test) and x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{where}: training and test images must have one shape. "
            f"Received: {x_train.shape[1:]} and {x_test.shape[1:]}. Bring them to one shape."
        )
    return RawImages(x_train, y_train, x_test, y_test, source)


def _checked_pair(
    arrays: Sequence[Any], parts: Sequence[str], where: str
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = arrays
    for array, part in zip(arrays, parts, strict=True):
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"{where}: {part} must be a NumPy array. Received: {type(array).__name__}. "
                "Use numpy.asarray."
            )
    if images.dtype != np.uint8 or images.ndim < 3:
        raise InputError(
            f"{where}: {parts[0]} must be uint8 of shape (images, height, width, ...). "
            f"Received: {images.dtype} of shape {images.shape}. Give pixels from 0 to 255 "
            "with .astype('uint8')."
        )
    if labels.ndim == 2 and labels.shape[1] == 1:  # CIFAR's labels come as a column
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        raise InputError(
            f"{where}: {parts[1]} must be {len(images)} integers, one per image. "
            f"Received: {labels.dtype} of shape {labels.shape}. Give one class number per image."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() <= 255:
        raise InputError(
            f"{where}: {parts[1]} must lie in 0..255. "
            f"Received: {labels.min()}..{labels.max()}. Number the classes from 0."
        )
    return np.ascontiguousarray(images), labels.astype(np.uint8)


def array_digest(array: np.ndarray) -> str:
    """Compute the SHA-256 of an array's bytes in C order."""
    contiguous = np.ascontiguousarray(array)  # this does not copy a memory map
    return hashlib.sha256(contiguous.data).hexdigest()


def verify(images: RawImages, sha256: Mapping[str, str] | None, where: Sequence[object]) -> None:
    """Check the digest of each part.

    Args:
        where: the origin of each part, for messages.

    Raises:
        InputError: a digest differs.
    """
    for part, origin in zip(PARTS, where, strict=True):
        expected = (sha256 or {}).get(part)
        if expected is None:
            continue
        received = array_digest(getattr(images, part))
        if received != expected.lower():
            raise InputError(
                f"{origin}: the SHA-256 of {part} must be {expected}. Received: {received}. "
                "Get the right file, or set data.sha256=null to use other images."
            )


def parse_idx(stream: BufferedIOBase | IO[bytes], *, kind: str, where: object) -> np.ndarray:
    """Read the array out of an IDX file of `kind` images or labels.

    >>> import io
    >>> data = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9])
    >>> parse_idx(io.BytesIO(data), kind="labels", where="doc").tolist()
    [7, 0, 9]
    """
    start = stream.read(4)
    magic = int.from_bytes(start, "big")
    if magic not in IDX_MAGIC[kind]:
        expected = " or ".join(f"0x{number:08x}" for number in IDX_MAGIC[kind])
        raise InputError(
            f"{where}: the magic number of an IDX file of {kind} must be {expected}. "
            f"Received: 0x{magic:08x}. Get the right file."
        )
    dimensions = magic & 0xFF
    header = stream.read(4 * dimensions)
    sizes = [int.from_bytes(header[i : i + 4], "big") for i in range(0, len(header), 4)]
    size = math.prod(sizes)
    check_fits(where, size)
    data = stream.read(size + 1)
    if len(data) != size or len(header) != 4 * dimensions:
        begun = len(start) + len(header)
        raise InputError(
            f"{where}: the file must have {4 + 4 * dimensions + size} bytes. Received: "
            f"{begun + len(data)}{' or more' if len(data) > size else ''}. Get the file again."
        )
    return np.frombuffer(data, np.uint8).reshape(sizes)


def from_local(name: str, path: Path, sha256: Mapping[str, str] | None) -> RawImages:
    """Read the four IDX files (.gz or not) or NAME.npz of a folder, or the .npz file itself."""
    npz = path / f"{name}.npz" if path.is_dir() else path
    if path.is_file() and path.suffix != ".npz":
        raise InputError(
            f"data.path must be a folder or an .npz file. Received: {path}, which is another file. "
            "Set data.path to its folder."
        )
    if npz.is_file():
        arrays = read_npz(npz, NPZ_KEYS[:2], optional=NPZ_KEYS[2:])
        images = checked_images(arrays, source="local", where=str(npz))
        verify(images, sha256, [npz] * 4)
        return images
    if not path.is_dir():
        raise InputError(
            f"data.path must be a folder with images in a folder per class, {name}.npz or the "
            f"four IDX files ({', '.join(IDX_FILES)}). Received: {path}, which does not exist. "
            "Set data.path to the folder."
        )
    files = [_find(path, stem) for stem in IDX_FILES]
    if not any(files):
        check_no_loose_images(path)
    missing = [stem for stem, file in zip(IDX_FILES, files, strict=True) if file is None]
    if missing:
        raise InputError(
            f"data.path must hold images in a folder per class, {name}.npz or the four IDX files. "
            f"Received: {path} without {', '.join(missing)}. Add the missing files."
        )
    present = [file for file in files if file is not None]
    arrays = [
        _read_idx(file, kind=part.partition("_")[2])
        for file, part in zip(present, PARTS, strict=True)
    ]
    images = checked_images(arrays, source="local", where=str(path))
    verify(images, sha256, present)
    return images


def is_image(file: Path) -> bool:
    """Return whether a file's name is that of an image."""
    return file.suffix.lower() in ENDINGS


def check_no_loose_images(folder: Path) -> None:
    """Check that no image lies directly in a folder that should hold a folder per class.

    Raises:
        InputError: an image does.
    """
    for file in sorted(filter(is_image, folder.iterdir())):
        raise InputError(
            f"Images must lie in one folder per class, such as {folder.name}/CLASS/{file.name}. "
            f"Received: {file}. Make a folder for each name in data.classes, and move the images "
            "there."
        )


def _find(folder: Path, stem: str) -> Path | None:
    names = [stem, stem.replace("-idx", ".idx")]  # some archives unpack to the second
    candidates = [folder / f"{name}{end}" for name in names for end in ("", ".gz")]
    return next((file for file in candidates if file.is_file()), None)


def _read_idx(file: Path, *, kind: str) -> np.ndarray:
    with opened(file) as stream:
        return parse_idx(stream, kind=kind, where=file)


def write_cache(file: Path, images: RawImages) -> None:
    """Keep downloaded images with their digests; print a line and go on if that fails."""
    arrays = {part: getattr(images, part) for part in PARTS}
    digests = [array_digest(array) for array in arrays.values()]
    try:
        with replacing(file) as path, path.open("wb") as opened:
            np.savez(opened, **arrays, source=np.array(images.source), digests=np.array(digests))
    except OSError as error:
        print(
            f"data: {file} could not be written ({error.strerror}). "
            "The next run will download the images again."
        )


def read_cache(
    file: Path, sources: Sequence[str], sha256: Mapping[str, str] | None
) -> RawImages | None:
    """Read images that `write_cache` kept from one of `sources`; remove a damaged file."""
    if not file.exists():
        return None
    try:
        *arrays, source, digests = read_npz(file, (*PARTS, "source", "digests"))
        images = checked_images(arrays, source=str(source), where=str(file))
        verify(images, dict(zip(PARTS, map(str, digests), strict=True)), [file] * 4)
        verify(images, sha256, [file] * 4)
    except InputError as error:
        print(f"data: the kept copy is removed. {error}", flush=True)
        file.unlink(missing_ok=True)
        return None
    return images if images.source in sources else None
