"""Interrupts trainings and checks that they continue bit for bit, or start again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrcycles.cells.cell import Cell, link
from lrcycles.cells.store import CellStore
from lrcycles.training import chain, checkpoints, compilation
from lrcycles.training.compilation import piece_steps, step_operations
from lrcycles.training.records import begin_course
from tests.training import cases
from tests.training.cases import CELL, CONTINUED, REDUCED, RUNTIME, WILD
from tests.training.interrupted import (
    KilledError,
    content,
    in_short_pieces,
    train,
    train_with_many_interruptions,
)
from tests.training.networks import everything

ROOT = Path(__file__).parents[2]
DROPOUT = replace(
    CELL,
    arm="dropout",
    model={"function": "tests.training.networks:everything", "arguments": {}},
    averages={"ema": {"decay": 0.9}, "last": {"checkpoints": 2}},
    compile="graph",
)
HALF = replace(DROPOUT, runtime=replace(RUNTIME, precision="mixed_float16"))
PLATEAU = replace(HALF, schedule={**REDUCED.schedule, "base_lr": 0.05}, epochs=3)
CONSTANT = replace(cases.CONSTANT, compile="graph")
CHAIN = link([CONSTANT, replace(CONTINUED, compile="graph")])
MOMENTUM = replace(
    DROPOUT,
    optimizer={"name": "sgd", "arguments": {}},
    momentum={"base_momentum": 0.8, "max_momentum": 0.95},
)
DIVERGES = replace(
    WILD, schedule={"name": "triangular", "base_lr": 1e-3, "max_lr": 1e12, "cycles": 1}, epochs=4
)


@pytest.fixture(scope="module", autouse=True)
def _short_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        in_short_pieces(patch)
        yield


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([PLATEAU], id="dropout, batch norm, half precision, plateau"),
        pytest.param(CHAIN, id="a continuing arm", marks=pytest.mark.slow),
        *(
            pytest.param([cell], id=name, marks=pytest.mark.slow)
            for name, cell in {
                "XLA": replace(DROPOUT, compile="xla"),
                "streamed": replace(DROPOUT, streamed=True),
                "bfloat16": replace(HALF, runtime=replace(RUNTIME, precision="mixed_bfloat16")),
                "cycled momentum": MOMENTUM,
                "diverging": DIVERGES,
            }.items()
        ),
    ],
)
def test_an_interrupted_training_ends_with_the_bits_of_an_undisturbed_one(
    cells: list[Cell], digits: Path, tmp_path: Path
):
    train(cells, digits, tmp_path / "one")
    messages = train_with_many_interruptions(cells, digits, tmp_path / "other")
    assert messages.count("interrupted") > 1
    for cell in cells:
        assert content(tmp_path / "one", cell) == content(tmp_path / "other", cell)
    assert not list((tmp_path / "other" / ".checkpoints").iterdir())


@pytest.fixture(scope="module")
def stopped(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the checkpoint of a training that was interrupted after a third of its steps."""
    store = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KilledError):
        train([CONSTANT], digits, store, pieces=5)
    return store


