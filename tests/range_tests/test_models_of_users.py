"""A range test takes every model and all data that `fit` takes, and leaves them as they were."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from lrcycles.errors import InputError
from lrcycles.range_tests.of_model import range_test
from tests.range_tests.small_models import CLASSES, SAMPLES, compiled, network

FEW = {"steps": 3, "seeds": 1, "evaluate_every_steps": 2, "widen": 0}
SPARSE = "sparse_categorical_crossentropy"


class Head(keras.Model):
    """Two layers, a train step as in Keras's guide, and attributes that training changes."""

    def __init__(self):
        super().__init__()
        self.body, self.head = layers.Dense(8), layers.Dense(CLASSES, activation="softmax")

    def call(self, x):
        return self.head(self.body(x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.update(tape, loss)
        return {"loss": loss}

    def update(self, tape, loss):
        self.apply(self.optimizer, self, tape, loss)

    def apply(self, optimizer, part, tape, loss):
        weights = part.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))


def head(kind=Head, **settings):
    model = kind()
    model.compile("adam", SPARSE, **{"run_eagerly": True, **settings})
    return model


@pytest.mark.filterwarnings("ignore:`build.*` was called on layer:UserWarning")  # Keras's
@pytest.mark.parametrize(
    ("built", "eager"),
    [("by a call", True), ("by its shape", True), ("by its shape", False), ("not", False)],
)
def test_a_train_step_that_takes_x_and_y_trains_however_the_model_is_built(built, eager, blobs):
    model = head(run_eagerly=eager)
    if built == "by a call":
        model(blobs[0])
    elif built == "by its shape":
        model.build((None, 4))
    assert len(range_test(model, *blobs, **FEW).table) == 3


class Two(Head):
    """The body has an optimizer of its own, in a dict."""

    def __init__(self):
        super().__init__()
        self.mine = {"slow": keras.optimizers.SGD(2.5e-4, momentum=0.9)}
        self.rates = deque(maxlen=9)

    def update(self, tape, loss):
        self.rates.append((float(self.optimizer.learning_rate), self.rate_of_the_body()))
        SEEN.append(self.rates[-1])
        self.apply(self.optimizer, self.head, tape, loss)
        self.apply(self.mine["slow"], self.body, tape, loss)

    def rate_of_the_body(self):
        return float(self.mine["slow"].learning_rate)


SEEN: list[tuple[float, float]] = []


def test_the_rates_of_several_optimizers_rise_together_and_a_note_names_them(blobs):
    model = head(Two)
    model.fit(*blobs, verbose=0)
    slots = [np.array(v) for v in model.mine["slow"].variables]
    seen, before = len(SEEN), list(model.rates)
    curves = range_test(model, *blobs, **FEW)
    swept = np.array(SEEN[seen:][-3:])
    np.testing.assert_allclose(swept[:, 0], curves.table["lr"], rtol=1e-6)
    np.testing.assert_allclose(swept[:, 1], curves.table["lr"] / 4, rtol=1e-6)
    assert "for optimizer (Adam), and 0.25 times that rate for mine['slow'] (SGD)" in " ".join(
        curves.notes
    )
    assert list(model.rates) == before
    assert model.rate_of_the_body() == pytest.approx(2.5e-4)
    for slot, variable in zip(slots, model.mine["slow"].variables, strict=True):
        np.testing.assert_array_equal(slot, variable)


class Seldom(Two):
    """The body is trained at every third step only, first at the third."""

    def update(self, tape, loss):
        super().update(tape, loss) if len(self.rates) % 3 == 2 else self.only_head(tape, loss)

    def only_head(self, tape, loss):
        self.rates.append((0.0, 0.0))
        self.apply(self.optimizer, self.head, tape, loss)


def test_an_optimizer_that_a_train_step_uses_now_and_then_is_swept_as_well(blobs):
    model = head(Seldom)
    seen = len(SEEN)
    curves = range_test(model, *blobs, **{**FEW, "steps": 9})
    assert len(SEEN) > seen
    for own, of_the_body in SEEN[seen:]:
        assert own == pytest.approx(4 * of_the_body)
    assert {own for own, _ in SEEN[seen:]} <= set(curves.table["lr"].astype("float32"))
    assert "mine['slow'] (SGD)" in " ".join(curves.notes)


