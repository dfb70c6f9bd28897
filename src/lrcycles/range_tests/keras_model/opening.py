"""Opens a user's model and data for sweeps and trials, and leaves both as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.keras_model import sources, state
from lrcycles.range_tests.keras_model import steps as keras_steps
from lrcycles.range_tests.keras_model.reachable import optimizers_of, parts_of
from lrcycles.range_tests.keras_model.request import Request
from lrcycles.range_tests.keras_model.trial import Trial, exchange_optimizer

MOST_SEEDS = 1000
FORGETTING = 0.8  # momentum of the statistics of batch normalisation in short trainings


@contextmanager
def opened(
    model: Any,
    data: tuple[Any, Any, Any],
    request: Request,
    *,
    class_weight: Mapping[int, float] | None,
    optimizer: Any,
    loss: Any,
    metric: tuple[str | None, bool | None],
    fresh_weights: bool,
    steps_per_epoch: int | None,
    forget_fast: bool = False,
    on_step: Callable[[int, float, float], None],
) -> Iterator[tuple[Trial, int | None]]:
    """Give a trial of the model and the mini-batches of an epoch; restore everything afterwards.

    Args:
        data: x, y and sample_weight.
        metric: the name of a metric, and whether it rises.
        forget_fast: let batch normalisation forget its first statistics within short trainings.
    """
    with state.same_randomness():
        source = sources.source(*data, request)
        keras_steps.build(model, source.first)
        with state.undisturbed(model, optimizer):
            if forget_fast:
                _forget_fast(model)
            exchange_optimizer(model, optimizer, loss, metric[0])
            trial = Trial(
                model,
                source,
                metric,
                class_weight=class_weight,
                fresh=fresh_weights,
                on_step=on_step,
            )
            yield trial, steps_per_epoch or source.steps_per_epoch


def _forget_fast(model: Any) -> None:
    """Let the moving statistics of batch normalisation be those of the last ten updates or so.

    Keras's default, a momentum of 0.99, remembers the initial values for hundreds of updates. The
    held-out loss after fewer updates would be wrong. Training itself does not use the statistics.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, FORGETTING)


def seed_list(seeds: int | Sequence[int]) -> list[int]:
    """Return the seeds that a count or a list names.

    >>> seed_list(3), seed_list([7])
    ([0, 1, 2], [7])
    """
    if isinstance(seeds, int | np.integer) and seeds > MOST_SEEDS:
        raise InputError(
            f"seeds must be at most {MOST_SEEDS}. Received: {seeds}. Name fewer, such as seeds=3."
        )
    try:
        numbers = list(range(seeds)) if isinstance(seeds, int | np.integer) else list(seeds)
    except TypeError:
        numbers = []
    whole = all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in numbers)
    if isinstance(seeds, bool) or not numbers or not whole or min(numbers) < 0:
        raise InputError(
            "seeds must be a count of at least 1 or a list of whole numbers of at least 0. "
            f"Received: seeds={seeds!r}. Set seeds=3, for example."
        )
    if len(set(numbers)) < len(numbers):
        raise InputError(f"seeds must all differ. Received: seeds={seeds!r}. Name each seed once.")
    return [int(seed) for seed in numbers]


def need_verbose(verbose: Any) -> None:
    """Refuse a verbosity that is none."""
    if verbose not in (True, False, "auto"):
        raise InputError(
            f"verbose must be True, False or 'auto'. Received: {verbose!r}. Leave it out."
        )


def check_arguments(
    model: Any, optimizer: Any, loss: Any, sample_weight: Any, class_weight: Any
) -> None:
    """Refuse a model that cannot be trained, and arguments that contradict it."""
    if not isinstance(model, keras.Model):
        raise InputError(
            f"model must be a keras.Model. Received: {type(model).__name__}. "
            "Pass a Sequential, functional or subclassed Keras model."
        )
    if model.compiled:
        if loss is not None:
            raise InputError(
                "loss must be left out for a compiled model, which has its own. "
                f"Received: loss={loss!r}. Leave it out, or compile the model with it."
            )
        held = [model.optimizer, optimizer, *optimizers_of(parts_of(model))]
        if all(one is None for one in held):
            raise InputError(
                "The model must have an optimizer. Received: a model compiled without one. "
                "Pass optimizer=."
            )
    elif optimizer is None or loss is None:
        raise InputError(
            "An uncompiled model must come with optimizer= and loss=. "
            f"Received: optimizer={optimizer!r}, loss={loss!r}. Pass both, or compile the model."
        )
    if sample_weight is not None and class_weight is not None:
        raise InputError(
            "Only one of sample_weight and class_weight may be given. Received: both. "
            "Multiply the class weights into sample_weight."
        )
