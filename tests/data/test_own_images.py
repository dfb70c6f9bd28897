"""Tests images of the user's own: in folders by class, and from a function."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from lrcycles.errors import InputError
from tests.toy_images import assert_same_images, load, toy

CATS_AND_DOGS = {"name": "own", "source": "local", "classes": ["cat", "dog"]}


def write(path: Path, pixels: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_the_name_of_a_folder_is_the_class_of_its_images(tmp_path):
    second = write(tmp_path / "dog/1.png", picture(0, 4, 5, 3))
    first = write(tmp_path / "cat/deep/1.PNG", picture(1, 4, 5, 3))
    (tmp_path / "cat/notes.txt").write_text("no image")
    images = load(tmp_path, path=".", image_shape=[4, 5, 3], **CATS_AND_DOGS)
    assert_array_equal(images.train_images, [first, second])
    assert images.train_labels.tolist() == [0, 1]
    assert images.test_images.shape == (0, 4, 5, 3)


def test_images_are_split_as_their_folders_and_brought_to_one_shape(tmp_path, capsys):
    for part in "train", "test":
        write(tmp_path / part / "cat/1.png", np.full((8, 10, 3), 100, np.uint8))
        write(tmp_path / part / "dog/1.bmp", np.full((4, 5), 200, np.uint8))
    images = load(tmp_path, path=".", image_shape=[4, 5], **CATS_AND_DOGS)
    expected = np.stack([np.full((4, 5), 100), np.full((4, 5), 200)])
    assert_array_equal(images.train_images, expected)
    assert_array_equal(images.test_images, expected)
    assert images.test_labels.tolist() == [0, 1]
    assert "2 images are resized to data.image_shape=[4, 5]" in capsys.readouterr().out


def test_images_outside_of_the_folders_of_classes_are_refused(tmp_path):
    for path, folder in ("loose", "loose"), ("split", "split/train"):
        file = tmp_path / folder / "7.PNG"
        write(file, picture(0, 4, 5))
        message = rf"such as {file.parent.name}/CLASS/7\.PNG\. Received: {file}"
        with pytest.raises(InputError, match=message):
            load(tmp_path, path=path, image_shape=[4, 5], **CATS_AND_DOGS)


def test_what_is_wrong_with_the_folders_is_named(tmp_path):
    write(tmp_path / "cat/1.png", picture(0, 4, 5))
    with pytest.raises(InputError, match=r"Received: \['cat', 'dog'\]\. Set data\.classes=\[cat\]"):
        load(tmp_path, path=".", image_shape=[4, 5], **CATS_AND_DOGS)
    cats = CATS_AND_DOGS | {"classes": ["cat"]}
    with pytest.raises(InputError, match=r"image_shape must be .* Received: \[4, 5, 2\]"):
        load(tmp_path, path=".", image_shape=[4, 5, 2], **cats)
    (tmp_path / "cat/2.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"2\.png must be an image\. Received: "):
        load(tmp_path, path=".", image_shape=[4, 5], **cats)


def returns_images():
    return toy()


def returns_three():
    return toy()[:3]


def returns_two():
    return toy()[:2]


def returns_pairs():
    x_train, y_train, x_test, y_test = toy()
    return (x_train, y_train), (x_test, y_test)


def raises():
    return toy()[4]


def leaves():
    sys.exit("bye")


def test_a_function_of_the_users_gives_the_images(tmp_path):
    for function in "returns_images", "returns_pairs":
        images = load(tmp_path, source=f"tests.data.test_own_images:{function}")
        assert_same_images(images, toy())


def test_without_test_images_a_file_or_a_function_gives_an_empty_test_set(tmp_path):
    x_train, y_train, x_test, y_test = toy()
    np.savez(tmp_path / "own.npz", x_train=x_train, y_train=y_train)
    for request in (
        {"name": "own", "source": "local", "path": "own.npz"},
        {"source": "tests.data.test_own_images:returns_two"},
    ):
        images = load(tmp_path, **request)
        assert_same_images(images, [x_train, y_train, x_test[:0], y_test[:0]])
    np.savez(tmp_path / "half.npz", x_train=x_train, y_train=y_train, x_test=x_test)
    message = "x_train, y_train, and x_test, y_test if .* Received: x_train, y_train, x_test"
    with pytest.raises(InputError, match=message):
        load(tmp_path, name="own", source="local", path="half.npz")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "raises",
            r"IndexError: .* \(tests/data/test_own_images\.py:\d+, in raises: return toy\(\)\[",
        ),
        (
            "returns_three",
            r"\(tests/data/test_own_images\.py:\d+\) must return .* Received: list of 3",
        ),
        ("leaves", r"SystemExit: bye \(tests/data/test_own_images\.py:\d+, in leaves: sys\."),
        ("nothing", r"test_own_images has no function nothing"),
    ],
)
def test_a_function_that_gives_none_is_one_line_with_its_place(function, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load(tmp_path, source=f"tests.data.test_own_images:{function}")


def test_a_file_of_the_users_that_cannot_be_imported_is_named(tmp_path):
    (tmp_path / "their_images.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(InputError, match=r"py:1, in <module>: import nothing_of_this_name\)"):
        load(tmp_path, source="their_images:load")
