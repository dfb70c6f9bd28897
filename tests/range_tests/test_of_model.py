"""A range test of a Keras model chooses a metric, widens its range and refuses bad input."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lrcycles.errors import InputError
from lrcycles.range_tests.of_model import range_test
from tests.range_tests.small_models import (
    FEATURES,
    FEW,
    SAMPLES,
    Watched,
    compiled,
    line,
    linear,
    network,
)


def test_without_an_accuracy_the_metric_is_the_held_out_loss_and_a_note_says_so():
    curves = range_test(linear(), *line(), **FEW)
    assert (curves.metric, curves.metric_rises) == ("heldout_loss", False)
    assert "the metric is the held-out loss" in curves.notes[0]
    (curve,) = curves.by_seed()
    assert_array_equal(curve.metric, -curve.heldout_loss)


@pytest.mark.parametrize(("name", "rises"), [("mean_absolute_error", False), ("r2_score", True)])
def test_a_metric_of_keras_says_itself_which_way_is_better(name, rises):
    model = linear()
    metrics = [keras.metrics.MeanAbsoluteError(), keras.metrics.R2Score()]
    model.compile(model.optimizer, loss="mse", metrics=metrics, run_eagerly=True)
    curves = range_test(model, *line(), **FEW, metric=name)
    assert (curves.metric, curves.metric_rises) == (name, rises)
    assert np.isfinite(curves.table[name]).sum() == 2


def test_a_range_that_ends_before_learning_is_widened_and_a_note_says_so():
    x, y = line()
    model = linear()
    model.compile(model.optimizer, loss="mse")
    curves = range_test(
        model, x, y, batch_size=16, seeds=1, min_lr=1e-4, max_lr=1e-2, evaluate_every_steps=1
    )
    assert "the range was widened from 0.0001 to 0.01 to 0.0001 to 0.1" in curves.notes[1]
    assert curves.table["lr"].max() > 0.05


NAN = np.full((SAMPLES, FEATURES), np.nan, "float32")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ramp": "cubic"}, r"unknown ramp 'cubic'"),
        ({"min_lr": 1.0, "max_lr": 0.1}, r"min_lr < max_lr, got min_lr=1\.0, max_lr=0\.1"),
        ({"steps": 1}, r"steps.*got steps=1"),
        ({"batch_size": 60}, r"batch_size <= the 52 samples.*got batch_size=60"),
        ({"batch_size": 0}, r"batch_size.*got batch_size=0"),
        ({"heldout_samples": 64}, r"got 64 samples and heldout_samples=64"),
        ({"x": NAN[:2], "y": np.zeros(2)}, r"got 2 samples and heldout_samples=0"),
        ({"x": NAN[:0], "y": np.zeros(0)}, r"arrays without a sample"),
        ({"x": NAN[:9]}, r"as many samples in every array.*\[9, 64\]"),
        ({"x": NAN}, r"got NaN or infinity in the held-out samples"),
        ({"x": 3.5}, r"arrays, a dataset or a generator of batches, got float"),
        ({"x": [1.0, 2.0], "y": None, "batch_size": None}, r"first axis counts samples"),
        ({"x": iter([]), "y": None}, r"a list_iterator gives whole batches.*batch_size as well"),
        ({"x": iter([]), "y": None, "batch_size": None}, r"more batches than the data gave"),
        ({"metric": "f1"}, r"got 'f1': there are accuracy, loss"),
        ({"metric": "loss", "metric_rises": True}, r"metric_rises=True, got the held-out loss"),
        ({"heldout": NAN}, r"need heldout to be \(x, y\)"),
        ({"heldout": (NAN, NAN[:, 0]), "heldout_samples": 3}, r"either heldout or heldout_samples"),
        ({"seeds": 0}, r"got seeds=0"),
        ({"seeds": [1, 1]}, r"each seed once"),
        ({"seeds": "two"}, r"got seeds='two'"),
        ({"evaluate_every_steps": 0}, r"got evaluate_every_steps=0"),
        ({"stop_factor": 1.0}, r"need stop_factor > 1"),
        ({"widen": -1}, r"got widen=-1"),
        ({"loss": "mse"}, r"compiled with its own loss, got loss='mse'"),
        ({"class_weight": {0: 2.0}, "sample_weight": np.ones(64)}, r"got both"),
        ({"model": network()}, r"compiled model, or optimizer= and loss="),
        ({"model": "mlp"}, r"need a keras.Model, got str"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_named_in_one_line(changes, message, blobs):
    x, y = blobs
    arguments = {"model": None, "x": x, "y": y, **FEW, **changes}
    arguments["model"] = arguments["model"] or compiled()
    with pytest.raises(InputError, match=message) as raised:
        range_test(**arguments)
    assert "\n" not in str(raised.value)


def test_an_optimizer_that_its_configuration_does_not_describe_is_named(blobs):
    class Twice(keras.optimizers.SGD):
        def __init__(self, factor):
            super().__init__(0.1 * factor)

    with pytest.raises(InputError, match="own get_config describes, got Twice"):
        range_test(compiled(Twice(2)), *blobs, **FEW)


def test_a_train_step_that_reports_no_loss_is_told_to(blobs):
    class Silent(Watched):
        def test_step(self, data):
            return {"mae": 0.0 * len(data)}

    model = Silent()
    model.compile("sgd", loss="mse", run_eagerly=True)
    with pytest.raises(InputError, match="test_step to report loss, got mae"):
        range_test(model, blobs[0], blobs[0][:, :1], **FEW)
