"""Checks which optimizers are updated by TensorFlow's own kernel of Adam, and that it is Adam."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from lrcycles.schedules.keras_optimizers import controlled
from lrcycles.training.tensorflow_engine import apply_adam, has_one_kernel

Adam = keras.optimizers.Adam


def variables(**settings: object) -> list[keras.Variable]:
    return [
        keras.Variable(np.linspace(-1, 1, size, dtype=np.float32), **settings) for size in (5, 1)
    ]


@pytest.mark.parametrize(
    ("optimizer", "plain"),
    [
        (Adam(), True),
        (Adam(0.1, beta_1=0.5, beta_2=0.9, epsilon=0.1, name="other"), True),
        (Adam(amsgrad=True), False),
        (Adam(weight_decay=0.1), False),
        (Adam(clipnorm=1.0), False),
        (Adam(clipvalue=1.0), False),
        (Adam(global_clipnorm=1.0), False),
        (Adam(use_ema=True), False),
        (Adam(loss_scale_factor=2.0), False),
        (Adam(gradient_accumulation_steps=2), False),
        (keras.optimizers.AdamW(weight_decay=0.0), False),
        (keras.optimizers.Nadam(), False),
        (keras.optimizers.SGD(), False),
        (keras.optimizers.LossScaleOptimizer(Adam()), False),
        (controlled(Adam(), layer_rates={"a": 0.5}), False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_only_adams_formula_alone_is_plain(optimizer, plain):
    assert has_one_kernel(optimizer, variables()) is plain


def test_a_constraint_or_another_type_is_not_plain():
    constrained = variables()
    constrained[0].constraint = keras.constraints.NonNeg()
    assert not has_one_kernel(Adam(), constrained)
    assert not has_one_kernel(Adam(), variables(dtype="bfloat16"))


def test_the_kernel_makes_the_updates_of_keras():
    settings = {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 0.01}
    ours, theirs = variables(), variables()
    kernel, keras_own = Adam(**settings), Adam(**settings)
    kernel.build(ours)
    keras_own.build(theirs)
    random = np.random.default_rng(0)
    for _ in range(20):
        gradients = [tf.constant(random.normal(size=v.shape), tf.float32) for v in ours]
        apply_adam(kernel, gradients, ours)
        keras_own.apply(gradients, theirs)
    for one, other in zip([*ours, *kernel.variables], [*theirs, *keras_own.variables], strict=True):
        assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-7)
