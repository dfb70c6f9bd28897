"""What is one training, exactly, and has it been done before?"""

from __future__ import annotations

import ast
import errno
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles import results


@dataclass(frozen=True)
class Runtime:
    """What a training runs on; part of a cell's key, since it can change bits."""

    backend: str
    device: str  # cpu or gpu
    precision: str
    threads: int
    side_by_side: int  # cells that one program trains
    versions: Mapping[str, str]
    sources: str  # digest of the code that trains


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: everything that decides its numbers, and nothing else."""

    group: str
    arm: str
    seed: int
    schedule: Mapping[str, Any]  # name, base_lr, max_lr, step_size, cycles
    optimizer: Mapping[str, Any]  # name, arguments
    model: Mapping[str, Any]  # function, arguments
    classes: int
    epochs: int
    batch_size: int
    training_set: str  # split, or all: the test set is the validation set then
    compile: str
    data: str  # digest
    runtime: Runtime
    momentum: Mapping[str, float] | None = None  # base_momentum, max_momentum of cycled momentum
    class_weights: Sequence[float] | None = None  # multiply the training loss, by class
    streamed: bool = False  # read by windows, which are shuffled one by one
    uses_bounds: bool = False  # a rate is one that stage `bounds` chose: that has its price
    continues: str | None = None
    parent: str | None = None  # key of the cell whose weights this one starts from

    @property
    def key(self) -> str:
        """SHA-256 over everything but names and where a rate comes from, which decide no number."""
        content = asdict(self)
        for name in ("group", "arm", "continues", "uses_bounds"):
            del content[name]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def shape(self) -> tuple[Any, ...]:
        """What is compiled for: cells of equal shape share one program."""
        momentum = self.momentum is not None
        return (
            *(self.model, self.optimizer, self.compile, self.runtime, self.classes),
            *(self.batch_size, self.training_set, self.streamed, self.class_weights, momentum),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cell:
        return cls(**{**values, "runtime": Runtime(**values["runtime"])})


def link(cells: Iterable[Cell]) -> list[Cell]:
    """Give every continuing cell its parent's key, in any depth."""
    named = {(cell.arm, cell.seed): cell for cell in cells}

    def linked(cell: Cell) -> Cell:
        if cell.continues is None:
            return cell
        return replace(cell, parent=linked(named[cell.continues, cell.seed]).key)

    return [linked(cell) for cell in named.values()]


def chains(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group cells so that a parent and what continues it follow one another in one chain.

    Chains are interleaved by seed, so that a slow phase of the machine hits every arm alike.
    """
    roots: dict[str, list[Cell]] = {}
    root_of: dict[str, str] = {}
    pending = sorted(cells, key=lambda cell: cell.seed)
    while pending:
        later = []
        for cell in pending:
            if cell.parent is None or not any(cell.parent == other.key for other in cells):
                root_of[cell.key] = cell.key
                roots.setdefault(cell.key, [cell])
            elif cell.parent in root_of:
                root_of[cell.key] = root_of[cell.parent]
                roots[root_of[cell.key]].append(cell)
            else:
                later.append(cell)
        pending = later
    return list(roots.values())


def teams(chains: Iterable[Sequence[Cell]]) -> list[list[Sequence[Cell]]]:
    """Group chains whose cells have equal shapes, so that one program trains them side by side."""
    found: dict[str, list[list[Sequence[Cell]]]] = {}
    for chain in chains:
        alike = found.setdefault(repr([(cell.shape, cell.epochs) for cell in chain]), [[]])
        if len(alike[-1]) == chain[0].runtime.side_by_side:
            alike.append([])
        alike[-1].append(chain)
    return [team for alike in found.values() for team in alike]


@dataclass(frozen=True)
class Store:
    """Finished cells, each a folder named by its key; shared by all runs of a checkout."""

    root: Path

    def folder(self, key: str) -> Path:
        return self.root / key

    def has(self, cell: Cell, *, model: bool) -> bool:
        """Whether the cell is here and whole, with its network if `model`."""
        folder = self.folder(cell.key)
        try:
            steps = results.read_json(folder / "result.json")["steps"]
            whole = len(np.load(folder / "steps.npy", mmap_mode="r")) == steps
        except (OSError, ValueError, KeyError, TypeError):
            return False  # absent, or damaged: trained again, and replaced
        return whole and (not model or (folder / "model.keras").exists())

    def result(self, cell: Cell) -> dict[str, Any]:
        """The cell's result.json, under the names by which the caller knows the cell."""
        found = results.read_json(self.folder(cell.key) / "result.json")
        names = ("arm", "group", "continues", "uses_bounds")
        return {**found, **{name: getattr(cell, name) for name in names}}

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """Give a folder to fill; it becomes the cell's in one rename if the block succeeds."""
        self.root.mkdir(parents=True, exist_ok=True)
        beside = self.root / f".{key}.{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            yield beside
            try:
                replace_folder(beside, self.folder(key))
            except OSError as error:
                # Another process finished the same cell in this instant: equal keys, equal results.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def replace_folder(new: Path, old: Path) -> None:
    """Put folder `new` where `old` is; if that fails, `old` is what it was."""
    aside = new.with_name(f"{new.name}.old")
    with suppress(FileNotFoundError):
        old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        if aside.exists() and not old.exists():
            aside.rename(old)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def source_files(modules: Iterable[str], roots: Iterable[Path] | None = None) -> list[Path]:
    """The files under `roots` that `modules` import, however deep, and their own.

    Found by reading, without importing: one of them may be TensorFlow's. An installed module
    outside of the roots (this package's folder and the current one) gives its own file only.
    """
    folders = [Path(__file__).parents[1], Path.cwd()] if roots is None else list(roots)
    found: dict[str, Path] = {}
    pending = list(modules)
    for name in pending:
        if _file_of(name, folders) is None and (installed := _installed_file(name)) is not None:
            found[name] = installed
    while pending:
        name = pending.pop()
        path = _file_of(name, folders)
        if name not in found and path is not None:
            found[name] = path
            pending += [*_imports(name, path), *filter(None, [name.rpartition(".")[0]])]
    return sorted(found.values())


def code_digest(files: Iterable[Path]) -> str:
    """SHA-256 of what the files say to Python: comments and layout don't count."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(ast.dump(ast.parse(path.read_text(encoding="utf-8"))).encode())
    return digest.hexdigest()


def _imports(module: str, path: Path) -> list[str]:
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    names: list[str] = []
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # for readers and type checkers: never imported
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from ..nets import f` counts its dots from the package that the file is in.
            above = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            names += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return names


def _file_of(module: str, roots: Iterable[Path]) -> Path | None:
    for root in roots:
        inside = root.joinpath(*module.split("."))
        for path in (inside.with_suffix(".py"), inside / "__init__.py"):
            if path.is_file():
                return path
    return None


def _installed_file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
