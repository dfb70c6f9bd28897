"""Trains whole epochs with TensorFlow in one compiled call."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lrcycles.data.image_sets import PIXEL_SCALE
from lrcycles.training.devices.tensorflow_device import device_name as device_name
from lrcycles.training.devices.tensorflow_device import has_gpu as has_gpu
from lrcycles.training.devices.tensorflow_device import prepare_device as prepare_device
from lrcycles.training.devices.tensorflow_device import put as put
from lrcycles.training.feeding import Part

# They keep their state where it cannot be read. Keras's own layers use seed generators instead.
_RANDOM_OPERATIONS = {
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "RandomGamma",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "TruncatedNormal",
}


def has_one_kernel(optimizer: Any, variables: Sequence[Any]) -> bool:
    """Return whether an update is Adam's formula alone, which TensorFlow has as one kernel.

    No option of Keras may be set besides the rate, the betas and epsilon.
    """
    if type(optimizer) is not keras.optimizers.Adam:
        return False
    if any(v.dtype != "float32" or v.constraint or v.overwrite_with_gradient for v in variables):
        return False
    plain = keras.optimizers.Adam(
        beta_1=optimizer.beta_1, beta_2=optimizer.beta_2, epsilon=optimizer.epsilon
    )
    free = ("name", "learning_rate")
    given, expected = (
        {key: value for key, value in each.get_config().items() if key not in free}
        for each in (optimizer, plain)
    )
    return given == expected


def apply_adam(optimizer: Any, gradients: Sequence[tf.Tensor], variables: Sequence[Any]) -> None:
    """Make Adam's update with one kernel per variable; Keras's own needs a dozen in a graph."""
    iterations = tf.cast(optimizer.iterations.value, tf.float32)
    powers = [tf.pow(beta, iterations + 1) for beta in (optimizer.beta_1, optimizer.beta_2)]
    for gradient, variable in zip(gradients, variables, strict=True):
        place = optimizer._get_variable_index(variable)
        slots = (optimizer._momentums[place], optimizer._velocities[place])
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle,
            m=slots[0].value.handle,
            v=slots[1].value.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=optimizer.learning_rate.value,
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )
    optimizer.iterations.assign_add(1)


class Program:
    """The training steps of one cell, on the variables of its network."""

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        momentum: Any,
        *,
        class_weights: Sequence[float] | None,
        cells: int,
        xla: bool,
        ema: bool,
    ) -> None:
        assert cells == 1, "TensorFlow trains cells one after another"
        self._model = model
        self._optimizer = optimizer
        self._momentum = momentum
        self._class_weights = class_weights and tf.constant(class_weights, tf.float32)
        self._empty_slots = [variable.numpy() for variable in optimizer.variables]
        self._loss = keras.losses.SparseCategoricalCrossentropy()
        trained = model.trainable_variables if ema else []
        self._averages = [tf.Variable(variable.value) for variable in trained]
        self._state: list[Any] | None = None  # known once the program is traced
        self.resumable = False
        self._others: list[Any] = []  # variables that Keras does not know, and their first values
        # XLA makes the same loops either way.
        self._one_kernel = not xla and has_one_kernel(optimizer, model.trainable_variables)
        self._steps = tf.function(self._run_steps, jit_compile=xla, reduce_retracing=False)
        self._score = tf.function(self._score_images, jit_compile=xla, reduce_retracing=False)
        self._see = tf.function(self._see_images, jit_compile=xla, reduce_retracing=False)

    def begin(self, _cell: int) -> None:
        """Empty the optimizer's slots; the network's variables already hold the cell's weights."""
        for variable, value in zip(self._optimizer.variables, self._empty_slots, strict=True):
            variable.assign(value)
        for variable, value in self._others:
            variable.assign(value)
        for average, variable in zip(self._averages, self._model.trainable_variables, strict=False):
            average.assign(variable.value)

    def finish(self, _cell: int) -> None:
        """Do nothing: the network's variables already hold the cell's weights."""

    def compile(self, part: Part, rates: np.ndarray, _sizes: Collection[int]) -> None:
        """Compile one program for any number of steps, by a call that makes none."""
        self._call(part, rates, rates, rates, stop=part.start)
        if self._state is None:
            self._trace(part, rates)

    def steps(
        self, part: Part, rates: np.ndarray, momenta: np.ndarray, shares: np.ndarray
    ) -> np.ndarray:
        """Make the part's steps and return their losses, float32 (1, steps)."""
        losses = self._call(part, rates, momenta, shares, stop=part.stop)
        return np.asarray(losses.numpy()[None, part.start : part.stop])

    def score(self, pixels: tf.Tensor, labels: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Sum the losses, shape (1,), and tell which images are mistaken, bool (1, images)."""
        loss, wrong = self._score(pixels, labels)
        return loss.numpy()[None], wrong.numpy()[None]

    def _trace(self, part: Part, rates: np.ndarray) -> None:
        """List the variables of the program, those of the user's own layers too."""
        arguments = self._arguments(part, rates, rates, rates, stop=part.stop)
        program = self._steps.get_concrete_function(*arguments)
        owned = [*self._model.variables, *self._optimizer.variables]
        variables = [variable.value for variable in owned]
        held = {id(variable) for variable in variables}
        others = [each for each in program.variables if id(each) not in held]
        self._state = variables + others
        self._others = [(each, each.numpy()) for each in others]
        graph = program.graph.as_graph_def()
        nodes = [*graph.node, *(n for inner in graph.library.function for n in inner.node_def)]
        self.resumable = not any(node.op in _RANDOM_OPERATIONS for node in nodes)

    def network(self, places: Sequence[int] | None = None) -> list[np.ndarray]:
        """Copy variables of the network, the trainable ones first; shape (1, ...) each."""
        every = self._network
        return [
            np.array(every[place])[None]
            for place in (range(len(every)) if places is None else places)
        ]

    def replace_network(self, arrays: Mapping[int, np.ndarray]) -> None:
        """Replace variables of the network by their places in `network`."""
        for place, array in arrays.items():
            self._network[place].assign(array[0])

    def moving_averages(self) -> list[np.ndarray]:
        """Copy the moving averages of the trainable variables; shape (1, ...) each."""
        return [average.numpy()[None] for average in self._averages]

    def see(self, part: Part, step: int) -> None:
        """Show a batch to the network in training mode, as a step would, without an update."""
        self._see(part.data[0], tf.constant(part.order[0, step]))

    @property
    def _network(self) -> list[Any]:
        return [*self._model.trainable_variables, *self._model.non_trainable_variables]

    def state(self) -> list[np.ndarray]:
        """Copy the value of every variable that the steps use."""
        return [np.array(variable.numpy()) for variable in self._state or []]

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Set every variable that the steps use."""
        for variable, value in zip(self._state or [], state, strict=True):
            variable.assign(value.view(variable.dtype.as_numpy_dtype))

    def _call(self, part: Part, *tables: np.ndarray, stop: int) -> Any:
        return self._steps(*self._arguments(part, *tables, stop=stop))

    def _arguments(self, part: Part, *tables: np.ndarray, stop: int) -> Any:
        arrays = [tf.constant(table[0]) for table in (part.order, *tables)]
        bounds = tf.constant(part.start, tf.int32), tf.constant(stop, tf.int32)
        return (*part.data, *arrays, *bounds)

    def _run_steps(
        self,
        pixels: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        momenta: tf.Tensor,
        shares: tf.Tensor,
        start: tf.Tensor,
        stop: tf.Tensor,
    ) -> tf.Tensor:
        variables = self._model.trainable_variables

        def step(i: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            images = _scaled(tf.gather(pixels, order[i]))
            expected = tf.gather(labels, order[i])
            weights = None
            if self._class_weights is not None:
                weights = tf.gather(self._class_weights, expected)
            with tf.GradientTape() as tape:
                loss = self._loss(expected, self._model(images, training=True), weights)
                total = tf.add_n([loss, *self._model.losses])
                scaled = self._optimizer.scale_loss(total)
            gradients = tape.gradient(scaled, variables)
            self._optimizer.learning_rate = rates[i]
            if self._momentum is not None:
                self._momentum.now = momenta[i]
            if self._one_kernel and all(isinstance(each, tf.Tensor) for each in gradients):
                apply_adam(self._optimizer, gradients, variables)
            else:
                self._optimizer.apply(gradients, variables)
            for average, variable in zip(self._averages, variables, strict=False):
                average.assign_add(shares[i] * (variable.value - average))
            return i + 1, losses.write(i, loss)

        losses = tf.TensorArray(tf.float32, size=order.shape[0], element_shape=())
        return tf.while_loop(lambda i, _: i < stop, step, [start, losses])[1].stack()

    def _see_images(self, pixels: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        return self._model(_scaled(tf.gather(pixels, batch)), training=True)

    def _score_images(self, pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        predicted = self._model(_scaled(pixels), training=False)
        losses = keras.losses.sparse_categorical_crossentropy(labels, predicted)
        wrong = tf.argmax(predicted, axis=1, output_type=labels.dtype) != labels
        return tf.reduce_sum(losses), wrong


def _scaled(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(pixels, tf.float32) * PIXEL_SCALE
