"""A range test sweeps what a user's train step does besides a Keras train step, and restores it."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from lrcycles.errors import InputError
from lrcycles.range_tests.of_model import range_test
from tests.range_tests.small_models import CLASSES, compiled, line, linear, network

FEW = {"steps": 3, "seeds": 1, "evaluate_every_steps": 2, "widen": 0}
SPARSE = "sparse_categorical_crossentropy"


class Head(keras.Model):
    """One layer, and a train step that returns its raw loss."""

    def __init__(self):
        super().__init__()
        self.head = layers.Dense(CLASSES, activation="softmax")

    def call(self, x):
        return self.head(x)

    def update(self, x, y, *_):
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        weights = self.head.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    def train_step(self, data):
        return {"loss": self.update(*data)}


class DecoratedStep(Head):
    @tf.function
    def train_step(self, data):
        return {"loss": self.update(*data)}


class DecoratedMethod(Head):
    @tf.function
    def inner(self, x, y, *_):
        return self.update(x, y)

    def train_step(self, data):
        return {"loss": self.inner(*data)}


class HeldFunction(Head):
    def __init__(self):
        super().__init__()
        self.inner = tf.function(self.update)

    def train_step(self, data):
        return {"loss": self.inner(*data)}


def trained(kind, blobs, *, tested, fitted_before):
    keras.utils.set_random_seed(0)
    model = kind()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 20)
    model.compile(keras.optimizers.SGD(schedule), SPARSE, run_eagerly=True)
    if fitted_before:
        model.train_on_batch(blobs[0][:16], blobs[1][:16])
    if tested:
        curves = range_test(model, *blobs, **FEW, min_lr=0.1, max_lr=10.0, batch_size=16)
        assert curves.table["loss"].std() > 0.01  # the rates of the sweep have reached the weights
    model(blobs[0])
    for _ in range(2):
        model.train_on_batch(blobs[0][:16], blobs[1][:16])
    return model.get_weights()


@pytest.mark.parametrize(
    ("kind", "fitted_before"),
    [(DecoratedStep, False), (DecoratedMethod, True), (HeldFunction, False)],
)
def test_a_function_of_the_user_that_tensorflow_has_traced_is_traced_anew(
    kind, fitted_before, blobs
):
    with_test, without = (
        trained(kind, blobs, tested=tested, fitted_before=fitted_before) for tested in (True, False)
    )
    for one, other in zip(with_test, without, strict=True):
        np.testing.assert_array_equal(one, other)


GLOBAL = tf.Variable(1.0)


def test_variables_that_a_loss_takes_from_outside_are_restored(blobs):
    closed_over, by_default = tf.Variable(1.0), tf.Variable(1.0)

    def loss(y, y_pred, variable=by_default):
        for counter in (closed_over, variable, GLOBAL):
            counter.assign_add(1.0)
        factor = closed_over * variable * GLOBAL
        return keras.losses.sparse_categorical_crossentropy(y, y_pred) * factor

    model = network()
    model.compile("sgd", loss, run_eagerly=True)
    range_test(model, *blobs, **FEW)
    assert [float(v) for v in (closed_over, by_default, GLOBAL)] == [1.0, 1.0, 1.0]


def test_a_model_that_the_test_builds_keeps_its_counters_and_seeds(blobs):
    class Counted(Head):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0.0, trainable=False)
            self.seeds = keras.random.SeedGenerator(1)

        def call(self, x):
            self.calls.assign_add(1.0)
            return super().call(x + 0.01 * keras.random.normal(ops.shape(x), seed=self.seeds))

    model = compiled(model=Counted())
    before = np.array(model.seeds.state)
    range_test(model, *blobs, **FEW)
    assert float(model.calls) == 0.0
    np.testing.assert_array_equal(model.seeds.state, before)


def test_an_optional_input_may_be_none(blobs):
    class Sum(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = layers.Dense(CLASSES, activation="softmax")

        def call(self, x):
            first, second = x.values()
            return self.last(first if second is None else first + second)

    x = {"first": blobs[0], "second": None}
    assert len(range_test(compiled(model=Sum()), x, blobs[1], **FEW).table) == 3


def mean_in_a_helper(head):
    head.helper = SimpleNamespace(mean=keras.metrics.Mean())

    def running(loss):
        head.helper.mean.update_state(loss)
        return head.helper.mean.result()

    return running


def sum_in_python(head):
    head.total = head.count = 0

    def running(loss):
        head.total, head.count = head.total + float(loss), head.count + 1
        return head.total / head.count

    return running


def average_in_a_variable(head):
    head.average = tf.Variable(0.0, trainable=False)
    return lambda loss: head.average.assign(0.9 * head.average + 0.1 * loss)


def weight_that_rises(head):
    head.factor = tf.Variable(1.0, trainable=False)
    return lambda loss: loss * head.factor.assign_add(0.5)


def steps_of(returned, blobs):
    """The losses of a sweep of a train step that returns `returned` of its raw loss."""
    keras.utils.set_random_seed(0)
    model = Head()
    function = returned(model) if returned else lambda loss: loss
    model.train_step = lambda data: {"loss": function(model.update(*data))}
    model.compile("sgd", SPARSE, run_eagerly=True)
    return range_test(model, *blobs, **FEW).table["loss"].to_numpy()


def test_the_loss_is_raw_where_the_train_step_returns_the_mean_of_a_metric_in_a_helper(blobs):
    np.testing.assert_array_equal(steps_of(mean_in_a_helper, blobs), steps_of(None, blobs))


def test_a_loss_whose_weight_rises_from_step_to_step_is_no_running_mean(blobs):
    raw = steps_of(None, blobs)
    np.testing.assert_allclose(steps_of(weight_that_rises, blobs), raw * [1.5, 2.0, 2.5], rtol=0.05)


@pytest.mark.parametrize("running", [sum_in_python, average_in_a_variable])
def test_a_running_mean_that_cannot_be_reset_is_refused(running, blobs):
    with pytest.raises(InputError, match=r"Received: a running mean.*Return the loss itself"):
        steps_of(running, blobs)


class Averaged(Head):
    """An encoder and its moving average, which has trainable weights and gets no gradient."""

    def __init__(self):
        super().__init__()
        self.average = layers.Dense(CLASSES)

    def call(self, x):
        self.average(x)
        return super().call(x)

    def train_step(self, data):
        loss = self.update(*data)
        for weight, own in zip(self.average.weights, self.head.weights, strict=True):
            weight.assign(0.9 * weight + 0.1 * own)
        return {"loss": loss}


def test_a_moving_average_of_the_weights_is_no_training_at_another_rate(blobs):
    model = compiled(model=Averaged())
    assert len(range_test(model, *blobs, **FEW).table) == 3


class ByHand(Averaged):
    """The second encoder is trained by hand at a small rate."""

    def train_step(self, data):
        weights = self.average.trainable_variables
        with tf.GradientTape() as tape:
            loss = ops.mean(self.average(data[0]) ** 2)
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.01 * gradient)
        return {"loss": loss + self.update(*data)}


def test_weights_trained_by_hand_at_a_small_rate_are_refused(blobs):
    with pytest.raises(InputError, match=r"weights that changed at a learning rate of 0"):
        range_test(compiled(model=ByHand()), *blobs, **FEW)


def test_numbers_of_numpy_are_taken_as_numbers():
    plain = {"steps": 4, "seeds": 2, "batch_size": 8, "min_lr": 1e-3, "max_lr": 0.125}
    numpy = {key: np.asarray(value)[()] for key, value in plain.items()} | {
        "steps": np.uint8(4),
        "max_lr": np.float32(0.125),
    }
    settings = {"widen": 0, "evaluate_every_steps": 2}
    tables = [range_test(linear(), *line(), **one, **settings).table for one in (plain, numpy)]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ("x, x", "y, y", r"one array of x for each input.*has 1, and x has 2"),
        ("y", "x", r"order of x and y"),
        ("x", "None", r"Pass y as well"),
        ("tf.data.Dataset.from_tensor_slices(x).batch(8)", "None", r"Pass y as well"),
        ("x.tolist()", "y", r"Received: list of list\. Convert x to a NumPy array"),
        ("x", "y.tolist()", r"arrays that Keras takes.*Convert each to a NumPy array"),
        ("list(x)", "y", r"same number of samples.*join a list of single samples"),
        ("lambda: x", "None", r"Received: function\. Pass what it returns"),
        ("iter([(x, y)] * 2)", "None", r"at least 3 batches.*Received: 2"),
        ("((x, y) for _ in range(3))", "None", r"an iterator that ended after 3 batches"),
        ("[]", "y", r"Received: empty list"),
    ],
)
def test_data_in_another_form_than_the_model_takes_are_named_in_one_line(x, y, message, blobs):
    places = {"x": blobs[0], "y": blobs[1], "tf": tf}
    with pytest.raises(InputError, match=message) as raised:
        range_test(compiled(), eval(x, places), eval(y, places), **FEW)
    assert "\n" not in str(raised.value)