def damage(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    if kind == "half a file":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "a flipped bit":
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.write_bytes(changed)
    elif kind == "no zip file":
        path.write_text("nothing")
    elif kind == "an empty file":
        path.write_bytes(b"")
    else:
        with np.load(path) as held:
            arrays = dict(held)
        if kind == "another training's":
            header = json.loads(arrays["header"].tobytes())
            header["keys"] = [replace(CONSTANT, seed=9).key]
            arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        elif kind == "other weights":
            arrays["state_0"] = arrays["state_0"] + 1
        else:
            del arrays["losses"]
        np.savez(path, **arrays)


DAMAGES = [
    *("half a file", "a flipped bit", "no zip file", "an empty file"),
    *("another training's", "other weights", "a missing array"),
]


class Resumed:
    """A training at its first step, which then continues at a checkpoint."""

    def __init__(self, digits: Path, store: Path) -> None:
        train_set, validation, test = chain.laid_out(CONSTANT, digits)
        order = chain.orders([CONSTANT], 0, train_set)
        self.engine, _ = chain.compiled(CONSTANT, train_set, order, validation, test)
        self.engine.reset([0])
        self.course = begin_course([CONSTANT], 1, order.shape[1])
        self.messages: list[str] = []
        self.before = self.state()
        self.checkpoint = checkpoints.Checkpoint(
            CellStore(store), [CONSTANT], every_seconds=1, say=self.messages.append
        )

    def state(self) -> list[bytes]:
        return [array.tobytes() for array in self.engine.state()]

    def resume(self) -> None:
        self.checkpoint.resume(self.engine, self.course)


def test_a_checkpoint_with_any_flipped_bit_is_refused_or_holds_the_same_state(
    stopped: Path, digits: Path, tmp_path: Path
):
    resumed = Resumed(digits, stopped)
    resumed.resume()
    right = resumed.state()
    whole = resumed.checkpoint.path.read_bytes()
    resumed = Resumed(digits, tmp_path)
    resumed.checkpoint.path.parent.mkdir()
    rng = np.random.default_rng(1)
    for place in rng.integers(len(whole), size=40):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        resumed.checkpoint.path.write_bytes(changed)
        resumed.engine.restore(
            [
                np.frombuffer(b, a.dtype).reshape(a.shape)
                for a, b in zip(resumed.engine.state(), resumed.before, strict=True)
            ]
        )
        resumed.course = begin_course([CONSTANT], 1, resumed.course.steps_per_epoch)
        resumed.resume()
        refused = "must be whole" in resumed.messages[-1]
        assert resumed.state() == (resumed.before if refused else right)


@pytest.mark.parametrize("kind", ["none", *DAMAGES])
def test_only_a_whole_checkpoint_of_the_same_training_is_used(
    kind: str, stopped: Path, digits: Path, tmp_path: Path
):
    resumed = Resumed(digits, tmp_path)
    checkpoint, course, messages = resumed.checkpoint, resumed.course, resumed.messages
    checkpoint.path.parent.mkdir()
    checkpoint.path.write_bytes((stopped / ".checkpoints" / checkpoint.path.name).read_bytes())
    if kind != "none":
        damage(checkpoint.path, kind)
    resumed.resume()
    unchanged = resumed.state() == resumed.before
    if kind == "none":  # four pieces of four steps; the fifth was interrupted
        assert messages == ["constant seed 0 continues at step 17 of 48, from its checkpoint."]
        assert not unchanged
        assert course.done == 16
    else:
        (message,) = messages
        assert message.startswith("The checkpoint of constant seed 0 must be whole. Received: ")
        assert "\n" not in message
        assert unchanged
        assert course.done == 0


def test_no_checkpoint_is_written_before_it_is_due(digits, tmp_path):
    with pytest.raises(KilledError):
        train([CONSTANT], digits, tmp_path, pieces=8, every_seconds=60)
    assert not (tmp_path / ".checkpoints").exists()


def test_a_checkpoint_that_cannot_be_written_is_named_once_and_stops_nothing(digits, tmp_path):
    (tmp_path / ".checkpoints").write_text("in the way")
    (message,) = train([CONSTANT], digits, tmp_path)
    assert "must be writable" in message
    assert (tmp_path / CONSTANT.key / "result.json").exists()


def test_checkpoints_of_finished_cells_are_removed_and_others_stay(stopped, tmp_path):
    store = CellStore(tmp_path)
    store.checkpoints.mkdir()
    (path,) = (stopped / ".checkpoints").iterdir()
    (store.checkpoints / path.name).write_bytes(path.read_bytes())
    (store.checkpoints / "broken.npz").write_bytes(b"")
    checkpoints.remove_finished(store)
    assert (store.checkpoints / path.name).exists()
    store.folder(CONSTANT.key).mkdir()
    checkpoints.remove_finished(store)
    assert [each.name for each in store.checkpoints.iterdir()] == ["broken.npz"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tf.random", "tf.Variable"])
def test_a_layer_with_a_state_that_keras_does_not_know_continues_with_the_same_bits(
    kind: str, digits: Path, tmp_path: Path
):
    model = {"function": "tests.training.own_networks:hidden_state", "arguments": {"kind": kind}}
    cell = replace(DROPOUT, model=model, epochs=1)
    train([cell], digits, tmp_path / "one")
    with pytest.raises(KilledError):
        train([cell], digits, tmp_path / "other", pieces=5)
    # The state of TensorFlow's own random numbers cannot be read: such a training starts again.
    assert bool(train([cell], digits, tmp_path / "other")) == (kind == "tf.Variable")
    steps = [(tmp_path / store / cell.key / "steps.npy").read_bytes() for store in ("one", "other")]
    assert steps[0] == steps[1]


def test_a_piece_has_fewer_steps_for_a_larger_network_and_batch(monkeypatch):
    def steps(model: Any, batch_size: int, shape: tuple[int, ...] = (8, 8)) -> int:
        operations = step_operations(model, input_shape=shape, batch_size=batch_size, cells=1)
        return piece_steps(operations, device="cpu")

    monkeypatch.setattr(compilation, "PIECE_SECONDS", 2.0)
    network = everything((8, 8), 10)
    assert 1000 < steps(network, 50) <= 2000  # a step takes a millisecond at least
    assert steps(network, 50) > steps(network, 10**6) > steps(network, 10**9) == 1


@pytest.mark.slow
@pytest.mark.parametrize("side_by_side", [1, 3])
def test_trainings_on_jax_continue_with_the_same_bits_alone_and_side_by_side(
    side_by_side: int, digits: Path, tmp_path: Path
):
    runtime = replace(RUNTIME, backend="jax", side_by_side=side_by_side)
    arms = [replace(DROPOUT, seed=seed, compile="auto", runtime=runtime) for seed in (0, 1)]
    if side_by_side == 1:
        arms = link([arms[0], replace(arms[0], arm="child", continues="dropout", batch_size=40)])
    code = (
        "import json, sys; from tests.training.interrupted import compare_on_jax; "
        "compare_on_jax(json.loads(sys.argv[1]), *sys.argv[2:])"
    )
    cells = json.dumps([asdict(cell) for cell in arms])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    subprocess.run(
        [sys.executable, "-c", code, cells, str(digits), str(tmp_path)], env=environment, check=True
    )