def outside():
    other = keras.optimizers.SGD(2.5e-4)

    class Outside(Head):
        def update(self, tape, loss):
            SEEN.append((float(self.optimizer.learning_rate), float(other.learning_rate)))
            self.apply(self.optimizer, self.head, tape, loss)
            self.apply(other, self.body, tape, loss)

    return Outside, other


def test_an_optimizer_that_a_train_step_takes_from_outside_is_swept_and_restored(blobs):
    kind, other = outside()
    model = head(kind)
    model.fit(*blobs, verbose=0)
    seen, before = len(SEEN), int(other.iterations)
    curves = range_test(model, *blobs, **FEW)
    np.testing.assert_allclose(
        [body for _, body in SEEN[seen:][-3:]], curves.table["lr"] / 4, rtol=1e-6
    )
    assert (int(other.iterations), float(other.learning_rate)) == (before, pytest.approx(2.5e-4))


class Partly(Head):
    """The body is trained at a rate of its own, by hand."""

    def update(self, tape, loss):
        self.apply(self.optimizer, self.head, tape, loss)
        weights = self.body.trainable_variables
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.1 * gradient)


class ByHand(Head):
    def update(self, tape, loss):
        weights = self.trainable_weights
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.1 * gradient)


class Broken(Head):
    def update(self, *_):
        raise KeyError("no such part")


class Nameless(Head):
    def train_step(self, data):
        return {"d_loss": super().train_step(data)["loss"]}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Partly, r"must decide how the weights change.*Received: 2 weights that changed"),
        (ByHand, r"must update the weights with a Keras optimizer.*uses none"),
        (Broken, r"KeyError: 'no such part' \(.*test_models_of_users\.py:\d+, in update: raise"),
        (Nameless, r"train_step must return the loss.*Received: d_loss"),
    ],
    ids=["partly by hand", "no optimizer", "an error", "no loss"],
)
def test_a_train_step_that_cannot_be_swept_is_refused_in_one_line(kind, message, blobs):
    with pytest.raises(InputError, match=message) as raised:
        range_test(head(kind), *blobs, **FEW)
    assert "\n" not in str(raised.value)


def test_a_model_that_can_only_train_is_told_to_get_a_test_step(blobs):
    class Coder(keras.Sequential):
        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = ops.mean((data - self(data)) ** 2)
            weights = self.trainable_weights
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    model = Coder([keras.Input((4,)), layers.Dense(4)])
    model.compile("adam", run_eagerly=True)
    with pytest.raises(InputError, match=r"No loss to compute.*test_step"):
        range_test(model, blobs[0], **FEW)


class Slotted:
    __slots__ = ("variable",)


class Counting(Head):
    """Keeps state in every way that is not a weight."""

    def __init__(self):
        super().__init__()
        self.slotted, self.names = Slotted(), SimpleNamespace(deep=[{"steps": 0}, np.zeros(2)])
        self.slotted.variable = tf.Variable(0.0, trainable=False)
        self.count = tf.Variable(0.0, trainable=False)
        self.draws = tf.random.Generator.from_seed(1)
        self.log, self.numbers, self.total = [], np.zeros(2), {"steps": 0}
        self.generator = np.random.default_rng(1)

    def update(self, tape, loss):
        super().update(tape, loss)
        self.count.assign_add(1.0)
        self.draws.normal((1,))
        self.log.append(float(loss))
        self.numbers += 1
        self.total["steps"] += 1
        self.generator.normal()
        self.slotted.variable.assign_add(1.0)
        self.names.deep[0]["steps"] += 1
        self.names.deep[1] += 1
        tf.random.get_global_generator().normal((1,))

    def state(self):
        return [
            float(self.count),
            float(self.slotted.variable),
            dict(self.names.deep[0]),
            self.names.deep[1].tolist(),
            tf.random.get_global_generator().state.numpy().tolist(),
            self.draws.state.numpy().tolist(),
            list(self.log),
            self.numbers.tolist(),
            dict(self.total),
            self.generator.bit_generator.state,
        ]


def test_everything_that_a_model_holds_is_as_before(blobs):
    model = head(Counting)
    model.fit(*blobs, verbose=0)
    before = model.state()
    assert before[0] == 2
    range_test(model, *blobs, **FEW)
    assert model.state() == before


def text(blobs):
    words = np.array(["a b", "b c", "c a"])[blobs[1]]
    vectors = layers.TextVectorization(9, output_sequence_length=2)
    vectors.adapt(words)
    return [keras.Input((), dtype="string"), vectors, layers.Embedding(9, 4)], words


