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


def test_without_an_accuracy_the_metric_is_the_held_out_loss_and_a_note_explains_it():
    curves = range_test(linear(), *line(), **FEW)
    assert (curves.metric, curves.metric_rises) == ("heldout_loss", False)
    assert "The metric is the held-out loss" in curves.notes[0]
    (curve,) = curves.by_seed()
    assert_array_equal(curve.metric, -curve.heldout_loss)


@pytest.mark.parametrize(("name", "rises"), [("mean_absolute_error", False), ("r2_score", True)])
def test_the_direction_of_a_keras_metric_is_known(name, rises):
    model = linear()
    metrics = [keras.metrics.MeanAbsoluteError(), keras.metrics.R2Score()]
    model.compile(model.optimizer, loss="mse", metrics=metrics, run_eagerly=True)
    curves = range_test(model, *line(), **FEW, metric=name)
    assert (curves.metric, curves.metric_rises) == (name, rises)
    assert np.isfinite(curves.table[name]).sum() == 2


def test_a_range_that_ends_before_learning_is_widened_and_a_note_names_both_ranges():
    x, y = line()
    model = linear()
    model.compile(model.optimizer, loss="mse")
    curves = range_test(
        model, x, y, batch_size=16, seeds=1, min_lr=1e-4, max_lr=1e-2, steps=30,
        evaluate_every_steps=1,
    )  # fmt: skip
    assert "The range 0.0001 to 0.01 was widened to 0.0001 to 0.1" in curves.notes[1]
    assert curves.table["lr"].max() > 0.05


def test_with_epochs_the_test_is_as_short_as_the_training_allows_and_a_note_names_its_share():
    x, y = line()
    model = linear()
    model.compile(model.optimizer, loss="mse")
    given = {"batch_size": 16, "widen": 0, "heldout_samples": 12, "max_lr": 1e-4}
    curves = range_test(model, x, y, **given, epochs=200)  # 800 mini-batches
    # A quarter is 200. 190 steps and 20 evaluations of a quarter of a mini-batch take 195.
    assert len(curves.table) == 190
    assert not [note for note in curves.notes if "of the time of the training" in note]
    assert len(range_test(model, x, y, **given, epochs=200, steps=20).table) == 60


NAN = np.full((SAMPLES, FEATURES), np.nan, "float32")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ramp": "cubic"}, r"ramp.*'cubic'"),
        ({"min_lr": 1.0, "max_lr": 0.1}, r"min_lr.*max_lr.*min_lr=1\.0.*max_lr=0\.1"),
        ({"steps": 1}, r"steps.*1"),
        ({"batch_size": 60}, r"batch_size.*at most 52.*Received: batch_size=60"),
        ({"batch_size": 0}, r"batch_size.*0"),
        ({"heldout_samples": 64}, r"Received: 64 samples and heldout_samples=64"),
        ({"x": NAN[:2], "y": np.zeros(2)}, r"Received: 2 samples and heldout_samples=0"),
        ({"x": NAN[:0], "y": np.zeros(0)}, r"Received: arrays without samples"),
        ({"x": NAN[:9]}, r"x, y and sample_weight.*Received: 9, 64 samples"),
        ({"x": NAN}, r"Received: NaN or infinity in a mini-batch"),
        (
            {"heldout": (NAN, np.zeros(64, int))},
            r"Received: NaN or infinity in the held-out samples",
        ),
        ({"x": 3.5}, r"arrays, a dataset or a generator of batches\. Received: float"),
        ({"x": [1.0, 2.0], "y": None, "batch_size": None}, r"Received: list of float\. Convert x"),
        ({"x": np.float32(3.5)}, r"first axis.*must count samples"),
        ({"x": iter([]), "y": None}, r"Received: batch_size and x of type list_iterator"),
        ({"x": iter([]), "y": None, "batch_size": None}, r"Received: an iterator that ended"),
        ({"metric": "f1"}, r"metric.*Received: 'f1'.*accuracy, loss"),
        ({"metric": "loss", "metric_rises": True}, r"metric_rises=True.*the held-out loss"),
        ({"heldout": NAN}, r"heldout must be \(x, y\)"),
        (
            {"heldout": (NAN, NAN[:, 0]), "heldout_samples": 3},
            r"one of heldout and heldout_samples",
        ),
        ({"seeds": 0}, r"Received: seeds=0"),
        ({"seeds": [1, 1]}, r"Received: seeds=\[1, 1\]"),
        ({"seeds": "two"}, r"Received: seeds='two'"),
        ({"evaluate_every_steps": 0}, r"evaluate_every_steps.*0"),
        ({"epochs": 0}, r"epochs.*0"),
        (
            {
                "x": ((np.zeros((4, FEATURES)), np.zeros(4, int)) for _ in range(130)),
                **{"y": None, "batch_size": None, "epochs": 2},
            },
            r"The length of an epoch.*Received: epochs=2 and data without.*Pass steps_per_epoch",
        ),
        ({"stop_factor": 1.0}, r"stop_factor.*1\.0"),
        ({"widen": -1}, r"widen.*-1"),
        ({"loss": "mse"}, r"loss must be left out.*Received: loss='mse'"),
        (
            {"class_weight": {0: 2.0}, "sample_weight": np.ones(64)},
            r"one of sample_weight and class",
        ),
        ({"model": network()}, r"optimizer= and loss="),
        ({"model": "mlp"}, r"keras\.Model.*Received: str"),
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


def test_a_test_step_that_returns_no_loss_is_named(blobs):
    class Silent(Watched):
        def test_step(self, data):
            return {"mae": 0.0 * len(data)}

    model = Silent()
    model.compile("sgd", loss="mse", run_eagerly=True)
    with pytest.raises(InputError, match=r"test_step must return the loss.*Received: mae"):
        range_test(model, blobs[0], blobs[0][:, :1], **FEW)
