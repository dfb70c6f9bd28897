"""Begins and ends a stage, whether DVC, MLflow or a person started it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.cells.store import CellStore
from lrcycles.config import advice, compose, params_file, plain
from lrcycles.config.schema import Config
from lrcycles.errors import InputError, Interruption, interruptions
from lrcycles.files import replace_folder
from lrcycles.stages import command_line, folders, inputs, outlook
from lrcycles.tracking import runs

_PARTS = ("train", "validation", "test")
_DISK = {
    errno.ENOSPC: "a full disk. Free some space",
    errno.EDQUOT: "a used-up disk quota. Free some space",
    errno.EROFS: "a read-only file system. Work in a folder that can be written",
    errno.EACCES: "permission denied. Work in a folder that can be written",
    errno.EPERM: "permission denied. Work in a folder that can be written",
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST), "a file in the place of a folder. Move the file away"
    ),
    errno.EISDIR: "a folder in the place of a file. Move the folder away",
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
        asked = self.config.data
        keys = ("name", "split_seed", "classes", "image_shape")
        content = self._read("data", "data.json", *keys, "counts", "class_counts", "digest")
        wanted = {key: getattr(asked, key) for key in keys}
        wanted |= {part: getattr(asked, f"{part}_images") for part in _PARTS}
        self._need_same("data", content | content["counts"], wanted)
        return content

    def range_test(self) -> dict[str, Any]:
        """Read range_test.json of stage `range_test`."""
        content = self._read("range_test", "range_test.json", "asked")
        asked = plain.plain(self.config.range_test)
        wanted = {key: asked[key] for key in content["asked"]}
        self._need_same("range_test", content | content["asked"], wanted | self.subject())
        return content

    def bounds(self) -> dict[str, Any]:
        """Read bounds.json of stage `bounds`."""
        content = self._read("bounds", "bounds.json", "measured_on", "base_lr", "max_lr")
        self._need_same("bounds", content["measured_on"], self.subject())
        return content

    def advice(self) -> dict[str, Any]:
        """Read advice.json of stage `advise`, which must hold an advice for this training."""
        content = self._read("advise", "advice.json", "asked")
        self._need_same("advise", content, {"asked": True, **self.advised()})
        return content

    def advised(self) -> dict[str, Any]:
        """What an advice is for, and what it may cost, as configured."""
        keys = ("epochs", "batch_size", "class_weights")
        train = {key: plain.plain(getattr(self.config.train, key)) for key in keys}
        return self.subject() | {"train": train, "advise": plain.plain(self.config.advise)}

    def _read(self, stage: str, name: str, *keys: str) -> dict[str, Any]:
        """Read a JSON file of an earlier stage, which must have these keys."""
        content = files.read_json(self.input(stage) / name)
        missing = [key for key in keys if not isinstance(content, dict) or key not in content]
        if missing:
            raise InputError(
                f"artifacts/{stage}/{name} must hold {', '.join(keys)}. Received: a file without "
                f"{missing[0]}. Make it again with `dvc repro --force --single-item {stage}`."
            )
        return dict(content)

    def bounds_if_made(self) -> dict[str, Any] | None:
        """Read bounds.json; None if stage `bounds` has not run for this model and optimizer."""
        try:
            return self.bounds()
        except InputError:
            return None

    def subject(self) -> dict[str, Any]:
        """Model and optimizer, as configured."""
        return {"model": plain.plain(self.config.model)} | {
            "optimizer": plain.plain(self.config.optimizer)
        }

    def _need_same(self, stage: str, made: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        used = {key: made.get(key) for key in wanted}
        changes = params_file.differences(used, wanted)
        if changes:
            key, change = next(iter(changes.items()))
            raise InputError(
                f"artifacts/{stage} must be made with {key}={change.get('conf')}. Received: "
                f"results made with {key}={change.get('used')}. Use `dvc exp run -S`, which makes "
                "them again."
            )

    def input(self, stage: str) -> Path:
        """Find the results of an earlier stage, such as train@clr, and check their manifest.

        Raises:
            InputError: the earlier stage has not run, or a file is not as the stage wrote it. The
                methods that read one stage also refuse results that were made with another
                configuration, which happens only with overrides by hand.
        """
        return inputs.checked(self.root, stage)


Load = Callable[[Path], dict[str, Any]]


def execute(
    name: str,
    main: Callable[[Run], None],
    *,
    load: Load | None = None,
    warm_up: Callable[[Run], bool] = lambda _: False,
    apart: Callable[[Config], bool] = lambda _: False,
) -> None:
    """Run stage `name` on the command line's arguments and exit.

    Without overrides the stage is exactly the DVC stage: it reads params.yaml and writes to
    artifacts/. With overrides it composes conf/ with them and writes to outputs/STAGE/TIME/.

    Args:
        load: gives the values of params.yaml; by default the file is read.
        warm_up: starts to load the backend in another process if the stage needs it, and returns
            whether it does. MLflow is loaded meanwhile, or else when there is something to send.
        apart: tells whether the stage by hand does something else than under DVC, even without
            overrides. Its results then go to outputs/STAGE/TIME/ too.
    """
    if set(sys.argv[1:]) & set(command_line.HELP):
        purpose = (sys.modules[main.__module__].__doc__ or "").strip()
        print(command_line.help_text(name, purpose, Path.cwd() / "conf"))
        return
    interruptions.command = f"lrcycles {name}"
    try:
        interruptions.raised = True
        _execute(name, main, load or _read_params, warm_up, apart, sys.argv[1:])
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
    except Interruption as error:
        interruptions.end(error.status)
    finally:
        interruptions.raised = False  # nothing is left to close
    interruptions.leave(0)


def _execute(
    name: str,
    main: Callable[[Run], None],
    load: Load,
    warm_up: Callable[[Run], bool],
    apart: Callable[[Config], bool],
    arguments: Sequence[str],
) -> None:
    root = _project_root()
    group, overrides = command_line.read_arguments(name, arguments)
    if outlook.in_pipeline():
        print(f"{outlook.place(_full_name(name, group))}.", flush=True)
    values = compose.compose(root / "conf", overrides) if overrides else load(root)
    checked = compose.check(values)
    if name == "config" or overrides:
        for warning in advice.warnings(checked):
            print(f"warning: {warning}", file=sys.stderr)
    shared = Path(os.environ.get("DVC_ROOT", root))
    # Every process finds what JAX has compiled once. TensorFlow has no such store.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(shared / ".lrcycles" / "compiled"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the user's module may import Keras
    # Outside artifacts/STAGE: if this process were killed, DVC would take the folder for results.
    by_hand = bool(overrides) or (apart(checked) and not outlook.in_pipeline())
    top = root / ("outputs" if by_hand else "artifacts")
    out = top / f".{name}.{group}.{os.getpid()}"
    run = Run(name, group, checked, values, root, tuple(overrides), shared, out)
    folders.remove_abandoned(top, run.store.root, run.store.checkpoints)
    waits = warm_up(run)
    out.mkdir(parents=True)
    target = folders.results_folder(root, name, group, by_hand=by_hand)
    try:
        _work(run, main, waits=waits)
        files.seal(out, _full_name(name, group))
        if by_hand:
            out.rename(target)  # it is empty, so this replaces it
        else:
            replace_folder(out, target)
    finally:
        shutil.rmtree(out, ignore_errors=True)
        if by_hand:
            with suppress(OSError):  # it holds the results
                target.rmdir()
    if by_hand:
        print(f"The results are in {target.relative_to(root)}/.")


def _project_root() -> Path:
    root = Path.cwd()
    if not (root / "conf" / "config.yaml").exists():
        raise InputError(
            "The current folder must be the project's root, which has conf/. "
            f"Received: {root.name}/. Change to the root first."
        )
    return root


def _work(run: Run, main: Callable[[Run], None], *, waits: bool) -> None:
    """Run a stage with its run in MLflow, which an input that is refused does not leave behind.

    Args:
        waits: the stage has to wait for the backend.
    """
    with runs.start(
        _full_name(run.stage, run.group),
        root=run.shared,
        config=plain.flatten(run.config),
        experiment=run.config.experiment,
        required=run.config.tracking.required,
        at_once=waits,
    ) as tracked:
        finished = _entries(run.store)
        try:
            main(replace(run, tracked=tracked))
        except InputError:
            if _entries(run.store) == finished:
                tracked.refuse()
            raise


def _full_name(stage: str, group: str | None) -> str:
    return f"{stage}@{group}" if group else stage


def _entries(store: CellStore) -> set[str]:
    return {path.name for path in store.root.glob("[!.]*")}


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
    interruptions.leave(status)
