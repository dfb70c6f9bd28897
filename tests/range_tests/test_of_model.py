"""Does the range test of a Keras model measure what a loop by hand does, and leave no trace?"""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.errors import InputError
from lrcycles.range_tests.of_model import range_test

SAMPLES, FEATURES, CLASSES = 64, 4, 3
FEW = {"steps": 3, "seeds": 1, "batch_size": 16, "evaluate_every_steps": 2, "widen": 0}


@pytest.fixture(scope="module")
def blobs():
    """Three clusters that a small network can tell apart."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, CLASSES, SAMPLES)
    x = draw.normal(size=(SAMPLES, FEATURES)) + 2 * np.eye(CLASSES, FEATURES)[y]
    return x.astype("float32"), y


def network(*middle, policy="float32"):
    first = keras.layers.Dense(8, activation="relu", dtype=policy)
    last = keras.layers.Dense(CLASSES, activation="softmax", dtype="float32")
    return keras.Sequential([keras.Input((FEATURES,)), first, *middle, last])


def compiled(optimizer="sgd", *middle, model=None, **settings):
    model = model or network(*middle)
    model.compile(
        optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **{"run_eagerly": True, **settings},
    )
    return model


OPTIMIZERS = {
    "sgd": lambda **kw: keras.optimizers.SGD(0.05, **kw),
    "momentum": lambda **kw: keras.optimizers.SGD(0.05, momentum=0.9, **kw),
    "nesterov": lambda **kw: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, **kw),
    "adam": lambda **kw: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.01, 100), **kw
    ),
    "adamw": lambda **kw: keras.optimizers.AdamW(0.01, **kw),
    "rmsprop": lambda **kw: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True, **kw),
    "adagrad": lambda **kw: keras.optimizers.Adagrad(0.05, **kw),
    "adadelta": lambda **kw: keras.optimizers.Adadelta(1.0, use_ema=True, **kw),
    "nadam": lambda **kw: keras.optimizers.Nadam(0.01, **kw),
}
NETWORKS = {
    "plain": list,
    "batch-norm": lambda: [keras.layers.BatchNormalization()],
    "dropout": lambda: [keras.layers.Dropout(0.3)],
    "batch-norm+dropout": lambda: [keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)],
}
PRECISIONS = ["float32", "mixed_bfloat16", "mixed_float16"]
ACCUMULATIONS = [None, 2]
ALL = list(itertools.product(OPTIMIZERS, NETWORKS, PRECISIONS, ACCUMULATIONS))
# Every pair of two settings is in it: the third and fourth follow from the sum of the first two.
PAIRWISE = [
    (optimizer, net, PRECISIONS[(i + j) % 3], ACCUMULATIONS[(i + j) % 2])
    for (i, optimizer), (j, net) in itertools.product(enumerate(OPTIMIZERS), enumerate(NETWORKS))
]


def test_the_cases_run_by_default_hold_every_pair_of_settings():
    for first, second in itertools.combinations(range(4), 2):
        pairs = {(case[first], case[second]) for case in ALL}
        assert {(case[first], case[second]) for case in PAIRWISE} == pairs


def half_trained(case, blobs, **settings):
    """A model in the middle of its training, the same for every call."""
    optimizer, net, policy, accumulation = case
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = network(*NETWORKS[net](), policy=policy)
        chosen = OPTIMIZERS[optimizer](gradient_accumulation_steps=accumulation)
        model.compile(
            chosen, loss="sparse_categorical_crossentropy", metrics=["accuracy"], **settings
        )
    finally:
        keras.config.set_dtype_policy("float32")
    # With accumulation: in the middle of the second update.
    train(model, blobs, batches=3 if accumulation else 1)
    keras.utils.set_random_seed(1)
    return model


def train(model, blobs, *, batches):
    """Train on the first batches; what was reported. Without fit's pipeline, which takes longer."""
    x, y = blobs
    return [
        model.train_on_batch(x[i : i + 16], y[i : i + 16], return_dict=True)
        for i in range(0, 16 * batches, 16)
    ]


def state(model):
    """Every value that training changes, as bytes, and the objects that hold them."""
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return SimpleNamespace(
        values=[(str(v.dtype), np.array(v).tobytes()) for v in variables],
        objects=[id(v) for v in variables],
        attributes={name: id(value) for name, value in vars(model).items()},
        schedule=id(model.optimizer._learning_rate),
        python=random.getstate(),
        numpy=np.random.get_state()[1].tobytes(),
    )


