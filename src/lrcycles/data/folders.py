"""Reads images from folders that are named like their classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.data.formats import RawImages, check_no_loose_images, checked_images, is_image
from lrcycles.errors import InputError

PARTS = ("train", "test")


def has_classes(folder: Path) -> bool:
    """Return whether a folder holds folders of images."""
    return any(map(is_image, folder.glob("*/**/*")))


def read_classes(folder: Path, classes: Sequence[str], image_shape: Sequence[int]) -> RawImages:
    """Read FOLDER/CLASS/*, or FOLDER/train/CLASS/* and FOLDER/test/CLASS/*.

    A class's place in `classes` is its label. An image of another size is resized.

    Raises:
        InputError: the folders are not those of the classes, or a file is no image.
    """
    split = (folder / "train").is_dir()
    parts = [folder / part for part in PARTS] if split else [folder]
    arrays: list[np.ndarray] = []
    resized = 0
    for part in parts:
        if part.is_dir():
            images, labels, changed = _read_part(part, classes, image_shape)
            arrays += [images, labels]
            resized += changed
    if resized:
        print(f"data: {resized} images are resized to data.image_shape={list(image_shape)}.")
    return checked_images(arrays, source="local", where=str(folder))


def _read_part(
    folder: Path, classes: Sequence[str], image_shape: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, int]:
    found = {path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."}
    if not found:
        check_no_loose_images(folder)
    if found != set(classes):
        raise InputError(
            f"data.classes must name the folders in {folder}, one for each class. Received: "
            f"{list(classes)}. Set data.classes=[{','.join(sorted(found))}]."
        )
    files = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if is_image(path)
    ]
    images = np.empty((len(files), *image_shape), np.uint8)
    resized = 0
    for row, (path, _) in enumerate(files):
        images[row], changed = _read_image(path, image_shape)
        resized += changed
    return images, np.array([label for _, label in files], np.uint8), resized


def _read_image(path: Path, image_shape: Sequence[int]) -> tuple[Any, bool]:
    from PIL import Image, UnidentifiedImageError

    height, width, *channels = image_shape
    modes = {(): "L", (1,): "L", (3,): "RGB"}
    mode = modes.get(tuple(channels))
    if mode is None:
        raise InputError(
            "data.image_shape must be [height,width] or [height,width,3] for images in folders. "
            f"Received: {list(image_shape)}. Change data.image_shape."
        )
    try:
        with Image.open(path) as opened:
            image = opened.convert(mode)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise InputError(
            f"{path} must be an image. Received: {error}. Remove or replace the file."
        ) from error
    changed = image.size != (width, height)
    if changed:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(tuple(image_shape)), changed
