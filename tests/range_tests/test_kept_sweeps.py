"""Sweeps the rate for real on 1,200 digits, and checks what the store keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.cells.code import source_files
from lrcycles.cells.store import CellStore
from lrcycles.range_tests import cell_sweep, of_cells
from lrcycles.range_tests.cell_sweep import Sweep, TimedCurve
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.kept_sweeps import sweep_key, sweep_seeds
from tests.training.cases import CELL, RUNTIME

SWEEP = Sweep(
    ramp="exponential",
    min_lr=1e-4,
    max_lr=1.0,
    steps=40,
    evaluate_every_steps=4,
    heldout_images=100,
    stop_factor=4.0,
)
CELLS = [replace(CELL, seed=seed, compile="graph") for seed in (3, 1)]
NOWHERE = Path("no/such/folder")


def entries(store: CellStore) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in store.root.glob("*/sweep.npz")}


def assert_same(one: Sequence[TimedCurve], other: Sequence[TimedCurve]) -> None:
    """All numbers are equal to the bit, seconds included."""
    for a, b in zip(one, other, strict=True):
        assert (a.train_seconds, a.evaluate_seconds) == (b.train_seconds, b.evaluate_seconds)
        assert a.compile_seconds == b.compile_seconds
        for field in fields(SeedCurve):
            assert_array_equal(getattr(a.curve, field.name), getattr(b.curve, field.name))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CellStore:
    return CellStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def swept(digits: Path, store: CellStore) -> list[TimedCurve]:
    return sweep_seeds(CELLS, SWEEP, data=digits, workers=1, store=store, reuse=True)


def copied(store: CellStore, root: Path) -> CellStore:
    copy = CellStore(root)
    for path in store.root.glob("*/sweep.npz"):
        with copy.adding(path.parent.name) as folder:
            (folder / path.name).write_bytes(path.read_bytes())
    return copy


def test_each_seed_gets_a_curve_in_the_order_asked_for_and_an_entry_of_its_own(swept, store):
    assert [timed.curve.seed for timed in swept] == [3, 1]
    expected = 1e-4 * 1e4 ** (np.arange(40) / 39)
    for timed in swept:
        assert_allclose(timed.curve.lr, expected[: len(timed.curve.lr)], rtol=1e-5)
        assert np.isfinite(timed.curve.metric).sum() >= len(timed.curve.lr) // 4
    assert len(entries(store)) == 2


def test_kept_sweeps_are_taken_to_the_bit_and_need_no_data(swept, store):
    before = entries(store)
    again = sweep_seeds(CELLS, SWEEP, data=NOWHERE, workers=1, store=store, reuse=True)
    assert_same(again, swept)
    assert entries(store) == before


def test_a_new_seed_and_a_wider_range_sweep_only_what_is_new(swept, store, digits, tmp_path):
    copy = copied(store, tmp_path)
    before = entries(copy)
    more = [replace(CELLS[0], seed=8), *CELLS]
    curves = sweep_seeds(more, SWEEP, data=digits, workers=1, store=copy, reuse=True)
    assert_same(curves[1:], swept)
    assert len(entries(copy)) == 3
    wider = replace(SWEEP, max_lr=10.0, steps=50)
    sweep_seeds(CELLS[:1], wider, data=digits, workers=1, store=copy, reuse=True)
    after = entries(copy)
    assert len(after) == 4
    assert before.items() <= after.items()


def test_reuse_false_sweeps_again_to_the_same_curve_with_new_seconds(
    swept, store, digits, tmp_path
):
    copy = copied(store, tmp_path)
    [again] = sweep_seeds(CELLS[:1], SWEEP, data=digits, workers=1, store=copy, reuse=False)
    assert again.train_seconds != swept[0].train_seconds
    for name in ("lr", "loss", "heldout_loss", "metric", "initial_loss", "initial_metric"):
        assert_array_equal(getattr(again.curve, name), getattr(swept[0].curve, name))
    kept = sweep_seeds(CELLS[:1], SWEEP, data=NOWHERE, workers=1, store=copy, reuse=True)
    assert_same(kept, [again])


def rewritten(path: Path, **changes: object) -> None:
    with np.load(path) as held:
        content = {name: held[name] for name in held.files}
    np.savez(path, **{**content, **changes})


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:300]),
        lambda path: path.write_bytes(b""),
        lambda path: rewritten(path, loss=np.zeros(3)),
        lambda path: rewritten(path, lr=np.linspace(0, 1, 40)),
        lambda path: rewritten(path, train_seconds=np.nan),
        lambda path: rewritten(path, metric=np.zeros(40, np.float32)),
        lambda path: np.savez(path, lr=np.zeros(40)),
    ],
)
@pytest.mark.usefixtures("swept")
def test_a_damaged_entry_is_not_believed(store, tmp_path, damage):
    copy = copied(store, tmp_path)
    damage(copy.folder(sweep_key(CELLS[0], SWEEP)) / "sweep.npz")
    with pytest.raises(Exception, match="no/such/folder"):  # it tries to sweep
        sweep_seeds(CELLS, SWEEP, data=NOWHERE, workers=1, store=copy, reuse=True)


@pytest.mark.usefixtures("swept")
def test_a_range_test_repeats_its_numbers_and_its_price_to_the_digit(store, tmp_path, digits):
    copy = copied(store, tmp_path)

    def summary(data: Path):
        measured = of_cells.measure(
            CELLS, SWEEP, data=data, workers=1, widen=1, store=copy, reuse=True
        )
        return of_cells.summary(measured, SWEEP, batch_size=50, subject={}), measured.curves.table

    first, table = summary(digits)
    again, same_table = summary(NOWHERE)
    assert again == first
    assert again["train_seconds"] > 0
    assert same_table.equals(table)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"epochs": 9, "schedule": {"name": "constant", "base_lr": 9.0}, "arm": "x"}, True),
        ({"seed": 9}, False),
        ({"batch_size": 25}, False),
        ({"optimizer": {"name": "sgd", "arguments": {}}}, False),
        ({"model": {"function": "lrcycles.models:mlp", "arguments": {"units": [9]}}}, False),
        ({"data": "other"}, False),
        ({"class_weights": [1.0] * 10}, False),
        ({"streamed": True}, False),
        ({"runtime": replace(RUNTIME, threads=2)}, False),
        ({"runtime": replace(RUNTIME, sources="edited")}, False),
    ],
)
def test_the_key_follows_the_cell_as_far_as_it_decides_the_sweep(change, same):
    assert (sweep_key(replace(CELL, **change), SWEEP) == sweep_key(CELL, SWEEP)) is same


@pytest.mark.parametrize("field", [field.name for field in fields(Sweep)])
def test_the_key_follows_every_setting_of_the_sweep(field):
    value = getattr(SWEEP, field)
    changed = "linear" if isinstance(value, str) else value * 2
    assert sweep_key(CELL, replace(SWEEP, **{field: changed})) != sweep_key(CELL, SWEEP)


def test_the_key_follows_the_code_that_sweeps_but_no_figure_and_no_widening():
    followed = {path.stem for path in source_files([cell_sweep.__name__])}
    assert followed >= {"cell_sweep", "sweep", "curves", "chain", "engine", "table", "image_sets"}
    assert not followed & {"plots", "drawing", "widening", "of_cells", "kept_sweeps", "sources"}
