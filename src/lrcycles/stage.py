"""How does a stage begin and end, whoever called it: DVC, MLflow or a person?"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcycles import config, tracking
from lrcycles.cells import replace_folder
from lrcycles.errors import InputError
from lrcycles.schema import GROUPS, Config

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
    shared: Path  # where the cell store and the MLflow store are; queued experiments share it
    out: Path  # an empty folder that becomes the stage's results when the stage succeeds
    mlflow: tracking.StageRun

    def input(self, stage: str) -> Path:
        """The folder of an earlier stage.

        Raises:
            InputError: that stage has not run.
        """
        folder = self.root / "artifacts" / stage
        if not folder.exists():
            raise InputError(
                f"stage {self.stage} needs artifacts/{stage}, which is not there: "
                f"`dvc repro {stage.replace('/', '@')}` makes it"
            )
        return folder


Load = Callable[[Path], dict[str, Any]]


def execute(name: str, main: Callable[[Run], None], *, load: Load | None = None) -> None:
    """Run stage `name` on the command line's arguments and exit.

    Without overrides it is exactly the DVC stage: params.yaml in, artifacts/ out. With overrides
    conf/ is composed with them and the results go to outputs/STAGE/TIME/.
    """
    try:
        _execute(name, main, load or _read_params, sys.argv[1:])
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


def _execute(name: str, main: Callable[[Run], None], load: Load, arguments: Sequence[str]) -> None:
    root = Path.cwd()
    if not (root / "conf" / "config.yaml").exists():
        raise InputError(f"need to run in the project's root, which has conf/, got {root.name}/")
    group, overrides = _parse(name, arguments)
    if overrides:
        values = config.compose(root / "conf", overrides)
        target = root / "outputs" / name / time.strftime("%Y-%m-%d_%H-%M-%S")
    else:
        values = load(root)
        target = root / "artifacts" / name / (group or "")
    checked = config.check(values)
    for warning in config.warnings(checked):
        print(f"warning: {warning}", file=sys.stderr)
    shared = Path(os.environ.get("DVC_ROOT", root))
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    beside.mkdir(parents=True)
    try:
        with tracking.start(
            f"{name}@{group}" if group else name,
            root=shared,
            config=config.flatten(checked),
            experiment=checked.experiment,
            tags={},
        ) as run:
            main(Run(name, group, checked, values, root, shared, beside, run))
        replace_folder(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if overrides:
        print(f"results are in {target.relative_to(root)}/")


def _parse(name: str, arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    group = None
    overrides = []
    for argument in arguments:
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
    return config.read(path)


def _fail(stage: str, message: str, status: int) -> None:
    print(f"lrcycles {stage}: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(status)
