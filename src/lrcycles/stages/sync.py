"""Copies results from files to the MLflow store that lacks them."""

from __future__ import annotations

import os
from pathlib import Path

from lrcycles import files
from lrcycles.cells.result import read_result
from lrcycles.cells.store import CellStore
from lrcycles.config import compose, params_file, plain
from lrcycles.errors import InputError
from lrcycles.stages.mirror import mirror
from lrcycles.tracking import runs
from lrcycles.tracking.store import without_password


def sync_results(root: Path) -> tuple[int, str]:
    """Give every cell under artifacts/ and outputs/ a run in the current MLflow store.

    Returns:
        How many cells have a run there, and the address of the store without its password.

    Raises:
        InputError: there are no results, or the store cannot be reached.
    """
    folders = [
        path.parent
        for top in ("artifacts/train", "outputs/train")
        for path in sorted((root / top).glob("[!.]*/**/result.json"))
    ]
    if not folders:
        raise InputError(
            "artifacts/train or outputs/train must hold results. "
            f"Received: the folder {root.name}/ without any. Run `lrcycles sync` in the project's "
            "root, after `dvc repro`."
        )
    needed = [root / "params.yaml", root / "artifacts" / "data" / "data.json"]
    if missing := [path.name for path in needed if not path.exists()]:
        raise InputError(
            f"{' and '.join(missing)} must be there. Received: no such file. Run `dvc repro data`."
        )
    checked = compose.check(params_file.read(needed[0]))
    data = files.read_json(needed[1])
    shared = Path(os.environ.get("DVC_ROOT", root))
    here = [f for f in folders if read_result(f / "result.json").data == data["digest"]]
    if others := len(folders) - len(here):
        print(f"Cells left out, because they were trained on other data: {others}.")
    store = CellStore(shared / ".lrcycles" / "cells")
    with runs.start(
        "sync", root=shared, config=plain.flatten(checked), experiment=checked.experiment
    ) as run:
        for folder in here:
            mirror(folder, store=store, run=run, data=data, reused=True)
        for stage in ("range_test", "bounds", "report"):
            if (root / "artifacts" / stage).exists():
                run.log_artifacts(root / "artifacts" / stage, folder=stage)
    uri = without_password(run.store.uri)
    if run.lost:
        raise InputError(
            f"MLflow must answer until the end. Received: no answer from {uri}. "
            "Run `lrcycles sync` again."
        )
    return len(here), uri
