"""Fetches the arms of an experiment or run from wherever its name points to."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles import files
from lrcycles.cells.result import AVERAGES, read_result, write_result
from lrcycles.config.schema import GROUPS
from lrcycles.errors import InputError
from lrcycles.evidence.arms import Arm, read_arms

if TYPE_CHECKING:
    from lrcycles.tracking.store import TrackingStore

WORKSPACE = "workspace"  # as `dvc exp show` and `dvc metrics diff` call it
_CELL_FILES = ("result.json", "steps.parquet")
_RANGE_TEST = "range_test.json"
_HELP = (
    "Name a DVC experiment or a git revision with results, an MLflow run, a folder with train/, "
    f"or {WORKSPACE}. Name one of its arms as NAME:ARM."
)


@dataclass(frozen=True)
class Side:
    """One side of a comparison; `range_test_seconds` is None where its price is not known."""

    name: str
    arms: dict[str, Arm]
    range_test_seconds: float | None


def fetch_side(side: str, root: Path) -> Side:
    """Read the arms that `side` names, `NAME` or `NAME:ARM`.

    Raises:
        InputError: nothing has that name, or it has no results.
    """
    name, _, chosen = side.partition(":")
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder(name, root, Path(temporary))
        groups = [group for group in GROUPS if (folder / "train" / group / "cells.csv").exists()]
        if not groups:
            raise InputError(
                f"{name} must have cells.csv below train/. Received: a folder without it. {_HELP}"
            )
        for group in groups:
            _need_whole(folder / "train" / group, group, name)
        arms = read_arms(folder / "train", groups)
        price = folder / "range_test" / _RANGE_TEST
        seconds = float(files.read_json(price)["train_seconds"]) if price.exists() else None
    if chosen:
        averaged = (one for arm in list(arms.values()) for one in arm.averages.values())
        arms |= {one.name: one for one in averaged}
    if chosen and chosen not in arms:
        raise InputError(
            f"NAME:ARM must name an arm of {name}. Received: {chosen}. "
            f"Name one of {', '.join(arms)}."
        )
    return Side(name, {chosen: arms[chosen]} if chosen else arms, seconds)


def _need_whole(folder: Path, group: str, name: str) -> None:
    """Refuse a group that has changed since it was written; MLflow keeps no manifest."""
    found = files.damage(folder, f"train@{group}") if (folder / files.MANIFEST).exists() else None
    if found:
        raise InputError(
            f"The results of {name} must be as stage train@{group} wrote them. Received: {found}. "
            f"Make them again with `dvc repro --force --single-item train@{group}`."
        )


def _folder(name: str, root: Path, temporary: Path) -> Path:
    """Find a folder with train/, or fetch its files into `temporary`."""
    if name == WORKSPACE:
        return root / "artifacts"
    path = Path(name) if Path(name).is_absolute() else root / name
    for folder in (path, path / "artifacts"):
        if (folder / "train").is_dir():
            return folder
    ways: list[Callable[[str, Path, Path], bool]] = [_from_dvc, _from_mlflow]
    if re.fullmatch(r"[0-9a-f]{32}", name):  # as MLflow names its runs
        ways.reverse()
    for fetch in ways:
        if fetch(name, root, temporary):
            return temporary
    raise InputError(
        f"A and B must name results. Received: {name!r}, which is not known here. {_HELP}"
    )


def _from_dvc(name: str, root: Path, target: Path) -> bool:
    """Fetch what a DVC experiment or git revision has in artifacts/; False if it is unknown."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError, SCMError

    if not (root / ".dvc").is_dir():
        return False
    try:
        tree = DVCFileSystem(str(root), rev=name)
        paths = tree.find("artifacts/train") if tree.isdir("artifacts/train") else []
        if not any(path.endswith("cells.csv") for path in paths):
            raise InputError(
                f"{name} must have results. Received: a revision whose dvc.lock lists none. "
                f"Run `dvc exp run`. {_HELP}"
            )
        for path in paths:
            if path.endswith((*_CELL_FILES, "cells.csv")) or _is_correct(Path(path).name):
                local = target / Path(path).relative_to("artifacts")
                local.parent.mkdir(parents=True, exist_ok=True)
                tree.get_file(path, str(local))
        price = f"artifacts/range_test/{_RANGE_TEST}"
        if tree.exists(price):
            (target / "range_test").mkdir()
            tree.get_file(price, str(target / "range_test" / _RANGE_TEST))
    except (RevError, SCMError):
        return False
    except (DvcException, OSError) as error:
        raise InputError(
            f"The results of {name} must be in DVC's cache. Received: {error}. "
            f"Run `dvc exp apply {name}` and `dvc repro` to make them again."
        ) from error
    return True


