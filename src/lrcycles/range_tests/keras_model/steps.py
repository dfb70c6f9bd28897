"""Calls a model's compiled train and test step, as `fit` and `evaluate` do, on one batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError, reason
from lrcycles.range_tests.keras_model import batches, reachable, state
from lrcycles.range_tests.keras_model.batches import Batch

_TRAIN = "The model must train on a mini-batch, as in fit."


def build(model: Any, batch: Batch) -> None:
    """Create the variables of a model that is not built.

    Raises:
        InputError: neither the model nor its train step can be called on a batch.
    """
    if _is_built(model):
        return
    x = batch[0] if isinstance(batch, tuple) else batch
    before = state.Snapshot(state.variables_of(model, reachable.parts_of(model)))
    try:
        # A model without `call`, whose train step uses its layers, would be marked as built.
        if type(model).call not in (keras.Model.call, keras.Layer.call):
            model(x)
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"The model must take a batch of x. Received: {reason(error)}. "
            "Check that model(x) works for a batch of the data."
        ) from error
    if not _is_built(model) and has_own_train_step(model):
        _trace(model, batch)
    before.restore()  # a call may count, or draw random numbers


def _is_built(model: Any) -> bool:
    return all(layer.built for layer in model._flatten_layers())


def _trace(model: Any, batch: Batch) -> None:
    """Create the variables that only the train step uses; tracing it makes no update."""
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "All layers of the model must be built. Received: a layer that only the train step "
            "uses. Call each layer on a batch first."
        )
    import tensorflow as tf

    with explained(_TRAIN, lambda: _remedy(model, batch)):
        step = tf.autograph.experimental.do_not_convert(model.train_step)
        tf.function(step).get_concrete_function(batch)


def has_own_train_step(model: Any) -> bool:
    """Return whether the model's class, or the model itself, replaces what `fit` calls."""
    names = ("train_step", "make_train_function")
    return any(
        name in vars(model) or getattr(type(model), name) is not getattr(keras.Model, name)
        for name in names
    )


def train(model: Any, batch: Batch, resets: Sequence[Any]) -> float:
    """Make one step of `fit` on the batch and return the batch's loss.

    Args:
        resets: metrics to reset first, besides those that Keras tracks.

    Raises:
        InputError: the step fails, returns no loss, or the batch is not finite.
    """
    _reset(model, resets)
    with explained(_TRAIN, lambda: _remedy(model, batch)):
        logs = _called(model, batch, training=True)
    return _loss(logs, batch, "train_step", "a mini-batch")


def test(model: Any, batch: Batch, resets: Sequence[Any]) -> dict[str, float]:
    """Evaluate the batch and return its loss and metrics.

    Args:
        resets: as in `train`.

    Raises:
        InputError: the step fails, returns no loss, or the batch is not finite.
    """
    _reset(model, resets)
    with explained(
        "The model must evaluate the held-out samples.",
        "Give the model a test_step that returns the loss, or a loss in compile, or pass other "
        "held-out samples as heldout=(x, y).",
    ):
        logs = _called(model, batch, training=False)
    loss = _loss(logs, batch, "test_step", "the held-out samples")
    single = {name: value for name, value in logs.items() if np.ndim(value) == 0}
    return {name: float(value) for name, value in single.items()} | {"loss": loss}


def _remedy(model: Any, batch: Batch) -> str:
    """Word what to do if the model cannot train on the batch."""
    x, y, *_ = batch if isinstance(batch, tuple) and len(batch) > 1 else (batch, None)
    if y is None:
        return "Pass y as well, or data that yield (x, y): here is x only."
    for name, values, tensors, part in (("x", x, "inputs", "input"), ("y", y, "outputs", "output")):
        needed = len(keras.tree.flatten(getattr(model, tensors, None) or []))
        given = len(keras.tree.flatten(values))
        if needed and given != needed:
            join = f" Join the arrays of one {part} with np.concatenate." if given > needed else ""
            return (
                f"Pass one array of {name} for each {part} of the model: it has {needed}, and "
                f"{name} has {given}.{join}"
            )
    if (shapes := _shapes(model, x)) is not None:
        return (
            f"Pass x of shape {shapes[0]}, where a mini-batch has {shapes[1]} now: check the order "
            "of x and y, and that a dataset yields batches."
        )
    return "Check that model.fit runs on the same data."


def _shapes(model: Any, x: Any) -> tuple[Any, Any] | None:
    """Return the first shape that the model takes and that x does not have, and the one of x."""
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    for tensor, array in zip(inputs, keras.tree.flatten(x), strict=False):
        needed, given = tuple(tensor.shape), tuple(getattr(array, "shape", ()))
        if array is not None and (
            len(needed) != len(given)
            or any(a not in (None, b) for a, b in zip(needed, given, strict=True))
        ):
            return needed, given
    return None


def _reset(model: Any, resets: Sequence[Any]) -> None:
    """Reset the metrics, else the loss would be the mean of all batches so far."""
    model.reset_metrics()
    for metric in resets:
        metric.reset_state()


def _called(model: Any, batch: Batch, *, training: bool) -> Any:
    if training:
        model.make_train_function()
    else:
        model.make_test_function()
    function = model.train_function if training else model.test_function
    if keras.backend.backend() != "jax":
        # TensorFlow's function takes an iterator, and PyTorch's a list. Both take the first item.
        one = [batch] if keras.backend.backend() == "torch" else iter([batch])
        return function(one)
    model._symbolic_build(data_batch=keras.utils.unpack_x_y_sample_weight(batch))
    kinds = ["trainable_variables", "non_trainable_variables", "metrics_variables"]
    if training:
        kinds.insert(2, "optimizer_variables")
    state = model._get_jax_state(**dict.fromkeys(kinds, True), purge_model_variables=False)
    model._jax_state_synced = False
    logs, state = function(state, iter([batch]))
    model._jax_state = dict(zip(kinds, state, strict=True))
    model.jax_state_sync()
    model._jax_state = None
    return logs


@contextmanager
def explained(rule: str, remedy: str | Callable[[], str]) -> Iterator[None]:
    """Turn any error into one line with the user's own line of code.

    Args:
        remedy: a sentence, or a function that finds one.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # Keras, the backend or the user's code may raise anything
        advice = remedy() if callable(remedy) else remedy
        raise InputError(f"{rule} Received: {reason(error)}. {advice}") from error


def _loss(logs: Any, batch: Batch, step: str, where: str) -> float:
    if not isinstance(logs, Mapping) or "loss" not in logs:
        received = ", ".join(logs) if isinstance(logs, Mapping) else type(logs).__name__
        raise InputError(
            f"The model's {step} must return the loss by the name loss. "
            f"Received: {received or 'nothing'}. Add loss to the returned dict."
        )
    loss = float(np.mean(keras.ops.convert_to_numpy(logs["loss"])))
    # Checked only after a loss that is not finite: checking all data would take too long.
    if not math.isfinite(loss) and batches.not_finite(batch):
        raise InputError(
            f"The data must be finite. Received: NaN or infinity in {where}. "
            "Remove them from x and y."
        )
    return loss
