"""Finds the source files that a module imports, and their digest."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


def source_files(modules: Iterable[str], roots: Iterable[Path] | None = None) -> list[Path]:
    """Find the files of `modules` and of all that they import, directly or not, under `roots`.

    Files are parsed and not imported, because one of them may import TensorFlow. A module that is
    installed outside the roots gives its own file only.

    Args:
        roots: by default this package's folder and the current folder.
    """
    folders = [Path(__file__).parents[2], Path.cwd()] if roots is None else list(roots)
    files: dict[str, Path] = {}
    pending = list(modules)
    for name in pending:
        if _file_of(name, folders) is None and (installed := _installed_file(name)) is not None:
            files[name] = installed
    while pending:
        name = pending.pop()
        path = _file_of(name, folders)
        if name not in files and path is not None:
            files[name] = path
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            pending += _imports(_read(path), package)
            pending += filter(None, [name.rpartition(".")[0]])
    return sorted(files.values())


def code_digest(files: Iterable[Path]) -> str:
    """Compute the SHA-256 of what the code does; comments, docstrings and layout don't count."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(_read(path).digest)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Code:
    """What is asked of a source file."""

    imports: list[tuple[int, str | None, list[str]]]  # dots, module, names; `import a` has no names
    digest: bytes


def _read(path: Path) -> _Code:
    status = path.stat()
    return _read_once(path.absolute(), status.st_size, status.st_mtime_ns)


@cache  # a stage asks for the same files several times, and to parse them takes half a second
def _read_once(path: Path, _size: int, _changed: int) -> _Code:
    module = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    imports: list[tuple[int, str | None, list[str]]] = []
    pending: list[ast.AST] = [module]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # never imported at run time
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module, [alias.name for alias in node.names]))
    dumped = ast.dump(_without_docstrings(module))
    return _Code(imports, hashlib.sha256(dumped.encode()).digest())


def _without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return module


def _imports(code: _Code, package: str) -> list[str]:
    """Name the modules that a file of a package imports, and what may be a module of them."""
    names: list[str] = []
    for dots, module, imported in code.imports:
        # `from ..nets import f` counts its dots from the package that the file is in.
        parts = package.split(".") if package else []
        above = parts[: len(parts) + 1 - dots] if dots else []
        origin = ".".join([*above, *filter(None, [module])])
        names += [origin, *(f"{origin}.{name}" for name in imported)]
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