def _from_mlflow(name: str, root: Path, target: Path) -> bool:
    """Fetch the cells of an MLflow run of a cell, stage or pipeline; False if it is unknown."""
    from lrcycles.tracking.store import SETTINGS, environment, open_store, usable_store
    from lrcycles.tracking.writers import run_exists

    if not (os.environ.get("MLFLOW_TRACKING_URI") or (root / "mlflow.db").exists()):
        return False  # opening the store would make one
    store = open_store(root)
    rows: dict[str, list[tuple[str, int]]] = {group: [] for group in GROUPS}
    with environment(SETTINGS), usable_store(store.uri):
        if not run_exists(store.client, name):
            return False
        cells = _cell_runs(store, store.client.get_run(name), target)
        if not cells:
            raise InputError(
                f"An MLflow run must have cells to be compared. Received: {name}, which has none. "
                "Name the run of a pipeline, of a stage train@GROUP or of a cell."
            )
        for run_id, names in cells:
            _add_cell(store, run_id, names, target, rows)
    for group, listed in rows.items():
        lines = ["arm,seed", *(f"{arm},{seed}" for arm, seed in listed)]
        files.write_text(target / "train" / group / "cells.csv", "\n".join(lines) + "\n")
    return True


def _cell_runs(store: TrackingStore, run: Any, target: Path) -> list[tuple[str, dict[str, Any]]]:
    """List the runs of a run's cells, with the group and arm that each cell has there.

    The tables of the train stages list them: a cell that two arms share has one run, under the
    name of the arm that was trained first. The range test of a pipeline, whose price its arms pay,
    is fetched into `target` on the way.
    """
    import pandas as pd

    if "lrcycles.key" in run.data.tags:
        return [(run.info.run_id, {})]
    below = store.client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    cells: list[tuple[str, dict[str, Any]]] = []
    for stage in [run, *below]:
        names = [file.path for file in store.client.list_artifacts(stage.info.run_id)]
        if _RANGE_TEST in names:
            (target / "range_test").mkdir(parents=True, exist_ok=True)
            store.client.download_artifacts(
                stage.info.run_id, _RANGE_TEST, str(target / "range_test")
            )
        if "cells.csv" in names:  # reused cells have their runs below other stages
            with tempfile.TemporaryDirectory() as folder:
                path = store.client.download_artifacts(stage.info.run_id, "cells.csv", folder)
                table = pd.read_csv(path, dtype=str, keep_default_na=False)
            for row in table[table["run_id"] != ""].to_dict("records"):
                cells.append((row["run_id"], {"group": row["group"], "arm": row["arm"]}))
    return cells


def _add_cell(
    store: TrackingStore,
    run_id: str,
    names: dict[str, Any],
    target: Path,
    rows: dict[str, list[tuple[str, int]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        listed = {file.path for file in store.client.list_artifacts(run_id)}
        for name in (*_CELL_FILES, *filter(_is_correct, listed)):  # a diverged one lists none
            store.client.download_artifacts(run_id, name, folder)
        result = replace(read_result(Path(folder) / "result.json"), **names)
        write_result(Path(folder) / "result.json", result)
        need_plain_names(run_id, result.arm, result.seed)
        group = result.group if result.group in rows else "controls"
        place = (result.arm, result.seed)
        if place not in rows[group]:
            rows[group].append(place)
            shutil.copytree(folder, target / "train" / group / place[0] / str(place[1]))


def _is_correct(name: str) -> bool:
    """Whether a file says which test images are right, by the weights or an average of them."""
    return name in ("correct.npy", *(f"correct_{average}.npy" for average in AVERAGES))


def need_plain_names(run_id: str, arm: Any, seed: Any) -> None:
    """Refuse names from a tracking server that are no folders' names.

    Raises:
        InputError: a name could lead out of the folder.
    """
    if re.fullmatch(r"\w[\w.-]*", str(arm)) is None or type(seed) is not int:
        raise InputError(
            "The arm and the seed of a run must be a word and a whole number. "
            f"Received: {arm!r} and {seed!r} in run {run_id}. Compare other runs."
        )
