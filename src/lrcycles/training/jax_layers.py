"""Computes layers of Keras so that XLA makes fewer and faster kernels of a training step.

The results are those of Keras up to rounding. A layer that is not exactly of the kind described
here stays as Keras computes it. What each replacement gains on a GPU is in docs/performance.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

NARROW_UNITS = 16  # at most, of a dense layer whose products are faster as sums
ALIGNED = 4  # float32 numbers in the 16 bytes that the fast matrix kernels of a GPU read at once
PATCH_BYTES = 4 << 30  # most memory for the patches of one convolution
ALIGNED_CHANNELS = 8  # cuDNN is faster than products of matrices for multiples of so many channels
PART_WEIGHTS, MOST_PARTS = 1 << 19, 128  # of the sum over all patches that the kernel's gradient is


def ends_in_softmax(model: Any) -> bool:
    """Return whether the outputs are the softmax of the last layer's logits, and nothing more."""
    try:
        last = model.layers[-1]
        is_output = last.output is model.outputs[0]
    except (AttributeError, IndexError, ValueError):  # a subclass of keras.Model
        return False
    softmax = getattr(last, "activation", None) is keras.activations.softmax
    return is_output and softmax and last.activity_regularizer is None


@contextmanager
def rewritten(model: Any, *, cells: int, device: str) -> Iterator[None]:
    """Let a traced call of the model give logits, if `ends_in_softmax`, and use faster layers.

    Args:
        cells: the number of cells that `jax.vmap` trains side by side.
        device: cpu or gpu.
    """
    with ExitStack() as replacements:
        if ends_in_softmax(model):
            linear = keras.activations.linear
            replacements.enter_context(_replaced(model.layers[-1], "activation", linear))
        for layer in _layers(model):
            for name, value in _faster(layer, cells, device):
                replacements.enter_context(_replaced(layer, name, value))
        yield


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


@contextmanager
def _replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    attributes = vars(layer)  # setattr would make Keras track the value
    before = {name: attributes[name]} if name in attributes else {}
    attributes[name] = value
    try:
        yield
    finally:
        del attributes[name]
        attributes.update(before)


def _faster(layer: Any, cells: int, device: str) -> Iterator[tuple[str, Any]]:
    """Give the method to replace, and what replaces it."""
    kind = type(layer)
    if kind is keras.layers.MaxPooling2D:
        if layer.data_format == "channels_last" and layer.strides == layer.pool_size:
            yield "call", partial(_pool, layer)
    elif kind is keras.layers.Conv2D:
        ones = {*layer.strides, *layer.dilation_rate, layer.groups}
        if layer.data_format == "channels_last" and ones == {1}:
            yield "convolution_op", partial(_convolve, layer, cells)
    elif kind is keras.layers.Dense and layer.units <= NARROW_UNITS:
        product = _summed_product if device == "gpu" and cells == 1 else _narrow_product
        yield "call", partial(_multiply, layer, product)


