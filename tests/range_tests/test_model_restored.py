"""A range test leaves the model and all random generators as they were."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrcycles.errors import InputError
from lrcycles.range_tests.of_model import range_test
from tests.range_tests.small_models import FEATURES, FEW, compiled, line, linear, network

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
# Not every optimizer meets every network here: that would be 36 cases, and the slow tests hold all.
PAIRWISE = [
    (optimizer, list(NETWORKS)[(i + j) % 4], precision, ACCUMULATIONS[(i // 4 + j) % 2])
    for (i, optimizer), (j, precision) in itertools.product(
        enumerate(OPTIMIZERS), enumerate(PRECISIONS)
    )
]


def test_the_cases_run_by_default_hold_every_pair_of_settings_but_optimizer_and_network():
    for first, second in [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]:
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
def test_a_model_is_restored_and_trains_on_as_without_the_test(case, blobs):
    check_no_trace(case, blobs, lambda model: train(model, blobs, batches=2), run_eagerly=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in ALL if case not in PAIRWISE], ids=str)
def test_a_model_is_restored_in_every_combination_of_settings(case, blobs):
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
    steps: ClassVar[list[int]] = []  # on the class: a range test restores the model's own

    def train_step(self, data):
        self.steps.append(1)
        if len(self.steps) == 4:
            raise self.error
        return super().train_step(data)


@pytest.mark.parametrize(
    ("error", "raised"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (RuntimeError("out of memory"), InputError)],
    ids=["Ctrl-C", "error"],
)
def test_an_interrupted_test_leaves_the_model_as_it_was(error, raised, blobs):
    layers = network(keras.layers.Dropout(0.3)).layers
    model = Interrupted([keras.Input((FEATURES,)), *layers])
    compiled("adam", model=model)
    model.error = error
    model.steps.clear()
    before = state(model)
    with pytest.raises(raised):
        range_test(model, *blobs, **{**FEW, "steps": 10})
    assert state(model) == before


def test_a_sweep_that_stops_early_keeps_its_curve_and_leaves_the_model_as_it_was():
    model = linear()
    before = state(model)
    curves = range_test(model, *line(), **{**FEW, "steps": 40}, min_lr=0.1, max_lr=1e4)
    assert state(model) == before
    assert len(curves.table) < 40
    assert any("seed 0 stopped at step" in note for note in curves.notes)
