"""Checks that a train step can be swept: its rates decide the weights, its loss is of one batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from lrcycles.errors import InputError
from lrcycles.range_tests.keras_model import batches, reachable, state, steps
from lrcycles.range_tests.keras_model.attributes import restore_attributes
from lrcycles.range_tests.keras_model.batches import Batch
from lrcycles.range_tests.keras_model.rates import SweptRates

SCALE_STEPS = 20  # by which a LossScaleOptimizer has lowered its scale far enough
MOVED = 1e-6  # a weight that changes by more at a rate of almost 0 has another optimizer
REMEMBERED = 1e-3  # a loss that holds more of an earlier loss than this share is a running mean
CHECK_RATE = 1e-2  # at which another gradient gives other weights

Train = Callable[[Batch], float]


def check_training(
    model: Any, rates: SweptRates, train: Train, first: Batch, heldout: Batch
) -> None:
    """Make an update at a rate of almost 0, and find out which optimizers decide the rates.

    Raises:
        InputError: the loss is not finite, or something else changes the weights.
    """
    rates.all_almost_zero()
    loss = train(first)
    if not math.isfinite(loss):
        raise InputError(
            "The loss before the first update must be finite. "
            f"Received: {loss}. Check the weights, and whether the loss fits the labels."
        )
    if not (steps.has_own_train_step(model) or rates.has_own_optimizer):
        return
    for _ in range(SCALE_STEPS):
        if rates.find_used():
            break
        train(first)
    rates.choose_main()
    rates.stop_momentum()
    if rates.keeps_weights_apart:
        return
    if moved := _trained_at_rate_0(model, train, first, heldout):
        raise InputError(
            "The learning rates of the model's Keras optimizers must decide how the weights "
            f"change. Received: {len(moved)} weights that changed at a learning rate of 0, for "
            f"example {moved[0].path}. Keep every optimizer as an attribute of the model, let "
            "it use its learning_rate, and let no train step set a rate or a weight."
        )


def changing_attributes(model: Any) -> list[Callable[[], None]]:
    """Return functions that restore the attributes which a step may change."""
    if not model.run_eagerly:  # in a graph, attributes of Python are constants
        return []
    return [restore_attributes(part) for part in reachable.parts_of(model)]


def _trained_at_rate_0(model: Any, train: Train, first: Batch, heldout: Batch) -> list[Any]:
    """Return the weights that a step changes at a rate of almost 0, by a gradient.

    An averaged copy of other weights changes as well, but by the same whatever the data.
    """
    start = state.Snapshot(state.variables_of(model, reachable.parts_of(model)))
    weights = state.Snapshot([v for v in model.trainable_variables if not v.constraint])
    train(first)
    moved = weights.changed(MOVED)
    other = batches.exchanged(first, heldout) if moved else None
    if other is None:
        return moved
    after = state.Snapshot(moved)
    start.restore()
    train(other)
    return after.changed(MOVED)


def metrics_to_reset(model: Any, rates: SweptRates, train: Callable[..., float]) -> list[Any]:
    """Return the metrics that must be reset before each step to make its loss that of one batch.

    `fit` resets the metrics that Keras tracks. A metric in a helper object of the user's train step
    would make the loss a running mean.

    Args:
        train: makes a step on the first batch, after it has reset the given metrics.

    Raises:
        InputError: the loss still depends on earlier losses.
    """
    if not steps.has_own_train_step(model):
        return []
    memory = _Memory(model, rates, train)
    if not memory.shows([]):
        return []
    if memory.shows(memory.metrics):
        raise InputError(
            "The train step must return the loss of the mini-batch. Received: a running mean, "
            "which also depends on earlier mini-batches. Return the loss itself, or keep the "
            "keras.metrics.Mean as an attribute of the model."
        )
    return memory.metrics


class _Memory:
    """Finds out whether the loss that a train step returns holds earlier losses."""

    def __init__(self, model: Any, rates: SweptRates, train: Callable[..., float]) -> None:
        self._rates = rates
        self._train = train
        parts = reachable.parts_of(model)
        self.metrics = [part for part in parts if isinstance(part, keras.Metric)]
        every = state.Snapshot(state.variables_of(model, parts))
        self._restores = [*changing_attributes(model), every.restore]
        self._weights = list(model.trainable_variables)
        optimizers = [v for one in reachable.optimizers_of(parts) for v in one.variables]
        self._updated = [*self._weights, *optimizers]
        self._own = state.Snapshot([*model.variables, *optimizers])

    def shows(self, resets: list[Any]) -> bool:
        """Return whether a loss lies between an earlier loss and the loss of its own weights.

        A loss whose gradient depends on earlier steps, such as one with a queue of samples, is no
        running mean.
        """
        _, alone = self._two_steps(resets, change=False)
        _, again = self._two_steps(resets, change=False)
        updated = state.Snapshot(self._updated)
        earlier, after = self._two_steps(resets, change=True)
        least = REMEMBERED * abs(earlier - alone)
        if not abs(again - alone) < least or updated.changed(MOVED):
            return False
        return REMEMBERED < (after - alone) / (earlier - alone) < 1.0

    def _two_steps(self, resets: list[Any], *, change: bool) -> tuple[float, float]:
        """Return the losses of two steps, the first from the same weights or from others."""
        state.run_all(self._restores)
        state.seed_globals(0)
        for variable in self._weights if change else ():
            variable.assign(0.5 * variable + 0.01)
        self._rates.all_almost_zero()
        earlier = self._train(resets)
        self._own.restore()
        state.seed_globals(0)
        self._rates.assign(CHECK_RATE)
        return earlier, self._train(resets)
