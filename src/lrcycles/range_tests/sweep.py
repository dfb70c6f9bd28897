"""Runs one sweep over rising learning rates, decides when it stops, and joins sweeps to curves.

The module knows no network and no data. The pipeline's compiled engines and any Keras model are
driven through the same two functions, `Advance` and `Evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves, SeedCurve
from lrcycles.schedules.limits import need_count
from lrcycles.schedules.ramps import ramp_table

Rates = NDArray[np.float32]
# Makes one update per rate and returns each raw loss. It stops after a loss that is not finite,
# so the result may be shorter than the rates.
Advance = Callable[[Rates], Sequence[float] | NDArray[np.floating]]
# Returns the held-out batch's loss, and its metric with a sign so that higher is better.
Evaluate = Callable[[], tuple[float, float]]

RECENT_STEPS = 10  # losses are averaged over so many steps before they are compared


@dataclass(frozen=True)
class Range:
    """The learning rates of a sweep: `steps` updates from `min_lr` to `max_lr`."""

    ramp: str
    min_lr: float
    max_lr: float
    steps: int

    def __str__(self) -> str:
        return f"{self.min_lr:.3g} to {self.max_lr:.3g}"

    def rates(self) -> Rates:
        """Tabulate the rates, one per update."""
        return ramp_table(self.ramp, min_lr=self.min_lr, max_lr=self.max_lr, steps=self.steps)

    def lowered(self) -> Range:
        """Return a range that begins a decade lower, with the same distance between rates.

        On a linear ramp a lower min_lr hardly changes the second rate. There the distance between
        rates is also halved.

        >>> Range("exponential", min_lr=0.01, max_lr=1.0, steps=21).lowered()
        Range(ramp='exponential', min_lr=0.001, max_lr=1.0, steps=31)
        """
        steps = 2 * self.steps - 1 if self.ramp == "linear" else self.steps + self._decade()
        return replace(self, min_lr=self.min_lr / 10, steps=steps)

    def raised(self) -> Range:
        """Return a range that ends a decade higher, with the same distance between rates.

        A linear ramp ends at twice its max_lr.

        >>> Range("linear", min_lr=0.01, max_lr=1.0, steps=21).raised()
        Range(ramp='linear', min_lr=0.01, max_lr=2.0, steps=41)
        """
        if self.ramp == "linear":
            return replace(self, max_lr=2 * self.max_lr, steps=2 * self.steps - 1)
        return replace(self, max_lr=10 * self.max_lr, steps=self.steps + self._decade())

    def _decade(self) -> int:
        return max(1, round((self.steps - 1) / math.log10(self.max_lr / self.min_lr)))


def run_sweep(
    seed: int,
    rates: Rates,
    *,
    advance: Advance,
    evaluate: Evaluate,
    evaluate_every_steps: int,
    stop_factor: float,
) -> SeedCurve:
    """Train one update at each of the rates, and stop early where `should_stop` holds.

    Held-out loss and metric are measured before the first update, after every
    `evaluate_every_steps` updates and after the last one. A loss that is not finite also stops the
    sweep.
    """
    initial_loss, initial_metric = evaluate()
    losses: list[float] = []
    heldout_loss, metric = np.full(len(rates), np.nan), np.full(len(rates), np.nan)
    for begin in range(0, len(rates), evaluate_every_steps):
        chunk = rates[begin : begin + evaluate_every_steps]
        losses.extend(float(loss) for loss in advance(chunk))
        if not np.isfinite(losses).all():
            break
        at = len(losses) - 1
        heldout_loss[at], metric[at] = evaluate()
        if not math.isfinite(heldout_loss[at]):
            metric[at] = np.nan  # an accuracy computed from outputs of NaN means nothing
            break
        if should_stop(losses, stop_factor):
            break
    done = len(losses)
    return SeedCurve(
        seed=seed,
        lr=np.asarray(rates[:done], dtype=np.float64),
        loss=np.asarray(losses),
        heldout_loss=heldout_loss[:done],
        metric=metric[:done],
        initial_loss=initial_loss,
        initial_metric=initial_metric,
    )


def should_stop(loss: Sequence[float] | NDArray[np.floating], stop_factor: float) -> bool:
    """Return whether a sweep with these losses so far should stop early.

    It should where a loss is not finite, or where the mean of the last ten losses exceeds the mean
    of the first ten by the factor `stop_factor`.

    The comparison is with the first losses, not with the lowest: near a loss of zero a single bad
    batch is many times the lowest loss, although training goes well. Losses may be negative.

    A sweep that stopped early is not a cell with status "diverged": that is a training whose loss
    was not finite. `noise.explosion_index` finds in a finished curve the rate from which single
    losses stay too high.

    >>> should_stop([1.0] * 10 + [5.0] * 10, stop_factor=4.0)
    True
    >>> should_stop([-1.0] * 20, stop_factor=4.0)
    False
    """
    if not np.isfinite(loss).all():
        return True
    first = np.mean(loss[:RECENT_STEPS])
    recent = np.mean(loss[-RECENT_STEPS:])
    return bool(recent - first > (stop_factor - 1) * abs(first))


def as_curves(
    curves: Sequence[SeedCurve],
    span: Range,
    *,
    metric: str,
    metric_rises: bool,
    stop_factor: float,
    steps_per_epoch: int | None,
    momentum: float = 0.0,
    optimizer: str | None = None,
    seconds: float | None,
    notes: Sequence[str] = (),
) -> Curves:
    """Join the sweeps of all seeds, and add a note about each sweep that stopped early.

    Args:
        metric: the name of the metric's column; heldout_loss where only the loss is measured.
    """
    import pandas as pd

    sign = 1.0 if metric_rises else -1.0
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "seed": curve.seed,
                    "step": np.arange(1, len(curve.lr) + 1),
                    "lr": curve.lr,
                    "loss": curve.loss,
                    metric: sign * curve.metric,
                    "heldout_loss": curve.heldout_loss,
                }
            )
            for curve in curves
        ],
        ignore_index=True,
    )
    return Curves(
        table=table,
        metric=metric,
        metric_rises=metric_rises,
        initial_loss={c.seed: c.initial_loss for c in curves if c.initial_loss is not None},
        initial_metric={
            c.seed: sign * c.initial_metric for c in curves if c.initial_metric is not None
        },
        steps_per_epoch=steps_per_epoch,
        ramp=span.ramp,
        momentum=momentum,
        optimizer=optimizer,
        seconds=seconds,
        notes=[*notes, *_notes_on_stops(curves, span, stop_factor)],
    )


def _notes_on_stops(curves: Sequence[SeedCurve], span: Range, stop_factor: float) -> list[str]:
    return [
        f"The sweep of seed {curve.seed} stopped at step {len(curve.lr)} of {span.steps} (learning "
        f"rate {curve.lr[-1]:.3g}): {_reason_to_stop(curve)}."
        for curve in curves
        if len(curve.lr) < span.steps or should_stop(curve.loss, stop_factor)
    ]


def _reason_to_stop(curve: SeedCurve) -> str:
    if not np.isfinite(curve.loss).all():
        return "the loss was not finite"
    if np.isinf(curve.heldout_loss).any() or not math.isfinite(curve.heldout_loss[-1]):
        return "the held-out loss was not finite"
    first, last = curve.loss[:RECENT_STEPS].mean(), curve.loss[-RECENT_STEPS:].mean()
    return f"the loss rose from {first:.3g} to {last:.3g}"


def check_sweep(*, evaluate_every_steps: int, stop_factor: float, widen: int) -> None:
    """Refuse settings with which a sweep cannot run.

    Raises:
        InputError: a count is too small, or `stop_factor` would stop the sweep at once.
    """
    need_count("evaluate_every_steps", evaluate_every_steps)
    need_count("widen", widen, least=0)
    if not stop_factor > 1:
        raise InputError(
            f"stop_factor must be above 1. Received: {stop_factor}. Set stop_factor=4.0, the "
            "default."
        )
