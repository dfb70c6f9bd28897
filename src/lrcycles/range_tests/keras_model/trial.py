"""Trains a Keras model through one sweep after another, each from the same start."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests import sweep
from lrcycles.range_tests.keras_model import loop, state
from lrcycles.range_tests.keras_model.batches import Batch, Source, not_finite, on_device

HELDOUT_LOSS = "heldout_loss"


def exchange_optimizer(
    model: Any, optimizer: Any, loss: Any, metric: str | None, *, keep_state: bool
) -> None:
    """Give the model a copy of its optimizer, or of `optimizer`, with a variable learning rate."""
    if optimizer is None:
        model.optimizer = state.copied_optimizer(model.optimizer, model, keep_state=keep_state)
        return
    copy = state.copied_optimizer(
        keras.optimizers.get(optimizer),
        model,
        keep_state=False,
        scale_loss=model.dtype_policy.name == "mixed_float16",
    )
    if model.compiled:
        model.optimizer = copy
        return
    classifies = "crossentropy" in str(getattr(loss, "name", getattr(loss, "__name__", loss)))
    metrics = [metric] if metric else ["accuracy"] if classifies else None
    model.compile(copy, loss=loss, metrics=metrics)


class Trial:
    """A compiled model that can be trained repeatedly from the same start."""

    def __init__(
        self,
        model: Any,
        source: Source,
        metric: tuple[str | None, bool | None],
        *,
        class_weight: Mapping[int, float] | None,
        fresh: bool,
        updates: int,
    ) -> None:
        self._model = model
        self._optimizer = model.optimizer
        self.momentum = state.velocity_momentum(model.optimizer)
        self._accumulated = state.accumulation_steps(model.optimizer)
        self._source = source
        self._batches: Iterator[Batch] = iter([source.first])
        self._heldout = on_device(source.heldout)
        self._class_weight = class_weight
        self._fresh = fresh
        self._start = state.Snapshot([*model.variables, *model.optimizer.variables])
        together = self._accumulated == 1 and class_weight is None
        self._loop = loop.compiled_loop(model, updates=updates) if together else None
        self._waiting: list[Batch] = []  # already read, not yet trained on
        # One evaluation and one update compile both functions and check that the model trains.
        logs = self._test()
        loss = self._train() if self._loop is None else self._some(np.zeros(1, np.float32))[0]
        if not math.isfinite(loss):
            raise InputError(
                "The loss before the first update must be finite. "
                f"Received: {loss}. Check the weights, and whether the loss fits the labels."
            )
        self.metric, self.metric_rises, self.notes = _choose_metric(model, logs, *metric)

    def reset(self, seed: int) -> None:
        """Return to the start, with the mini-batches and random numbers of `seed`."""
        self._start.restore()
        state.seed_globals(seed)
        if self._fresh:
            values = state.fresh_values(self._model)
            for variable, value in zip(self._model.weights, values, strict=True):
                variable.assign(value)
        state.seed_layers(self._model, seed)
        self._batches = self._source.stream(np.random.default_rng(seed))
        self._waiting = []

    def advance(self, rates: sweep.Rates) -> list[float]:
        """Make one update per rate and return the losses up to the first that is not finite."""
        losses: list[float] = []
        while len(losses) < len(rates):
            losses += self._some(rates[len(losses) :])
            if not math.isfinite(losses[-1]):
                break
        return losses

    def evaluate(self) -> tuple[float, float]:
        """Return the held-out batch's loss, and its metric with a sign so that higher is better."""
        logs = self._test()
        loss = float(logs["loss"])
        value = loss if self.metric == HELDOUT_LOSS else float(logs[self.metric])
        return loss, value if self.metric_rises else -value

    def _some(self, rates: sweep.Rates) -> list[float]:
        """Make as many updates as fit into one call, and return the losses as `advance` does."""
        if self._loop is None:
            self._optimizer.learning_rate = float(rates[0])
            return [float(np.mean([self._train() for _ in range(self._accumulated)]))]
        while len(self._waiting) < len(rates):
            self._waiting.append(next(self._batches))
        count = loop.stackable(self._waiting)
        batches, self._waiting = self._waiting[:count], self._waiting[count:]
        losses = [float(loss) for loss in self._loop(batches, rates[:count])]
        bad = next((k for k, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is None:
            return losses
        _need_finite_data(batches[bad], "a mini-batch")
        return losses[: bad + 1]

    def _train(self) -> float:
        x, y, weight = batch = next(self._batches)
        # train_on_batch resets the metrics first, so the loss is no running mean.
        logs = self._model.train_on_batch(
            x, y, sample_weight=weight, class_weight=self._class_weight, return_dict=True
        )
        return _loss(logs, batch, "train_step", "a mini-batch")

    def _test(self) -> Mapping[str, Any]:
        x, y, weight = self._heldout
        logs: Mapping[str, Any] = self._model.test_on_batch(
            x, y, sample_weight=weight, return_dict=True
        )
        _loss(logs, self._source.heldout, "test_step", "the held-out samples")
        return logs


def _loss(logs: Mapping[str, Any], batch: Batch, step: str, where: str) -> float:
    if "loss" not in logs:
        raise InputError(
            f"The model's {step} must return the loss by the name loss. "
            f"Received: {', '.join(logs) or 'nothing'}. Add loss to the returned dict."
        )
    loss = float(logs["loss"])
    if not math.isfinite(loss):
        _need_finite_data(batch, where)
    return loss


def _need_finite_data(batch: Batch, where: str) -> None:
    """Refuse a batch that is not finite.

    A batch is only checked after its loss was not finite: checking all data would take too long.
    """
    if not_finite(batch):
        raise InputError(
            f"The data must be finite. Received: NaN or infinity in {where}. "
            "Remove them from x and y."
        )


def _choose_metric(
    model: Any, logs: Mapping[str, Any], name: str | None, rises: bool | None
) -> tuple[str, bool, list[str]]:
    """Choose the metric among those that the model reports, and return name, direction, notes."""
    names = [key for key, value in logs.items() if key != "loss" and np.ndim(value) == 0]
    if name is None:
        name = next((key for key in names if "acc" in key), None)
    if name is None or name in ("loss", HELDOUT_LOSS):
        if rises:
            raise InputError(
                "metric_rises=True must come with a metric that rises. Received: the held-out "
                "loss. Name another metric, or leave metric_rises out."
            )
        fallback = "The metric is the held-out loss, because the model measures no accuracy."
        return HELDOUT_LOSS, False, [] if name else [fallback]
    if name not in names:
        raise InputError(
            "metric must be one that the model measures. "
            f"Received: {name!r}. Choose one of {', '.join([*names, 'loss'])}."
        )
    if rises is None:
        rises = _rises(model, name)
    if rises is None:
        raise InputError(
            "metric_rises must be given for a metric without a known direction. "
            f"Received: metric={name!r}. Set metric_rises=True or False."
        )
    return name, rises, []


def _rises(model: Any, name: str) -> bool | None:
    """Return whether a higher metric is better, as Keras's callbacks decide it; None if unknown."""
    for metric in model.metrics:
        for part in getattr(metric, "metrics", [metric]):
            direction = getattr(part, "_direction", None)
            if direction and (name == part.name or name.endswith(f"_{part.name}")):
                return bool(direction == "up")
    return True if "acc" in name else None
