"""Measures what slow stores and checkpoints cost. Nothing else may run meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from lrcycles.cells.store import CellStore
from lrcycles.data.image_sets import ImageSet
from lrcycles.training import chain, tensorflow_engine
from lrcycles.training.checkpoints import EVERY_SECONDS, Checkpoint
from lrcycles.training.engine import Engine
from lrcycles.training.feeding import Resident
from lrcycles.training.records import begin_course
from tests.faults.conftest import Faults
from tests.faults.mlflow_servers import mlflow_server
from tests.faults.proxy import Proxy
from tests.faults.results import all_numbers
from tests.pipelines.project import Project
from tests.training.cases import CELL

pytestmark = pytest.mark.faults

ROUNDS = 30
SILENT_FROM = 60  # the number of the request, of about 300 in a pipeline


@pytest.mark.counts("tracking")
def test_a_slow_or_lost_store_changes_no_result_of_a_pipeline(tmp_path: Path, faults: Faults):
    kinds = ["undisturbed", "slow", "silent", "missing"]
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    expected = None
    for number, kind in enumerate(kinds + kinds[::-1]):
        project = Project(tmp_path / f"{number}")
        seconds[kind].append(_pipeline_seconds(project, tmp_path / f"server-{number}", kind))
        print(kind, seconds[kind][-1], flush=True)
        found = all_numbers(project.root)
        assert found == (expected or found)
        expected = found
        if kind != "undisturbed":
            faults.add(f"a pipeline with a {kind} store", "recovered")
    plain = median(seconds["undisturbed"])
    slow = median(seconds["slow"]) / plain
    ratio = "time of a pipeline if MLflow answers after 300 ms / time if MLflow answers at once"
    faults.figure(ratio, slow)
    for kind, words in (("silent", "falls silent"), ("missing", "is missing")):
        extra = median(seconds[kind]) - plain
        faults.figure(f"extra seconds of a pipeline whose MLflow server {words}", extra)


def _pipeline_seconds(project: Project, folder: Path, kind: str) -> float:
    folder.mkdir()
    with mlflow_server(folder) as port:
        proxy = Proxy(port)
        if kind == "slow":
            proxy.delay_seconds = 0.3
        elif kind == "silent":
            proxy.plan = lambda number: "hang" if number > SILENT_FROM else "pass"
        uri = "http://127.0.0.1:9" if kind == "missing" else proxy.uri
        begun = time.monotonic()
        done = project.dvc("repro", MLFLOW_TRACKING_URI=uri)
        taken = time.monotonic() - begun
        proxy.close()
    assert "Traceback" not in done.stderr
    return taken


@pytest.mark.counts("kill -9")
def test_pieces_and_checkpoints_change_no_bit(tmp_path: Path, faults: Faults):
    """Train the tutorial's network on noise by whole epochs, and by pieces with checkpoints."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "pool.npy", rng.integers(0, 256, (55_000, 28, 28), dtype=np.uint8))
    labels = rng.integers(0, 10, 55_000).astype(np.int32)
    images = ImageSet(tmp_path / "pool.npy", None, labels, (28, 28))
    train = Resident(images, tensorflow_engine.put)
    model = {"function": "lrcycles.models:mlp", "arguments": {"units": [784]}}
    cell = replace(CELL, model=model, batch_size=200, epochs=1)
    order = chain.orders([cell], 0, train)
    engine = Engine(cell, input_shape=images.shape)
    engine.compile(train, order)
    engine.compile(train, order, chunk=order.shape[1])
    rates = np.full((1, order.shape[1]), 0.01, np.float32)
    taken: dict[str, list[float]] = {"whole": [], "pieces": [], "checkpoint": []}
    store = CellStore(tmp_path / "cells")
    for number in range(ROUNDS):
        losses = {}
        for way in ("whole", "pieces") if number % 2 else ("pieces", "whole"):
            engine.reset([cell.seed])
            engine.compile(train, order)  # seeding makes TensorFlow set up its program again
            begun = time.perf_counter()
            if way == "whole":
                losses[way] = engine.run(train, order, rates)
            else:
                losses[way] = np.concatenate([*engine.epoch(train, order, rates)], axis=1)
            taken[way].append(time.perf_counter() - begun)
        np.testing.assert_array_equal(losses["whole"], losses["pieces"])
        checkpoint = Checkpoint(store, [cell], every_seconds=0.0, say=print)
        begun = time.perf_counter()
        checkpoint.keep(engine, begin_course([cell], 1, order.shape[1]))
        taken["checkpoint"].append(time.perf_counter() - begun)
    ratios = np.log(np.divide(taken["pieces"], taken["whole"]))
    half = 1.96 * ratios.std(ddof=1) / np.sqrt(ROUNDS)
    share = median(taken["checkpoint"]) / EVERY_SECONDS
    for end, value in (("lower", ratios.mean() - half), ("upper", ratios.mean() + half)):
        what = f"time of an epoch in pieces / time of a whole epoch (95 % interval, {end} end)"
        faults.figure(what, float(np.exp(value)))
    faults.figure("time to write a checkpoint / time between two checkpoints", share)
