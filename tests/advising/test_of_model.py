"""`advise` answers for any Keras model and data, stays in its budget and restores everything."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrcycles
from lrcycles.advising import snippet
from lrcycles.advising.snippet import counter
from lrcycles.errors import InputError
from lrcycles.range_tests.keras_model import state
from lrcycles.range_tests.keras_model.reachable import parts_of
from tests.range_tests.small_models import compiled, line, linear, network

SHORT = {"total_steps": 120, "budget": 1.0, "heldout_samples": 16, "verbose": False}


def graph(model):
    """Let a model of the tests train in a graph, many times faster than eagerly."""
    model.run_eagerly = False
    return model


@pytest.fixture(scope="module")
def advice():
    """An advice for a plane, which plain gradient descent finds."""
    settings = {"total_steps": 240, "heldout_samples": 16, "batch_size": 16, "verbose": False}
    return lrcycles.advise(graph(linear()), *line(), **settings)


def test_an_advice_lies_within_its_sweep_and_its_budget(advice):
    low, high = advice.peak_interval
    rates = advice.curves.table["lr"]
    assert rates.min() <= advice.peak_lr <= 10 * rates.max()
    assert low <= advice.peak_lr <= high
    assert advice.cost.range_test > 0
    assert 0 < advice.cost.probes == pytest.approx(advice.cost.used - advice.cost.range_test)
    assert advice.cost.used <= advice.cost.planned == 1.5
    updates = len(advice.curves.table) + advice.probes["steps"].sum()
    assert 240 * advice.cost.used > updates  # evaluations cost too


def test_the_advised_training_ends_far_lower_than_one_at_twenty_times_the_peak(advice):
    x, y = line()
    model = graph(linear())
    start, optimizer = model.get_weights(), model.optimizer

    def loss_after(peak):
        model.set_weights(start)
        model.optimizer.learning_rate = lrcycles.LinearDecay(max_lr=peak, total_steps=240)
        counter(optimizer).assign(0)
        model.train_function = None
        model.fit(np.tile(x, (60, 1)), np.tile(y, (60, 1)), batch_size=16, verbose=0)
        return float(np.mean((model(x) - y) ** 2))

    best = loss_after(advice.peak_lr)
    assert best < 0.02  # the noise of the plane is 0.01
    assert not loss_after(20 * advice.peak_lr) < 2 * best


def test_the_code_trains_as_pasted(advice, capsys):
    x, y = line()
    model = linear()
    names = {"model": model, "x": x, "y": y}
    print(advice)
    shown = capsys.readouterr().out
    assert shown.rstrip().endswith(advice.code)
    assert "epochs=60" in advice.code
    exec(advice.code.replace("epochs=60", "epochs=2, verbose=0"), names)
    assert names["schedule"].get_config() == advice.schedule().get_config()
    assert float(model.optimizer.learning_rate) == float(advice.schedule()(8))


def test_an_advice_is_json_and_a_picture(advice, tmp_path):
    content = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    assert content["peak_lr"] == advice.peak_lr
    assert len(content["probes"]) == len(advice.probes)
    assert content["cost"]["used"] == advice.cost.used
    figure = advice.plot(tmp_path / "advice.png")
    assert (tmp_path / "advice.png").read_bytes()[:4] == b"\x89PNG"
    above, middle, below = figure.axes
    drawn = np.concatenate([line.get_xdata() for line in middle.get_lines()])
    assert set(advice.probes["peak_lr"]) <= set(drawn)
    assert above.get_ylabel() == "mini-batch loss"
    assert below.get_lines()[0].get_ydata().max() == pytest.approx(advice.peak_lr)


def test_the_labels_of_peaks_do_not_overlap_in_the_figure_of_a_wide_search(advice):
    probes = advice.probes.head(2).assign(peak_lr=[1e-3, 8.0])
    figure = replace(advice, probes=probes).plot()
    figure.canvas.draw()
    middle = figure.axes[1]
    low, high = middle.get_xlim()
    boxes = [
        label.get_window_extent()
        for label in middle.get_xticklabels()
        if low <= label.get_position()[0] <= high
    ]
    assert len(boxes) > 2
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def fingerprint(model):
    values = [state.host(v) for v in state.variables_of(model, parts_of(model))]
    after = [random.random(), np.random.random(), float(keras.random.uniform(()))]
    return values, after, model.train_function, model.optimizer.learning_rate


def test_model_optimizer_and_random_state_are_bit_for_bit_as_before(blobs):
    model = graph(compiled("adam", keras.layers.Dropout(0.2), keras.layers.BatchNormalization()))
    model.fit(*blobs, batch_size=16, verbose=0)
    keras.utils.set_random_seed(3)
    before = fingerprint(model)
    keras.utils.set_random_seed(3)
    lrcycles.advise(model, *blobs, batch_size=16, **SHORT)
    after = fingerprint(model)
    for old, new in zip(before[0], after[0], strict=True):
        assert_array_equal(old, new)
    assert before[1] == after[1]
    assert before[2] is after[2]
    assert before[3] is after[3]


def test_short_probes_of_a_network_with_batch_normalisation_are_scored_by_their_own_statistics(
    blobs,
):
    layer = keras.layers.BatchNormalization()
    model = graph(compiled("adam", layer))
    found = lrcycles.advise(
        model, blobs[0] + 10, blobs[1], batch_size=16, **SHORT | {"budget": 1.5}
    )
    assert not found.probes["failed"].all()
    assert layer.momentum == 0.99


def test_the_same_seeds_give_the_same_answer_and_others_other_probes(blobs):
    def losses(seeds):
        model = compiled("adam", keras.layers.Dropout(0.2))
        model.set_weights([np.full(w.shape, 0.1, "float32") for w in model.get_weights()])
        # Equal weights would stay equal: let the first layer differ.
        model.layers[0].set_weights([np.linspace(-1, 1, 32).reshape(4, 8), np.zeros(8)])
        found = lrcycles.advise(model, *blobs, batch_size=16, seeds=seeds, **SHORT)
        return found.probes["loss"].tolist()

    first = losses([5])
    assert first == losses([5])
    assert first != losses([6])


def batches():
    """The plane in batches of 16."""
    x, y = line()
    return [(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]


def endless():
    while True:
        yield from batches()


def test_a_dataset_and_a_generator_are_read_as_by_fit():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(line()).batch(16)
    from_dataset = lrcycles.advise(linear(), dataset, epochs=40, verbose=False)
    assert from_dataset.total_steps == 160
    assert from_dataset.code.endswith("model.fit(x, epochs=40)")
    from_generator = lrcycles.advise(linear(), endless(), total_steps=160, verbose=False)
    assert from_generator.code.endswith("model.fit(x, epochs=1, steps_per_epoch=160)")
    for found in (from_dataset, from_generator):
        assert found.cost.used <= 1.5
        assert len(found.probes)


def test_a_loss_that_nothing_lowers_still_gets_an_answer_with_what_was_tried(blobs):
    x, y = blobs
    model = compiled("sgd", model=keras.Sequential([keras.Input((4,)), Constant()]))
    found = lrcycles.advise(model, x, y, batch_size=16, **SHORT)
    assert found.bounds is None
    assert found.status == "warned"
    assert 1e-5 <= found.peak_lr <= found.curves.table["lr"].max()
    assert "Nothing lowers the loss" in " ".join(found.warnings)


@keras.saving.register_keras_serializable(package="tests")
class Constant(keras.layers.Layer):
    """Returns the same probabilities whatever its weight."""

    def build(self, _shape):
        self.weight = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return keras.ops.full((keras.ops.shape(x)[0], 3), 1 / 3) + 0 * self.weight


def test_a_budget_without_a_probe_is_answered_by_the_range_test_alone_with_a_warning():
    settings = SHORT | {"budget": 0.4, "schedule": "triangular2"}
    found = lrcycles.advise(linear(), *line(), batch_size=16, **settings)
    assert found.probes.empty
    assert found.warmup_steps == 0  # the cycles begin at a low rate
    suggested = re.search(r"suggests the peak (\S+) for the whole training", found.reasons[0])
    assert found.peak_lr == pytest.approx(1.5 * float(suggested[1]), rel=0.01)
    assert (found.status, found.expected_loss, found.chance) == ("warned", None, None)
    assert "No probe was trained" in found.warnings[-1]
    assert 0 < found.cost.used <= 0.5
    assert "expected loss unknown" in str(found)
    found.plot()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": None}, r"Exactly one of epochs and total_steps.*epochs=None"),
        ({"total_steps": 100}, r"Exactly one of epochs and total_steps.*epochs=9, total_steps=100"),
        ({"epochs": 0}, r"epochs must be a whole number of at least 1\. Received: 0"),
        ({"budget": 0}, r"budget must be a number above 0.*Received: 0"),
        ({"budget": float("nan")}, r"budget must be a number above 0.*Received: nan"),
        ({"budget": "all"}, r"budget must be a number above 0.*Received: 'all'"),
        ({"budget": 0.01}, r"budget must pay for a range test of 40 updates.*budget=0\.01"),
        ({"schedule": "cosin"}, r"schedule must be auto.*'cosin'\. Did you mean cosine\?"),
        ({"seeds": 0}, r"seeds must be a count.*seeds=0"),
        ({"verbose": "loud"}, r"verbose must be True.*'loud'"),
        ({"steps_per_epoch": 0}, r"steps_per_epoch must be.*Received: 0"),
        ({"model": "mlp"}, r"model must be a keras\.Model\. Received: str"),
        ({"model": network()}, r"An uncompiled model must come with optimizer= and loss="),
        ({"x": endless(), "y": None, "batch_size": None}, r"length of an epoch must be known"),
        ({"x": 3.5}, r"x must be arrays.*Received: float"),
    ],
)
def test_wrong_input_is_named_in_one_line(changes, message):
    x, y = line()
    arguments = {"model": linear(), "x": x, "y": y, "epochs": 9, "batch_size": 16, **changes}
    with pytest.raises(InputError, match=message) as raised:
        lrcycles.advise(**arguments)
    assert "\n" not in str(raised.value)


def optimizers():
    sgd = keras.optimizers.SGD
    return {
        "plain": sgd(0.5),
        "scheduled": sgd(lrcycles.Constant(base_lr=0.5)),
        "scaled": keras.optimizers.LossScaleOptimizer(sgd(0.5)),
        "controlled": lrcycles.controlled(sgd(0.5), layer_rates={"*": 1.0}),
        "accumulating": sgd(0.5, gradient_accumulation_steps=2),
        "muon": keras.optimizers.Muon(0.5),
    }


@pytest.mark.parametrize("kind", optimizers())
def test_apply_gives_every_optimizer_the_schedule_from_step_0_on(kind, advice):
    optimizer, schedule = optimizers()[kind], advice.schedule()
    if kind == "muon":  # of another class than the one that was swept
        advice = replace(advice, curves=replace(advice.curves, optimizer="muon"))
    model = linear()
    x, y = line()
    model.compile(optimizer, loss="mse", run_eagerly=kind != "plain")
    model.fit(x, y, batch_size=16, verbose=0)  # counts four steps, and compiles the plain one
    advice.apply(model)
    assert float(optimizer.learning_rate) == float(schedule(0))
    model.fit(x, y, batch_size=16, verbose=0)
    assert float(optimizer.learning_rate) == float(schedule(4)) > float(schedule(0))
    counter(optimizer).assign(240)  # where the rate is 0
    before = model.get_weights()
    model.fit(x, y, batch_size=16, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_allclose(old, new, atol=1e-7)


def test_a_model_without_an_optimizer_is_named(advice):
    with pytest.raises(InputError, match=r"compiled Keras model.*Sequential without one"):
        advice.apply(network())


def test_the_code_for_a_model_that_has_trained_starts_its_optimizer_and_rate_anew():
    x, y = line()
    model = linear(gradient_accumulation_steps=2)
    model.compile(model.optimizer, loss="mse")
    model.fit(x, y, batch_size=16, verbose=0)
    found = lrcycles.advise(model, x, y, batch_size=16, **SHORT)
    exec(found.code.replace("epochs=30", "epochs=2, verbose=0"), {"model": model, "x": x, "y": y})
    assert float(model.optimizer.learning_rate) == float(found.schedule()(8))


def test_with_gradient_accumulation_the_schedule_counts_updates():
    model = linear(gradient_accumulation_steps=2)
    found = lrcycles.advise(model, *line(), batch_size=16, **SHORT | {"total_steps": 240})
    assert found.total_steps == 240
    assert found.choice.settings["total_steps"] == 120
    assert found.choice.settings["steps_per_update"] == 2
    assert found.cost.used <= 1.0


def test_an_optimizer_by_name_is_in_the_code(blobs):
    found = lrcycles.advise(
        network(), *blobs, batch_size=16, optimizer="adam",
        loss="sparse_categorical_crossentropy", **SHORT,
    )  # fmt: skip
    names = {"model": network(), "x": blobs[0], "y": blobs[1]}
    exec(found.code.replace("epochs=40", "epochs=1, verbose=0"), names)
    assert isinstance(names["model"].optimizer, keras.optimizers.Adam)


def test_apply_refuses_an_optimizer_that_the_advice_is_not_for(advice):
    model = linear()
    model.compile("adam", loss="mse")
    with pytest.raises(
        lrcycles.InputError, match=r"must be of the class .* sgd\. Received: adam\."
    ):
        advice.apply(model)


def test_every_name_of_an_optimizer_is_in_the_code_as_its_class():
    assert snippet.compile_lines(linear(), "lamb", None)[0].startswith(
        "model.compile(keras.optimizers.Lamb(schedule)"
    )
