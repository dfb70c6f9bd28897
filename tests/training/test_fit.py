"""Measures plain Keras `fit` for real, and checks what the store keeps."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lrcycles.cells.store import CellStore
from lrcycles.training.fit import FitSeconds, fit_key, measure_fit
from tests.training.cases import CELL, CONSTANT, RUNTIME

CELLS = [CELL, replace(CELL, seed=1), replace(CELL, batch_size=100)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CellStore:
    return CellStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def measured(digits: Path, store: CellStore) -> list[FitSeconds]:
    return measure_fit(CELLS, data=digits, store=store, reuse=True)


def test_fit_and_the_cost_of_a_schedule_are_measured_for_every_batch_size(measured):
    assert [entry.batch_size for entry in measured] == [50, 100]
    for entry in measured:
        for epochs in (entry.fit_seconds, entry.compiled_seconds):
            assert len(epochs) == 5
            assert min(epochs) > 0
        for steps in (entry.step_seconds, entry.scheduled_step_seconds):
            assert len(steps) == 200
            assert min(entry.fit_seconds) > min(steps) > 0
        assert entry.compile_seconds > 0


def test_a_kept_measurement_is_taken_to_the_digit_and_needs_no_data(measured, store):
    again = measure_fit(CELLS, data=Path("no/such/folder"), store=store, reuse=True)
    assert again == measured
    other_seed = [replace(cell, seed=cell.seed + 7) for cell in CELLS]
    assert measure_fit(other_seed, data=Path("no"), store=store, reuse=True) == measured


@pytest.mark.slow
def test_reuse_false_measures_again_and_keeps_the_new_seconds(digits, tmp_path):
    store = CellStore(tmp_path)
    one = [replace(CELL, batch_size=400)]
    first = measure_fit(one, data=digits, store=store, reuse=True)
    second = measure_fit(one, data=digits, store=store, reuse=False)
    assert first != second
    assert measure_fit(one, data=digits, store=store, reuse=True) == second


@pytest.mark.usefixtures("measured")
def test_a_damaged_measurement_is_not_believed(store, tmp_path, capsys):
    [entry] = store.root.iterdir()
    copy = CellStore(tmp_path / "cells")
    shutil.copytree(entry, copy.folder(entry.name))
    (copy.folder(entry.name) / "fit.json").write_text("[]")
    with pytest.raises(Exception, match="no/such/folder"):  # it tries to measure
        measure_fit(CELLS, data=Path("no/such/folder"), store=copy, reuse=True)
    assert "Received: fit.json has 2 bytes instead of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seed": 9}, True),
        ({"epochs": 9, "schedule": CONSTANT.schedule, "parent": "key", "arm": "x"}, True),
        ({"batch_size": 25}, False),
        ({"optimizer": {"name": "sgd", "arguments": {}}}, False),
        ({"model": {"function": "lrcycles.models:mlp", "arguments": {"units": [9]}}}, False),
        ({"data": "other"}, False),
        ({"training_set": "all"}, False),
        ({"runtime": replace(RUNTIME, threads=3)}, False),
        ({"runtime": replace(RUNTIME, sources="edited")}, False),
    ],
)
def test_the_key_follows_what_decides_the_seconds_and_nothing_else(change, same):
    assert (fit_key([replace(CELL, **change)]) == fit_key([CELL])) is same