def global_draws():
    return [
        random.random(),
        np.random.random(),
        float(keras.random.uniform(())),
        float(tf.random.uniform(())),
    ]


def check_no_trace(case, blobs, go_on, **settings):
    model = half_trained(case, blobs, **settings)
    before = state(model)
    updates = 2 if case[3] else 3
    curves = range_test(model, *blobs, **{**FEW, "steps": updates})
    assert len(curves.table) == updates
    assert state(model) == before

    untested = half_trained(case, blobs, **settings)
    assert go_on(model) == go_on(untested)
    assert state(model).values == state(untested).values


@pytest.mark.parametrize("case", PAIRWISE, ids=str)
def test_a_model_is_afterwards_what_it_was_and_trains_on_alike(case, blobs):
    check_no_trace(case, blobs, lambda model: train(model, blobs, batches=2), run_eagerly=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in ALL if case not in PAIRWISE], ids=str)
def test_a_model_is_what_it_was_in_every_combination_of_settings(case, blobs):
    check_no_trace(case, blobs, lambda model: train(model, blobs, batches=2), run_eagerly=True)


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        (("adam", "batch-norm+dropout", "mixed_float16", 2), {}),
        (("nadam", "dropout", "float32", None), {"steps_per_execution": 2}),
        pytest.param(
            ("momentum", "batch-norm", "float32", None),
            {"jit_compile": True},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["graph", "several steps an execution", "xla"],
)
def test_fit_goes_on_as_if_there_had_been_no_test(case, settings, blobs):
    def go_on(model):
        return model.fit(*blobs, batch_size=16, verbose=0).history

    check_no_trace(case, blobs, go_on, **settings)


def test_a_model_that_never_trained_stays_unbuilt_where_it_was_and_trains_alike(blobs):
    def fresh():
        keras.utils.set_random_seed(0)
        return compiled("adam", keras.layers.Dropout(0.3), run_eagerly=False)

    tested, control = fresh(), fresh()
    keras.utils.set_random_seed(1)
    before = state(tested)
    range_test(tested, *blobs, **FEW)
    assert state(tested) == before
    assert not tested.optimizer.built
    followed = tested.fit(*blobs, epochs=2, verbose=0).history
    keras.utils.set_random_seed(1)
    assert followed == control.fit(*blobs, epochs=2, verbose=0).history
    assert state(tested).values == state(control).values


def test_an_uncompiled_model_is_uncompiled_afterwards(blobs):
    model = network()
    attributes = dict(vars(model))
    optimizer = keras.optimizers.Adam()
    loss = "sparse_categorical_crossentropy"
    curves = range_test(model, *blobs, **FEW, optimizer=optimizer, loss=loss)
    assert curves.metric == "accuracy"
    assert dict(vars(model)) == attributes
    assert not model.compiled
    assert not optimizer.built


def test_global_random_generators_go_on_as_if_there_had_been_no_test(blobs):
    class Noisy(keras.layers.Layer):
        """Draws from every global generator there is."""

        def call(self, x):
            return x + 1e-6 * sum(global_draws())

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    model = compiled("sgd", Noisy())
    keras.utils.set_random_seed(5)
    first = global_draws()
    undisturbed = global_draws()
    keras.utils.set_random_seed(5)
    assert global_draws() == first
    range_test(model, *blobs, **FEW)
    assert global_draws() == undisturbed


def test_a_layer_made_afterwards_has_the_name_it_would_have_had(blobs):
    model = compiled()
    stem, number = keras.layers.Dense(1).name.rsplit("_", 1)
    range_test(model, *blobs, **FEW, fresh_weights=True)
    assert keras.layers.Dense(1).name == f"{stem}_{int(number) + 1}"


class Interrupted(keras.Sequential):
    """Ends the fourth of its training steps with `error`."""

    error: BaseException
    trained = 0

    def train_step(self, data):
        self.trained += 1
        if self.trained == 4:
            raise self.error
        return super().train_step(data)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")], ids=repr)
