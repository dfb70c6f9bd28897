"""Fetches a data set, splits it and writes its arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import files
from lrcycles.errors import InputError

if TYPE_CHECKING:
    from lrcycles.data.formats import RawImages


def stratified_split(
    labels: np.ndarray, *, train: int, validation: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two disjoint sets of images with the classes in the pool's proportions.

    Returns:
        The sorted int32 indices of the training and of the validation images.

    >>> t, v = stratified_split(np.array([0, 1] * 50), train=60, validation=20, seed=0)
    >>> np.bincount(np.arange(100)[t] % 2).tolist(), np.bincount(v % 2).tolist()
    ([30, 30], [10, 10])
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    if min(train, validation) < 1 or train + validation > len(labels):
        raise InputError(
            "data.train_images and data.validation_images must each be at least 1, together at "
            f"most {len(labels)}. Received: {train} + {validation}. Change one of them."
        )
    if not 0 <= seed < 2**32:
        raise InputError(
            f"data.split_seed must be a whole number from 0 to 4,294,967,295. Received: {seed}. "
            "Set data.split_seed=0, for example."
        )
    splitter = StratifiedShuffleSplit(
        n_splits=1, train_size=train, test_size=validation, random_state=seed
    )
    try:
        train_indices, validation_indices = next(splitter.split(labels, labels))
    except ValueError as error:  # a class is too rare, or a part smaller than the classes
        raise InputError(
            "Training and validation images must hold the classes in the pool's proportions. "
            f"Received: {train} + {validation} of {len(labels)} images ({error}). Change "
            "data.train_images or data.validation_images."
        ) from error
    return _sorted_indices(train_indices), _sorted_indices(validation_indices)


def prepare(
    *,
    name: str,
    source: str,
    path: str | None,
    sha256: Mapping[str, str] | None,
    classes: Sequence[str],
    image_shape: Sequence[int],
    train_images: int,
    validation_images: int,
    test_images: int,
    split_seed: int,
    root: Path,
    out: Path,
) -> dict[str, Any]:
    """Fetch, check and split a data set; write its arrays and data.json to `out`.

    Equal images give equal files from every source, except for "source" in data.json.

    Args:
        source: see `sources.fetch_images`.
        sha256: expected digests of the pixels and labels; None checks nothing.
        image_shape: the shape of one image.
        root: the project's folder, where downloads are kept.

    Returns:
        The content of data.json.
    """
    from lrcycles.data import sources
    from lrcycles.data.formats import array_digest

    images = sources.fetch_images(
        name=name,
        source=source,
        path=path,
        sha256=sha256,
        classes=classes,
        image_shape=image_shape,
        root=root,
    )
    _check_images(images, classes=classes, image_shape=image_shape)
    arrays = _pool_and_test(images, test_images=test_images, seed=split_seed)
    labels = arrays["train_labels"]
    train, validation = stratified_split(
        labels, train=train_images, validation=validation_images, seed=split_seed
    )
    digests = {part: array_digest(array) for part, array in arrays.items()}
    test = arrays["test_labels"]
    drawn = {"train": labels[train], "validation": labels[validation], "test": test}
    summary = {
        "schema": 1,
        "name": name,
        "source": images.source,
        "sha256": digests,
        "counts": {"pool": len(labels)} | {part: len(drawn[part]) for part in drawn},
        "class_counts": {part: _count_classes(drawn[part], len(classes)) for part in drawn},
        "classes": list(classes),
        "image_shape": list(image_shape),
        "split_seed": split_seed,
        "digest": _digest_of_split(digests, image_shape, train, validation),
    }
    _write(out, arrays, summary, train=train, validation=validation)
    return summary


def _write(
    out: Path,
    arrays: Mapping[str, np.ndarray],
    summary: Mapping[str, Any],
    *,
    train: np.ndarray,
    validation: np.ndarray,
) -> None:
    try:
        for part, array in arrays.items():
            with files.replacing(out / f"{part}.npy") as path, path.open("wb") as file:
                np.save(file, array)
        with files.replacing(out / "split.npz") as path, path.open("wb") as file:
            np.savez(file, train=train, validation=validation)
        files.write_json(out / "data.json", summary)
    except OSError as error:
        raise InputError(
            f"{out} must be writable. Received: {error.strerror}. Free space or allow writing."
        ) from error


def _check_images(images: RawImages, *, classes: Sequence[str], image_shape: Sequence[int]) -> None:
    received = images.train_images.shape[1:]
    if received[2:] not in ((), (1,), (3,)):
        raise InputError(
            "Images must have the shape (height, width) or (height, width, 3). "
            f"Received: {received}. Convert them to grey or RGB, with the channels last."
        )
    if received != tuple(image_shape):
        raise InputError(
            f"data.image_shape must be {list(received)}, the images' shape. "
            f"Received: {list(image_shape)}. Set data.image_shape={list(received)}."
        )
    labels = np.concatenate([images.train_labels, images.test_labels])
    lowest, highest = int(labels.min()), int(labels.max())
    if highest >= len(classes):
        name = "" if highest == len(classes) else " Then name every class in data.classes."
        from_one = f"Labels start at 0: subtract 1 from every label.{name}"
        raise InputError(
            f"Labels must lie in 0..{len(classes) - 1}, one per name in data.classes. "
            f"Received: labels from {lowest} to {highest}. "
            f"{from_one if lowest == 1 else 'Name every class in data.classes.'}"
        )
    counts = _count_classes(images.train_labels, len(classes))
    if absent := [name for name, count in zip(classes, counts, strict=True) if not count]:
        print(
            f"data: warning: no training image has the class {', '.join(absent)}. "
            "Add images, or remove the class from data.classes.",
            flush=True,
        )


def _pool_and_test(images: RawImages, *, test_images: int, seed: int) -> dict[str, np.ndarray]:
    """Pick the training pool and `test_images` test images, both in their published order."""
    published = len(images.test_labels)
    available = published or len(images.train_labels)
    if not 1 <= test_images <= available:
        raise InputError(
            f"data.test_images must be from 1 to {available}, the number of images. "
            f"Received: {test_images}. Set data.test_images={available} or less."
        )
    x_test, y_test = images.test_images, images.test_labels
    x_pool, y_pool = images.train_images, images.train_labels
    if published == 0:  # draw the test set first; the pool is the rest
        kept, drawn = stratified_split(
            y_pool, train=len(y_pool) - test_images, validation=test_images, seed=seed
        )
        x_test, y_test = x_pool[drawn], y_pool[drawn]
        x_pool, y_pool = x_pool[kept], y_pool[kept]
    elif test_images < published:
        drawn, _ = stratified_split(
            y_test, train=test_images, validation=published - test_images, seed=seed
        )
        x_test, y_test = x_test[drawn], y_test[drawn]
    return {
        "train_images": x_pool,
        "train_labels": y_pool,
        "test_images": x_test,
        "test_labels": y_test,
    }


def _count_classes(labels: np.ndarray, classes: int) -> list[int]:
    counts: list[int] = np.bincount(labels, minlength=classes).tolist()
    return counts


def _sorted_indices(indices: np.ndarray) -> np.ndarray:
    return np.sort(indices).astype(np.int32)


def _digest_of_split(
    digests: Mapping[str, str], shape: Sequence[int], train: np.ndarray, validation: np.ndarray
) -> str:
    """Make one SHA-256 of the images' digests and the split, which decide what training sees."""
    text = " ".join(map(str, [*digests.values(), *shape, len(train), len(validation)]))
    indices = np.concatenate([train, validation]).astype("<i4").tobytes()
    return hashlib.sha256(text.encode() + indices).hexdigest()
