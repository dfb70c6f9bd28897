"""Copies results from files to the MLflow store that lacks them."""

from __future__ import annotations

import csv
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.cells.result import read_result
from lrcycles.cells.store import CellStore
from lrcycles.config import compose, params_file, plain
from lrcycles.config.schema import Config
from lrcycles.errors import InputError
from lrcycles.stages.mirror import mirror
from lrcycles.stages.stage_runs import arm_names, log_stage
from lrcycles.tracking import runs
from lrcycles.tracking.store import store_uri, without_password

_BEFORE_TRAINING = ("config", "data", "range_test", "bounds")
_USES_IMAGES = ("data", "range_test")


def sync_results(root: Path) -> tuple[int, str]:
    """Give every cell under artifacts/ and outputs/ a run in the current MLflow store.

    The results in artifacts/ get the runs that their pipeline would have made: one for the
    pipeline, one per stage and one per cell. Each folder in outputs/ gets a run of its own.

    Returns:
        How many cells have a run there, and the address of the store without its password.

    Raises:
        InputError: there are no results, or the store cannot be reached.
    """
    groups = _groups(root)
    needed = [root / "params.yaml", root / "artifacts" / "data" / "data.json"]
    if missing := [path.name for path in needed if not path.exists()]:
        raise InputError(
            f"{' and '.join(missing)} must be there. Received: no such file. Run `dvc repro data`."
        )
    shared = Path(os.environ.get("DVC_ROOT", root))
    config = compose.check(params_file.read(needed[0]))
    source = _Source(root, shared, config, files.read_json(needed[1]))
    here = [group for group in groups if group.data == source.data["digest"]]
    others = sum(len(group.cells) for group in groups if group not in here)
    if others:
        print(f"Cells left out, because they were trained on other data: {others}.")
    pipeline = [group for group in here if group.folder.is_relative_to(root / "artifacts")]
    key = _key([cell for group in pipeline for cell in group.cells], needed[0].read_text())
    for stage in _BEFORE_TRAINING:
        source.mirror_stage(stage, key)
    for group in pipeline:
        source.mirror_group(group, key)
    source.mirror_stage("report", key)
    for group in here:
        if group not in pipeline:
            source.mirror_group(group, _key(group.cells))
    return sum(len(group.cells) for group in here), without_password(store_uri(shared))


@dataclass(frozen=True)
class _Group:
    """The cells of one train stage."""

    folder: Path
    cells: list[Path]
    name: str
    data: str  # digest of the images


def _groups(root: Path) -> list[_Group]:
    """Find the folders of train stages that hold cells."""
    by_folder: dict[Path, list[Path]] = {}
    for top in ("artifacts/train", "outputs/train"):
        for path in sorted((root / top).glob("[!.]*/**/result.json")):
            by_folder.setdefault(path.parents[2], []).append(path.parent)
    if not by_folder:
        raise InputError(
            "artifacts/train or outputs/train must hold results. "
            f"Received: the folder {root.name}/ without any. Run `lrcycles sync` in the project's "
            "root, after `dvc repro`."
        )
    found = []
    for folder, cells in by_folder.items():
        first = read_result(cells[0] / "result.json")
        found.append(_Group(folder, cells, first.group, first.data))
    return found


def _key(cells: Iterable[Path], settings: str = "") -> str:
    """Name a pipeline run by its results, so that they get a run once."""
    keys = sorted(read_result(cell / "result.json").key for cell in cells)
    return "files-" + hashlib.sha256("\0".join([settings, *keys]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Source:
    """The results to copy, and the store to copy them to."""

    root: Path
    shared: Path  # the folder of the cell store and the MLflow store
    config: Config
    data: dict[str, Any]  # the content of data.json

    def mirror_stage(self, stage: str, key: str) -> None:
        """Give the results of a stage a run, unless they have one or there are none."""
        folder = self.root / "artifacts" / stage
        if not folder.exists():
            return
        with self._started(stage, key) as run:
            if run is None:
                return
            log_stage(run, stage, folder, data=self.data if stage in _USES_IMAGES else None)
            if stage == "report":
                run.show_arms(arm_names(self.config))

    def mirror_group(self, group: _Group, key: str) -> None:
        """Give the cells of a group a run each, below the run of their stage."""
        store = CellStore(self.shared / ".lrcycles" / "cells")
        images = self.root / "artifacts" / "data" / "test_images.npy"
        with self._started(f"train@{group.name}", key) as run:
            if run is None:
                return
            run_ids = {
                cell.relative_to(group.folder).as_posix(): mirror(
                    cell, store=store, run=run, data=self.data, test_images=images, reused=True
                )
                for cell in group.cells
            }
            with tempfile.TemporaryDirectory() as folder:
                _write_cells(group.folder / "cells.csv", Path(folder) / "cells.csv", run_ids)
                log_stage(run, "train", Path(folder))

    @contextmanager
    def _started(self, stage: str, key: str) -> Iterator[runs.StageRun | None]:
        """Open a run of the stage; give None if the store has one that finished.

        Raises:
            InputError: MLflow was lost on the way.
        """
        if stage in runs.finished_stages(self.shared, key):
            yield None
            return
        with runs.start(
            stage,
            root=self.shared,
            config=plain.flatten(self.config),
            experiment=self.config.experiment,
            pipeline_key=key,
        ) as run:
            yield run
            if run.lost:  # the run must not count as finished
                raise InputError(
                    "MLflow must answer until the end. Received: no answer from "
                    f"{without_password(run.store.uri)}. Run `lrcycles sync` again."
                )


def _write_cells(source: Path, target: Path, run_ids: Mapping[str, str]) -> None:
    """Copy the table of a group's cells with the run ids of this store."""
    with source.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames or []
    for row in rows:
        row["run_id"] = run_ids.get(f"{row['arm']}/{row['seed']}", "")
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
