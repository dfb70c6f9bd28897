"""Who may import whom, and does dvc.yaml name what a stage imports?"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

from lrcycles.cells.code import source_files

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lrcycles"

# What each room of src/lrcycles may import, besides itself and `errors`. `room.module` opens one
# module of a room. Rooms that are not named here (cli) may import anything.
MAY_IMPORT = {
    "errors": set(),
    "drawing": set(),
    "files": set(),
    "schedules": set(),
    "cells": {"files"},
    "config": {"schedules", "files"},
    "data": {"files", "drawing"},
    "models": {"schedules"},
    "tracking": {"cells", "files"},
    "training": {"cells", "data", "models", "schedules", "files"},
    "range_tests": {"training", "cells", "schedules", "files", "drawing"},
    "bounds": {"range_tests", "schedules", "drawing"},
    "advising": {"bounds", "range_tests", "schedules", "drawing", "files"},
    "evidence": {"cells", "config.schema", "tracking", "files"},
    "report": {"evidence", "bounds.plots", "config.schema", "drawing", "files"},
    "stages": {"training", "cells", "config", "tracking", "files"},
}
ANYTHING = {"cli", "__init__"}

# Which rooms or modules may import a framework.
OWNERS = {
    "hydra": {"config"},
    "omegaconf": {"config"},
    "mlflow": {"tracking"},
    "jinja2": {"report"},
    "tensorflow": {"training", "range_tests.keras_model"},
    "jax": {"training", "range_tests.keras_model"},
    "keras": {
        "advising.snippet",  # one lazy import, to name an optimizer
        "data.sources",
        "models",
        "range_tests.keras_model",
        "range_tests.of_model",
        "schedules.keras_base",
        "schedules.keras_callback",
        "schedules.keras_optimizers",
        "schedules.keras_schedules",
        "schedules.rates",  # one lazy import, for tensors
        "training",
    },
    "matplotlib": {"drawing", "data", "range_tests", "bounds", "advising", "report", "files"},
    "seaborn": {"drawing", "report"},
}
MOST_MODULES, MOST_LINES, MOST_FUNCTION_LINES = 14, 300, 50
LONG_FUNCTIONS = {"range_tests.of_model.range_test", "advising.of_model.advise"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name below `lrcycles`."""
    named = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }
    return {name.removesuffix(".__init__"): path for name, path in named.items()}


@cache
def imported(path: Path) -> set[str]:
    """Full names of all that a file imports, lazily or for type checking too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def inside(name: str, places: set[str]) -> bool:
    """Whether a dotted name is one of the places or lies below one."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def room_of(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("room", sorted({room_of(name) for name in modules()} - ANYTHING))
def test_a_room_imports_only_the_rooms_below_it(room):
    allowed = MAY_IMPORT[room] | {room, "errors"}
    wrong = {
        f"{module} imports {name}"
        for module, path in modules().items()
        if room_of(module) == room
        for name in (
            full.removeprefix("lrcycles.") for full in imported(path) if "lrcycles." in full
        )
        if not inside(name, allowed)
    }
    assert not wrong


@pytest.mark.parametrize("framework", OWNERS)
def test_a_framework_is_imported_only_by_its_owners(framework):
    users = {
        module
        for module, path in modules().items()
        if any(room_of(name) == framework for name in imported(path))
    }
    assert users, f"nobody imports {framework}: take it out of OWNERS"
    assert not {user for user in users if not inside(user, OWNERS[framework])}
    for path in (ROOT / "pipelines").glob("*.py"):
        assert not any(room_of(name) == framework for name in imported(path)), path.name


def test_no_room_grows_beyond_what_a_newcomer_can_oversee():
    for folder in {path.parent for path in modules().values()}:
        counted = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(counted) <= MOST_MODULES, folder.name
    for module, path in modules().items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, module


def function_lines(path: Path) -> dict[str, int]:
    """The lines of every function of a file, by name, without its docstring."""
    lines = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            first = node.body[0]
            docstring = first.end_lineno - first.lineno + 1 if documented else 0
            lines[node.name] = max(
                lines.get(node.name, 0), node.end_lineno - node.lineno + 1 - docstring
            )
    return lines


def test_no_function_grows_beyond_a_page():
    long = {
        f"{module}.{name}"
        for module, path in modules().items()
        for name, lines in function_lines(path).items()
        if lines > MOST_FUNCTION_LINES
    }
    assert long <= LONG_FUNCTIONS


def test_package_files_hold_a_question_and_no_code():
    for path in {path for path in modules().values() if path.name == "__init__.py"}:
        if path.parent != PACKAGE:
            [question] = ast.parse(path.read_text(encoding="utf-8")).body
            assert isinstance(question, ast.Expr)
            assert "?" in ast.literal_eval(question.value), path.parent.name


def stages(file: Path) -> dict[str, dict]:
    """The stages of a dvc.yaml, those of a `foreach` once."""
    listed = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in listed.items()}


def packages(*named: str) -> set[str]:
    """The packages and files under src/ that importing these modules runs code of."""
    files = source_files([*named, "lrcycles"], [ROOT / "src", ROOT])
    inner = [path.relative_to(ROOT) for path in files if PACKAGE in path.parents]
    return {"/".join(path.parts[:3]) for path in inner}


# The backend's engine is imported by its name.
ENGINES = ("lrcycles.training.tensorflow_engine", "lrcycles.training.jax_engine")


@pytest.mark.parametrize("stage", stages(ROOT / "dvc.yaml"))
def test_dvc_yaml_names_the_packages_that_a_stage_imports(stage):
    deps = stages(ROOT / "dvc.yaml")[stage]["deps"]
    extra = ENGINES if stage in ("range_test", "train") else ()
    assert {dep for dep in deps if dep.startswith("src/")} == packages(f"pipelines.{stage}", *extra)
    assert {"pipelines/__init__.py", f"pipelines/{stage}.py"} <= set(deps)


def test_dvc_yaml_stays_short_enough_to_be_read():
    assert sum(len(stage["deps"]) for stage in stages(ROOT / "dvc.yaml").values()) <= 115
