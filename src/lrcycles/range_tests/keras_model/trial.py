"""Trains a Keras model through one sweep after another, each from the same start."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests import sweep
from lrcycles.range_tests.curves import SeedCurve
from lrcycles.range_tests.keras_model import batches, checks, reachable, state, steps
from lrcycles.range_tests.keras_model.batches import Batch
from lrcycles.range_tests.keras_model.rates import SweptRates
from lrcycles.range_tests.keras_model.sources import Source
from lrcycles.range_tests.length import Training
from lrcycles.schedules.optimizers import WRAPPERS, class_named

HELDOUT_LOSS = "heldout_loss"


def exchange_optimizer(model: Any, optimizer: Any, loss: Any, metric: str | None) -> None:
    """Give the model the optimizer of the range test, and compile it if it is not compiled."""
    if optimizer is None:
        return
    kind = class_named(optimizer) if isinstance(optimizer, str) else None
    if kind in WRAPPERS:
        raise InputError(
            "optimizer must be an object, not a name, where it holds other optimizers. "
            f"Received: {optimizer!r}. Pass keras.optimizers.{kind}(...)."
        )
    try:
        # Keras itself finds not all of its classes by name.
        chosen = getattr(keras.optimizers, kind)() if kind else keras.optimizers.get(optimizer)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"optimizer must be one of Keras or its name. Received: {optimizer!r}. "
            'Set for example optimizer="adam".'
        ) from error
    if model.compiled:
        scaled = isinstance(chosen, keras.optimizers.LossScaleOptimizer)
        if model.dtype_policy.name == "mixed_float16" and not scaled:
            chosen = keras.optimizers.LossScaleOptimizer(chosen)
        model.optimizer = chosen
        return
    classifies = "crossentropy" in str(getattr(loss, "name", getattr(loss, "__name__", loss)))
    metrics = [metric] if metric else ["accuracy"] if classifies else None
    model.compile(chosen, loss=loss, metrics=metrics)


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
        on_step: Callable[[int, float, float], None],
    ) -> None:
        self._model = model
        self._source = source
        self._heldout: Sequence[Batch] = source.heldout
        self._stream: Iterator[Batch] = iter([])
        self._class_weight = class_weight
        self._fresh = fresh
        self._on_step = on_step
        self._seed = -1
        self._rates = SweptRates(model, fresh=fresh)
        self._start = state.Snapshot(state.variables_of(model, reachable.parts_of(model)))
        self._resets: Sequence[Any] = ()
        # One update and one evaluation compile both functions and check that the model trains.
        restores = [*checks.changing_attributes(model), self._start.restore]
        checks.check_training(model, self._rates, self._train, source.first, source.heldout[0])
        state.run_all(restores)
        self._resets = checks.metrics_to_reset(model, self._rates, self._train_first)
        state.run_all(restores)
        logs = self._first_test()
        self.metric, self.metric_rises, self._notes = _choose_metric(model, logs, *metric)
        self.momentum = self._rates.momentum
        self.optimizer = type(self._rates.main).__name__.lower()

    @property
    def notes(self) -> list[str]:
        """What the user should know about the metric and the optimizers, after the last sweep."""
        return [*self._notes, *self._rates.notes]

    def unused(self, curves: Sequence[SeedCurve]) -> list[str]:
        """Say which rates of the curves the optimizer has replaced by lower ones."""
        return self._rates.unused(max((curve.lr for curve in curves), key=len))

    def training(self, epochs: int, steps_per_epoch: int | None) -> Training:
        """Describe the training that the range test is paid for.

        Raises:
            InputError: the number of mini-batches in an epoch is not known.
        """
        if steps_per_epoch is None:
            raise InputError(
                "The length of an epoch must be known for epochs. Received: "
                f"epochs={epochs} and data without a length. Pass steps_per_epoch, or leave epochs "
                "out."
            )
        heldout = sum(batches.samples(batch) for batch in self._heldout)
        return Training(
            batches=epochs * steps_per_epoch,
            batches_per_step=self._rates.accumulated,
            # A mini-batch is passed forwards once and backwards, which takes twice as long.
            evaluation=heldout / batches.samples(self._source.first) / 3,
        )

    def reset(self, seed: int) -> None:
        """Return to the start, with the mini-batches and random numbers of `seed`."""
        self._start.restore()
        state.seed_globals(seed)
        if self._fresh:
            values = state.fresh_values(self._model)
            for variable, value in zip(self._model.weights, values, strict=True):
                variable.assign(value)
        state.seed_layers(self._model, seed)
        self._stream = self._source.stream(np.random.default_rng(seed))
        self._seed = seed

    def advance(self, rates: sweep.Rates) -> list[float]:
        """Make one update per rate and return the losses up to the first that is not finite."""
        losses: list[float] = []
        for rate in rates:
            self._rates.assign(float(rate))
            parts = [self._train(next(self._stream)) for _ in range(self._rates.accumulated)]
            losses.append(float(np.mean(parts)))
            self._on_step(self._seed, float(rate), losses[-1])
            if not math.isfinite(losses[-1]):
                break
        self._rates.find_used()
        return losses

    def evaluate(self) -> tuple[float, float]:
        """Return the held-out loss, and the metric with a sign so that higher is better."""
        logs = self._test()
        value = logs["loss"] if self.metric == HELDOUT_LOSS else logs[self.metric]
        return logs["loss"], value if self.metric_rises else -value

    def _train(self, batch: Batch) -> float:
        if self._class_weight is not None:
            with steps.explained(
                "class_weight must go with the labels of a single output.",
                "Set class_weight={0: 1.0, 1: 2.0}, for example, or pass sample weights.",
            ):
                batch = batches.weighted(batch, self._class_weight)
        return steps.train(self._model, batch, self._resets)

    def _train_first(self, resets: Sequence[Any]) -> float:
        self._resets = resets
        return self._train(self._source.first)

    def _test(self) -> dict[str, float]:
        """Evaluate the held-out batches; each counts as much as it has samples."""
        before = state.Snapshot(self._moved_by_test)
        logs = [steps.test(self._model, batch, self._test_resets) for batch in self._heldout]
        before.restore()
        weights = [batches.samples(batch) for batch in self._heldout]
        return {
            name: float(np.average([values[name] for values in logs], weights=weights))
            for name in logs[0]
        }

    def _first_test(self) -> dict[str, float]:
        """Evaluate once, and find what an evaluation moves, such as the states of an RNN."""
        self._moved_by_test: list[Any] = []
        self._test_resets: list[Any] = list(self._resets)
        try:
            logs = self._test()
        except InputError:
            if not self._source.heldout_parts:
                raise
            # A model for one batch size that does not say so takes the batches as they came.
            self._heldout = self._source.heldout_parts
            logs = self._test()
        metrics = {id(v) for v in self._model.metrics_variables}
        self._moved_by_test = [v for v in self._start.changed() if id(v) not in metrics]
        moved = {id(variable) for variable in self._moved_by_test}
        self._test_resets += [
            part
            for part in reachable.parts_of(self._model)
            if isinstance(part, keras.Metric) and moved & {id(v) for v in part.variables}
        ]
        return logs


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
