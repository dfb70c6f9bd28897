"""Splits, writes and reads images."""

from __future__ import annotations

import inspect
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.config import compose
from lrcycles.data import formats
from lrcycles.data.image_sets import read_sets
from lrcycles.data.prepare import prepare as prepare_data
from lrcycles.data.prepare import stratified_split
from lrcycles.errors import InputError
from tests.toy_images import (
    toy,
    write_idx,
    write_npz,
)

ROOT = Path(__file__).parents[2]


def prepare(root: Path, out: str = "out", **changes: Any) -> dict[str, Any]:
    settings = {
        "name": "toy", "source": "local", "path": "toy", "sha256": None,
        "classes": ["a", "b", "c"], "image_shape": [4, 5],
        "train_images": 21, "validation_images": 6, "test_images": 12, "split_seed": 0,
    }  # fmt: skip
    return prepare_data(**settings | changes, root=root, out=root / out)


def test_both_parts_have_the_classes_in_proportion_and_share_no_image() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    train, validation = stratified_split(labels, train=500, validation=100, seed=3)
    assert np.bincount(labels[train]).tolist() == [300, 150, 50]
    assert np.bincount(labels[validation]).tolist() == [60, 30, 10]
    assert not set(train.tolist()) & set(validation.tolist())
    assert train.dtype == validation.dtype == np.int32
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_the_seed_alone_decides_the_split() -> None:
    labels = np.arange(100) % 4

    def draw(seed: int) -> list[list[int]]:
        parts = stratified_split(labels, train=80, validation=20, seed=seed)
        return [part.tolist() for part in parts]

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
    assert sorted(itertools.chain(*draw(0))) == list(range(100))


