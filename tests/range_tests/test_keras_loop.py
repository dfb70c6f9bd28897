"""Many updates in one call give the losses of updates by `train_on_batch`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.range_tests.keras_model import loop as keras_loop
from lrcycles.range_tests.keras_model.loop import compiled_loop, stackable
from lrcycles.range_tests.of_model import range_test
from tests.range_tests.small_models import compiled, network

SETTINGS = {"steps": 9, "seeds": 2, "batch_size": 16, "evaluate_every_steps": 4, "widen": 0}


def curves(monkeypatch, model, *data, by_loop, **settings):
    used = []
    real = compiled_loop

    def loop(model, *, updates):
        function = real(model, updates=1000 * updates) if by_loop else None
        used.append(function is not None)
        return function

    monkeypatch.setattr(keras_loop, "compiled_loop", loop)
    table = range_test(model, *data, **SETTINGS | settings).table
    monkeypatch.undo()
    return table, used


@pytest.mark.parametrize("jit_compile", [False, True])
def test_losses_and_metrics_are_those_of_train_on_batch(monkeypatch, blobs, jit_compile):
    middle = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)]
    keras.utils.set_random_seed(0)
    model = compiled("adam", *middle, run_eagerly=False, jit_compile=jit_compile)
    one_by_one, used = curves(monkeypatch, model, *blobs, by_loop=False)
    assert used == [False]
    together, used = curves(monkeypatch, model, *blobs, by_loop=True)
    assert used == [True]
    for column in ("loss", "accuracy", "heldout_loss"):
        assert_allclose(together[column], one_by_one[column], rtol=1e-5)


def test_batches_of_different_shapes_are_trained_in_their_order(monkeypatch, blobs):
    x, y = blobs
    sizes = [8, 8, 5, 5, 5, 8, 7, 6, 6, 6]
    ends = np.cumsum(sizes)
    batches = [(x[e - n : e], y[e - n : e]) for n, e in zip(sizes, ends, strict=True)]
    model = compiled(run_eagerly=False, jit_compile=False)
    settings = {"heldout": blobs, "steps": 10, "seeds": 1, "batch_size": None}
    losses = [
        curves(monkeypatch, model, iter(batches), by_loop=by_loop, **settings)[0]["loss"]
        for by_loop in (False, True)
    ]
    assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_a_loop_is_used_in_long_tests_of_models_without_their_own_train_step():
    class Own(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    model = compiled(model=Own(network().layers), run_eagerly=False)
    plain = compiled(run_eagerly=False)
    assert compiled_loop(plain, updates=1000) is not None
    assert compiled_loop(plain, updates=100) is None
    assert compiled_loop(model, updates=1000) is None
    assert compiled_loop(compiled(run_eagerly=True), updates=1000) is None


def test_batches_are_stacked_while_they_have_one_shape_and_fit_into_memory(monkeypatch):
    small, other = np.zeros((4, 2), np.float32), np.zeros((3, 2), np.float32)
    batches = [(small, None, None)] * 3 + [(other, None, None)]
    assert stackable(batches) == 3
    monkeypatch.setattr(keras_loop, "STACKED_BYTES", 2 * small.nbytes)
    assert stackable(batches) == 2
    monkeypatch.setattr(keras_loop, "STACKED_BYTES", 1)
    assert stackable(batches) == 1
