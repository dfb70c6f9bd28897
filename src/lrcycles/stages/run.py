"""How does a stage begin and end, whoever called it: DVC, MLflow or a person?"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lrcycles import files
from lrcycles.config import advice, compose, params_file, plain
from lrcycles.config.schema import GROUPS, Config
from lrcycles.errors import InputError
from lrcycles.files import replace_folder
from lrcycles.tracking import runs

_PARTS = ("train", "validation", "test")
_DISK = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the file system is read-only: work in a folder that can be written",
    errno.EACCES: "permission denied: work in a folder that can be written",
    errno.EPERM: "permission denied: work in a folder that can be written",
}


@dataclass(frozen=True)
class Run:
    """What a stage has to work with."""

    stage: str
    group: str | None  # stage `train` only
    config: Config
    values: dict[str, Any]  # params.yaml as it stands
    root: Path  # the checkout
    overrides: tuple[str, ...]  # of the command line; only by hand
    shared: Path  # where the cell store and the MLflow store are; queued experiments share it
    out: Path  # an empty folder that becomes the stage's results when the stage succeeds
    mlflow: runs.StageRun

    def data(self) -> dict[str, Any]:
        """What stage `data` says of its images."""
        found = files.read_json(self.input("data") / "data.json")
        asked = self.config.data
        keys = ("name", "split_seed", "classes", "image_shape")
        wanted = {key: getattr(asked, key) for key in keys}
        wanted |= {part: getattr(asked, f"{part}_images") for part in _PARTS}
        self._need_same("data", found | found["counts"], wanted)
        return dict(found)

    def range_test(self) -> dict[str, Any]:
        """What stage `range_test` says of its curves."""
        found = files.read_json(self.input("range_test") / "range_test.json")
        asked = plain.plain(self.config.range_test)
        wanted = {key: asked[key] for key in found["asked"]}
        self._need_same("range_test", found | found["asked"], wanted | self.subject())
        return dict(found)

    def bounds(self) -> dict[str, Any]:
        """What stage `bounds` chose."""
        found = files.read_json(self.input("bounds") / "bounds.json")
        self._need_same("bounds", found["measured_on"], self.subject())
        return dict(found)

    def subject(self) -> dict[str, Any]:
        """What is measured: model and optimizer, as configured."""
        return {"model": plain.plain(self.config.model)} | {
            "optimizer": plain.plain(self.config.optimizer)
        }

    def _need_same(self, stage: str, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        for key, value in wanted.items():
            if there[key] != value:
                raise InputError(
                    f"artifacts/{stage} was made with {key} {there[key]}, but {value} is asked "
                    f"for: use `dvc exp run -S`, which makes it again"
                )

    def input(self, stage: str) -> Path:
        """The folder of an earlier stage.

        Raises:
            InputError: that stage has not run. What `data`, `range_test` and `bounds` read must
                also have been made with what this configuration asks for, which only overrides by
                hand can change.
        """
        folder = self.root / "artifacts" / stage
        if not folder.exists():
            raise InputError(
                f"stage {self.stage} needs artifacts/{stage}, which is not there: "
                f"`dvc repro {stage.replace('/', '@')}` makes it"
            )
        return folder


Load = Callable[[Path], dict[str, Any]]


def execute(
    name: str,
    main: Callable[[Run], None],
    *,
    load: Load | None = None,
    warm_up: Callable[[Config], None] = lambda _: None,
) -> None:
    """Run stage `name` on the command line's arguments and exit.

    Without overrides it is exactly the DVC stage: params.yaml in, artifacts/ out. With overrides
    conf/ is composed with them and the results go to outputs/STAGE/TIME/.

    Args:
        load: gives the values of params.yaml, in place of reading it.
        warm_up: starts what loads slowly, while MLflow is loading too.
    """
    try:
        _execute(name, main, load or _read_params, warm_up, sys.argv[1:])
    except InputError as error:
        _fail(name, str(error), 1)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        _fail(
            name,
            f"cannot write {error.filename or 'results'}: {_DISK[error.errno]}; "
            f"what was finished is kept",
            1,
        )
    except KeyboardInterrupt:
        _fail(name, "interrupted; finished cells are kept and will not be trained again", 130)


def _execute(
    name: str,
    main: Callable[[Run], None],
    load: Load,
    warm_up: Callable[[Config], None],
    arguments: Sequence[str],
) -> None:
    root = Path.cwd()
    if not (root / "conf" / "config.yaml").exists():
        raise InputError(f"need to run in the project's root, which has conf/, got {root.name}/")
    group, overrides = _parse(name, arguments)
    if overrides:
        values = compose.compose(root / "conf", overrides)
        moment = time.strftime("%Y-%m-%d_%H-%M-%S")
        target = root / "outputs" / name / "_".join(filter(None, [moment, group]))
        if target.exists():  # two in one second
            target = target.with_name(f"{target.name}_{os.getpid()}")
    else:
        values = load(root)
        target = root / "artifacts" / name / (group or "")
    checked = compose.check(values)
    if name == "config" or overrides:
        for warning in advice.warnings(checked):
            print(f"warning: {warning}", file=sys.stderr)
    shared = Path(os.environ.get("DVC_ROOT", root))
    # What JAX compiled once it finds again, in whichever process; TensorFlow has no such store.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(shared / ".lrcycles" / "compiled"))
    warm_up(checked)
    # Not inside artifacts/STAGE, which DVC would take for results if this process were killed.
    top = root / target.relative_to(root).parts[0]
    beside = top / f".{name}.{group}.{os.getpid()}"
    _remove_abandoned(top)
    _remove_abandoned(shared / ".lrcycles" / "cells")
    beside.mkdir(parents=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with runs.start(
            f"{name}@{group}" if group else name,
            root=shared,
            config=plain.flatten(checked),
            experiment=checked.experiment,
        ) as run:
            main(Run(name, group, checked, values, root, tuple(overrides), shared, beside, run))
        replace_folder(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if overrides:
        print(f"results are in {target.relative_to(root)}/")


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes were writing: folders named .WHAT.PID."""
    for path in folder.glob(".*.*"):
        pid = path.suffix.removeprefix(".")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _parse(name: str, arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    group = None
    overrides = []
    # `mlflow run` gives all overrides as one argument, and none as an empty one.
    for argument in [word for words in arguments for word in shlex.split(words)]:
        if name == "train" and argument.startswith("group="):
            group = argument.removeprefix("group=")
        elif "=" in argument:
            overrides.append(argument)
        else:
            raise InputError(f"need arguments of the form key=value, got {argument!r}")
    if name == "train" and group not in GROUPS:
        raise InputError(f"need group= one of {', '.join(GROUPS)}, got {group or 'none'}")
    if overrides and "DVC_STAGE" in os.environ:
        raise InputError(
            f"overrides are not allowed inside dvc.yaml, got {' '.join(overrides)}: "
            f"use `dvc exp run -S {overrides[0]}`"
        )
    return group, overrides


def _read_params(root: Path) -> dict[str, Any]:
    path = root / "params.yaml"
    if not path.exists():
        raise InputError("params.yaml is not there: `dvc repro config` composes it")
    return params_file.read(path)


def _fail(stage: str, message: str, status: int) -> None:
    print(f"lrcycles {stage}: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(status)
