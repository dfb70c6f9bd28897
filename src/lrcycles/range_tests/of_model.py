"""Runs the learning-rate range test of a Keras model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests import sweep, widening
from lrcycles.range_tests.curves import Curves, SeedCurve
from lrcycles.range_tests.keras_model import batches, state
from lrcycles.range_tests.keras_model.trial import Trial, exchange_optimizer


def range_test(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    optimizer: Any = None,
    loss: Any = None,
    metric: str | None = None,
    metric_rises: bool | None = None,
    heldout: Any = None,
    heldout_samples: int | None = None,
    min_lr: float = 1e-5,
    max_lr: float = 1.0,
    steps: int = 360,
    ramp: str = "exponential",
    seeds: int | Sequence[int] = 3,
    fresh_weights: bool = False,
    evaluate_every_steps: int = 10,
    stop_factor: float = 4.0,
    widen: int = 3,
) -> Curves:
    """Train `model` while the learning rate rises, once per seed, and leave it as it was.

    Afterwards the weights, optimizer, metrics, compiled functions and the random state of Python,
    NumPy and Keras are what they were before, also if the test is interrupted. `fit` goes on as if
    there had been no test. There are two exceptions: a model that was not built is built, as by
    its first call, and data with a state of their own (a generator, a dataset that shuffles) have
    been read.

    The model trains as Keras's `train_on_batch` does, with its own train step, mixed precision,
    regularisation and gradient accumulation.

    Each seed starts from the model's present weights, momenta and iterations. A seed decides the
    order of the mini-batches and the random numbers of layers such as dropout. Batches that can
    only be read one after another keep their order: each seed continues where the seed before it
    stopped.

    With gradient accumulation the rate rises once per update. A step then has several mini-batches,
    and the loss of the step is their mean.

    Source: Smith 2017, sec. 3.3.

    Args:
        model: a compiled model, or an uncompiled one together with `optimizer` and `loss`.
        x: arrays, nested as the model takes them; or a tf.data.Dataset, a PyDataset, a generator
            or another iterable of batches (x, y) or (x, y, sample_weight).
        batch_size: the mini-batch size for arrays; 32 by default.
        class_weight: a factor of the training loss for each class, as in `fit`.
        optimizer: replaces the compiled optimizer during the test; it is copied.
        metric: the name of a compiled metric; by default the first accuracy, or the held-out loss
            where the model measures no accuracy.
        metric_rises: whether a higher metric is better; only needed where Keras does not know.
        heldout: (x, y) or (x, y, sample_weight), evaluated as one batch. By default samples of the
            data that are never trained on: random samples of arrays, the first batches of other
            data. (A dataset that shuffles on each pass trains on them from its second pass on.)
        heldout_samples: the number of held-out samples; by default 1000, at most a fifth of the
            data.
        steps: updates from `min_lr` to `max_lr`, before the range is widened. One slow sweep finds
            better bounds than several fast ones.
        ramp: exponential or linear.
        seeds: the number of seeds (0, 1, ...) or a list of seeds.
        fresh_weights: draw new initial weights for each seed and reset its optimizer.
        evaluate_every_steps: updates from one evaluation of the held-out batch to the next.
        stop_factor: a sweep stops when the mean of the last ten losses exceeds the mean of the
            first ten by this factor. It also stops at a loss that is not finite.
        widen: how often the range may be widened where the curves do not show the start or the end
            of learning.

    Raises:
        InputError: an argument breaks a rule, or the loss is not finite before the first update.

    Example:
        >>> curves = lrcycles.range_test(model, x, y, batch_size=200)  # doctest: +SKIP
        >>> bounds = lrcycles.select_bounds(curves)  # doctest: +SKIP
    """
    sweep.check_sweep(
        evaluate_every_steps=evaluate_every_steps, stop_factor=stop_factor, widen=widen
    )
    span = sweep.Range(ramp, min_lr=min_lr, max_lr=max_lr, steps=steps)
    span.rates()  # refuses a wrong range before anything is trained
    numbers = _seeds(seeds)
    _check_arguments(model, optimizer, loss, sample_weight, class_weight)
    with state.same_randomness():
        source = batches.source(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            heldout=heldout,
            heldout_samples=heldout_samples,
        )
        if not model.built:
            model(source.first[0])
        with state.undisturbed(model):
            exchange_optimizer(model, optimizer, loss, metric, keep_state=not fresh_weights)
            trial = Trial(
                model,
                source,
                (metric, metric_rises),
                class_weight=class_weight,
                fresh=fresh_weights,
                updates=steps * len(numbers),
            )

            def sweeps(over: sweep.Range) -> Iterator[SeedCurve]:
                for seed in numbers:
                    trial.reset(seed)
                    yield sweep.run_sweep(
                        seed,
                        over.rates(),
                        advance=trial.advance,
                        evaluate=trial.evaluate,
                        evaluate_every_steps=evaluate_every_steps,
                        stop_factor=stop_factor,
                    )

            started = time.perf_counter()
            span, curves, notes = widening.sweep_and_widen(
                span, sweeps, widen=widen, stop_factor=stop_factor
            )
            seconds = time.perf_counter() - started
    return sweep.as_curves(
        curves,
        span,
        metric=trial.metric,
        metric_rises=trial.metric_rises,
        stop_factor=stop_factor,
        steps_per_epoch=source.steps_per_epoch,
        momentum=trial.momentum,
        seconds=seconds,
        notes=[*trial.notes, *notes],
    )


def _seeds(seeds: int | Sequence[int]) -> list[int]:
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


def _check_arguments(
    model: Any, optimizer: Any, loss: Any, sample_weight: Any, class_weight: Any
) -> None:
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
        if model.optimizer is None and optimizer is None:
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
