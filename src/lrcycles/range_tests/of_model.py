"""Runs the learning-rate range test of a Keras model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests import length, progress, sweep, widening
from lrcycles.range_tests.curves import Curves, SeedCurve, plain
from lrcycles.range_tests.keras_model import opening
from lrcycles.range_tests.keras_model.request import Request, fixed_batch_size
from lrcycles.range_tests.keras_model.trial import Trial
from lrcycles.range_tests.length import Length
from lrcycles.range_tests.progress import Progress
from lrcycles.schedules.limits import need_count


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
    steps: int | None = None,
    ramp: str = "exponential",
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    fresh_weights: bool = False,
    evaluate_every_steps: int | None = None,
    stop_factor: float = 4.0,
    widen: int = 3,
    steps_per_epoch: int | None = None,
    verbose: bool | str = "auto",
) -> Curves:
    """Train `model` while the learning rate rises, once per seed, and leave it as it was.

    Afterwards the variables of the model and its optimizers, the attributes of the model, its
    layers and own objects that it holds, its compiled functions and the random state of Python,
    NumPy and Keras are what they were before, also if the test is interrupted. Variables that a
    loss, a metric or a train step takes from its closure, its defaults or its module count as
    well, and a `tf.function` of the user keeps its traces. `fit` goes on as if there had been no
    test. There are three exceptions: a model that was not built is built, as by its first call;
    data with a state of their own (a generator, a dataset that shuffles) have been read; and what
    the train step changes outside of the model, such as a file, a list in a closure or a lookup
    table of TensorFlow, stays changed.

    The model trains as in `fit`: with its own train step, losses that it adds, mixed precision,
    regularisation, gradient accumulation and a distribution strategy. If the train step uses
    several optimizers of the model, their rates keep their ratios, and a note names the optimizer
    whose rate is the rate of the curve.

    Each seed starts from the model's present weights, momenta and iterations. A seed decides the
    order of the mini-batches and the random numbers of layers such as dropout. Batches that can
    only be read one after another keep their order: each seed continues where the seed before it
    stopped.

    With gradient accumulation the rate rises once per update. A step then has several mini-batches,
    and the loss of the step is their mean.

    Source: Smith 2017, sec. 3.3.

    Args:
        model: a compiled model, or an uncompiled one together with `optimizer` and `loss`.
        x: what `fit` takes: arrays, tensors or tables, nested as the model takes them, also sparse
            and ragged ones, and None for an optional input; or a tf.data.Dataset, a PyDataset, a
            generator or another iterable of batches, as the model's train step takes them.
        batch_size: the mini-batch size for arrays; 32 by default.
        class_weight: a factor of the training loss for each class, as in `fit`.
        optimizer: replaces the compiled optimizer during the test; it is copied.
        metric: the name of a compiled metric; by default the first accuracy, or the held-out loss
            where the model measures no accuracy.
        metric_rises: whether a higher metric is better; only needed where Keras does not know.
        heldout: (x, y) or (x, y, sample_weight), evaluated as one batch, or a dataset. By default
            samples of the data that are never trained on: random samples of arrays, the first
            batches of other data. (A dataset that shuffles on each pass trains on them from its
            second pass on.) Batches that cannot be joined are evaluated one by one, and their
            losses and metrics are averaged.
        heldout_samples: the number of held-out samples; by default 1000, at most a fifth of the
            data.
        steps: updates from `min_lr` to `max_lr`, before the range is widened; by default 360. One
            slow sweep finds better bounds than several fast ones.
        ramp: exponential or linear.
        seeds: the number of seeds (0, 1, ...) or a list of seeds; by default 3.
        epochs: the length of the training that comes. The steps, seeds and evaluations that are not
            given are then so few that the test takes at most a quarter of the training, but one
            seed has at least 120 steps. A note says what a test takes that is longer. Widening is
            not counted.
        fresh_weights: draw new initial weights for each seed and reset its optimizer.
        evaluate_every_steps: updates from one evaluation of the held-out batch to the next; by
            default 10.
        stop_factor: a sweep stops when the mean of the last ten losses exceeds the mean of the
            first ten by this factor. It also stops at a loss that is not finite.
        widen: how often the range may be widened where the curves do not show the start or the end
            of learning.
        steps_per_epoch: mini-batches in an epoch, for data that do not know their length.
        verbose: True or False for a progress bar; auto shows it in a terminal and in a notebook.

    Raises:
        InputError: an argument breaks a rule, or the loss is not finite before the first update.

    Example:
        >>> curves = lrcycles.range_test(model, x, y, batch_size=200)  # doctest: +SKIP
        >>> bounds = lrcycles.select_bounds(curves)  # doctest: +SKIP
    """
    steps, every, batch_size, heldout_samples, steps_per_epoch, epochs, stop_factor = map(
        plain,
        (
            *(steps, evaluate_every_steps, batch_size, heldout_samples),
            *(steps_per_epoch, epochs, stop_factor),
        ),
    )
    asked = (steps, None if seeds is None else opening.seed_list(seeds), every)
    usual = length.choose(*asked)
    _check_kinds(steps_per_epoch, epochs, verbose, stop_factor)
    sweep.check_sweep(
        evaluate_every_steps=usual.evaluate_every_steps, stop_factor=stop_factor, widen=widen
    )
    span = sweep.Range(ramp, min_lr=plain(min_lr), max_lr=plain(max_lr), steps=usual.steps)
    span.rates()  # refuses a wrong range before anything is trained
    opening.check_arguments(model, optimizer, loss, sample_weight, class_weight)
    shortest = length.choose(*asked, None if epochs is None else length.Training(batches=0))
    request = Request(
        batch_size=batch_size,
        heldout=heldout,
        heldout_samples=heldout_samples,
        fixed_size=fixed_batch_size(model, batch_size),
        needed=len(shortest.seeds) * shortest.steps,
    )
    with (
        progress.bar(verbose=verbose) as bar,
        opening.opened(
            model,
            (x, y, sample_weight),
            request,
            class_weight=class_weight,
            optimizer=optimizer,
            loss=loss,
            metric=(metric, metric_rises),
            fresh_weights=fresh_weights,
            steps_per_epoch=steps_per_epoch,
            on_step=bar.step,
        ) as (trial, per_epoch),
    ):
        training = None if epochs is None else trial.training(epochs, per_epoch)
        chosen = length.choose(*asked, training)
        started = time.perf_counter()
        span, curves, notes = widening.sweep_and_widen(
            replace(span, steps=chosen.steps),
            lambda over: _sweeps(trial, over, chosen, bar, stop_factor),
            widen=widen,
            stop_factor=stop_factor,
        )
        seconds = time.perf_counter() - started
    return sweep.as_curves(
        curves,
        span,
        metric=trial.metric,
        metric_rises=trial.metric_rises,
        stop_factor=stop_factor,
        steps_per_epoch=per_epoch,
        momentum=trial.momentum,
        optimizer=trial.optimizer,
        seconds=seconds,
        notes=[
            *trial.notes,
            *trial.unused(curves),
            *(chosen.notes(training) if training else []),
            *notes,
        ],
    )


def _sweeps(
    trial: Trial, over: sweep.Range, chosen: Length, bar: Progress, stop_factor: float
) -> Iterator[SeedCurve]:
    bar.expect(len(chosen.seeds) * over.steps)
    for seed in chosen.seeds:
        trial.reset(seed)
        curve = sweep.run_sweep(
            seed,
            over.rates(),
            advance=trial.advance,
            evaluate=trial.evaluate,
            evaluate_every_steps=chosen.evaluate_every_steps,
            stop_factor=stop_factor,
        )
        bar.skip(over.steps - len(curve.lr))
        yield curve


def _check_kinds(steps_per_epoch: Any, epochs: Any, verbose: Any, stop_factor: Any) -> None:
    if not isinstance(stop_factor, int | float | np.number):
        raise InputError(
            f"stop_factor must be a number above 1. Received: {stop_factor!r}. Leave it out."
        )
    for name, count in (("steps_per_epoch", steps_per_epoch), ("epochs", epochs)):
        if count is not None:
            need_count(name, count)
    opening.need_verbose(verbose)
