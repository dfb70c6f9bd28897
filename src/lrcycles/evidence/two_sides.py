"""Two experiments or runs that somebody names: which arms have they, seed by seed?"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles.config.schema import GROUPS
from lrcycles.errors import InputError
from lrcycles.evidence.arms import Arm, read_arms
from lrcycles.evidence.gather import Evidence, weigh
from lrcycles.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from lrcycles.tracking.store import TrackingStore

WORKSPACE = "workspace"  # as `dvc exp show` and `dvc metrics diff` call it
_CELL_FILES = ("result.json", "steps.parquet")
_PRICE = "range_test.json"
_HELP = (
    "name a DVC experiment or a git revision with results, an MLflow run, a folder with train/, "
    f"or {WORKSPACE}; one of its arms as NAME:ARM"
)


def compare_two(first: str, second: str, *, root: Path, margin_percent: float) -> Evidence:
    """Compare the arms of `second` with those of equal name of `first`, paired by seed.

    Args:
        first: a DVC experiment, git revision, MLflow run, folder or "workspace"; with `:ARM` one
            arm only. Two single arms are compared whatever their names.

    Raises:
        InputError: one of the two is unknown or has no results, or no arms go together.
    """
    one, price_of_one = _arms(first, root)
    other, price_of_other = _arms(second, root)
    arms: dict[str, Arm] = {}
    price: dict[str, float | None] = {}
    pairs = []
    for own, theirs in _pairs(one, other, first, second):
        against, arm = _name(first, one[own]), _name(second, other[theirs])
        if arm == against:
            raise InputError(f"{first} and {second} are the same arm of the same results")
        pairs.append((arm, against))
        for side, found in ((against, one[own]), (arm, other[theirs])):
            arms[side] = replace(found, name=side, group="clr")
        price |= {against: price_of_one, arm: price_of_other}
    # What an arm continued is not here to be charged, and the replay watches the test set.
    timed = [
        name
        for name, arm in arms.items()
        if arm.on_split
        and arm.settings["continues"] is None
        and not (arm.uses_bounds and price[name] is None)
    ]
    return weigh(
        arms,
        [*timed, *(name for name in arms if name not in timed)],
        timed=timed,
        pairs=pairs,
        range_test_seconds={name: seconds or 0.0 for name, seconds in price.items()},
        margin_percent=margin_percent,
    )


def _name(side: str, arm: Arm) -> str:
    return f"{side.partition(':')[0]}:{arm.name}"


def _pairs(
    one: dict[str, Arm], other: dict[str, Arm], first: str, second: str
) -> list[tuple[str, str]]:
    alike = [(name, name) for name in one if name in other]
    if len(one) == len(other) == 1:
        alike = [(next(iter(one)), next(iter(other)))]
    if not alike:
        raise InputError(
            f"no arm of {first} ({', '.join(one)}) has the name of one of {second} "
            f"({', '.join(other)}): name one of each as {first}:{next(iter(one))}"
        )
    paired = [(a, b) for a, b in alike if one[a].cells.keys() & other[b].cells.keys()]
    if not paired:
        raise InputError(f"{first} and {second} have no seed in common: pairs are made by seed")
    return paired


def _arms(side: str, root: Path) -> tuple[dict[str, Arm], float | None]:
    """The arms of a side, and the seconds of the range test that some must pay, where known."""
    name, _, chosen = side.partition(":")
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder(name, root, Path(temporary))
        groups = [group for group in GROUPS if (folder / "train" / group / "cells.csv").exists()]
        if not groups:
            raise InputError(f"{name} has no cells.csv in train/: {_HELP}")
        arms = read_arms(folder / "train", groups)
        price = folder / "range_test" / _PRICE
        seconds = float(read_json(price)["train_seconds"]) if price.exists() else None
    if chosen and chosen not in arms:
        raise InputError(f"{name} has no arm {chosen!r}: name one of {', '.join(arms)}")
    return {chosen: arms[chosen]} if chosen else arms, seconds


def _folder(name: str, root: Path, temporary: Path) -> Path:
    """A folder with train/, fetched if need be."""
    if name == WORKSPACE:
        return root / "artifacts"
    here = Path(name) if Path(name).is_absolute() else root / name
    for folder in (here, here / "artifacts"):
        if (folder / "train").is_dir():
            return folder
    ways: list[Callable[[str, Path, Path], bool]] = [_from_dvc, _from_mlflow]
    if re.fullmatch(r"[0-9a-f]{32}", name):  # as MLflow names its runs
        ways.reverse()
    for way in ways:
        if way(name, root, temporary):
            return temporary
    raise InputError(f"nothing here is called {name!r}: {_HELP}")


def _from_dvc(name: str, root: Path, target: Path) -> bool:
    """Fetch what a DVC experiment or git revision has in artifacts/; False if unknown."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError, SCMError

    if not (root / ".dvc").is_dir():
        return False
    try:
        files = DVCFileSystem(str(root), rev=name)
        paths = files.find("artifacts/train") if files.isdir("artifacts/train") else []
        if not any(path.endswith("cells.csv") for path in paths):
            raise InputError(
                f"{name} has no results, for want of a dvc.lock with them: run `dvc exp run`, "
                f"or {_HELP}"
            )
        for path in paths:
            if path.endswith((*_CELL_FILES, "cells.csv")):
                local = target / Path(path).relative_to("artifacts")
                local.parent.mkdir(parents=True, exist_ok=True)
                files.get_file(path, str(local))
        price = f"artifacts/range_test/{_PRICE}"
        if files.exists(price):
            (target / "range_test").mkdir()
            files.get_file(price, str(target / "range_test" / _PRICE))
    except (RevError, SCMError):
        return False
    except (DvcException, OSError) as error:
        raise InputError(
            f"the results of {name} are not in DVC's cache ({error}): `dvc exp apply {name}` and "
            "`dvc repro` make them again"
        ) from error
    return True


