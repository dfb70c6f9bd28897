"""Nothing that the project reads can run code, leave its folder or name a place outside of it."""

from __future__ import annotations

import ast
import gzip
import io
import ipaddress
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lrcycles.data.compressed import read_npz
from lrcycles.data.formats import IDX_FILES, NPZ_KEYS
from lrcycles.data.sources import fetch_images, read_packed
from lrcycles.errors import InputError
from lrcycles.evidence.fetch import need_plain_names
from lrcycles.tracking import ui

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "pipelines", "studies", "benchmarks", "own", "examples")
# Modules whose files run code when they are read.
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"read_pickle", "to_pickle", "eval", "exec", "unsafe_load", "full_load"}
FORBIDDEN_CALLS |= {"yaml.load", "os.system", "os.popen"}
FORBIDDEN_CALLS |= {"enable_unsafe_deserialization", "extractall", "unpack_archive", "mktemp"}
# Arguments with the only value that they may have.
FIXED_ARGUMENTS = {"allow_pickle": False, "safe_mode": True, "shell": False, "verify": True}


def _unsafe(code: str) -> list[str]:
    """List what may run code that is not the project's own."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            found += sorted(names & FORBIDDEN_IMPORTS)
        elif isinstance(node, ast.ImportFrom):
            found += sorted({(node.module or "").partition(".")[0]} & FORBIDDEN_IMPORTS)
        elif isinstance(node, ast.Call):
            found += _unsafe_call(node)
    return found


def _unsafe_call(node: ast.Call) -> list[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    found = [name] if {name, ast.unparse(node.func)} & FORBIDDEN_CALLS else []
    for argument in node.keywords:
        if argument.arg in FIXED_ARGUMENTS:
            value = getattr(argument.value, "value", None)
            if value is not FIXED_ARGUMENTS[argument.arg]:
                found.append(f"{name}({argument.arg}={ast.unparse(argument.value)})")
    return found


def test_no_module_reads_what_can_run_code():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 150
    found = {str(path.relative_to(ROOT)): _unsafe(path.read_text()) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "pd.read_pickle(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "yaml.load(text, yaml.Loader)",
        "yaml.unsafe_load(text)",
        "keras.models.load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "archive.extractall(folder)",
        "subprocess.run(text, shell=True)",
        "eval(text)",
    ],
)
def test_the_search_for_unsafe_calls_finds_them(code):
    assert _unsafe(code)
    assert _unsafe("np.load(path); yaml.safe_load(text); load_model(path, safe_mode=True)") == []


class _Trap:
    def __reduce__(self):
        return Path.mkdir, (Path("trapped"),)


def test_an_object_in_an_npz_file_is_refused_and_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([_Trap()], object)
    np.savez(tmp_path / "mnist.npz", **dict.fromkeys(NPZ_KEYS, objects))
    assert b"trapped" in pickle.dumps(_Trap())
    with pytest.raises(InputError, match=r"must be a whole \.npz file"):
        read_npz(tmp_path / "mnist.npz", NPZ_KEYS)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_package_whose_members_are_links_is_refused(tmp_path, kind):
    packed = tmp_path / "package.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        member = tarfile.TarInfo("package/data/train-images-idx3-ubyte")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member, io.BytesIO())
    with pytest.raises(InputError, match="is damaged"):
        read_packed(packed)


def test_members_outside_of_the_package_are_not_written(tmp_path):
    packed = tmp_path / "package.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        member = tarfile.TarInfo("../../outside")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(InputError, match="is damaged"):
        read_packed(packed)
    assert [*tmp_path.iterdir()] == [packed]


def _npz_that_claims(file: Path, shape: tuple[int, ...]) -> None:
    """Write images whose header names another shape than they have."""
    with zipfile.ZipFile(file, "w") as archive:
        for key in NPZ_KEYS[:2]:
            with archive.open(f"{key}.npy", "w") as member:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                member.write(bytes(100))


def _gzip_of_zeros(file: Path, size: int) -> None:
    """Write a small file that unpacks to an IDX header for `size` images and many zeros."""
    with gzip.open(file, "wb") as packed:
        packed.write(b"".join(n.to_bytes(4, "big") for n in (0x803, size, 1000, 1000)))
        packed.write(bytes(10_000_000))


@pytest.mark.parametrize("shape", [(10**15, 28, 28), (10**8, 28, 28)])
def test_an_array_that_claims_to_be_huge_is_refused_without_the_memory(tmp_path, shape):
    _npz_that_claims(tmp_path / "mnist.npz", shape)
    with pytest.raises(InputError, match=r"mnist\.npz must be a whole"):
        load_local(tmp_path)


def test_a_packed_file_that_would_fill_the_memory_is_refused_unread(tmp_path):
    names = [f"{name}.gz" for name in IDX_FILES]
    for name in names:
        _gzip_of_zeros(tmp_path / name, 10**9)
    with pytest.raises(InputError, match="must fit into this machine's memory"):
        load_local(tmp_path)


def test_bytes_beyond_what_a_packed_file_announces_are_not_unpacked(tmp_path):
    for name in IDX_FILES:
        _gzip_of_zeros(tmp_path / f"{name}.gz", 1)
    with pytest.raises(InputError, match=r"have 1000016 bytes\. Received: 1000017 or more"):
        load_local(tmp_path)


def test_an_image_with_too_many_pixels_is_refused(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    (tmp_path / "a").mkdir()
    Image.new("L", (20, 20)).save(tmp_path / "a" / "0.png")
    with pytest.raises(InputError, match=r"0\.png must be an image"):
        load_local(tmp_path, classes=("a",), image_shape=(20, 20))


def load_local(folder: Path, *, classes: tuple[str, ...] = (), image_shape: tuple[int, ...] = ()):
    return fetch_images(
        name="mnist", source="local", path=str(folder), sha256=None, classes=classes,
        image_shape=image_shape, root=folder,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["../mnist", "a/b", "/mnist", "..", ".hidden", "a\0b", "a b", ""])
def test_a_name_of_data_is_no_path(tmp_path, name):
    with pytest.raises(InputError, match=r"data\.name must be one word"):
        fetch_images(
            name=name, source="auto", path=None, sha256=None, classes=(), image_shape=(),
            root=tmp_path,
        )  # fmt: skip


@pytest.mark.parametrize("arm", ["../../clr", "/clr", "a/b", "..", "", "a\nb"])
def test_an_arm_of_a_tracking_server_is_no_path(arm):
    with pytest.raises(InputError, match="arm"):
        need_plain_names("the run", arm, 0)
    need_plain_names("the run", "linear_decay", 12)


def test_the_pages_of_mlflow_are_for_this_machine_only():
    assert ipaddress.ip_address(ui._HOST).is_loopback
    assert "--host" not in (ROOT / "Makefile").read_text()
