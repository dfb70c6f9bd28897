"""Trains with hand-written JAX.

Variants that were measured on one core of an AMD EPYC with AVX-512:

- LeNet, convolutions as one matrix product: 175 ms of CPU per step with the images on the last
  axis, 244 ms on the first axis. lax.conv is over ten times slower.
- LeNet, max pooling: the maximum of four slices and lax.reduce_window are 10 to 25 % slower than a
  reshaped maximum.
- MLP at batch 200: 1.73 s of CPU per epoch with the scan, 1.86 s with a jit-ed step in a loop.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.speed.tasks import Data, Prepared, Task

Parameters = list[tuple[jax.Array, jax.Array]]
SHAPES = {
    "mlp": ((784, 784), (784, 10)),
    "lenet": ((5, 5, 1, 20), (5, 5, 20, 50), (800, 500), (500, 10)),
}


def convolve(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve images (channels, height, width, n) as one matrix product, without padding."""
    size, _, channels, filters = kernel.shape
    _, height, width, n = images.shape
    high, wide = height - size + 1, width - size + 1
    patches = jnp.stack(
        [images[:, i : i + high, j : j + wide] for i in range(size) for j in range(size)]
    )
    flat = kernel.reshape(-1, filters).T @ patches.reshape(size * size * channels, -1)
    return flat.reshape(filters, high, wide, n)


def _halve(images: jax.Array) -> jax.Array:
    """Max pool 2 x 2 of images (channels, height, width, n)."""
    channels, height, width, n = images.shape
    return images.reshape(channels, height // 2, 2, width // 2, 2, n).max((2, 4))


def _logits(layers: Parameters, images: jax.Array) -> jax.Array:
    """Compute the logits; the last two layers are dense, the layers before are convolutions."""
    *convolutions, (w1, b1), (w2, b2) = layers
    x = images.reshape(len(images), -1)
    if convolutions:
        maps = images.transpose(1, 2, 0)[None]
        for kernel, bias in convolutions:
            maps = _halve(convolve(maps, kernel) + bias[:, None, None, None])
        x = maps.reshape(-1, len(images)).T
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


def _loss(layers: Parameters, images: jax.Array, labels: jax.Array) -> jax.Array:
    logits = _logits(layers, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def jax_scan(task: Task, data: Data, threads: int) -> Prepared:  # noqa: ARG001
    """Train a whole epoch in one compiled scan, on as many threads as the process may use."""
    random = np.random.default_rng(0)
    layers = [
        (jnp.asarray(random.normal(0, np.prod(s[:-1]) ** -0.5, s), jnp.float32), jnp.zeros(s[-1]))
        for s in SHAPES[task.network]
    ]
    adam = optax.adam(1e-3)
    state: Any = (layers, adam.init(layers))
    x, y, x_test = jnp.asarray(data.x), jnp.asarray(data.y), jnp.asarray(data.x_test)
    steps = task.steps(len(y))

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: Any, x: jax.Array, y: jax.Array, order: jax.Array) -> Any:
        def step(state: Any, batch: jax.Array) -> Any:
            layers, slots = state
            loss, gradients = jax.value_and_grad(_loss)(layers, x[batch], y[batch])
            updates, slots = adam.update(gradients, slots)
            return (optax.apply_updates(layers, updates), slots), loss

        return jax.lax.scan(step, state, order)

    def train_epoch() -> None:
        nonlocal state
        order = random.permutation(len(y))[: steps * task.batch_size].astype(np.int32)
        state, _ = jax.block_until_ready(epoch(state, x, y, order.reshape(steps, -1)))

    def accuracy() -> float:
        predicted = np.argmax(jax.jit(_logits)(state[0], x_test), axis=1)
        return float((predicted == data.y_test).mean())

    return Prepared(train_epoch, accuracy)