def test_a_test_that_is_cut_off_leaves_the_model_as_it_was(error, blobs):
    layers = network(keras.layers.Dropout(0.3)).layers
    model = Interrupted([keras.Input((FEATURES,)), *layers])
    compiled("adam", model=model)
    model.error = error
    before = state(model)
    with pytest.raises(type(error)):
        range_test(model, *blobs, **{**FEW, "steps": 10})
    assert state(model) == before


def test_a_sweep_that_diverges_keeps_its_curve_and_leaves_the_model_as_it_was():
    model = linear()
    before = state(model)
    curves = range_test(model, *line(), **{**FEW, "steps": 40}, min_lr=0.1, max_lr=1e4)
    assert state(model) == before
    assert len(curves.table) < 40
    assert any("seed 0 diverged at step" in note for note in curves.notes)


def line():
    """Samples of a noisy plane."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(SAMPLES, 2)).astype("float32")
    y = x @ np.array([[1.0], [-2.0]], "float32") + 0.1 * draw.normal(size=(SAMPLES, 1))
    return x, y.astype("float32")


def linear(momentum=0.0, **settings):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.layers[0].set_weights([np.array([[0.5], [0.5]]), np.array([0.25])])
    optimizer = keras.optimizers.SGD(0.5, momentum=momentum, **settings)
    model.compile(optimizer, loss="mse", run_eagerly=True)
    return model


def loss_and_gradient(weights, x, y):
    """Of the mean square error of a plane, in NumPy and double precision."""
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(float)
    error = inputs @ weights - y
    return float(np.mean(error**2)), 2 * inputs.T @ error / len(x)


def by_hand(batches, rates, heldout, *, momentum=0.0, accumulated=1):
    """Losses of the batches and of the held-out samples after each update, from the formulas."""
    weights, velocity = np.array([[0.5], [0.5], [0.25]]), 0.0
    losses, heldout_losses = [], [loss_and_gradient(weights, *heldout)[0]]
    for step, rate in enumerate(rates):
        group = batches[step * accumulated : (step + 1) * accumulated]
        parts = [loss_and_gradient(weights, *batch) for batch in group]
        losses.append(np.mean([loss for loss, _ in parts]))
        velocity = momentum * velocity - rate * np.mean([g for _, g in parts], axis=0)
        weights = weights + velocity
        heldout_losses.append(loss_and_gradient(weights, *heldout)[0])
    return losses, heldout_losses


@pytest.mark.parametrize(("momentum", "accumulated"), [(0.0, 1), (0.9, 1), (0.0, 2)])
def test_the_losses_are_those_of_the_formulas(momentum, accumulated):
    x, y = line()
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 48, 8)]
    heldout = x[48:], y[48:]
    steps = 6 // accumulated
    settings = {"gradient_accumulation_steps": accumulated} if accumulated > 1 else {}
    model = linear(momentum, **settings)
    curves = range_test(
        model,
        iter(batches),
        heldout=heldout,
        seeds=1,
        steps=steps,
        min_lr=0.01,
        max_lr=0.32,
        evaluate_every_steps=1,
        widen=0,
    )
    rates = np.geomspace(0.01, 0.32, steps)
    losses, heldout_losses = by_hand(
        batches, rates, heldout, momentum=momentum, accumulated=accumulated
    )
    assert_allclose(curves.table["lr"], rates, rtol=1e-6)
    assert_allclose(curves.table["loss"], losses, rtol=1e-5)
    assert_allclose(curves.table["heldout_loss"], heldout_losses[1:], rtol=1e-5)
    assert_allclose(curves.initial_loss[0], heldout_losses[0], rtol=1e-5)
    assert curves.momentum == momentum


def test_the_loss_is_the_batches_own_also_in_graphs_and_over_several_steps_an_execution():
    x, y = line()
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 48, 16)]
    model = linear()
    model.compile(model.optimizer, loss="mse", steps_per_execution=2)
    curves = range_test(model, iter(batches), heldout=(x, y), seeds=1, steps=3, widen=0)
    losses, _ = by_hand(batches, np.geomspace(1e-5, 1, 3), (x, y))
    assert_allclose(curves.table["loss"], losses, rtol=1e-5)


def test_a_test_in_mid_training_goes_on_from_the_momenta_and_iterations():
    x, y = line()
    rate = 0.05
    model = linear(momentum=0.9)
    model.optimizer.learning_rate = rate
    model.train_on_batch(x[:16], y[:16])
    curves = range_test(
        model, Loader([(x[16:32], y[16:32])]), heldout=(x, y), seeds=1, steps=2, min_lr=rate,
        max_lr=2 * rate, widen=0,
    )  # fmt: skip
    batches = [(x[:16], y[:16]), (x[16:32], y[16:32]), (x[16:32], y[16:32])]
    losses, _ = by_hand(batches, [rate, rate, 2 * rate], (x, y), momentum=0.9)
    assert_allclose(curves.table["loss"], losses[1:], rtol=1e-5)


def test_class_weights_and_sample_weights_weigh_the_training_loss_alike(blobs):
    x, y = blobs
    weights = np.array([1.0, 2.0, 0.5])
    model = compiled()
    by_class = range_test(model, x, y, **FEW, class_weight={0: 1.0, 1: 2.0, 2: 0.5})
    by_sample = range_test(model, x, y, sample_weight=weights[y], **FEW)
    plain = range_test(model, x, y, **FEW)
    assert_allclose(by_class.table["loss"], by_sample.table["loss"], rtol=1e-6)
    assert not np.allclose(by_class.table["loss"], plain.table["loss"], rtol=1e-3)


def test_a_seed_decides_the_batches_and_dropout_and_nothing_else_does(blobs):
    model = compiled("sgd", keras.layers.Dropout(0.5))
    several = {**FEW, "seeds": [3, 4]}
    first = range_test(model, *blobs, **several)
    keras.utils.set_random_seed(99)
    again = range_test(model, *blobs, **several)
    alone = range_test(model, *blobs, **{**FEW, "seeds": [4]})
    losses = {seed: table["loss"].to_numpy() for seed, table in first.table.groupby("seed")}
    assert first.table.equals(again.table)
    assert_array_equal(alone.table["loss"], losses[4])
    assert not np.allclose(losses[3], losses[4])
    assert first.initial_loss[3] == first.initial_loss[4]


def test_fresh_weights_are_drawn_anew_for_each_seed_and_the_same_for_the_same_seed(blobs):
    model = compiled("adam", keras.layers.BatchNormalization())
    settings = {**FEW, "seeds": 2, "fresh_weights": True}
    curves = range_test(model, *blobs, **settings)
    assert curves.initial_loss[0] != curves.initial_loss[1]
    assert range_test(model, *blobs, **settings).initial_loss == curves.initial_loss


class Watched(keras.Model):
    """Remembers the samples it was trained on, which count themselves in their first feature."""

    def __init__(self):
        super().__init__()
        self.last = keras.layers.Dense(1)
        self.seen = set()

    def call(self, x):
        return self.last(x)

    def train_step(self, data):
        self.seen.update(int(number) for number in data[0][:, 0])
        return super().train_step(data)


class Pairs(keras.utils.PyDataset):
    """Batches of eight by index."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, index):
        return self.x[8 * index : 8 * index + 8], self.y[8 * index : 8 * index + 8]


