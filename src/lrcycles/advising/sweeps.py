"""Runs the range test of an advice within its budget, and reads where the probes start."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lrcycles.advising.meter import Meter
from lrcycles.advising.probes import StartingPoint
from lrcycles.bounds.scaled import ADAPTIVE, kind_of
from lrcycles.bounds.select import Bounds, select_bounds
from lrcycles.errors import InputError
from lrcycles.range_tests import length, widening
from lrcycles.range_tests.basin import NoBasin, find_basin
from lrcycles.range_tests.curves import Curves, SeedCurve
from lrcycles.range_tests.length import Length, Training
from lrcycles.range_tests.noise import explosion_index
from lrcycles.range_tests.sweep import Range, as_curves, run_sweep
from lrcycles.range_tests.widening import MissingEnds

MIN_LR, MAX_LR = 1e-5, 1.0  # before the range is widened
WIDEN, STOP_FACTOR = 3, 4.0
SHARE = 0.5  # of the budget that the range test may take
WIDENED_SHARE = 0.2  # the same, with its widening: probes show more of high rates
TRAINING_SHARE = 0.15  # of the training that it takes, where the budget allows
FEWEST_STEPS = 80  # of one seed, even if they take more; probes correct what so few updates miss
# Standard deviation of log2 of the best peak around what the range test says (docs/study-networks).
SURE_OCTAVES, UNSURE_OCTAVES = 1.8, 3.5
MOST_ADVISED = 5  # as a budget, in trainings
SHORTEST = 40  # updates, of one seed: a shorter sweep shows nothing


@dataclass(frozen=True)
class RangeTest:
    """The curves of a range test and what they say.

    Attributes:
        bounds: None where the curves show none.
        missing: the ends of learning that the curves do not show.
        falls: the loss of a sweep falls at some rate by more than its noise.
    """

    curves: Curves
    bounds: Bounds | None
    start: StartingPoint
    missing: MissingEnds
    falls: bool


def choose_length(training: Training, budget: float, seeds: Sequence[int] | None) -> Length:
    """Choose the longest range test that the budget allows.

    It takes at most 15 % of the training, or has one seed of 80 updates. It takes at most half of
    the budget, if that pays for one seed of 40 updates. The held-out loss is measured at its start
    and its end only, because the default rule reads the training loss.

    Args:
        seeds: at most these are swept.

    Raises:
        InputError: the budget pays for no range test.

    >>> choose_length(Training(batches=2000), 1.5, None)
    Length(steps=300, seeds=[0], evaluate_every_steps=300)
    """
    numbers = list(range(length.SEEDS)) if seeds is None else list(seeds)
    half = SHARE * budget
    for share, most, fewest, most_seeds in (
        (min(TRAINING_SHARE, half), length.STEPS, FEWEST_STEPS, len(numbers)),
        (half, FEWEST_STEPS, SHORTEST, 1),
        (budget, SHORTEST, SHORTEST, 1),
    ):
        for steps in range(most, fewest - 1, -10):
            for count in range(most_seeds, 0, -1):
                one = length.choose(steps, numbers[:count], steps, training)
                if one.batches(training) <= share * training.batches:
                    return one
    least = math.ceil(100 * one.batches(training) / training.batches) / 100
    longer = math.ceil(one.batches(training) / budget)
    remedy = f"Set budget={least:g} or more, or train" if least <= MOST_ADVISED else "Train"
    raise InputError(
        f"budget must pay for a range test of {SHORTEST} updates. Received: budget={budget:g}, in "
        f"trainings of {training.batches:,} mini-batches. {remedy} for {longer:,} mini-batches or "
        "more."
    )


def run_range_test(
    meter: Meter,
    trial: Any,
    seeds: Sequence[int] | None,
    steps_per_epoch: int | None,
    *,
    expect: Callable[[int], None],
) -> RangeTest:
    """Sweep the rates, and wider ones where the curves show no end and the budget allows it.

    Args:
        trial: the one of the meter; it names the metric.
        seeds: at most these are swept.
        expect: is told the updates of the sweeps that come.

    Raises:
        InputError: the budget pays for no range test.
    """
    chosen = choose_length(meter.training, meter.budget, seeds)

    def sweeps(span: Range) -> Iterator[SeedCurve]:
        expect(len(chosen.seeds) * span.steps)
        for seed in chosen.seeds:
            trial.reset(seed)
            yield run_sweep(
                seed,
                span.rates(),
                advance=meter.advance,
                evaluate=meter.evaluate,
                evaluate_every_steps=chosen.evaluate_every_steps,
                stop_factor=STOP_FACTOR,
            )

    def affordable(span: Range) -> bool:
        price = replace(chosen, steps=span.steps).batches(meter.training)
        return meter.spent + price <= WIDENED_SHARE * meter.budget * meter.training.batches

    span, measured, notes = widening.sweep_and_widen(
        Range("exponential", MIN_LR, MAX_LR, chosen.steps),
        sweeps,
        widen=WIDEN,
        stop_factor=STOP_FACTOR,
        affordable=affordable,
    )
    return _read(meter, trial, measured, span, notes, steps_per_epoch)


def _read(
    meter: Meter,
    trial: Any,
    measured: Sequence[SeedCurve],
    span: Range,
    notes: Sequence[str],
    steps_per_epoch: int | None,
) -> RangeTest:
    """Join the sweeps to curves, and read from them what they show."""
    curves = as_curves(
        measured,
        span,
        metric=trial.metric,
        metric_rises=trial.metric_rises,
        stop_factor=STOP_FACTOR,
        steps_per_epoch=steps_per_epoch,
        momentum=trial.momentum,
        optimizer=trial.optimizer,
        seconds=None,
        notes=[*trial.notes, *notes],
    )
    missing = widening.missing_for_bounds(
        {
            curve.seed: widening.missing_ends(curve, steps=span.steps, stop_factor=STOP_FACTOR)
            for curve in measured
        }
    )
    bounds = _bounds(curves, meter.training.batches)
    falls = any(not isinstance(find_basin(curve), NoBasin) for curve in measured)
    return RangeTest(curves, bounds, starting_point(curves, bounds), missing, falls)


def _bounds(curves: Curves, batches: int) -> Bounds | None:
    try:
        return select_bounds(curves, total_steps=batches)
    except InputError:  # the curves show none; `starting_point` reads what they do show
        return None


def starting_point(curves: Curves, bounds: Bounds | None) -> StartingPoint:
    """Read where the probes start: at max_lr of the bounds, or where the curves allow it."""
    sweeps = list(curves.by_seed())
    exploded = [explosion_index(curve.loss) for curve in sweeps]
    explosions = [
        float(curve.lr[k]) for curve, k in zip(sweeps, exploded, strict=True) if k < len(curve.lr)
    ]
    kind = kind_of(curves.optimizer, curves.momentum)
    if bounds is None:
        peak = float(np.exp(np.median([np.log(_allowed(curve)) for curve in sweeps])))
    else:
        peak = bounds.max_lr
    return StartingPoint(
        peak_lr=float(f"{peak:.3g}"),
        low=float(min(curve.lr[0] for curve in sweeps)),
        high=float(min(curve.lr[-1] for curve in sweeps)),
        explosion=min(explosions, default=None),
        initial_loss=float(np.median(list(curves.initial_loss.values()))),
        slope=ADAPTIVE.slope if kind is None else kind.slope,
        octaves=UNSURE_OCTAVES if bounds is None else SURE_OCTAVES,
    )


def _allowed(curve: SeedCurve) -> float:
    """Return a rate that one curve speaks for, although it shows no bounds.

    1. Where the loss falls: a decade above the first rate at which it is near its lowest, because
       a sweep meets each rate for a few updates only. It is never above the last rate.
    2. Where the loss never falls: the geometric mean of the first rate and of the last rate before
       the explosion.
    """
    basin = find_basin(curve)
    last = float(curve.lr[max(0, min(explosion_index(curve.loss), len(curve.lr)) - 1)])
    if isinstance(basin, NoBasin):
        return math.sqrt(float(curve.lr[0]) * last)
    return min(10 * 10 ** float(basin.exponent[basin.first]), last)