def _pool(layer: Any, images: jax.Array) -> Any:
    """Pool by comparing slices: XLA's own gradient is a slow scatter where it is deterministic."""
    n, height, width, channels = images.shape
    high, wide = layer.pool_size
    if height % high or width % wide:
        return type(layer).call(layer, images)
    return _largest(images.reshape(n, height // high, high, width // wide, wide, channels))


def _largest_value(windows: jax.Array) -> jax.Array:
    """Reduce windows of shape (n, rows, high, columns, wide, channels)."""
    return reduce(jnp.maximum, _elements(windows))


def _elements(windows: jax.Array) -> list[jax.Array]:
    _, _, high, _, wide, _ = windows.shape
    return [windows[:, :, i, :, j] for i in range(high) for j in range(wide)]


def _largest_forward(windows: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _largest_value(windows), windows


def _largest_backward(windows: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    """Give the gradient to the first of the largest elements, as XLA does."""
    elements = _elements(windows)
    largest = reduce(jnp.maximum, elements)
    first = jnp.full(largest.shape, len(elements))
    for place, element in reversed(list(enumerate(elements))):
        first = jnp.where(element == largest, place, first)
    _, _, high, _, wide, _ = windows.shape
    places = jnp.arange(high)[:, None, None, None] * wide + jnp.arange(wide)[:, None]
    hit = places == first[:, :, None, :, None]
    return (jnp.where(hit, gradient[:, :, None, :, None], 0),)


_largest = jax.custom_vjp(_largest_value)
_largest.defvjp(_largest_forward, _largest_backward)


def _convolve(layer: Any, cells: int, images: jax.Array, kernel: Any) -> Any:
    """Convolve as one product of matrices.

    A convolution of many cells would be a grouped one, which cuDNN computes almost one by one.
    """
    kernel = jnp.asarray(kernel)
    high, wide, channels, filters = kernel.shape
    patch_bytes = math.prod(images.shape[:3]) * kernel[..., 0].size * images.dtype.itemsize
    aligned = cells == 1 and channels % ALIGNED_CHANNELS == 0
    if aligned or cells * patch_bytes > PATCH_BYTES:
        return type(layer).convolution_op(layer, images, kernel)
    if layer.padding == "same":
        rows, columns = (((size - 1) // 2, size // 2) for size in (high, wide))
        images = jnp.pad(images, ((0, 0), rows, columns, (0, 0)))
    weights = kernel.reshape(-1, filters)
    more_rows, more_columns = (-size % ALIGNED for size in weights.shape)
    weights = jnp.pad(weights, ((0, more_rows), (0, more_columns)))
    # The barrier keeps XLA from computing the patches twice, the second time transposed.
    patches = jax.lax.optimization_barrier(_patches(images, high, wide, more_rows))
    return _patch_product(patches, weights)[..., :filters]


def _patches_value(images: jax.Array, high: int, wide: int, more: int) -> jax.Array:
    """Cut out every patch, in rows of high * wide * channels numbers and `more` of no meaning."""
    n, height, width, channels = images.shape
    place = np.arange(height * width * channels, dtype=np.int32).reshape(height, width, channels)
    windows = np.lib.stride_tricks.sliding_window_view(place, (high, wide), (0, 1))
    windows = windows.transpose(0, 1, 3, 4, 2).reshape(*windows.shape[:2], -1)
    index = np.pad(windows, ((0, 0), (0, 0), (0, more)))
    return jax.vmap(lambda image: image[index])(images.reshape(n, -1))


def _patches_forward(images: jax.Array, high: int, wide: int, more: int) -> tuple[Any, Any]:
    return _patches_value(images, high, wide, more), images.shape


def _patches_backward(
    high: int, wide: int, _more: int, shape: Any, gradient: jax.Array
) -> tuple[jax.Array]:
    channels = shape[-1]
    total: Any = 0
    for i in range(high):
        for j in range(wide):
            begin = (i * wide + j) * channels
            part = gradient[..., begin : begin + channels]
            around = (i, high - 1 - i), (j, wide - 1 - j)
            total = total + jnp.pad(part, ((0, 0), *around, (0, 0)))
    return (total,)


_patches = jax.custom_vjp(_patches_value, nondiff_argnums=(1, 2, 3))
_patches.defvjp(_patches_forward, _patches_backward)


def _patch_product_value(patches: jax.Array, weights: jax.Array) -> jax.Array:
    return patches @ weights


def _patch_product_forward(patches: jax.Array, weights: jax.Array) -> tuple[jax.Array, Any]:
    return patches @ weights, (patches, weights)


def _patch_product_backward(residuals: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sum the weights' gradient in parts, since a GPU computes one small result slowly."""
    patches, weights = residuals
    parts = min(MOST_PARTS, max(1, PART_WEIGHTS // weights.size))
    parts = math.gcd(math.prod(patches.shape[:-1]), 1 << (parts.bit_length() - 1))
    rows = [array.reshape(parts, -1, array.shape[-1]) for array in (patches, gradient)]
    sums = jnp.einsum("pnk,pnf->pkf", *rows, preferred_element_type=jnp.float32)
    return gradient @ weights.T, sums.sum(0).astype(weights.dtype)


_patch_product = jax.custom_vjp(_patch_product_value)
_patch_product.defvjp(_patch_product_forward, _patch_product_backward)


def _multiply(layer: Any, product: Any, inputs: jax.Array, training: Any = None) -> Any:
    """Compute a dense layer of few units."""
    if inputs.ndim != 2:
        return type(layer).call(layer, inputs, training=training)
    outputs = product(inputs, jnp.asarray(layer.kernel))
    if layer.use_bias:
        outputs = outputs + jnp.asarray(layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


def _sum_rows(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply as sums, which XLA computes in one kernel with their neighbours."""
    return (inputs[:, None] * kernel.T).sum(-1)


def _sum_rows_forward(inputs: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
    return _sum_rows(inputs, kernel), (inputs, kernel)


def _sum_rows_backward(residuals: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    inputs, kernel = residuals
    to_kernel = (inputs[:, :, None] * gradient[:, None]).sum(0)
    return (gradient[:, None] * kernel).sum(-1), to_kernel


_summed_product = jax.custom_vjp(_sum_rows)
_summed_product.defvjp(_sum_rows_forward, _sum_rows_backward)


def _narrow_product_value(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    return inputs @ kernel


def _narrow_product_forward(inputs: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
    return inputs @ kernel, (inputs, kernel)


def _narrow_product_backward(residuals: Any, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sum for the inputs' gradient alone: for many cells the others are faster as products."""
    inputs, kernel = residuals
    return (gradient[:, None] * kernel).sum(-1), inputs.T @ gradient


_narrow_product = jax.custom_vjp(_narrow_product_value)
_narrow_product.defvjp(_narrow_product_forward, _narrow_product_backward)
