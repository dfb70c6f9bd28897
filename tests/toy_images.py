"""Makes a data set of toy images and its files, without the code under test."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal

from lrcycles.data import formats, sources
from lrcycles.data.formats import RawImages

IDX_NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
IDX_NAMES += [name.replace("train", "t10k") for name in IDX_NAMES]


def load(root: Path, **changes: Any) -> RawImages:
    request: dict[str, Any] = {"name": "mnist", "source": "auto", "path": None, "sha256": None}
    request |= {"classes": ["0", "1", "2"], "image_shape": [4, 5]}
    return sources.fetch_images(**request | {"root": root} | changes)


def toy() -> list[np.ndarray]:
    """Thirty training and twelve test images of 4 x 5 pixels in three equal classes."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, size=(42, 4, 5), dtype=np.uint8)
    labels = np.arange(42, dtype=np.uint8) % 3
    return [pixels[:30], labels[:30], pixels[30:], labels[30:]]


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.tobytes()


def write_idx(folder: Path, arrays: list[np.ndarray], *, zipped: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(IDX_NAMES, arrays, strict=True):
        content = idx_bytes(array)
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def write_npz(file: Path, arrays: list[np.ndarray]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    keys = ("x_train", "y_train", "x_test", "y_test")
    np.savez(file, **dict(zip(keys, arrays, strict=True)))
    return file


def assert_same_images(images: RawImages, arrays: list[np.ndarray]) -> None:
    for part, array in zip(formats.PARTS, arrays, strict=True):
        assert_array_equal(getattr(images, part), array)
        assert getattr(images, part).dtype == np.uint8
