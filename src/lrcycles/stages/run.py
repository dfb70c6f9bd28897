"""Begins and ends a stage, whether DVC, MLflow or a person started it."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from lrcycles import files
from lrcycles.cells.store import CellStore
from lrcycles.config import advice, compose, params_file, plain
from lrcycles.config.schema import Config
from lrcycles.errors import InputError
from lrcycles.files import replace_folder
from lrcycles.stages import command_line
from lrcycles.tracking import runs

_PARTS = ("train", "validation", "test")
_DISK = {
    errno.ENOSPC: "a full disk. Free some space",
    errno.EDQUOT: "a used-up disk quota. Free some space",
    errno.EROFS: "a read-only file system. Work in a folder that can be written",
    errno.EACCES: "permission denied. Work in a folder that can be written",
    errno.EPERM: "permission denied. Work in a folder that can be written",
}


@dataclass(frozen=True)
class Run:
    """What a stage works with."""

    stage: str
    group: str | None  # stage `train` only
    config: Config
    values: dict[str, Any]  # params.yaml as it stands
    root: Path  # the checkout
    overrides: tuple[str, ...]  # of the command line; empty inside DVC
    shared: Path  # the folder of the cell store and the MLflow store; queued experiments share it
    out: Path  # an empty folder, which becomes the stage's results if the stage succeeds
    tracked: runs.StageRun | None = None  # once MLflow has started

    @property
    def mlflow(self) -> runs.StageRun:
        """The stage's run in MLflow."""
        assert self.tracked is not None, "warm_up runs before MLflow starts"
        return self.tracked

    @property
    def store(self) -> CellStore:
        """The store of finished trainings and measurements."""
        return CellStore(self.shared / ".lrcycles" / "cells")

    def data(self) -> dict[str, Any]:
        """Read data.json of stage `data`."""
        content = files.read_json(self.input("data") / "data.json")
        asked = self.config.data
        keys = ("name", "split_seed", "classes", "image_shape")
        wanted = {key: getattr(asked, key) for key in keys}
        wanted |= {part: getattr(asked, f"{part}_images") for part in _PARTS}
        self._need_same("data", content | content["counts"], wanted)
        return dict(content)

    def range_test(self) -> dict[str, Any]:
        """Read range_test.json of stage `range_test`."""
        content = files.read_json(self.input("range_test") / "range_test.json")
        asked = plain.plain(self.config.range_test)
        wanted = {key: asked[key] for key in content["asked"]}
        self._need_same("range_test", content | content["asked"], wanted | self.subject())
        return dict(content)

    def bounds(self) -> dict[str, Any]:
        """Read bounds.json of stage `bounds`."""
        content = files.read_json(self.input("bounds") / "bounds.json")
        self._need_same("bounds", content["measured_on"], self.subject())
        return dict(content)

    def subject(self) -> dict[str, Any]:
        """Model and optimizer, as configured."""
        return {"model": plain.plain(self.config.model)} | {
            "optimizer": plain.plain(self.config.optimizer)
        }

    def _need_same(self, stage: str, made: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        for key, value in wanted.items():
            if made[key] != value:
                raise InputError(
                    f"artifacts/{stage} must be made with {key}={value}. Received: results made "
                    f"with {key}={made[key]}. Use `dvc exp run -S`, which makes them again."
                )

    def input(self, stage: str) -> Path:
        """Find the results of an earlier stage.

        Raises:
            InputError: the earlier stage has not run. The methods `data`, `range_test` and `bounds`
                also refuse results that were made with another configuration, which happens only
                with overrides by hand.
        """
        folder = self.root / "artifacts" / stage
        if not folder.exists():
            raise InputError(
                f"artifacts/{stage} must be there for stage {self.stage}. Received: no such "
                f"folder. Run `dvc repro {stage.replace('/', '@')}`."
            )
        return folder


Load = Callable[[Path], dict[str, Any]]


def execute(
    name: str,
    main: Callable[[Run], None],
    *,
    load: Load | None = None,
    warm_up: Callable[[Run], None] = lambda _: None,
) -> None:
    """Run stage `name` on the command line's arguments and exit.

    Without overrides the stage is exactly the DVC stage: it reads params.yaml and writes to
    artifacts/. With overrides it composes conf/ with them and writes to outputs/STAGE/TIME/.

    Args:
        load: gives the values of params.yaml; by default the file is read.
        warm_up: starts to load slow modules that the stage will need, while MLflow is loading too.
    """
    if set(sys.argv[1:]) & set(command_line.HELP):
        purpose = (sys.modules[main.__module__].__doc__ or "").strip()
        print(command_line.help_text(name, purpose, Path.cwd() / "conf"))
        return
    try:
        _execute(name, main, load or _read_params, warm_up, sys.argv[1:])
    except InputError as error:
        _fail(name, str(error), 1)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        _fail(
            name,
            f"{error.filename or 'the results'} must be writable. Received: {_DISK[error.errno]}. "
            "Finished cells are kept.",
            1,
        )
    except KeyboardInterrupt:
        _fail(name, "interrupted. Finished cells are kept and will not be trained again.", 130)


def _execute(
    name: str,
    main: Callable[[Run], None],
    load: Load,
    warm_up: Callable[[Run], None],
    arguments: Sequence[str],
) -> None:
    root = Path.cwd()
    if not (root / "conf" / "config.yaml").exists():
        raise InputError(
            "The current folder must be the project's root, which has conf/. "
            f"Received: {root.name}/. Change to the root first."
        )
    group, overrides = command_line.read_arguments(name, arguments)
    values = compose.compose(root / "conf", overrides) if overrides else load(root)
    checked = compose.check(values)
    if name == "config" or overrides:
        for warning in advice.warnings(checked):
            print(f"warning: {warning}", file=sys.stderr)
    shared = Path(os.environ.get("DVC_ROOT", root))
    # Every process finds what JAX has compiled once. TensorFlow has no such store.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(shared / ".lrcycles" / "compiled"))
    # Outside artifacts/STAGE: if this process were killed, DVC would take the folder for results.
    top = root / ("outputs" if overrides else "artifacts")
    out = top / f".{name}.{group}.{os.getpid()}"
    _remove_abandoned(top)
    _remove_abandoned(shared / ".lrcycles" / "cells")
    run = Run(name, group, checked, values, root, tuple(overrides), shared, out)
    warm_up(run)
    out.mkdir(parents=True)
    target = _results_folder(root, name, group, by_hand=bool(overrides))
    try:
        with _tracking(run) as tracked:
            main(replace(run, tracked=tracked))
        if overrides:
            out.rename(target)  # it is empty, so this replaces it
        else:
            replace_folder(out, target)
    finally:
        shutil.rmtree(out, ignore_errors=True)
        if overrides:
            with suppress(OSError):  # it holds the results
                target.rmdir()
    if overrides:
        print(f"The results are in {target.relative_to(root)}/.")


def _tracking(run: Run) -> AbstractContextManager[runs.StageRun]:
    return runs.start(
        f"{run.stage}@{run.group}" if run.group else run.stage,
        root=run.shared,
        config=plain.flatten(run.config),
        experiment=run.config.experiment,
        required=run.config.tracking.required,
    )


def _results_folder(root: Path, name: str, group: str | None, *, by_hand: bool) -> Path:
    if not by_hand:
        folder = root / "artifacts" / name / (group or "")
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder
    moment = time.strftime("%Y-%m-%d_%H-%M-%S")
    return claim_folder(root / "outputs" / name / "_".join(filter(None, [moment, group])))


def claim_folder(folder: Path) -> Path:
    """Make a new folder of this name, or of this name and a number if others have taken it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        claimed = folder.with_name(f"{folder.name}_{number}") if number > 1 else folder
        with suppress(FileExistsError):
            claimed.mkdir()
            return claimed
    raise AssertionError("numbers do not end")


def _remove_abandoned(folder: Path) -> None:
    """Remove the half-written folders of killed processes, which are named .WHAT.PID."""
    for path in folder.glob(".*.*"):
        pid = path.suffix.removeprefix(".")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _read_params(root: Path) -> dict[str, Any]:
    path = root / "params.yaml"
    if not path.exists():
        raise InputError(
            "params.yaml must be there. Received: no such file. Run `dvc repro config`."
        )
    values = params_file.read(path)
    checked = root / "artifacts" / "config" / "params.yaml"
    if os.environ.get("DVC_STAGE") and checked.exists() and params_file.read(checked) != values:
        raise InputError(
            "params.yaml must not change while the pipeline runs. Received: other values than "
            "those that stage config has checked. Run `dvc repro` again; finished trainings are "
            "kept."
        )
    return values


def _fail(stage: str, message: str, status: int) -> None:
    print(f"lrcycles {stage}: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(status)
