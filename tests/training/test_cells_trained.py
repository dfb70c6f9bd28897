"""Trains cells for real and checks their results."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.cells.cell import Cell, chains, link
from lrcycles.cells.result import CellResult, read_result
from lrcycles.cells.store import CellStore
from lrcycles.data.image_sets import read_sets
from lrcycles.errors import InputError
from lrcycles.training.run import train_all
from tests.training.cases import CELL, CONSTANT, CONTINUED, REDUCED, RUNTIME, WILD

ROOT = Path(__file__).parents[2]


def train(
    cells: Sequence[Cell], data: Path, store: Path, *, workers: int = 1, reuse: bool = True
) -> list[tuple[str, str]]:
    events: list[tuple[str, str]] = []
    train_all(
        chains(link(cells)),
        data=data,
        store=CellStore(store),
        workers=workers,
        reuse=reuse,
        models=[cell.key for cell in link(cells)],
        on_event=lambda event, key: events.append((event, key)),
    )
    return events


def weights(store: Path, key: str) -> list[np.ndarray]:
    import keras

    loaded: list[np.ndarray] = keras.models.load_model(store / key / "model.keras").get_weights()
    return loaded


def result_of(store: Path, cell: Cell) -> CellResult:
    return read_result(store / cell.key / "result.json")


def untimed(path: Path) -> dict[str, object]:
    result = json.loads(path.read_text())
    timed = [name for name in result if name.endswith(("_seconds", "_per_second"))]
    assert timed
    return {name: value for name, value in result.items() if name not in timed}


@pytest.fixture(scope="module")
def trained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two seeds of the arms and one of `reduced`, trained by one worker."""
    store = tmp_path_factory.mktemp("store")
    arms = [CELL, CONSTANT, CONTINUED, WILD]
    train([*(replace(arm, seed=seed) for seed in (0, 1) for arm in arms), REDUCED], digits, store)
    return store


def test_the_losses_are_those_of_plain_keras_on_the_same_batches(trained, digits):
    import keras

    sets = read_sets(digits, training_set="split")
    x, y = sets.train.scaled(), sets.train.labels
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(8, "relu", kernel_initializer="random_normal"),
            keras.layers.Dense(10, "softmax", kernel_initializer="random_normal"),
        ]
    )
    model.build((None, 8, 8))
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    expected = []
    for epoch in range(2):
        order = np.random.default_rng([0, epoch]).permutation(1200)
        for batch in order.reshape(24, 50):
            expected.append(model.train_on_batch(x[batch], y[batch]))
            model.reset_metrics()
    steps = np.load(trained / CONSTANT.key / "steps.npy")
    assert_allclose(steps["loss"], expected, rtol=2e-4)
    result = result_of(trained, CONSTANT)
    predicted = model.predict(sets.test.scaled(), verbose=0).argmax(axis=1)
    right = predicted == sets.test.labels
    assert_allclose(result.test_error_percent, 100 * np.mean(~right))
    kept = np.unpackbits(np.load(trained / CONSTANT.key / "correct.npy"), count=result.test_images)
    assert_array_equal(kept, right)
    predicted = model.predict(sets.validation.scaled(), verbose=0).argmax(axis=1)
    error = 100 * np.mean(predicted != sets.validation.labels)
    assert_allclose(result.validation_error_percent, error)
    assert_allclose(result.history[-1].validation_error_percent, error)


def test_the_rates_rise_and_fall_along_straight_lines_and_end_at_base_lr(trained):
    steps = np.load(trained / CELL.key / "steps.npy")
    up = np.linspace(0.001, 0.02, 13)
    cycle = np.concatenate([up, up[-2:0:-1]])
    assert_allclose(steps["lr"], np.concatenate([cycle, cycle]), rtol=1e-6)
    assert_array_equal(steps["step"], np.arange(1, 49))
    assert_array_equal(steps["epoch"], np.repeat([1, 2], 24))


def test_pairs_start_from_the_same_weights_and_see_the_same_first_batch(trained):
    first = [np.load(trained / cell.key / "steps.npy")["loss"][0] for cell in (CELL, CONSTANT)]
    assert first[0] == first[1]
    other = np.load(trained / replace(CELL, seed=1).key / "steps.npy")["loss"][0]
    assert other != first[0]


def test_a_result_names_what_was_trained_and_every_epoch(trained):
    result = result_of(trained, CELL)
    assert (result.key, result.arm, result.seed) == (CELL.key, "clr", 0)
    assert (result.status, result.images, result.steps) == ("finished", 1200, 48)
    assert (result.schedule.name, result.schedule.cycles) == ("triangular", 2)
    assert result.schedule.step_size == 12  # 48 steps are two cycles of two half-cycles
    assert result.schedule.gamma is None
    assert [(epoch.epoch, epoch.step) for epoch in result.history] == [(1, 24), (2, 48)]


def test_a_continuing_cell_starts_from_its_parents_weights_at_its_own_first_step(trained, digits):
    import keras

    child = link([CONSTANT, CONTINUED])[1]
    model = keras.models.load_model(trained / CONSTANT.key / "model.keras")
    train_set = read_sets(digits, training_set="split").train
    batch = np.random.default_rng([0, 0]).permutation(1200)[:100]
    predicted = model.predict(train_set.scaled()[batch], verbose=0)
    expected = -np.log(predicted[np.arange(100), train_set.labels[batch]]).mean()
    steps = np.load(trained / child.key / "steps.npy")
    assert_allclose(steps["loss"][0], expected, rtol=1e-5)
    assert len(steps) == 24


