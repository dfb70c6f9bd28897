"""A range test takes arrays, datasets and generators, and never trains on held-out samples."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrcycles.errors import InputError
from lrcycles.range_tests.of_model import range_test
from tests.range_tests.small_models import FEW, Loader, Pairs, Watched, compiled, line

DATA = {
    "arrays": lambda x, y: {"x": x, "y": y, "batch_size": 8},
    "tf.data": lambda x, y: {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(8)},
    "PyDataset": lambda x, y: {"x": Pairs(x, y)},
    "loader": lambda x, y: {"x": Loader(Pairs(x, y)[i] for i in range(8))},
    "generator": lambda x, y: {"x": (Pairs(x, y)[i % 8] for i in range(100) if i % 8 or not i)},
}


@pytest.mark.parametrize("kind", DATA)
def test_held_out_samples_are_never_trained_on_whatever_the_data(kind):
    numbers = np.arange(64, dtype="float32")[:, None]
    model = Watched()
    model.compile(keras.optimizers.SGD(), loss="mse", run_eagerly=True)
    model(numbers)
    data = DATA[kind](numbers, np.zeros_like(numbers))
    apart = {} if kind == "arrays" else {"heldout_samples": 8}
    curves = range_test(
        model, **data, **apart, steps=20, max_lr=1e-4, seeds=2, evaluate_every_steps=5, widen=0
    )
    assert len(curves.table) == 40
    assert curves.steps_per_epoch == (None if kind == "generator" else 8)
    if kind == "arrays":
        assert len(model.seen) == 64 - 12  # a fifth
    else:
        assert model.seen == set(range(8, 64))


def test_an_epoch_has_as_many_steps_as_fit_makes_of_the_same_arrays(blobs):
    model = compiled()
    curves = range_test(model, *blobs, **{**FEW, "batch_size": 12})
    model.fit(*blobs, batch_size=12, verbose=0)
    assert curves.steps_per_epoch == model.optimizer.iterations == 6  # 5 of 12 and one of 4


def test_inputs_may_be_several_by_name_and_data_frames_of_their_own():
    import pandas as pd

    x, y = line()
    left, right = keras.Input((1,), name="left"), keras.Input((1,), name="right")
    both = keras.layers.Concatenate()([left, right])
    model = keras.Model({"left": left, "right": right}, keras.layers.Dense(1)(both))
    model.compile("sgd", loss="mse", run_eagerly=True)
    inputs = {"left": pd.DataFrame(x[:, :1]), "right": x[:, 1:].astype("float64")}
    assert len(range_test(model, inputs, y, **FEW).table) == 3


def test_a_subclass_model_is_built_by_the_test(blobs):
    model = Watched()
    model.compile("sgd", loss="mse", run_eagerly=True)
    assert len(range_test(model, blobs[0], blobs[0][:, :1], **FEW).table) == 3


def test_a_batch_with_nan_in_the_middle_of_a_sweep_is_refused(blobs):
    x, y = blobs
    batches = Loader([(x, y), (x, y), (np.full_like(x, np.nan), y)])
    with pytest.raises(InputError, match="NaN or infinity in a mini-batch"):
        range_test(compiled(), batches, heldout=(x, y), steps=5, seeds=1, widen=0)