def _from_mlflow(name: str, root: Path, target: Path) -> bool:
    """Fetch the cells of an MLflow run, a cell's, a stage's or a pipeline's; False if unknown."""
    from lrcycles.tracking.store import SETTINGS, environment, open_store, said_at_once
    from lrcycles.tracking.writers import run_exists

    if not (os.environ.get("MLFLOW_TRACKING_URI") or (root / "mlflow.db").exists()):
        return False  # opening the store would make one
    store = open_store(root)
    rows: dict[str, list[tuple[str, int]]] = {group: [] for group in GROUPS}
    with environment(SETTINGS), said_at_once(store.uri):
        if not run_exists(store.client, name):
            return False
        cells = _cell_runs(store, store.client.get_run(name), target)
        if not cells:
            raise InputError(
                f"MLflow run {name} has no cells: name the run of a pipeline, of a stage train@ or "
                "of a cell"
            )
        for run_id, names in cells:
            _add_cell(store, run_id, names, target, rows)
    for group, found in rows.items():
        lines = ["arm,seed", *(f"{arm},{seed}" for arm, seed in found)]
        write_text(target / "train" / group / "cells.csv", "\n".join(lines) + "\n")
    return True


def _cell_runs(store: TrackingStore, run: Any, target: Path) -> list[tuple[str, dict[str, str]]]:
    """The runs of the cells of a run, itself or what its train stages' tables name, and names.

    A cell that two arms share has one run, under the name of the arm that was trained first. On
    the way the range test, which the arms of a pipeline pay for, is fetched into `target`.
    """
    import pandas as pd

    if "lrcycles.key" in run.data.tags:
        return [(run.info.run_id, {})]
    below = store.client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    found: list[tuple[str, dict[str, str]]] = []
    for stage in [run, *below]:
        names = [file.path for file in store.client.list_artifacts(stage.info.run_id)]
        if _PRICE in names:
            (target / "range_test").mkdir(parents=True, exist_ok=True)
            store.client.download_artifacts(stage.info.run_id, _PRICE, str(target / "range_test"))
        if "cells.csv" in names:  # reused cells have their runs below other stages
            with tempfile.TemporaryDirectory() as folder:
                path = store.client.download_artifacts(stage.info.run_id, "cells.csv", folder)
                table = pd.read_csv(path, dtype=str, keep_default_na=False)
            for row in table[table["run_id"] != ""].to_dict("records"):
                found.append((row["run_id"], {"group": row["group"], "arm": row["arm"]}))
    return found


def _add_cell(
    store: TrackingStore,
    run_id: str,
    names: dict[str, str],
    target: Path,
    rows: dict[str, list[tuple[str, int]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in _CELL_FILES:
            store.client.download_artifacts(run_id, name, folder)
        result = {**read_json(Path(folder) / "result.json"), **names}
        write_json(Path(folder) / "result.json", result)
        group = result["group"] if result["group"] in rows else "controls"
        place = (result["arm"], int(result["seed"]))
        if place not in rows[group]:
            rows[group].append(place)
            shutil.copytree(folder, target / "train" / group / place[0] / str(place[1]))
