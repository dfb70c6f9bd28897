"""Layers that are computed in another way give what Keras computes, in a process with JAX."""

from __future__ import annotations

import json

import pytest

from tests.training.test_jax import on_jax

CASES = """
import json, sys
import jax, keras, numpy as np
from jax import numpy as jnp
from keras import layers
from lrcycles.training.jax_layers import ends_in_softmax, rewritten

def network(*middle, shape):
    return keras.Sequential([keras.Input(shape), *middle, layers.Dense(10, "softmax")])

conv = lambda padding, size=3: [layers.Conv2D(6, size, padding=padding, activation="tanh")]
flat = layers.Flatten
networks = {
    "dense": network(layers.Dense(12, "relu"), layers.Dense(3, "tanh"), shape=(20,)),
    "sequence": network(layers.Dense(3), flat(), shape=(5, 4)),
    "valid": network(*conv("valid"), flat(), shape=(7, 8, 3)),
    "same": network(*conv("same", 4), flat(), shape=(7, 8, 3)),
    "aligned": network(*conv("same"), flat(), shape=(6, 6, 8)),
    "strides": network(layers.Conv2D(4, 3, strides=2), flat(), shape=(9, 9, 2)),
    "dilation": network(layers.Conv2D(4, 2, dilation_rate=2), flat(), shape=(9, 9, 2)),
    "pool": network(*conv("same"), layers.MaxPooling2D((2, 3)), flat(), shape=(6, 6, 3)),
    "ties": network(layers.ReLU(), layers.MaxPooling2D(2), flat(), shape=(6, 6, 3)),
    "uneven": network(layers.MaxPooling2D(2, padding="same"), flat(), shape=(7, 7, 3)),
    "overlap": network(layers.MaxPooling2D(3, strides=2), flat(), shape=(7, 7, 3)),
    "nested": network(network(*conv("same"), flat(), shape=(6, 6, 1)), shape=(6, 6, 1)),
}
random = np.random.default_rng(0)

def gradients(model, x, y, device):
    # The inputs' gradient too: a layer before may need it.
    variables = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    def loss(variables, x):
        if device:
            with rewritten(model, cells=1, device=device):
                outputs, _ = model.stateless_call(variables, others, x)
        else:
            outputs, _ = model.stateless_call(variables, others, x)
        logits = bool(device) and ends_in_softmax(model)
        return keras.losses.sparse_categorical_crossentropy(y, outputs, logits).mean()
    return jax.jit(jax.value_and_grad(loss, (0, 1)))(variables, x)

for name, model in networks.items():
    keras.utils.set_random_seed(1)
    x = random.normal(size=(6, *model.input_shape[1:])).astype("float32")
    if name == "ties":
        x = np.round(x)  # zeros after the ReLU, and equal numbers
    y = random.integers(0, 10, 6)
    before, attributes = model.get_config(), [dict(vars(layer)) for layer in model.layers]
    (loss, wanted), (new_loss, given) = (gradients(model, x, y, d) for d in ("", "cpu"))
    new_gpu_loss, given_on_gpu = gradients(model, x, y, "gpu")
    leaves = zip(*[jax.tree.leaves(each) for each in (wanted, given, given_on_gpu)], strict=True)
    print(json.dumps({
        "name": name,
        "loss": max(abs(float(loss - other)) for other in (new_loss, new_gpu_loss)),
        "gradient": max(
            float(jnp.abs(a - b).max() / jnp.abs(a).max()) for a, *others in leaves for b in others
        ),
        "restored": [dict(vars(layer)) for layer in model.layers] == attributes,
    }))
"""
NAMES = (
    *("dense", "sequence", "valid", "same", "aligned", "strides", "dilation"),
    *("pool", "ties", "uneven", "overlap", "nested"),
)


@pytest.fixture(scope="module")
def compared() -> dict[str, dict[str, float]]:
    rows = [json.loads(line) for line in on_jax(CASES).splitlines()]
    return {row["name"]: row for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradients_are_those_of_keras(compared, name):
    assert compared[name]["loss"] < 1e-5
    assert compared[name]["gradient"] < 1e-4
    assert compared[name]["restored"]


@pytest.mark.slow
def test_the_program_of_rewritten_layers_has_no_scatter_and_no_convolution():
    code = """
import jax, keras
from keras import layers
from lrcycles.training.jax_layers import rewritten
model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"),
    layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(10, "softmax")])
def loss(weights, x):
    with rewritten(model, cells=1, device='gpu'):
        return model.stateless_call(weights, [], x)[0].sum()
weights = [variable.value for variable in model.trainable_variables]
print(jax.jit(jax.grad(loss)).lower(weights, jax.numpy.ones((4, 8, 8, 3))).as_text())
"""
    program = on_jax(code)
    assert "dot_general" in program
    assert "scatter" not in program
    assert "convolution" not in program
