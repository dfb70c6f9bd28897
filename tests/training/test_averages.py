"""Averages of the weights: their values, their scores, and that training does not notice them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.cells.cell import Cell
from lrcycles.cells.result import read_result
from lrcycles.data.image_sets import read_sets
from lrcycles.errors import InputError
from lrcycles.training import chain
from lrcycles.training.averages.weights import ema_shares
from lrcycles.training.records import begin_course
from tests.training.cases import CELL, CONSTANT
from tests.training.interrupted import in_short_pieces, train, train_with_many_interruptions

DECAY, CHECKPOINTS = 0.9, 2
BOTH = {"ema": {"decay": DECAY}, "last": {"checkpoints": CHECKPOINTS}}
AVERAGED = replace(CELL, averages=BOTH, epochs=3)
NORMALISED = replace(
    AVERAGED,
    arm="normalised",
    model={"function": "tests.training.networks:everything", "arguments": {}},
    compile="graph",
)


def weights_after_every_step(cell: Cell, data: Path) -> list[list[np.ndarray]]:
    """Train step by step, without averages, and copy the trainable weights after each step."""
    cell = replace(cell, averages=None)
    train_set, _, _ = chain.laid_out(cell, data)
    order = chain.orders([cell], 0, train_set)
    engine, _ = chain.compiled(cell, train_set, order)
    engine.reset([cell.seed])
    course = begin_course([cell], 1, order.shape[1])
    kept = []
    for epoch in range(cell.epochs):
        order = chain.orders([cell], epoch, train_set)
        rates = course.rates[:, epoch * order.shape[1] :]
        for step in range(order.shape[1]):
            engine.run(train_set, order, rates, start=step, stop=step + 1)
            kept.append([np.float64(v.numpy()) for v in engine.trained(0).trainable_variables])
    return kept


def expected_averages(kept: Sequence[Sequence[np.ndarray]], epochs: int) -> dict[str, list[Any]]:
    """Average in NumPy, from the definitions."""
    factors = DECAY ** np.arange(len(kept))[::-1]
    ends = kept[len(kept) // epochs - 1 :: len(kept) // epochs][-CHECKPOINTS:]
    return {
        "ema": [np.average(each, axis=0, weights=factors) for each in zip(*kept, strict=True)],
        "last": [np.mean(each, axis=0) for each in zip(*ends, strict=True)],
    }


def network(store: Path, cell: Cell, name: str = "") -> Any:
    return keras.models.load_model(store / cell.key / f"model{name}.keras")


@pytest.mark.parametrize("compiled", ["graph", "xla"])
def test_averages_are_those_of_the_weights_after_every_step(compiled, digits, tmp_path):
    cell = replace(AVERAGED, compile=compiled)
    train([cell], digits, tmp_path)
    kept = weights_after_every_step(cell, digits)
    for name, expected in expected_averages(kept, cell.epochs).items():
        averaged = network(tmp_path, cell, f"_{name}").trainable_variables
        for ours, theirs in zip(averaged, expected, strict=True):
            assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compiled", ["graph", "xla"])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_training_does_not_notice_its_averages(compiled, name, digits, tmp_path):
    cell = replace(AVERAGED, compile=compiled, optimizer={"name": name, "arguments": {}})
    bare = replace(cell, averages=None)
    train([cell, bare], digits, tmp_path)
    steps = [(tmp_path / each.key / "steps.npy").read_bytes() for each in (cell, bare)]
    assert steps[0] == steps[1]
    for one, other in zip(network(tmp_path, cell).get_weights(), network(tmp_path, bare).get_weights(), strict=True):
        assert_array_equal(one, other)
    assert not list((tmp_path / bare.key).glob("*_*"))
