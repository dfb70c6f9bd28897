"""Completes what MLflow lacks: the runs that stages could not write, and results in files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.cells.result import read_result
from lrcycles.config import compose, params_file, plain
from lrcycles.config.schema import Config
from lrcycles.errors import InputError
from lrcycles.stages.mirror import mirror
from lrcycles.stages.stage_runs import add_cells, arm_names, log_stage, results_digest
from lrcycles.tracking import processes, records, runs, writers
from lrcycles.tracking.addresses import masked, reason
from lrcycles.tracking.background import write_left
from lrcycles.tracking.calls import Calls, failures
from lrcycles.tracking.delivery import Delivery
from lrcycles.tracking.store import TrackingStore, is_sqlite, open_store, store_uri

_BEFORE_TRAINING = ("config", "data", "range_test", "bounds", "advise")
_USES_IMAGES = ("data", "range_test")
_WAIT_SECONDS = 60.0  # for another process that writes a record


def sync_results(root: Path) -> tuple[int, str]:
    """Give every stage and cell that this project has results of a run in the current MLflow store.

    Runs that a stage began, or could not begin, become what they would be if MLflow had answered.
    Then the results in artifacts/ and outputs/ that have no run in the store get one: below one
    pipeline's run for artifacts/, and below a run of its own for each folder in outputs/.

    Returns:
        How many cells have a run there, and the address of the store without its password.

    Raises:
        InputError: there is nothing to copy, or MLflow does not answer.
    """
    shared = Path(os.environ.get("DVC_ROOT", root))
    waiting = records.are_waiting(shared)
    groups = _groups(root)
    if not groups and not waiting:
        raise InputError(
            "artifacts/train or outputs/train must hold results. "
            f"Received: the folder {root.name}/ without any. Run `lrcycles sync` in the project's "
            "root, after `dvc repro`."
        )
    needed = [_params(root), root / "artifacts" / "data" / "data.json"]
    missing = [path.name for path in needed if not path.exists()]
    if missing and not waiting:
        raise InputError(
            f"{' and '.join(missing)} must be there. Received: no such file. Run `dvc repro data`."
        )
    with _opened(shared) as store:
        store.write_left()
        count = 0 if missing else _mirror_files(root, shared, groups, store)
    return count, masked(store_uri(shared))


def _mirror_files(root: Path, shared: Path, groups: list[_Group], store: _Target) -> int:
    """Give the results in files their runs, unless they have some; return the number of cells."""
    config = compose.check(params_file.read(_params(root)))
    data = files.read_json(root / "artifacts" / "data" / "data.json")
    source = _Source(root, shared, config, data, store)
    here = [group for group in groups if group.data == data["digest"]]
    others = sum(len(group.cells) for group in groups if group not in here)
    if others:
        print(f"Cells left out, because they were trained on other data: {others}.")
    pipeline = [group for group in here if group.folder.is_relative_to(root / "artifacts")]
    settings = _params(root).read_text()
    key = _key([cell for group in pipeline for cell in group.cells], settings)
    for stage in _BEFORE_TRAINING:
        source.mirror_stage(stage, key)
    for group in pipeline:
        source.mirror_group(group, key)
    source.mirror_stage("report", key)
    for group in here:
        if group not in pipeline:
            source.mirror_group(group, _key(group.cells))
    return sum(len(group.cells) for group in here)


def _params(root: Path) -> Path:
    """Find the settings that the results were made with; params.yaml may have changed since."""
    copy = root / "artifacts" / "config" / "params.yaml"
    return copy if copy.exists() else root / "params.yaml"


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
    store: _Target

    def mirror_stage(self, stage: str, key: str) -> None:
        """Give the results of a stage a run, unless they have one or there are none."""
        folder = self.root / "artifacts" / stage

        def log(run: runs.StageRun) -> None:
            log_stage(run, stage, folder, data=self.data if stage in _USES_IMAGES else None)
            if stage == "report":
                add_cells(run, self.root / "artifacts")
                run.show_arms(arm_names(self.config))

        if folder.exists():
            self._mirror(stage, results_digest(stage, folder), key, log)

    def mirror_group(self, group: _Group, key: str) -> None:
        """Give the cells of a group a run each, below the run of their stage."""
        images = self.root / "artifacts" / "data" / "test_images.npy"

        def log(run: runs.StageRun) -> None:
            for cell in group.cells:
                mirror(cell, run=run, data=self.data, test_images=images)
            log_stage(run, "train", group.folder)
            run.show_arms(arm_names(self.config))

        self._mirror(f"train@{group.name}", results_digest("train", group.folder), key, log)

    def _mirror(
        self, stage: str, digest: str, key: str, log: Callable[[runs.StageRun], None]
    ) -> None:
        if self.store.has_results(stage, digest):
            return
        content = records.new_content(
            stage,
            root=self.shared,
            config=plain.flatten(self.config),
            experiment=self.config.experiment,
            pipeline_key=key,
        )
        self.store.write(content, log)


class _Target:
    """A store that `lrcycles sync` completes."""

    def __init__(self, root: Path, store: TrackingStore) -> None:
        self._root, self._store = root, store
        self._calls = Calls(side_by_side=not is_sqlite(store.uri))

    def write_left(self) -> None:
        """Write what stages have left, and end the runs of processes that have died.

        Raises:
            InputError: the store refuses some of it.
        """
        store = self._store
        refused = write_left(self._root, store, self._calls, wait_seconds=_WAIT_SECONDS)
        self._calls.call(lambda _: processes.end_the_dead(store.client, {store.experiment_id}))
        if refused:
            raise InputError(
                f"MLflow must take all runs. Received: {len(refused)} refused, as said above. "
                "Remove what is in their way, or delete their records, and run `lrcycles sync` "
                "again."
            )

    def has_results(self, stage: str, digest: str) -> bool:
        """Return whether the store has a finished run of these results of the stage."""
        tags = {"lrcycles.stage": stage, writers.RESULTS: digest}
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        query += " and attributes.status = 'FINISHED'"
        client, place = self._store.client, [self._store.experiment_id]
        found = self._calls.call(lambda _: client.search_runs(place, query, max_results=1))
        return bool(found)

    def write(self, content: dict[str, Any], log: Callable[[runs.StageRun], None]) -> None:
        """Make the runs of a stage from files; half-made, they are completed by the next call."""
        record = records.create(self._root, content)
        run = runs.StageRun(record)
        log(run)
        run.end("FINISHED")
        record.publish()
        Delivery(record, self._store, self._calls).finish()


@contextmanager
def _opened(root: Path) -> Iterator[_Target]:
    """Open the store for `lrcycles sync`.

    Raises:
        InputError: MLflow does not answer, now or later in the block.
    """
    with runs.without_repeats():
        store = open_store(root)
        try:
            yield _Target(root, store)
        except failures() as error:
            raise InputError(
                "MLflow must answer until the end. Received: "
                f"{masked(store.uri)} ({reason(error, store.uri)}). Run `lrcycles sync` again."
            ) from error