class Loader:
    """Batches that can be read in turn, again and again."""

    def __init__(self, batches):
        self.batches = list(batches)

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


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


class Undescribed(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule as in many notebooks: without get_config."""

    def __call__(self, step):
        return 0.1 / (1.0 + keras.ops.cast(step, "float32"))


def test_a_schedule_without_a_configuration_is_left_alone(blobs):
    schedule = Undescribed()
    model = compiled(keras.optimizers.Adam(schedule))
    assert len(range_test(model, *blobs, **FEW).table) == 3
    assert model.optimizer._learning_rate is schedule


def test_weights_that_are_spared_weight_decay_are_spared_it_in_the_test():
    x, y = line()
    decaying, spared, plain = linear(weight_decay=5.0), linear(weight_decay=5.0), linear()
    spared.optimizer.exclude_from_weight_decay(var_names=["kernel", "bias"])
    losses = [
        range_test(model, x, y, **FEW).table["heldout_loss"].iloc[-1]
        for model in (decaying, spared, plain)
    ]
    assert losses[1] == losses[2] != losses[0]


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


def test_a_batch_with_nan_in_the_middle_of_a_sweep_is_no_divergence(blobs):
    x, y = blobs
    batches = Loader([(x, y), (x, y), (np.full_like(x, np.nan), y)])
    with pytest.raises(InputError, match="NaN or infinity in a mini-batch"):
        range_test(compiled(), batches, heldout=(x, y), steps=5, seeds=1, widen=0)


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
