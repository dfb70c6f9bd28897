"""Gives embeddings in JAX the updates that Keras gives them with TensorFlow.

With TensorFlow, the gradient of an embedding is a list with one row for each use of a token. Keras
squares these rows before it adds those of the same token, so the second moments of Adam are
smaller than with JAX, and the steps are larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras.src import ops


class Slices:
    """The embeddings of a model, whose gradients are taken row by row.

    A number 0 is added to each row that an embedding returns; the gradients of these numbers are
    the gradients of the rows.
    """

    def __init__(self, model: Any, optimizer: Any, batch_size: int) -> None:
        self._optimizer = optimizer
        self._layers = [one for one in model.layers if type(one) is keras.layers.Embedding]
        self._shapes = [(batch_size, *layer.output.shape[1:]) for layer in self._layers]
        keys = [id(variable) for variable in model.trainable_variables]
        self._places = [keys.index(id(layer.embeddings)) for layer in self._layers]
        self._zeros: dict[int, jax.Array] = {}
        self._tokens: dict[int, jax.Array] = {}
        for layer in self._layers:
            vars(layer)["call"] = partial(self._call, layer)

    def zeros(self) -> list[jax.Array]:
        """Return what is added to the rows of each embedding."""
        return [jnp.zeros(shape) for shape in self._shapes]

    @contextmanager
    def added(self, zeros: Sequence[jax.Array]) -> Iterator[list[jax.Array]]:
        """Add to the rows inside of the body; afterwards the list has the tokens of the rows."""
        tokens: list[jax.Array] = []
        self._zeros = dict(zip(map(id, self._layers), zeros, strict=True))
        try:
            yield tokens
            tokens += [self._tokens[id(layer)] for layer in self._layers]
        finally:
            self._zeros, self._tokens = {}, {}

    def apply(
        self,
        slots: Sequence[Any],
        gradients: Sequence[Any],
        of_rows: Sequence[jax.Array],
        tokens: Sequence[jax.Array],
        trained: Sequence[Any],
    ) -> Any:
        """Make an update, in which the gradients of embeddings are those of their rows."""
        rows = dict(zip(self._places, zip(of_rows, tokens, strict=True), strict=True))
        squares: dict[int, tuple[jax.Array, jax.Array]] = {}  # with the gradient, to keep its id
        clip, square = type(self._optimizer)._clip_gradients, ops.square

        def clipped(gradients: Sequence[Any]) -> list[Any]:
            results = list(clip(self._optimizer, gradients))
            for place, (_, tokens) in rows.items():
                empty = jnp.zeros_like(trained[place])
                total = empty.at[tokens].add(results[place])
                if not self._optimizer.global_clipnorm:  # which adds the rows of a token
                    squares[id(total)] = total, empty.at[tokens].add(results[place] ** 2)
                results[place] = total
            return results

        mixed = [rows[k][0] if k in rows else one for k, one in enumerate(gradients)]
        vars(self._optimizer)["_clip_gradients"] = clipped
        ops.square = lambda x: squares[id(x)][1] if id(x) in squares else square(x)
        try:
            return self._optimizer.stateless_apply(slots, mixed, trained)
        finally:
            del vars(self._optimizer)["_clip_gradients"]
            ops.square = square

    def _call(self, layer: Any, tokens: jax.Array) -> Any:
        rows = type(layer).call(layer, tokens)
        if id(layer) not in self._zeros:
            return rows
        self._tokens[id(layer)] = tokens
        return jax.lax.stop_gradient(rows) + self._zeros[id(layer)]