def ragged(blobs):
    lengths = 1 + blobs[1]
    numbers = np.random.default_rng(0).integers(0, 9, lengths.sum())
    data = tf.RaggedTensor.from_row_lengths(numbers, lengths)
    return [keras.Input((None,), dtype="int32"), layers.Embedding(9, 4)], data


def scipy_sparse(blobs):
    from scipy.sparse import csr_matrix

    return [keras.Input((4,))], csr_matrix(np.maximum(blobs[0], 0))


def tensorflow_sparse(blobs):
    return [keras.Input((4,))], tf.sparse.from_dense(np.maximum(blobs[0], 0))


@pytest.mark.parametrize(
    ("source", "way"),
    [
        (text, "arrays"),
        (text, "tf.data"),
        (ragged, "arrays"),
        (ragged, "tf.data"),
        (scipy_sparse, "arrays"),  # tf.data knows no SciPy
        (tensorflow_sparse, "arrays"),
        (tensorflow_sparse, "tf.data"),
    ],
)
def test_text_ragged_and_sparse_inputs_are_trained_on(source, way, blobs):
    first, x = source(blobs)
    pool = [layers.GlobalAveragePooling1D()] if len(first) > 1 else []
    model = keras.Sequential([*first, *pool, layers.Dense(CLASSES, activation="softmax")])
    model.compile("adam", SPARSE, run_eagerly=True)
    if way == "arrays":
        data = {"x": x, "y": blobs[1], "batch_size": 16}
    else:
        data = {"x": tf.data.Dataset.from_tensor_slices((x, blobs[1])).batch(16)}
    assert len(range_test(model, **data, **FEW).table) == 3


def batches_of_several_lengths():
    draw = np.random.default_rng(0)
    for step in range(100):
        yield draw.integers(0, 9, (8, 3 + step % 3)), draw.integers(0, CLASSES, 8)


def test_batches_of_several_lengths_are_held_out_one_by_one_and_averaged():
    model = keras.Sequential(
        [layers.Embedding(9, 4), layers.GlobalAveragePooling1D(), layers.Dense(CLASSES, "softmax")]
    )
    model.compile("sgd", SPARSE, metrics=["accuracy"], run_eagerly=True)
    curves = range_test(model, batches_of_several_lengths(), heldout_samples=24, **FEW)
    read = batches_of_several_lengths()
    apart = [next(read) for _ in range(3)]
    scores = [model.evaluate(*batch, verbose=0, return_dict=True) for batch in apart]
    assert curves.initial_loss[0] == pytest.approx(np.mean([s["loss"] for s in scores]), rel=1e-5)
    assert curves.initial_metric[0] == pytest.approx(np.mean([s["accuracy"] for s in scores]))


def test_a_model_for_one_batch_size_is_evaluated_in_batches_of_that_size():
    x = np.random.default_rng(0).normal(size=(SAMPLES, 3, 1)).astype("float32")
    y = np.arange(SAMPLES) % CLASSES
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(8, 3, 1)),
            layers.SimpleRNN(4, stateful=True),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", SPARSE, run_eagerly=True)
    model.fit(x, y, batch_size=8, verbose=0)
    memory = np.array(model.layers[0].states[0])
    assert len(range_test(model, x, y, **FEW).table) == 3
    np.testing.assert_array_equal(memory, model.layers[0].states[0])
    for settings, message in [
        ({"heldout_samples": 12}, r"heldout_samples must be a multiple of 8.*Received: .*12"),
        ({"batch_size": 16}, r"batch_size must be 8.*Received: batch_size=16"),
        ({"heldout": (x[:9], y[:9])}, r"heldout must hold a multiple of 8.*Received: 9"),
    ]:
        with pytest.raises(InputError, match=message):
            range_test(model, x, y, **{**FEW, **settings})


def test_a_distribution_strategy_with_one_device_is_kept(blobs):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
        model = compiled(keras.optimizers.SGD(schedule), run_eagerly=False)
    assert len(range_test(model, *blobs, **FEW).table) == 3


def test_a_generator_that_fails_is_named_with_its_line(blobs):
    def batches():
        yield from [(blobs[0][:8], blobs[1][:8])] * 12
        raise OSError("disk gone")

    with pytest.raises(InputError, match=r"OSError: disk gone \(.*, in batches: raise OSError"):
        range_test(compiled(), batches(), **{**FEW, "steps": 30})


