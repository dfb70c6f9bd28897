"""Reads local files and the user's own arrays, and checks what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrcycles.data import formats
from lrcycles.errors import InputError
from tests.toy_images import (
    IDX_NAMES,
    assert_same_images,
    idx_bytes,
    load,
    toy,
    write_idx,
    write_npz,
)


@pytest.mark.parametrize("source", ["local", "auto"])
@pytest.mark.parametrize("zipped", [False, True])
def test_local_idx_files_are_read_zipped_or_not(tmp_path: Path, source: str, zipped: bool) -> None:
    write_idx(tmp_path / "files", toy(), zipped=zipped)
    images = load(tmp_path, source=source, path="files")
    assert images.source == "local"
    assert_same_images(images, toy())


@pytest.mark.parametrize("path", ["files", "files/mnist.npz"])
def test_a_local_npz_is_read_by_folder_or_by_file(tmp_path: Path, path: str) -> None:
    write_npz(tmp_path / "files/mnist.npz", toy())
    assert_same_images(load(tmp_path, source="local", path=path), toy())


def test_colour_images_with_a_column_of_labels_are_read(tmp_path: Path) -> None:
    x_train, y_train, x_test, y_test = toy()
    colour = [np.stack([x] * 3, axis=-1) for x in (x_train, x_test)]
    columns = [y[:, None].astype(np.int64) for y in (y_train, y_test)]
    write_npz(tmp_path / "cifar10.npz", [colour[0], columns[0], colour[1], columns[1]])
    images = load(tmp_path, name="cifar10", source="local", path=".")
    assert_same_images(images, [colour[0], y_train, colour[1], y_test])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"Received: {tmp_path}/nowhere, which does not exist"):
        load(tmp_path, source="local", path="nowhere")


def test_a_file_of_another_kind_is_not_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"a folder or an \.npz file\. Received: .*a\.png, which"):
        load(tmp_path, source="local", path="a.png")


def test_local_without_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"data\.source=local\. Received: data\.path=null\. Set data\.path=FOLDER"
    ):
        load(tmp_path, source="local")


def test_missing_files_are_named(tmp_path: Path) -> None:
    (write_idx(tmp_path / "files", toy()) / IDX_NAMES[2]).unlink()
    with pytest.raises(InputError, match=r"without t10k-images-idx3-ubyte\. "):
        load(tmp_path, source="local", path="files")


def test_wrong_images_are_refused_with_file_and_both_digests(tmp_path: Path) -> None:
    write_idx(tmp_path / "files", toy())
    # sha256 of the empty string, as every table of test vectors has it
    expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    received = hashlib.sha256(bytes([0, 1, 2] * 10)).hexdigest()
    with pytest.raises(
        InputError, match=rf"{IDX_NAMES[1]}: .*be {expected}\. Received: {received}\."
    ):
        load(tmp_path, source="local", path="files", sha256={"train_labels": expected})


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (0, lambda b: b[:-7], "must have 616 bytes. Received: 609"),
        (0, lambda b: b + b"0", "must have 616 bytes. Received: 617"),
        (1, lambda b: b[:6], "must have"),
        (1, lambda _: b"", "Received: 0x00000000"),
        (2, lambda _: b"<html>", "must be 0x00000803 or 0x00000804. Received: 0x3c68746d"),
        (3, lambda _: idx_bytes(toy()[2]), "must be 0x00000801. Received: 0x00000803"),
        (3, lambda _: idx_bytes(toy()[3][:-1]), "must be 12 integers"),
    ],
)
def test_a_damaged_idx_file_is_named_with_what_was_expected(
    tmp_path: Path, name: int, damage: Any, message: str
) -> None:
    file = write_idx(tmp_path / "files", toy()) / IDX_NAMES[name]
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, source="local", path="files")
    assert file.name in str(caught.value) or "test_labels" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda _: b"plain", lambda _: b""])
@pytest.mark.parametrize("file", ["mnist.npz", f"{IDX_NAMES[0]}.gz"])
def test_a_damaged_archive_is_named(tmp_path: Path, file: str, damage: Any) -> None:
    if file.endswith(".npz"):
        write_npz(tmp_path / file, toy())
    else:
        write_idx(tmp_path, toy(), zipped=True)
    (tmp_path / file).write_bytes(damage((tmp_path / file).read_bytes()))
    with pytest.raises(InputError, match=file) as caught:
        load(tmp_path, source="local", path=".")
    assert "\n" not in str(caught.value)


def test_the_arrays_of_a_wrong_npz_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", images=toy()[0])
    with pytest.raises(
        InputError, match=r"must hold the arrays x_train, y_train, .*Received: images"
    ):
        load(tmp_path, source="local", path=".")


def test_the_users_own_function_gives_images(tmp_path: Path) -> None:
    write_npz(tmp_path / "toy.npz", toy())
    (tmp_path / "own_images.py").write_text(
        "import numpy as np\nfrom pathlib import Path\n"
        "def read():\n"
        "    with np.load(Path(__file__).with_name('toy.npz')) as f:\n"
        "        return f['x_train'], f['y_train'].astype(int), f['x_test'], f['y_test']\n"
    )
    path_before = list(sys.path)
    images = load(tmp_path, name="own", source="own_images:read")
    assert images.source == "own_images:read"
    assert_same_images(images, toy())
    assert sys.path == path_before


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("x, y, x", "must return .* Received: tuple of 3"),
        ("None", "Received: NoneType"),
        ("x / 255, y, x, y", "train_images must be uint8 .*Received: float64"),
        ("x[0], y, x, y", r"train_images must be .*shape \(4, 5\)"),
        ("x, y, x, y[1:]", "test_labels must be 6 integers"),
        ("x, y * .5, x, y", "train_labels must be 6 integers.*Received: float64"),
        ("x, y - 1, x, y", r"train_labels must lie in 0\.\.255\. Received: -1\.\."),
        ("x, list(y), x, y", "train_labels must be a NumPy array. Received: list"),
        ("x[:0], y[:0], x, y", "at least one training image"),
        ("x, y, x[:, 1:], y", r"one shape\. Received: \(4, 5\) and \(3, 5\)"),
    ],
)
def test_what_the_users_function_returns_is_checked(
    tmp_path: Path, returned: str, message: str, request: pytest.FixtureRequest
) -> None:
    module = f"own_{request.node.callspec.indices['returned']}"
    (tmp_path / f"{module}.py").write_text(
        "import numpy as np\nx = np.zeros((6, 4, 5), np.uint8)\ny = np.arange(6)\n"
        f"def read():\n    return {returned}\n"
    )
    with pytest.raises(InputError, match=message):
        load(tmp_path, source=f"{module}:read")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such_module:read", "No module named 'no_such_module'"),
        ("json:no_such_function", "json has no function no_such_function"),
        ("json:", "must have the form module:function"),
    ],
)
def test_a_function_that_is_not_there_is_named(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, source=source)


def test_a_kept_copy_is_read_for_its_own_source_only(tmp_path: Path) -> None:
    write_idx(tmp_path / "files", toy())
    images = dataclasses.replace(load(tmp_path, path="files"), source="npm")
    file = tmp_path / "kept.npz"
    formats.write_cache(file, images)
    kept = formats.read_cache(file, ("keras", "npm"), None)
    assert kept is not None
    assert kept.source == "npm"
    assert_same_images(kept, toy())
    assert formats.read_cache(file, ("keras",), None) is None
    assert file.exists()


def test_a_download_that_cannot_be_kept_is_still_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = load(write_idx(tmp_path / "files", toy()), path=".")
    (tmp_path / ".lrcycles").touch()
    formats.write_cache(tmp_path / ".lrcycles/data/mnist.npz", images)
    assert "could not be written" in capsys.readouterr().out
