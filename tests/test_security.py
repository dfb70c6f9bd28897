"""Nothing that the project reads can run code, leave its folder or name a place outside of it."""

from __future__ import annotations

import ast
import io
import ipaddress
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lrcycles.data.formats import NPZ_KEYS, read_npz
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
