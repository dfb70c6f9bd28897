"""Networks as users write them: classes of their own, right and wrong."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable("tests")
class Net(keras.Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.flatten = keras.layers.Flatten()
        self.last = keras.layers.Dense(classes, activation="softmax")

    def call(self, images):
        return self.last(self.flatten(images))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


class NotSaved(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.last = keras.layers.Dense(classes, activation="softmax")

    def call(self, images):
        return self.last(self.flatten(images))


class EagerOnly(NotSaved):
    def call(self, images, training=False):
        if training:
            float(images[0, 0, 0])
        return super().call(images)


def net(_input_shape, classes):
    return Net(classes)


def not_saved(_input_shape, classes):
    return NotSaved(classes)


def eager_only(_input_shape, classes):
    return EagerOnly(classes)


@keras.saving.register_keras_serializable("tests")
class HiddenState(keras.layers.Layer):
    """Adds noise to its inputs in training, from a state that is no variable of the layer."""

    def __init__(self, kind, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def build(self, _shape):
        import tensorflow as tf

        self.calls = [tf.Variable(0.0)]  # Keras tracks its own variables only

    def call(self, inputs, training=False):
        import tensorflow as tf

        if not training:
            return inputs
        if self.kind == "tf.random":
            return inputs + tf.random.normal(tf.shape(inputs))
        return inputs + tf.cos(self.calls[0].assign_add(1.0))

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def hidden_state(input_shape, classes, *, kind):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(input_shape),
            HiddenState(kind),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )


@keras.saving.register_keras_serializable("tests")
class MeanSeen(keras.layers.Layer):
    """Subtracts the mean of the batches that it has seen, as batch normalisation does."""

    def build(self, _shape):
        self.mean_seen = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="mean_seen"
        )

    def call(self, inputs, training=False):
        if training:
            self.mean_seen.assign(0.9 * self.mean_seen + 0.1 * keras.ops.mean(inputs))
        return inputs - self.mean_seen


def mean_seen(input_shape, classes):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(input_shape),
            MeanSeen(),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )
