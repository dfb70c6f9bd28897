"""Advises a schedule for a Keras model and its data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lrcycles.advising import choices, snippet, sweeps, wording
from lrcycles.advising.advice import Advice, Cost
from lrcycles.advising.meter import Meter
from lrcycles.advising.peak import PeakEstimate, estimate_peak
from lrcycles.advising.plan import WARMUP_SHARE, next_probe
from lrcycles.advising.probes import ProbeResult, StartingPoint, as_table, train_probe
from lrcycles.advising.sweeps import RangeTest
from lrcycles.errors import InputError
from lrcycles.range_tests import progress
from lrcycles.range_tests.curves import plain
from lrcycles.range_tests.keras_model import opening
from lrcycles.range_tests.keras_model.request import Request, fixed_batch_size
from lrcycles.schedules.limits import check_settings, is_number

MOST_BUDGET = 1000  # trainings


def advise(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    epochs: int | None = None,
    total_steps: int | None = None,
    budget: float = 1.5,
    schedule: str = "auto",
    batch_size: int | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    optimizer: Any = None,
    loss: Any = None,
    heldout: Any = None,
    heldout_samples: int | None = None,
    seeds: int | Sequence[int] | None = None,
    fresh_weights: bool = False,
    steps_per_epoch: int | None = None,
    verbose: bool | str = "auto",
) -> Advice:
    """Find the schedule, peak rate and warm-up for a training, and leave `model` as it was.

    A learning-rate range test gives a first peak. Then probes, short trainings that end at a low
    rate, show at which peak a training ends best. The whole costs at most `budget` trainings.
    Model, optimizer and random state are afterwards what they were, as after `range_test`, which
    also explains the data, the held-out samples and the seeds.

    Args:
        model: a compiled model, or an uncompiled one together with `optimizer` and `loss`.
        x: what `fit` takes, as for `range_test`.
        epochs: the length of the training that comes.
        total_steps: the same in mini-batches, instead of `epochs`.
        budget: what may be spent, in trainings of that length, counted in mini-batches.
        schedule: auto, linear_decay, cosine, warmup_stable_decay, one_cycle, triangular,
            triangular2, exp_range_bounds or constant. auto answers linear_decay.
        batch_size: the mini-batch size for arrays; 32 by default.
        class_weight: a factor of the training loss for each class, as in `fit`.
        optimizer: replaces the compiled optimizer; it is restored afterwards.
        heldout: (x, y), (x, y, sample_weight) or a dataset that is evaluated. By default samples
            of the data that are never trained on.
        heldout_samples: the number of these samples; by default 1000, at most a fifth of the data.
        seeds: a count (0, 1, ...) or a list of seeds, of which the first ones are used first.
        fresh_weights: draw new initial weights for each seed and reset its optimizer.
        steps_per_epoch: mini-batches in an epoch, for data that do not know their length.
        verbose: True or False for a progress bar; auto shows it in a terminal and in a notebook.

    Raises:
        InputError: an argument breaks a rule, the loss is not finite before the first update, or
            the budget pays for no range test.

    Example:
        >>> advice = lrcycles.advise(model, x, y, epochs=10)  # doctest: +SKIP
        >>> print(advice)  # doctest: +SKIP
        >>> advice.apply(model)  # doctest: +SKIP
        >>> model.fit(x, y, epochs=10)  # doctest: +SKIP
    """
    epochs, total_steps, budget, batch_size, heldout_samples, steps_per_epoch = map(
        plain, (epochs, total_steps, budget, batch_size, heldout_samples, steps_per_epoch)
    )
    started = time.perf_counter()
    name = choices.need_schedule(schedule)
    _check(epochs, total_steps, steps_per_epoch, budget)
    opening.need_verbose(verbose)
    numbers = None if seeds is None else opening.seed_list(seeds)
    opening.check_arguments(model, optimizer, loss, sample_weight, class_weight)
    request = Request(
        batch_size=batch_size,
        heldout=heldout,
        heldout_samples=heldout_samples,
        fixed_size=fixed_batch_size(model, batch_size),
        needed=max(sweeps.SHORTEST, round(budget * (total_steps or 0))),
    )
    with (
        progress.bar(verbose=verbose, name="advise") as bar,
        opening.opened(
            model,
            (x, y, sample_weight),
            request,
            class_weight=class_weight,
            optimizer=optimizer,
            loss=loss,
            metric=(None, None),
            fresh_weights=fresh_weights,
            steps_per_epoch=steps_per_epoch,
            forget_fast=True,
            on_step=bar.step,
        ) as (trial, per_epoch),
    ):
        # One "epoch" of total_steps mini-batches is a training of that length.
        training = trial.training(epochs or 1, per_epoch if total_steps is None else total_steps)
        meter = Meter(trial, training, float(budget))
        # Refuses a training that is too short for the schedule.
        choices.choose(name, peak_lr=1.0, updates=meter.updates, warmup_steps=_warmup(name, meter))
        tested = sweeps.run_range_test(meter, trial, numbers, per_epoch, expect=bar.expect)
        for_sweeps = meter.spent
        done = probe_peaks(meter, tested.start, numbers, expect=bar.expect)
    fit = snippet.Fit(
        data=snippet.data_arguments(y, sample_weight, class_weight, batch_size),
        length=snippet.length_arguments(epochs, training.batches, steps_per_epoch, per_epoch),
        compile=snippet.compile_lines(model, optimizer, loss),
    )
    seconds = time.perf_counter() - started
    return _advice(name, meter, tested, done, Cost.of(meter, for_sweeps, seconds), fit)


def _check(epochs: Any, total_steps: Any, steps_per_epoch: Any, budget: Any) -> None:
    """Refuse settings that contradict each other, before anything is trained."""
    if (epochs is None) == (total_steps is None):
        raise InputError(
            "Exactly one of epochs and total_steps must be given. "
            f"Received: epochs={epochs}, total_steps={total_steps}. Give the length of the "
            "training that comes."
        )
    check_settings(epochs=epochs, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    if not (is_number(budget) and 0 < budget <= MOST_BUDGET):
        raise InputError(
            f"budget must be a number above 0 and at most {MOST_BUDGET}, in trainings. "
            f"Received: {budget!r}. Set budget=1.5, the default."
        )


def probe_peaks(
    meter: Meter,
    start: StartingPoint,
    numbers: Sequence[int] | None,
    *,
    expect: Callable[[int], None],
) -> list[ProbeResult]:
    """Train one probe after another until the plan or the budget ends.

    Args:
        numbers: the user's seeds.
        expect: is told the updates of the probe that comes.
    """
    done: list[ProbeResult] = []
    while True:
        probe = next_probe(
            done, start=start, total_steps=meter.updates, budget_steps=meter.updates_left
        )
        if probe is None or probe.steps > meter.updates_left:
            return done
        expect(probe.steps)
        done.append(train_probe(probe, meter, seed=_seed(probe.seed, numbers)))


def _seed(place: int, numbers: Sequence[int] | None) -> int:
    """Return the seed at a place of the list; after its end, seeds above all of the list.

    >>> [_seed(place, [7, 3]) for place in range(4)]
    [7, 3, 8, 9]
    """
    if numbers is None:
        return place
    return numbers[place] if place < len(numbers) else max(numbers) + 1 + place - len(numbers)


def _warmup(name: str, meter: Meter) -> int:
    has_warmup = choices.SCHEDULES[name].has_warmup
    return max(1, round(WARMUP_SHARE * meter.updates)) if has_warmup else 0


def _advice(
    name: str,
    meter: Meter,
    tested: RangeTest,
    done: Sequence[ProbeResult],
    cost: Cost,
    fit: snippet.Fit,
) -> Advice:
    per_update, updates = meter.training.batches_per_step, meter.updates
    estimate = estimate_peak(done, start=tested.start, total_steps=updates)
    answer = choices.transferred(estimate, name)
    warmup = _warmup(name, meter) if estimate.warmup else 0
    peak, low, high = (_rounded(v) for v in (answer.peak_lr, answer.low, answer.high))
    warned = wording.warnings(
        tested,
        done,
        estimate,
        schedule_name=name,
        updates_left=meter.updates_left,
        total_steps=updates,
    )
    return Advice(
        schedule_name=name,
        peak_lr=peak,
        peak_interval=(low, high),
        warmup_steps=warmup * per_update,
        total_steps=meter.training.batches,
        expected_loss=wording.known(answer.expected_loss),
        expected_interval=_interval(answer),
        chance=wording.known(answer.chance),
        cost=cost,
        status="warned" if warned else "ok",
        reasons=wording.reasons(tested, done, estimate, schedule_name=name),
        warnings=warned,
        probes=as_table(done, tested.start.initial_loss),
        curves=tested.curves,
        bounds=tested.bounds,
        choice=choices.choose(
            name,
            peak_lr=peak,
            updates=updates,
            warmup_steps=warmup,
            steps_per_update=per_update,
        ),
        fit=fit,
    )


def _interval(estimate: PeakEstimate) -> tuple[float, float] | None:
    low, high = estimate.expected_low, estimate.expected_high
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
