"""Compares the two ways to MLflow's tables: its client, and many runs in one transaction."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from lrcycles.cells.result import write_result
from lrcycles.tracking import runs
from lrcycles.tracking.database import tables
from tests.cell_results import cell_result
from tests.faults.mini_pipeline import DATA

# They name the process or the moment.
VARYING = ("lrcycles.record", "creation_timestamp_ms", "last_updated_timestamp_ms")
IDS = {"runs": ("run_uuid", "name"), "logged_models": ("model_id", "name")}
IDS["datasets"] = ("dataset_uuid", "name")
TABLES = [*IDS, "tags", "params", "metrics", "latest_metrics", "inputs", "input_tags"]
TABLES += ["logged_model_params", "logged_model_metrics", "logged_model_tags"]
FIRST_UPDATE = 1_700_000_010


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cells: with a network, without one, and diverged; two share their key."""
    top = tmp_path_factory.mktemp("cells")
    number = np.arange(1, 2501)
    steps = pd.DataFrame({"step": number, "epoch": 1, "lr": number * 1e-6, "loss": 9 / number})
    lost = {"test_error_percent": None, "test_loss": None, "status": "diverged", "history": []}
    for name, changes in {
        "0": {"seed": 0, "key": "a" * 64},
        "1": {"seed": 1, "key": "b" * 64, "arm": "other"},
        "2": {"seed": 2, "key": "b" * 64, **lost},
    }.items():
        folder = top / name
        folder.mkdir()
        # A loss that is not finite is no point of a curve.
        steps.assign(loss=steps["loss"].where(steps["step"] != 7)).to_parquet(
            folder / "steps.parquet"
        )
        versions = {"keras": "3", "numpy": "2"}
        write_result(folder / "result.json", cell_result(versions=versions, **changes))
        os.utime(folder / "result.json", (FIRST_UPDATE, FIRST_UPDATE))
    with zipfile.ZipFile(top / "0" / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {}}))
        archive.writestr("metadata.json", "{}")
        with h5py.File(top / "weights.h5", "w") as weights:
            weights.create_group("layers")
        archive.write(top / "weights.h5", "model.weights.h5")
    np.save(top / "test_images.npy", np.full((3, 4, 5), 200, dtype=np.uint8))
    return top


def log_cells(root: Path, cells: Path) -> None:
    """Run a stage that logs the cells, and wait until MLflow holds them."""
    with runs.start("train@clr", root=root, config={"a": 1}, experiment="mini") as run:
        for folder in sorted(cells.glob("[0-9]*")):
            network = (folder / "model.keras").exists()
            images = cells / "test_images.npy" if network else None
            run.log_cell(folder, params={"epochs": 3}, data=DATA, test_images=images)
        run.send()
        assert run.background is not None
        run.background.wait(seconds=60)


def rows(root: Path) -> dict[str, list[dict]]:
    """All rows of MLflow's tables about runs, with names in the place of ids."""
    store = f"sqlite:///{root}/mlflow.db"
    wanted = {name: pd.read_sql_table(name, store).to_dict("records") for name in TABLES}
    text = json.dumps(wanted, default=str)
    for table, (key, name) in IDS.items():
        for row in wanted[table]:
            text = text.replace(row[key], f"{table}: {row[name]}")
    named = json.loads(text.replace(str(root), "ROOT"))
    edges = {
        row["input_uuid"]: f"{row['source_id']} {row['destination_id']}" for row in named["inputs"]
    }
    for row in [*named["inputs"], *named["input_tags"]]:
        row["input_uuid"] = edges[row["input_uuid"]]
    for row in named["tags"]:
        row["value"] = "" if row["key"] in VARYING else row["value"]
    for row in named["runs"]:
        if not row["name"].startswith(("clr", "other")):
            row["start_time"] = row["end_time"] = 0
    for row in named["logged_models"]:
        row |= dict.fromkeys(VARYING[1:], 0)
    return {table: sorted(map(repr, found)) for table, found in named.items()}


def statuses(root: Path) -> list[str]:
    return list(pd.read_sql_table("runs", f"sqlite:///{root}/mlflow.db")["status"])


def artifacts(root: Path) -> list[tuple[str, int]]:
    """The names and sizes of all files that MLflow holds; every id has the same length."""
    files = [path for path in (root / "mlartifacts").rglob("*") if path.is_file()]
    return sorted(("/".join(path.parts[-2:]), path.stat().st_size) for path in files)


def test_runs_in_one_transaction_are_those_that_the_client_writes(cells, tmp_path, monkeypatch):
    monkeypatch.setenv("LRCYCLES_PIPELINE", "one")
    client = MlflowClient(f"sqlite:///{tmp_path}/empty.db")
    client.search_experiments()  # makes the tables, which takes seconds
    for name in ("all", "one"):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / "empty.db", tmp_path / name / "mlflow.db")
    log_cells(tmp_path / "all", cells)  # as long as the other name
    # None after an update of MLflow that changes its tables: compare the two ways, then REVISION.
    assert tables.Database.of(f"sqlite:///{tmp_path}/all/mlflow.db") is not None
    monkeypatch.setattr(tables, "REVISION", "another")  # as with a later version of MLflow
    log_cells(tmp_path / "one", cells)
    many, one = rows(tmp_path / "all"), rows(tmp_path / "one")
    assert len(many["runs"]) == 5
    assert len(many["logged_model_metrics"]) == 4
    assert {"FINISHED"} == set(statuses(tmp_path / "all"))
    for table, expected in one.items():
        assert many[table] == expected, table
    assert artifacts(tmp_path / "all") == artifacts(tmp_path / "one")