def test_a_cell_that_diverges_says_so_and_has_no_error(trained):
    result = result_of(trained, WILD)
    assert result.status == "diverged"
    assert not result.finished
    assert result.test_error_percent is None
    assert not (trained / WILD.key / "correct.npy").exists()
    losses = np.load(trained / WILD.key / "steps.npy")["loss"]
    assert result.diverged_at_step == 1 + np.flatnonzero(~np.isfinite(losses))[0]
    assert result.steps == len(losses) == 24  # one epoch of two
    assert list(result.history) == []


def test_results_do_not_depend_on_workers_or_on_what_ran_before(trained, digits, tmp_path):
    cells = link([replace(arm, seed=1) for arm in (CONTINUED, CONSTANT, CELL)])
    train(cells, digits, tmp_path, workers=2)
    for cell in cells:
        one, other = trained / cell.key, tmp_path / cell.key
        assert (one / "steps.npy").read_bytes() == (other / "steps.npy").read_bytes()
        assert untimed(one / "result.json") == untimed(other / "result.json")
        for a, b in zip(weights(trained, cell.key), weights(tmp_path, cell.key), strict=True):
            assert_array_equal(a, b)


def test_reuse_false_trains_anyway(trained, digits):
    events = train([CELL], digits, trained, reuse=False)
    assert [event for event, _ in events] == ["epoch", "epoch", "cell"]


def test_a_finished_parent_is_taken_and_its_child_gets_the_same_bits_as_one_trained_with_it(
    trained, digits, tmp_path
):
    train([CONSTANT], digits, tmp_path)
    before = (tmp_path / CONSTANT.key / "result.json").stat().st_mtime_ns
    events = train([CONSTANT, CONTINUED], digits, tmp_path)
    child = link([CONSTANT, CONTINUED])[1]
    assert {key for event, key in events if event == "epoch"} == {child.key}
    assert (tmp_path / CONSTANT.key / "result.json").stat().st_mtime_ns == before
    steps = [np.load(store / child.key / "steps.npy") for store in (trained, tmp_path)]
    assert_array_equal(steps[0], steps[1])


def test_a_trained_network_loads_where_lrcycles_is_not(trained):
    code = (
        "import sys, keras, numpy as np; "
        f"model = keras.models.load_model({str(trained / CELL.key / 'model.keras')!r}); "
        "assert 'lrcycles' not in sys.modules; "
        "print(model.predict(np.zeros((2, 8, 8)), verbose=0).shape)"
    )
    printed = subprocess.check_output([sys.executable, "-I", "-c", code], text=True)
    assert printed.strip() == "(2, 10)"


def test_cells_train_from_a_plain_file_without_pandas_mlflow_or_hydra(digits, tmp_path, trained):
    plan = {"data": str(digits), "cells": [asdict(CELL)], "models": []}
    (tmp_path / "cells.json").write_text(json.dumps(plan))
    blocked = (
        "import sys; [sys.modules.__setitem__(m, None) for m in ('pandas', 'mlflow', 'hydra')]"
    )
    code = f"{blocked}; from lrcycles.training.__main__ import main; main(sys.argv[1:])"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cells.json"), str(tmp_path / "out")],
        check=True,
        cwd=ROOT / "src",
    )
    made, known = (store / CELL.key / "steps.npy" for store in (tmp_path / "out", trained))
    assert made.read_bytes() == known.read_bytes()


def own(function: str, **changes: object) -> Cell:
    model = {"function": f"tests.training.own_networks:{function}", "arguments": {}}
    return replace(CELL, model=model, epochs=1, **changes)


def test_a_class_of_the_users_trains_is_saved_and_is_continued_in_another_run(digits, tmp_path):
    first = own("net", arm="constant")
    child = own("net", arm="continued", continues="constant")
    train([first], digits, tmp_path)
    train([first, child], digits, tmp_path)
    importlib.import_module("tests.training.own_networks")  # registers the class
    assert [array.shape for array in weights(tmp_path, first.key)] == [(64, 10), (10,)]
    assert result_of(tmp_path, link([first, child])[1]).status == "finished"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "not_saved",
            r"able to save and load the network \(tests\.training\.own_networks\.NotSaved",
        ),
        (
            "eager_only",
            r"Received: TypeError: .*float\(\) argument .* "
            r"\(tests/training/own_networks\.py:\d+, in call: float\(images\[0, 0, 0\]\)\)\.",
        ),
    ],
)
def test_what_fails_in_the_users_class_crosses_the_processes_as_one_line(
    function, message, digits, tmp_path
):
    with pytest.raises(InputError, match=message) as caught:
        train_all(
            [[own(function)]],
            data=digits,
            store=CellStore(tmp_path),
            workers=1,
            reuse=True,
            models=[own(function).key] if function == "not_saved" else [],
            on_event=lambda *_: None,
        )
    assert "\n" not in str(caught.value)


def test_a_mixed_precision_network_learns_and_stays_finite(digits, tmp_path):
    half = replace(CELL, runtime=replace(RUNTIME, precision="mixed_float16"), epochs=4)
    train([half], digits, tmp_path)
    history = result_of(tmp_path, half).history
    assert history[-1].validation_loss < history[0].validation_loss


def test_a_rate_falls_after_the_epochs_whose_validation_loss_did_not(trained):
    (cell,) = link([REDUCED])
    losses = [epoch.validation_loss for epoch in result_of(trained, cell).history]
    expected, lr = [], 0.5
    for epoch in range(6):
        expected.append(lr)
        if epoch and losses[epoch] >= min(losses[:epoch]) - 1e-4:
            lr *= 0.1
    table = np.load(trained / cell.key / "steps.npy")
    assert_allclose(table["lr"], np.repeat(expected, 24), rtol=1e-6)
    assert len(set(expected)) > 1
