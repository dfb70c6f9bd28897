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
            "it use its learning_rate, and set trainable=False on an averaged copy."
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
    parts = reachable.parts_of(model)
    metrics = [part for part in parts if isinstance(part, keras.Metric)]
    attributes = changing_attributes(model)
    every = state.Snapshot(state.variables_of(model, parts))
    optimizers = [v for one in reachable.optimizers_of(parts) for v in one.variables]
    own = state.Snapshot([*model.variables, *optimizers])

    def two_losses(resets: list[Any], *, change: bool) -> tuple[float, float]:
        """Return the losses of two steps from the same weights, or of the first from others."""
        for restore in (*attributes, every.restore):
            restore()
        losses = []
        for changed in (change, False):
            state.seed_globals(0)
            rates.all_almost_zero()
            for variable in model.trainable_variables if changed else ():
                variable.assign(0.5 * variable + 0.01)
            losses.append(train(resets))
            own.restore()
        return losses[0], losses[1]

    def remembers(resets: list[Any]) -> bool:
        """Return whether a loss lies between an earlier one and the one of its own weights."""
        (_, alone), (_, again) = (two_losses(resets, change=False) for _ in range(2))
        earlier, after = two_losses(resets, change=True)
        part = REMEMBERED * abs(earlier - alone)
        share = (after - alone) / (earlier - alone) if part > 0 else 0.0
        return abs(again - alone) < part and REMEMBERED < share < 1.0

    if not remembers([]):
        return []
    if remembers(metrics):
        raise InputError(
            "The train step must return the loss of the mini-batch. Received: a running mean, "
            "which also depends on earlier mini-batches. Return the loss itself, or keep the "
            "keras.metrics.Mean as an attribute of the model."
        )
    return metrics
