"""How do loss and held-out metric of any Keras model move with the rate?

Source: Smith 2017, sec. 3.3.
"""

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
    """Raise the learning rate while `model` trains, several times; the model stays as it was.

    Weights, optimizer, metrics, compiled functions and the random state of Python, NumPy and
    Keras are afterwards what they were, also if the test is interrupted: `fit` goes on as if there
    had been none. (But a model that was not built is built, as by its first call, and data that
    keep a state of their own, a generator or a dataset that shuffles, have moved on.) Keras's own
    `train_on_batch` trains, so that custom train steps, mixed precision, regularisation and
    gradient accumulation are what they are in `fit`.

    Each seed starts from the model's present weights, momenta and iterations. What a seed changes:
    the order of the mini-batches and the random numbers of dropout and its like. Batches that can
    be read only in turn are not reordered: each seed goes on where the one before it stopped.

    With gradient accumulation the rate rises once an update: a step is as many mini-batches as
    are accumulated, its loss their mean.

    Args:
        model: compiled, or not yet, then with `optimizer` and `loss`.
        x: arrays, nested as the model takes them; or a tf.data.Dataset, a PyDataset, a generator
            or anything else that gives batches (x, y) or (x, y, sample_weight).
        batch_size: for arrays; 32 unless given.
        class_weight: multiplies the training loss by class, as in `fit`.
        optimizer: instead of the compiled one; it is copied.
        metric: a compiled metric's name. By default the first accuracy, else the held-out loss.
        metric_rises: whether a higher metric is a better one; Keras's own metrics tell.
        heldout: (x, y) or (x, y, sample_weight), evaluated as one batch. By default samples of the
            data that are never trained on: of arrays drawn at random, else the first batches (a
            dataset that shuffles anew mixes them in again from its second pass on).
        heldout_samples: by default 1000, at most a fifth of the data.
        steps: updates between `min_lr` and `max_lr`, before any widening. One slow sweep points
            better than several fast ones.
        ramp: exponential or linear.
        seeds: a count (0, 1, ...) or the seeds themselves.
        fresh_weights: draw new initial weights for each seed, and start its optimizer anew.
        evaluate_every_steps: how often the held-out batch is evaluated.
        stop_factor: stop when the mean of the last ten losses exceeds that of the first ten by
            this factor; a loss that is not finite stops at once.
        widen: how often the range may be widened, where the curves show no start or no end.

    Raises:
        InputError: an argument breaks a rule, or the loss is not finite before the first update.

    Example:
        >>> curves = lrcycles.range_test(model, x, y, batch_size=200)  # doctest: +SKIP
        >>> bounds = lrcycles.select_bounds(curves)  # doctest: +SKIP
    """
    sweep.check_sweep(
        evaluate_every_steps=evaluate_every_steps, stop_factor=stop_factor, extensions=widen
    )
    span = sweep.Range(ramp, min_lr=min_lr, max_lr=max_lr, steps=steps)
    span.rates()  # refuses a range that makes no sense before anything is trained
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
                span, sweeps, extensions=widen, stop_factor=stop_factor
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
        found = list(range(seeds)) if isinstance(seeds, int | np.integer) else list(seeds)
    except TypeError:
        found = []
    whole = all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in found)
    if isinstance(seeds, bool) or not found or not whole or min(found) < 0:
        raise InputError(
            f"need seeds to be a count >= 1 or a list of whole numbers >= 0, got seeds={seeds!r}"
        )
    if len(set(found)) < len(found):
        raise InputError(f"need each seed once, got seeds={seeds!r}")
    return [int(seed) for seed in found]


def _check_arguments(
    model: Any, optimizer: Any, loss: Any, sample_weight: Any, class_weight: Any
) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(f"need a keras.Model, got {type(model).__name__}")
    if model.compiled:
        if loss is not None:
            raise InputError(
                f"the model is compiled with its own loss, got loss={loss!r}: leave loss out, or "
                "compile the model with it"
            )
        if model.optimizer is None and optimizer is None:
            raise InputError("need an optimizer, got a model compiled without: give optimizer=")
    elif optimizer is None or loss is None:
        raise InputError(
            "need a compiled model, or optimizer= and loss= beside it, got "
            f"optimizer={optimizer!r}, loss={loss!r}"
        )
    if sample_weight is not None and class_weight is not None:
        raise InputError(
            "need either sample_weight or class_weight, got both: multiply them into sample_weight"
        )
