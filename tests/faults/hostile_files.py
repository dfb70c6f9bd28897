"""Files that break what a reader of range tests may take for granted.

Each kind is a dict from a name to a function that writes the file into a folder and returns its
path. A file of `REFUSED` holds no range test; a file of `ANSWERED` holds the one of `RATES` and
`LOSSES`, in a form that is unusual.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import socket
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

Maker = Callable[[Path], Path]

POINTS = 200
RATES = np.geomspace(1e-6, 10.0, POINTS)
_EXPONENT = np.log10(RATES)
LOSSES = 2.3 - 2 / (1 + np.exp(-(_EXPONENT + 2) / 0.3)) + 10 ** np.minimum(3 * _EXPONENT - 0.5, 4)
LOSSES += 0.05 * np.random.default_rng(0).normal(size=POINTS)
FRAME = pd.DataFrame({"lr": RATES, "loss": LOSSES})
LR, LOSS = RATES.tolist(), LOSSES.tolist()
CSV = FRAME.to_csv(index=False)


def written(name: str, content: bytes | str | Callable[[], bytes | str]) -> Maker:
    """Return what writes a file; large contents are made when they are written."""

    def write(folder: Path) -> Path:
        path, made = folder / name, content() if callable(content) else content
        path.write_bytes(made.encode() if isinstance(made, str) else made)
        return path

    return write


def _csv(**columns: Any) -> str:
    return pd.DataFrame({"lr": LR, "loss": LOSS, **columns}).to_csv(index=False)


def _json(content: Any) -> str:
    return json.dumps(content)


def _zip(name: str, content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return held.getvalue()


def _tar(name: str, content: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return held.getvalue()


def _npz() -> bytes:
    held = io.BytesIO()
    np.savez(held, lr=RATES, loss=LOSSES)
    return held.getvalue()


def _npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array, allow_pickle=True)
    return held.getvalue()


def _parquet(table: Any, **how: Any) -> bytes:
    held = io.BytesIO()
    parquet.write_table(pa.table(table), held, **how)
    return held.getvalue()


def _h5(folder: Path) -> Path:
    with h5py.File(folder / "history.csv", "w") as file:
        file["lr"], file["loss"] = RATES, LOSSES
    return folder / "history.csv"


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


@cache
def zeros_in_gzip() -> bytes:
    """Return a little more than the most bytes that are read, compressed."""
    return gzip.compress(bytes(101_000_000), 1)


TEXT = CSV.encode()

BINARY: dict[str, Maker] = {
    "random bytes": written("h.csv", np.random.default_rng(1).bytes(20_000)),
    "all bytes": written("h.json", bytes(range(256)) * 10),
    "zeros": written("h.csv", bytes(10_000)),
    "text with a NUL": written("h.csv", TEXT.replace(b"\n", b"\0\n", 3)),
    "NUL at the end": written("h.csv", TEXT + b"\0"),
    "numpy": written("h.csv", _npy(RATES)),
    "numpy of objects": written("h.json", _npy(np.array([_Trap()], object))),
    "npz": written("h.parquet", _npz()),
    "pickle": written("h.csv", pickle.dumps({"lr": LR, "loss": LOSS})),
    "pickle with a trap": written("h.json", pickle.dumps(_Trap())),
    "pickle as text": written("h.csv", pickle.dumps(_Trap(), protocol=0)),
    "pickle of a table": written("h.parquet", pickle.dumps(FRAME)),
    "pickle in gzip": written("h.csv.gz", gzip.compress(pickle.dumps(_Trap()))),
    "HDF5": _h5,
    "zip": written("h.csv", _zip("h.csv", TEXT)),
    "zip with a path": written("h.csv", _zip("../../h.csv", TEXT)),
    "tar": written("h.csv", _tar("../h.csv", TEXT)),
    "png": written("h.csv", base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ")),
    "executable": written("h.csv", b"\x7fELF" + bytes(100) + TEXT),
    "sqlite": written("h.csv", b"SQLite format 3\0" + bytes(500)),
    "arrow": written("h.parquet", b"ARROW1\0\0" + bytes(100)),
    "half a parquet": written("h.parquet", _parquet(FRAME)[:700]),
    "parquet without its end": written("h.parquet", _parquet(FRAME)[:-4]),
    "parquet's mark alone": written("h.parquet", b"PAR1"),
    "parquet's two marks": written("h.parquet", b"PAR1\0\0\0\0PAR1"),
    "a large footer": written("h.parquet", b"PAR1" + bytes(50) + b"\xff\xff\xff\x7fPAR1"),
    "half a gzip": written("h.csv.gz", gzip.compress(TEXT)[:200]),
    "damaged gzip": written("h.csv.gz", gzip.compress(TEXT)[:50] + b"x" * 100),
    "gzip's mark alone": written("h.csv.gz", b"\x1f\x8b"),
    "half a bz2": written("h.csv", bz2.compress(TEXT)[:200]),
    "half an xz": written("h.csv", lzma.compress(TEXT)[:200]),
    "xz with a huge window": written(
        "h.csv", b"\xfd7zXZ\0\0\4\xe6\xd6\xb4F\2\0!\1\x28\0\0\0" + b"\1" * 80
    ),
}
BOMBS: dict[str, Maker] = {
    "gzip bomb": written("h.csv.gz", lambda: zeros_in_gzip()),
    "gzip bomb of a table": written("h.csv.gz", lambda: gzip.compress(b"lr,loss\n" + b"1,2\n" * 5_000_000, 1)),
    "bz2 bomb": written("h.csv", lambda: bz2.compress(bytes(101_000_000))),
    "xz bomb": written("h.csv", lambda: lzma.compress(bytes(101_000_000), preset=0)),
    "gzip in bz2 in xz": written("h", lambda: lzma.compress(bz2.compress(zeros_in_gzip()))),
    "zip bomb": written("h.csv", lambda: _zip("h.csv", bytes(101_000_000))),
    "YAML bomb": written("h.yaml", lambda: "a: &a [x,x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
    ),
    "YAML of an object": written("h.yaml", lambda: "!!python/object/apply:os.mkdir [trapped]\n"),
    "parquet of a million equal rows of lists": written("h.parquet", lambda: _parquet({"lr": pa.array([[0.1] * 100] * 300_000), "loss": [1.0] * 300_000})
    ),
    "parquet of too many rows": written("h.parquet", lambda: _parquet({"lr": np.zeros(3_000_000), "loss": np.zeros(3_000_000)})
    ),
    "parquet of a long text in all rows": written("h.parquet", lambda: _parquet({"lr": pa.array(["x" * 100_000] * 20_000), "loss": [1.0] * 20_000})
    ),
    "empty lists": written("h.json", lambda: "[" + "[]," * 10_000_000 + "[]]"),
    "empty objects": written("h.json", lambda: "[" + "{}," * 10_000_000 + "{}]"),
    "objects of other names": written("h.json", lambda: _json([{"lr": 1, "loss": 1, f"k{n}": 1} for n in range(30_000)])
    ),
    "a million keys": written("h.json", lambda: _json({f"k{n}": [1] for n in range(1_000_000)})),
    "lists of objects of lists": written("h.json", lambda: _json([[{"a": {"b": [1, 2]}} for _ in range(300)] for _ in range(300)])
    ),
    "blank lines": written("h.csv", lambda: b"lr,loss\n" + b"\n" * 50_000_000),
    "remarks": written("h.csv", lambda: b"#\n" * 5_000_000 + TEXT[:200]),
    "spaces": written("h.csv", lambda: b" " * 50_000_000 + b"x"),
    "short rows below many names": written("h.csv", lambda: ",".join(map(str, ["lr", "loss", *range(15_000)])) + "\n1" * 100_000),
    "too many columns": written("h.csv", lambda: ",".join(f"a{n}" for n in range(100_000)) + "\n" + "1," * 100_000),
    "a long first line": written("h.csv", lambda: "lr,loss," + "x" * 30_000_000 + "\n1,2,3\n"),
    "a long line": written("h.csv", lambda: CSV + "1," * 20_000_000),
    "a long cell": written("h.csv", lambda: CSV + "1,2" + "0" * 30_000_000 + "x\n"),
    "a long name of a column": written("h.csv", lambda: CSV.replace("lr", "x" * 500_000)),
    "too many seeds": written("h.csv", lambda: "seed,lr,loss\n" + "".join(f"{n // 30},{1 + n % 30},1\n" for n in range(300_000))
    ),
    "a seed for each row": written("h.csv", lambda: _csv(seed=range(POINTS))),
    "too many runs": written("h.csv", lambda: ",".join(f"r{n} - lr,r{n} - loss" for n in range(3000)) + ("\n" + "1,2," * 3000) * 30,
    ),
}  # fmt: skip
DEEP: dict[str, Maker] = {
    "lists": written("h.json", "[" * 100_000 + "]" * 100_000),
    "objects": written("h.json", '{"a":' * 100_000 + "1" + "}" * 100_000),
    "lists never closed": written("h.json", "[" * 100_000),
    "deep in a row": written("h.json", '{"lr": 1}\n{"a": ' + "[" * 100_000),
    "deep in a cell": written("h.csv", "lr,loss\n" + f'"{"[" * 100_000}",1\n' * 30),
    "deep below the rates": written("h.json", '{"lr": [' + "[" * 900 + "]" * 900 + "]}"),
    "lists of 900 levels": written("h.json", "[" * 900 + "1" + "]" * 900),
    "objects of 900 levels": written("h.json", '{"lr":' * 900 + "1" + "}" * 900),
    "repeated names": written("h.json", '{"lr": [1], "lr": [2], "loss": 1}'),
}


def _with(lr: Any = None, loss: Any = None, **more: Any) -> Maker:
    """Write a CSV with some cells replaced: a dict from the row to the text."""
    rates, losses = [str(rate) for rate in LR], [str(loss) for loss in LOSS]
    for column, changes in ((rates, lr), (losses, loss)):
        for row, text in (changes or {}).items():
            column[row] = text
    return written("h.csv", pd.DataFrame({"lr": rates, "loss": losses, **more}).to_csv(index=False))


NUMBERS: dict[str, Maker] = {
    "a rate of 1e400": _with({150: "1e400"}),
    "a rate of 1e300": _with({199: "1e300"}),
    "a rate of 1e-320": _with({0: "1e-320"}),
    "a rate of 1e-200": _with({0: "1e-200"}),
    "a rate of inf": _with({199: "inf"}),
    "a rate of -inf": _with({0: "-inf"}),
    "a negative rate": _with({3: "-0.1"}),
    "all rates negative": written("h.csv", FRAME.assign(lr=-RATES).to_csv(index=False)),
    "all rates 0": written("h.csv", FRAME.assign(lr=0.0).to_csv(index=False)),
    "a rate of 0 in the middle": _with({100: "0"}),
    "rates of words": _with(dict.fromkeys(range(POINTS), "high")),
    "a complex rate": _with({3: "(1e-3+2j)"}),
    "complex losses": written("h.csv", FRAME.assign(loss=LOSSES + 1j).to_csv(index=False)),
    "dates as rates": _with(dict.fromkeys(range(POINTS), "2026-01-01")),
    "dates as losses": _with(None, dict.fromkeys(range(POINTS), "2026-01-01 12:00")),
    "true and false": _with(None, dict.fromkeys(range(POINTS), "True")),
    "hexadecimal": _with(None, dict.fromkeys(range(POINTS), "0xFF")),
    "a formula": _with({5: "=HYPERLINK(A1)"}),
    "a formula as name": written("h.csv", CSV.replace("lr", '"=cmd|\' /C calc\'!A0"', 1)),
    "terminal codes as name": written("h.csv", CSV.replace("lr", "\x1b[2J\x1b]0;title\x07", 1)),
    "losses all nan": _with(None, dict.fromkeys(range(POINTS), "nan")),
    "losses all inf": _with(None, dict.fromkeys(range(POINTS), "inf")),
    "rates all nan": _with(dict.fromkeys(range(POINTS), "nan")),
    "a constant rate": written("h.csv", FRAME.assign(lr=0.1).to_csv(index=False)),
    "unsorted rates": written("h.csv", FRAME.sample(frac=1, random_state=0).to_csv(index=False)),
    "rates up and down": written("h.csv", CSV + CSV.partition("\n")[2]),
    "one row": written("h.csv", "lr,loss\n0.1,1\n"),
    "one number": written("h.csv", "1"),
    "one word": written("h.csv", "hello"),
    "no rows": written("h.csv", "lr,loss\n"),
    "no names": written("h.csv", "\n".join("1 2 3" for _ in range(50))),
    "empty": written("h.csv", b""),
    "blank": written("h.csv", " \n\t\r\n"),
    "a BOM alone": written("h.csv", b"\xef\xbb\xbf"),
    "a UTF-16 BOM alone": written("h.csv", b"\xff\xfe"),
    "half of UTF-16": written("h.csv", CSV.encode("utf-16")[:-1]),
    "UTF-16 without a BOM": written("h.csv", CSV.encode("utf-16-le")),
    "EBCDIC": written("h.csv", CSV.encode("cp500")),
    "quotes never closed": written("h.csv", CSV.replace("\n1", '\n"1', 1)),
    "only quotes": written("h.csv", '"' * 1001),
    "only separators": written("h.csv", ",,,\n" * 50),
    "more cells than names": written("h.csv", CSV.replace("\n", ",1,2\n").replace("loss,1,2", "loss")),
    "a row of more cells": written("h.csv", CSV + "1,2,3,4\n"),
    "a mean of epochs alone": written("h.csv", CSV.replace("loss", "val_loss")),
    "JSON of a number": written("h.json", "[1]"),
    "JSON of text": written("h.json", '{"lr": "abc", "loss": "def"}'),
    "JSON of null": written("h.json", '{"lr": null, "loss": null}'),
    "JSON of nulls": written("h.json", _json({"lr": [None] * 50, "loss": [None] * 50})),
    "JSON of objects in lists": written("h.json", _json({"lr": [{}] * 50, "loss": [[]] * 50})),
    "JSON of other lengths": written("h.json", _json({"lr": LR, "loss": LOSS[:-1]})),
    "JSON of a long number": written("h.json", '{"lr": [' + "9" * 5000 + '], "loss": [1]}'),
    "JSON of long numbers": written("h.json", _json({"lr": [10**400] * 50, "loss": LOSS[:50]})),
    "JSON of ragged rows": written("h.json", _json([[1, 2], [3]] * 50)),
    "JSON of empty objects": written("h.json", _json([{}] * 50)),
    "JSON with no names": written("h.json", _json([{"": 1, " ": 2}] * 50)),
    "JSON of mixed rows": written("h.json", _json([{"lr": 1, "loss": 2}, 5, None] * 50)),
    "JSON of infinite rates": written("h.json", _json({"lr": [*LR[:-1], np.inf], "loss": LOSS})),
    "JSON with half a pair of surrogates": written("h.json", '{"\\ud800": [1], "lr": 2}'),
    "JSON that ends early": written("h.json", _json({"lr": LR, "loss": LOSS})[:-1]),
    "JSON with remarks": written("h.json", "// x\n" + _json({"lr": LR, "loss": LOSS})),
    "XML": written("h.csv", "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
    "HTML": written("h.csv", "<html><body>Sign in</body></html>"),
    "Python": written("h.csv", "import os\nos.mkdir('trapped')\n"),
    "YAML": written("h.yaml", "lr: 0.1\nloss: 2\n"),
    "a pointer of Git LFS": written("h.csv", "version https://git-lfs.github.com/spec/v1\noid x\n"),
    "a missing seed": _with(seed=[None] + [1] * (POINTS - 1)),
}  # fmt: skip
PARQUET: dict[str, Maker] = {
    "structs": written("h.parquet", _parquet({"lr": [{"a": 1.0}] * 50, "loss": [1.0] * 50})),
    "structs of structs": written("h.parquet", _parquet({"run": [{"m": {"lr": 1.0, "loss": 1.0}}] * 50})),
    "maps": written("h.parquet", _parquet({"lr": pa.array([[("a", 1.0)]] * 50, pa.map_(pa.string(), pa.float64())), "loss": [1.0] * 50})),
    "lists of lists": written("h.parquet", _parquet({"lr": [[[1.0]]] * 50, "loss": [1.0] * 50})),
    "bytes": written("h.parquet", _parquet({"lr": [b"\0\xff"] * 50, "loss": [1.0] * 50})),
    "dates": written("h.parquet", _parquet({"lr": pd.date_range("2026", periods=50), "loss": [1.0] * 50})),
    "durations": written("h.parquet", _parquet({"lr": pd.timedelta_range("1s", periods=50), "loss": [1.0] * 50})),
    "nulls": written("h.parquet", _parquet({"lr": pa.nulls(50), "loss": pa.nulls(50)})),
    "no columns": written("h.parquet", _parquet(pa.table({"a": [1] * 50}).select([]))),
    "no rows": written("h.parquet", _parquet({"lr": pa.array([], pa.float64()), "loss": pa.array([], pa.float64())})),
    "booleans": written("h.parquet", _parquet({"lr": RATES, "loss": RATES > 1})),
    "words": written("h.parquet", _parquet({"lr": ["a"] * 50, "loss": [1.0] * 50})),
    "names of one letter": written("h.parquet", _parquet({"": RATES, " ": LOSSES})),
    "infinite rates": written("h.parquet", _parquet({"lr": np.where(RATES > 9, np.inf, RATES), "loss": LOSSES})),
    "broken pandas metadata": written("h.parquet", _parquet(pa.table({"lr": RATES[:5], "loss": LOSSES[:5]}).replace_schema_metadata({"pandas": "{"}))),
    "strange pandas metadata": written("h.parquet", _parquet(pa.table({"lr": RATES[:5], "loss": LOSSES[:5]}).replace_schema_metadata({"pandas": _json({"index_columns": ["no"], "columns": [], "column_indexes": []})}))),
    "broken arrow schema": written("h.parquet", _parquet(FRAME).replace(b"ARROW:schema", b"ARROW:schemX")[:-60]),
}  # fmt: skip


def _made(make: Callable[[Path], object], name: str) -> Maker:
    def write(folder: Path) -> Path:
        make(folder / name)
        return folder / name

    return write


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)
    os.chdir(here)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _outside(name: str) -> Maker:
    return lambda _: Path(name)


PLACES: dict[str, Maker] = {
    "nothing": _outside("nothing.csv"),
    "a folder": _made(Path.mkdir, "folder.csv"),
    "a named pipe": _made(os.mkfifo, "pipe.csv"),
    "a socket": _made(_socket, "socket.csv"),
    "a loop of links": _made(lambda path: path.symlink_to(path.name), "loop.csv"),
    "a link to nothing": _made(lambda path: path.symlink_to("gone"), "link.csv"),
    "a link to a device": _made(lambda path: path.symlink_to("/dev/zero"), "zero.csv"),
    "a terabyte of nothing": _made(_sparse, "sparse.csv"),
    "zeros without end": _outside("/dev/zero"),
    "random bytes without end": _outside("/dev/urandom"),
    "no bytes": _outside("/dev/null"),
    "a full device": _outside("/dev/full"),
    "memory of the process": _outside("/proc/self/mem"),
    "a file in a file": _outside("/etc/passwd/history.csv"),
    "a name of 300 letters": _outside("x" * 300),
    "a path of 5000 letters": _outside("x/" * 2500),
    "a name with a NUL": _outside("a\0b.csv"),
    "an empty name": _outside(""),
    "a name with a new line": _outside("a\nb\nc.csv"),
    "a name with terminal codes": _outside("\x1b[2J\x07.csv"),
    "a name that is no UTF-8": _outside(os.fsdecode(b"\xff\xfe.csv")),
    "passwords": _outside("/etc/passwd"),
}
REFUSED = {
    "binary": BINARY, "bombs": BOMBS, "deep": DEEP, "numbers": NUMBERS, "parquet": PARQUET,
    "places": PLACES,
}  # fmt: skip

_SUMMARY = {
    "initial_loss": {"0": 2.5},
    "initial_accuracy": {"0": 0.1},
    "ramp": "exponential",
    "train_seconds": 1.0,
    "optimizer": {"name": "sgd", "arguments": {"momentum": 0.0}},
    "notes": [],
}


def beside_curves(summary: bytes | str | Callable[[Path], object]) -> Maker:
    """Write curves.parquet, and range_test.json beside it."""

    def write(folder: Path) -> Path:
        FRAME.assign(seed=0, step=range(1, POINTS + 1)).to_parquet(folder / "curves.parquet")
        if callable(summary):
            summary(folder / "range_test.json")
        else:
            written("range_test.json", summary)(folder)
        return folder / "curves.parquet"

    return write


def _changed(**entries: Any) -> Maker:
    return beside_curves(_json({**_SUMMARY, **entries}))


REFUSED["range_test.json"] = {
    "empty": beside_curves(b""),
    "half": beside_curves(_json(_SUMMARY)[:-9]),
    "binary": beside_curves(bytes(range(256))),
    "pickle": beside_curves(pickle.dumps(_SUMMARY)),
    "deep": beside_curves("[" * 100_000),
    "a list": beside_curves("[]"),
    "a number": beside_curves("1"),
    "null": beside_curves("null"),
    "no entries": beside_curves("{}"),
    "a pipe": beside_curves(os.mkfifo),
    "a folder": beside_curves(Path.mkdir),
    "a device": beside_curves(lambda path: path.symlink_to("/dev/zero")),
    "a bomb": beside_curves(lambda path: path.write_bytes(zeros_in_gzip())),
    "momentum of words": _changed(optimizer={"arguments": {"momentum": "high"}}),
    "momentum of 1": _changed(optimizer={"arguments": {"momentum": 1}}),
    "momentum of inf": _changed(optimizer={"arguments": {"momentum": np.inf}}),
    "momentum of nan": _changed(optimizer={"arguments": {"momentum": np.nan}}),
    "arguments of a list": _changed(optimizer={"arguments": []}),
    "optimizer of a word": _changed(optimizer="sgd"),
    "losses of a list": _changed(initial_loss=[2.5]),
    "losses of words": _changed(initial_loss={"0": "high"}),
    "seeds of words": _changed(initial_loss={"first": 2.5}),
    "a seed of 5000 digits": _changed(initial_loss={"9" * 5000: 2.5}),
    "infinite losses": _changed(initial_loss={"0": np.inf}),
    "long losses": _changed(initial_loss={"0": 10**400}),
    "accuracies of lists": _changed(initial_accuracy={"0": [1]}),
    "another ramp": _changed(ramp="upwards"),
    "a ramp of a list": _changed(ramp=[]),
    "notes of a word": _changed(notes="none"),
    "notes of numbers": _changed(notes=[1]),
    "seconds of words": _changed(train_seconds="long"),
}

HUGE = 1e300
ANSWERED: dict[str, Maker] = {
    "a BOM": written("h.csv", b"\xef\xbb\xbf" + TEXT),
    "UTF-16": written("h.csv", CSV.encode("utf-16")),
    "UTF-32": written("h.csv", CSV.encode("utf-32")),
    "Latin-1": written("h.csv", _csv(größe=1).encode("latin-1")),
    "Shift-JIS": written("h.csv", _csv(表=1).encode("shift-jis")),
    "carriage returns": written("h.csv", CSV.replace("\n", "\r")),
    "both line ends": written("h.csv", CSV.replace("\n", "\r\n")),
    "gzip": written("h.parquet", gzip.compress(TEXT)),
    "two gzips": written("h.csv", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])),
    "bz2": written("h", bz2.compress(TEXT)),
    "xz": written("h", lzma.compress(TEXT)),
    "parquet as CSV": written("h.csv", _parquet(FRAME)),
    "JSON as CSV": written("h.csv", _json({"lr": LR, "loss": LOSS})),
    "CSV as parquet": written("h.parquet", TEXT),
    "no suffix": written("history", TEXT),
    "numbers as text": written("h.json", _json({"lr": list(map(str, LR)), "loss": LOSS})),
    "quotes and new lines in cells": written("h.csv", _csv(note='say "no"\n, or')),
    "formulas in cells": written("h.csv", _csv(note="=1+cmd|' /C calc'!A0")),
    "terminal codes in cells": written("h.csv", _csv(note="\x1b[2J")),
    "long cells": written("h.csv", _csv(note="x" * 10_000)),
    "10,000 columns": written("h.csv", pd.concat([FRAME, pd.DataFrame(1, index=range(POINTS), columns=[f"c{n}" for n in range(10_000)])], axis=1).to_csv(index=False)),
    "an infinite seed": written("h.csv", _csv(seed=np.inf)),
    "a huge seed": written("h.csv", _csv(seed=1e300)),
    "a negative seed": written("h.csv", _csv(seed=-3)),
    "a seed that is a date": written("h.csv", _csv(seed="2026-01-01")),
    "seeds all missing": written("h.csv", _csv(seed=np.nan)),
    "a long name of a seed": written("h.csv", _csv(seed="s" * 10_000)),
    "infinite steps": written("h.csv", _csv(step=np.inf)),
    "huge steps": written("h.csv", _csv(step=np.arange(POINTS) * 1e290)),
    "steps of words": written("h.csv", _csv(step="first")),
    "negative steps": written("h.csv", _csv(step=np.arange(POINTS) - 500)),
    "accuracies of words": written("h.csv", _csv(val_accuracy="good")),
    "huge accuracies": written("h.csv", _csv(val_accuracy=HUGE)),
    "infinite held-out losses": written("h.csv", _csv(val_loss=np.inf)),
    "rates last first": written("h.csv", FRAME[::-1].to_csv(index=False)),
    "a rate of 0 at first": written("h.csv", "lr,loss\n0,2.3\n" + CSV.partition("\n")[2]),
    "rows without numbers": written("h.csv", CSV + "nan,nan\n" * 50),
    "blank lines": written("h.csv", CSV.replace("\n", "\n\n")),
    "remarks of 10,000 lines": written("h.csv", "# x\n" * 10_000 + CSV),
    "separators at the ends": written("h.csv", CSV.replace("\n", ",\n")),
    "parquet with lists beside": written("h.parquet", _parquet({"lr": RATES, "loss": LOSSES, "x": [[1, 2]] * POINTS})),
    "parquet with structs beside": written("h.parquet", _parquet({"lr": RATES, "loss": LOSSES, "x": [{"a": 1}] * POINTS})),
    "parquet with dates beside": written("h.parquet", _parquet({"lr": RATES, "loss": LOSSES, "x": pd.date_range("2026", periods=POINTS)})),
    "parquet with bytes beside": written("h.parquet", _parquet({"lr": RATES, "loss": LOSSES, "x": [b"\xff"] * POINTS})),
    "parquet of decimals": written("h.parquet", _parquet({"lr": pa.array(RATES), "loss": pa.array(LOSS).cast(pa.decimal128(38, 20), safe=False)})),
    "parquet of texts": written("h.parquet", _parquet({"lr": list(map(str, LR)), "loss": list(map(str, LOSS))})),
    "parquet of categories": written("h.parquet", _parquet(pa.table({"lr": pa.array(list(map(str, LR))).dictionary_encode(), "loss": LOSS}))),
    "parquet of lists of one": written("h.parquet", _parquet({"lr": [[rate] for rate in LR], "loss": LOSS})),
    "parquet of brotli": written("h.parquet", _parquet(FRAME, compression="brotli")),
}  # fmt: skip


def _losses(losses: Any) -> Maker:
    return written("h.csv", pd.DataFrame({"lr": RATES, "loss": losses}).to_csv(index=False))


def _rates(rates: Any) -> Maker:
    return written("h.csv", pd.DataFrame({"lr": rates, "loss": LOSSES}).to_csv(index=False))


_RANDOM = np.random.default_rng(2)
# A range test, but an extreme one: an answer, or the reason for none.
EXTREME: dict[str, Maker] = {
    "losses of 1e99": _losses(LOSSES * 1e99),
    "losses of 1e300": _losses(LOSSES * 1e300),
    "losses of -1e99": _losses(-LOSSES * 1e99),
    "losses of 1e-300": _losses(LOSSES * 1e-300),
    "losses below zero": _losses(LOSSES - 100),
    "constant losses": _losses(1.0),
    "losses of 0": _losses(0.0),
    "losses that fall": _losses(-np.arange(POINTS)),
    "losses that rise": _losses(np.arange(POINTS)),
    "losses that alternate": _losses(np.where(np.arange(POINTS) % 2, 1e99, -1e99)),
    "one finite loss": _losses(np.where(np.arange(POINTS) == 50, 1.0, np.nan)),
    "one finite loss among infinite ones": _losses(np.where(np.arange(POINTS) == 50, 1.0, np.inf)),
    "losses of inf and -inf": _losses(np.where(np.arange(POINTS) % 2, np.inf, -np.inf) + np.where(np.arange(POINTS) == 7, np.nan, 0)),
    "-inf at the end": _losses(np.where(np.arange(POINTS) > 150, -np.inf, LOSSES)),
    "losses missing at first": _losses(np.where(np.arange(POINTS) < 50, np.nan, LOSSES)),
    "every second loss missing": _losses(np.where(np.arange(POINTS) % 2, np.nan, LOSSES)),
    "random losses missing": _losses(np.where(_RANDOM.random(POINTS) < 0.5, np.nan, LOSSES)),
    "random losses infinite": _losses(np.where(_RANDOM.random(POINTS) < 0.3, np.inf, LOSSES)),
    "losses of nothing but noise": _losses(_RANDOM.normal(size=POINTS)),
    "heavy noise": _losses(_RANDOM.standard_cauchy(size=POINTS) * 1e6),
    "rates of 1e-90": _rates(RATES * 1e-90),
    "rates of 1e90": _rates(RATES * 1e90),
    "rates over 190 decades": _rates(np.geomspace(1e-95, 1e95, POINTS)),
    "rates that hardly rise": _rates(1 + np.arange(POINTS) * 2.0**-52),
    "rates with one jump": _rates(np.where(np.arange(POINTS) == POINTS - 1, 1e50, RATES)),
    "linear rates from 1e-90": _rates(np.linspace(1e-90, 1, POINTS)),
    "steps that each repeat": _rates(np.repeat(RATES[::2], 2)),
    "20 rows": written("h.csv", FRAME[::10].to_csv(index=False)),
    "names of fastai, losses of 1e99": written("h.json", _json({"lrs": LR, "losses": (LOSSES * 1e99).tolist()})),
    "names of fastai, infinite losses": written("h.json", _json({"lrs": LR, "losses": [np.inf] * 50 + LOSS[50:]})),
    "names of flair, losses of 0": written("h.csv", pd.DataFrame({"ITERATION": 1, "TIMESTAMP": 1, "LEARNING_RATE": RATES, "TRAIN_LOSS": 0.0}).to_csv(index=False)),
    "rates of Lightning, losses of 0": written("h.csv", pd.DataFrame({"lr": 1e-7 * 1e8 ** (np.array([0, *range(2, POINTS + 1)]) / POINTS), "loss": 0.0}).to_csv(index=False)),
    "rates of Lightning, huge losses": written("h.csv", pd.DataFrame({"lr": 1e-7 * 1e8 ** (np.array([0, *range(2, POINTS + 1)]) / POINTS), "loss": LOSSES * 1e99}).to_csv(index=False)),
    "rates of Lightning, nan at first": written("h.csv", pd.DataFrame({"lr": 1e-7 * 1e8 ** (np.array([0, *range(2, POINTS + 1)]) / POINTS), "loss": np.where(np.arange(POINTS) < 30, np.inf, LOSSES)}).to_csv(index=False)),
    "huge held-out losses and accuracies": written("h.csv", _csv(val_loss=HUGE, val_accuracy=-HUGE)),
    "200 seeds": written("h.csv", pd.concat([FRAME.assign(seed=seed) for seed in range(200)]).to_csv(index=False)),
}  # fmt: skip


def long_file(points: int, form: str, folder: Path) -> Path:
    """Write the range test with many points."""
    rates = np.geomspace(1e-6, 10.0, points)
    exponent = np.log10(rates)
    loss = 2.3 - 2 / (1 + np.exp(-(exponent + 2) / 0.3))
    loss += 10 ** np.minimum(3 * exponent - 0.5, 4)
    loss += 0.05 * np.random.default_rng(0).normal(size=points)
    path, table = folder / f"h.{form}", pd.DataFrame({"lr": rates, "loss": loss})
    if form == "csv":
        table.to_csv(path, index=False)
    elif form == "csv.gz":
        table.assign(step=range(points), seed=0, epoch=1).to_csv(path, index=False)
    elif form == "parquet":
        table.to_parquet(path)
    elif form == "jsonl":
        table.to_json(path, orient="records", lines=True, double_precision=15)
    elif form == "rows.json":
        table.to_json(path, orient="records", double_precision=15)
    else:
        path.write_text(json.dumps(table.to_dict("list")))
    return path