def test_too_few_batches_are_named_before_any_work(blobs):
    model = compiled(run_eagerly=False)
    batches = iter([(blobs[0][:8], blobs[1][:8])] * 5)
    with pytest.raises(InputError, match=r"at least 20 batches.*Received: 5"):
        range_test(model, batches, heldout=blobs, **{**FEW, "steps": 10, "seeds": 2})
    assert len(list(batches)) == 5


def test_the_number_of_steps_in_an_epoch_can_be_given_for_data_without_a_length(blobs):
    batches = iter([(blobs[0][:8], blobs[1][:8])] * 50)
    assert range_test(compiled(), batches, **FEW, steps_per_epoch=7).steps_per_epoch == 7
    with pytest.raises(InputError, match=r"steps_per_epoch.*0"):
        range_test(compiled(), *blobs, **FEW, steps_per_epoch=0)


def test_an_optimizer_that_ignores_its_learning_rate_is_refused(blobs):
    class Stubborn(keras.optimizers.SGD):
        def update_step(self, gradient, variable, _):
            super().update_step(gradient, variable, 0.1)

    with pytest.raises(InputError, match=r"let it use its learning_rate"):
        range_test(compiled(Stubborn()), *blobs, **FEW)


def test_a_model_without_call_can_be_compiled_again_afterwards(blobs):
    class Parts(keras.Model):
        def __init__(self):
            super().__init__()
            self.part = layers.Dense(1)

        def compile(self, optimizer):
            super().compile(optimizer=optimizer)
            self.mean = keras.metrics.Mean()

        def train_step(self, x):
            with tf.GradientTape() as tape:
                loss = ops.mean(self.part(x) ** 2)
            weights = self.part.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

        def test_step(self, x):
            return {"loss": ops.mean(self.part(x) ** 2)}

    model = Parts()
    model.compile("adam")
    assert len(range_test(model, blobs[0], **FEW).table) == 3
    model.compile("sgd")
    model.fit(blobs[0], verbose=0)


def test_a_model_for_one_batch_size_that_does_not_say_so_takes_the_batches_as_they_come(blobs):
    class Sixteen(keras.Sequential):
        def call(self, x, training=False):
            return super().call(ops.reshape(x, (16, 4)), training=training)

    model = compiled(model=Sixteen(network().layers))
    data = tf.data.Dataset.from_tensor_slices(blobs).batch(16).repeat(4)
    assert len(range_test(model, data, heldout_samples=32, **FEW).table) == 3


def test_a_dataset_of_unknown_and_short_length_keeps_batches_to_train_on(blobs):
    data = tf.data.Dataset.from_tensor_slices(blobs).batch(8).filter(lambda *_: True)
    assert int(data.cardinality()) < 0
    curves = range_test(compiled(), data, **FEW)
    assert curves.steps_per_epoch == 8


def test_an_optimizer_that_its_configuration_does_not_describe_is_swept(blobs):
    class Twice(keras.optimizers.SGD):
        def __init__(self, factor):
            super().__init__(0.1 * factor)

    assert len(range_test(compiled(Twice(2)), *blobs, **FEW).table) == 3


@pytest.mark.parametrize("class_weight", [[1.0, 2.0], {0: "much"}])
def test_wrong_class_weights_are_named(class_weight, blobs):
    with pytest.raises(InputError, match=r"class_weight must go with the labels"):
        range_test(compiled(), *blobs, **FEW, class_weight=class_weight)


def test_a_scaled_loss_that_overflows_at_first_is_swept(blobs):
    class Scaled(Head):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = 1000 * self.compute_loss(y=y, y_pred=self(x, training=True))
                scaled = self.optimizer.scale_loss(loss)
            self.apply(self.optimizer, self, tape, scaled)
            return {"loss": loss}

    model = Scaled()
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=2.0**127)
    model.compile(scaled, SPARSE, run_eagerly=True)
    assert len(range_test(model, *blobs, **FEW).table) == 3


def test_a_wrong_optimizer_is_named(blobs):
    with pytest.raises(InputError, match=r"optimizer must be one of Keras.*'sgdd'"):
        range_test(network(), *blobs, **FEW, optimizer="sgdd", loss=SPARSE)


def test_a_progress_bar_counts_the_updates_of_all_seeds(blobs, capsys):
    range_test(compiled(), *blobs, **{**FEW, "seeds": 2}, verbose=True)
    assert "6/6" in capsys.readouterr().err
    range_test(compiled(), *blobs, **FEW)
    assert capsys.readouterr().err == ""