@pytest.mark.parametrize(
    ("train", "validation", "seed", "message"),
    [
        (90, 11, 0, r"at most 100\. Received: 90 \+ 11"),
        (90, 0, 0, r"at least 1, .*Received: 90 \+ 0"),
        (90, 2, 0, "number of classes"),
        (80, 20, -1, r"data\.split_seed .*Received: -1"),
    ],
)
def test_a_split_that_cannot_be_drawn_is_refused(
    train: int, validation: int, seed: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        stratified_split(np.arange(100) % 4, train=train, validation=validation, seed=seed)


def test_a_wrong_split_seed_gets_one_message_from_the_configuration_and_from_the_split() -> None:
    values = compose.compose(ROOT / "conf", ["data.split_seed=-1"])
    with pytest.raises(InputError) as refused:
        compose.check(values)
    with pytest.raises(InputError, match=re.escape(str(refused.value))):
        stratified_split(np.arange(100) % 4, train=80, validation=20, seed=-1)


def test_equal_images_give_equal_bytes_from_every_source(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    write_npz(tmp_path / "other/toy.npz", toy())
    (tmp_path / "fortran_images.py").write_text(
        "import numpy as np\nfrom pathlib import Path\n"
        "def read():\n"
        "    with np.load(Path(__file__).with_name('other') / 'toy.npz') as f:\n"
        "        return [np.asfortranarray(f[key]) for key in f.files]\n"
    )
    prepare(tmp_path, "a")
    prepare(tmp_path, "b", path="other")
    prepare(tmp_path, "c", path=None, source="fortran_images:read")
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert files == ["data.json", "split.npz", *sorted(f"{p}.npy" for p in formats.PARTS)]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for name in set(files) - {"data.json"}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_data_json_describes_the_arrays(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    summary = prepare(tmp_path)
    assert json.loads((tmp_path / "out/data.json").read_text()) == summary
    assert summary["counts"] == {"pool": 30, "train": 21, "validation": 6, "test": 12}
    assert summary["class_counts"] == {
        "train": [7, 7, 7],
        "validation": [2, 2, 2],
        "test": [4, 4, 4],
    }
    assert_array_equal(np.load(tmp_path / "out/train_images.npy"), toy()[0])
    assert_array_equal(np.load(tmp_path / "out/test_labels.npy"), toy()[3])


def test_the_digest_follows_the_images_and_the_split(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    changed = toy()
    changed[2][0, 0, 0] ^= 1
    write_idx(tmp_path / "changed", changed)
    variants: list[dict[str, Any]] = [
        {}, {"split_seed": 1}, {"path": "changed"}, {"train_images": 20, "validation_images": 7},
    ]  # fmt: skip
    digests = [prepare(tmp_path, **change)["digest"] for change in variants]
    assert len(set(digests)) == len(variants)
    assert prepare(tmp_path)["digest"] == digests[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": 25}, r"at most 30\. Received: 25 \+ 6"),
        ({"test_images": 13}, r"data\.test_images .* 12, .*Received: 13"),
        ({"test_images": 0}, "Received: 0"),
        ({"image_shape": [4, 5, 1]}, r"must be \[4, 5\], .*Received: \[4, 5, 1\]"),
        ({"classes": ["a", "b"]}, r"Labels must lie in 0\.\.1, .*from 0 to 2\. Name every class"),
    ],
)
def test_settings_that_do_not_fit_the_images_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_idx(tmp_path / "toy", toy())
    with pytest.raises(InputError, match=message):
        prepare(tmp_path, **changes)
    assert not (tmp_path / "out").exists()


def test_labels_that_start_at_one_are_to_be_shifted(tmp_path: Path) -> None:
    x_train, y_train, x_test, y_test = toy()
    write_idx(tmp_path / "toy", [x_train, y_train + 1, x_test, y_test + 1])
    with pytest.raises(InputError, match=r"from 1 to 3\. .* subtract 1 from every label\.$"):
        prepare(tmp_path)
    with pytest.raises(InputError, match=r"subtract 1 .*\. Then name every class"):
        prepare(tmp_path, classes=["a", "b"])


def test_a_class_without_a_training_image_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_idx(tmp_path / "toy", toy())
    prepare(tmp_path, classes=["a", "b", "c", "d", "e"])
    assert "no training image has the class d, e." in capsys.readouterr().out
    prepare(tmp_path)
    assert "warning" not in capsys.readouterr().out


def test_images_are_grey_or_have_three_channels_at_the_end(tmp_path: Path) -> None:
    x_train, y_train, x_test, y_test = toy()
    for axis, shape in ((-1, r"\(4, 5, 4\)"), (1, r"\(4, 4, 5\)")):
        wide = [np.stack([x] * 4, axis=axis) for x in (x_train, x_test)]
        write_npz(tmp_path / "wide/toy.npz", [wide[0], y_train, wide[1], y_test])
        with pytest.raises(InputError, match=rf"Received: {shape}\. Convert them to grey or RGB"):
            prepare(tmp_path, path="wide", image_shape=list(wide[0].shape[1:]))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{tmp_path}/file/out must be writable"):
        prepare(tmp_path, "file/out")


def test_fewer_test_images_are_drawn_in_proportion_and_stay_in_order(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    assert prepare(tmp_path, test_images=6)["class_counts"]["test"] == [2, 2, 2]
    kept = np.load(tmp_path / "out/test_images.npy")
    rows = [next(i for i in range(12) if (toy()[2][i] == image).all()) for image in kept]
    assert rows == sorted(set(rows))


def test_the_offline_digits_are_split_three_ways_without_losing_any(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    settings = yaml.safe_load((ROOT / "conf/data/digits.yaml").read_text())
    summary = prepare_data(**settings, root=tmp_path, out=tmp_path / "out")
    assert summary["counts"] == {"pool": 1497, "train": 1200, "validation": 297, "test": 300}
    pool, test = (np.load(tmp_path / f"out/{part}_images.npy") for part in ("train", "test"))
    scaled = [[round(v * 255 / 16) for v in row] for row in load_digits().data.tolist()]
    found = np.concatenate([pool, test]).reshape(1797, 64).tolist()
    assert sorted(found) == sorted(scaled)


def test_training_reads_the_split_as_numbers_from_0_to_1(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    prepare(tmp_path)
    found = read_sets(tmp_path / "out", training_set="split")
    with np.load(tmp_path / "out/split.npz") as split:
        train, validation = split["train"], split["validation"]
    assert_allclose(found.train.scaled(), toy()[0][train] / 255, rtol=1e-6)
    assert_array_equal(found.validation.labels, toy()[1][validation])
    assert_array_equal(found.test.read(slice(2, 5)), toy()[2][2:5])
    assert found.validation.scaled().shape == (6, 4, 5)
    assert found.train.scaled().dtype == np.float32
    assert found.train.labels.dtype == np.int32


def test_the_replay_trains_on_the_whole_pool_and_validates_on_the_test_set(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    prepare(tmp_path)
    found = read_sets(tmp_path / "out", training_set="all")
    assert_array_equal(found.train.labels, toy()[1])
    assert_array_equal(found.train.read(slice(None)), toy()[0])
    assert_array_equal(found.validation.scaled(), found.test.scaled())
    assert_array_equal(found.validation.labels, toy()[3])


def test_an_empty_folder_asks_for_the_data_stage(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"without train_images\.npy\. Run `dvc repro data`"):
        read_sets(tmp_path, training_set="split")


def test_reading_arrays_imports_numpy_only(tmp_path: Path) -> None:
    write_idx(tmp_path / "toy", toy())
    prepare(tmp_path)
    heavy = {"keras", "tensorflow", "sklearn", "scipy", "pandas", "lrcycles.data.sources"}
    code = (
        "import sys; from pathlib import Path; from lrcycles.data.image_sets import read_sets; "
        f"read_sets(Path({str(tmp_path / 'out')!r}), training_set='split'); "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT / "src", text=True)
    assert printed.strip() == "[]"


@pytest.mark.parametrize("file", sorted((ROOT / "conf/data").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_data_set_names_exactly_what_the_stage_takes(file: Path) -> None:
    settings, name = yaml.safe_load(file.read_text()), file.stem
    if "defaults" in settings:
        name, _self = settings.pop("defaults")
        settings |= yaml.safe_load(file.with_stem(name).read_text())
    taken = set(inspect.signature(prepare_data).parameters) - {"root", "out"}
    assert set(settings) == taken
    assert settings["name"] == name
