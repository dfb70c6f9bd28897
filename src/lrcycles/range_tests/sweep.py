"""How does one sweep of the rate run, when does it stop, and what does it leave?

Knows neither networks nor data: the pipeline's compiled engines and any Keras model are driven
through the same two callables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves, SeedCurve
from lrcycles.schedules.table import ramp_table

Rates = NDArray[np.float32]
# Train one update at each of the rates; the raw losses, as many or, ended by one that is not
# finite, fewer.
Advance = Callable[[Rates], Sequence[float] | NDArray[np.floating]]
# The held-out batch's loss, and its metric, which rises when the model gets better.
Evaluate = Callable[[], tuple[float, float]]

RECENT_STEPS = 10  # over which losses are averaged before they are compared


@dataclass(frozen=True)
class Range:
    """The rates that a sweep tries: `steps` updates from `min_lr` to `max_lr`."""

    ramp: str
    min_lr: float
    max_lr: float
    steps: int

    def __str__(self) -> str:
        return f"{self.min_lr:.3g} to {self.max_lr:.3g}"

    def rates(self) -> Rates:
        """Tabulate the rates, one an update."""
        return ramp_table(self.ramp, min_lr=self.min_lr, max_lr=self.max_lr, steps=self.steps)

    def lowered(self) -> Range:
        """Begin a decade lower, with rates as close to each other as before.

        On a linear ramp min_lr hardly moves the second rate: there the rates also lie twice as
        close.

        >>> Range("exponential", min_lr=0.01, max_lr=1.0, steps=21).lowered()
        Range(ramp='exponential', min_lr=0.001, max_lr=1.0, steps=31)
        """
        steps = 2 * self.steps - 1 if self.ramp == "linear" else self.steps + self._decade()
        return replace(self, min_lr=self.min_lr / 10, steps=steps)

    def raised(self) -> Range:
        """End a decade higher, or a linear ramp at twice its end, with rates as close as before.

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
    """Raise the rate after every update until the rates are used up or the loss diverges.

    Held-out loss and metric are measured before the first update, then after every
    `evaluate_every_steps`-th and the last one.
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
            metric[at] = np.nan  # the best of classes that are all NaN is no answer
            break
        if diverged(losses, stop_factor):
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


def diverged(loss: Sequence[float] | NDArray[np.floating], stop_factor: float) -> bool:
    """Whether the loss is not finite, or its recent mean exceeds the first by `stop_factor`.

    Compared with the loss at the start and not with the best: near zero loss, one bad batch is
    many times the best without being divergence. Losses may be negative.

    >>> diverged([1.0] * 10 + [5.0] * 10, stop_factor=4.0)
    True
    >>> diverged([-1.0] * 20, stop_factor=4.0)
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
    seconds: float | None,
    notes: Sequence[str] = (),
) -> Curves:
    """Join the sweeps into the type that bounds are read from; adds a note on those that stopped.

    Args:
        metric: the metric's column; heldout_loss if there is no other measure than the loss.
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
        seconds=seconds,
        notes=[*notes, *_stops(curves, span, stop_factor)],
    )


def _stops(curves: Sequence[SeedCurve], span: Range, stop_factor: float) -> list[str]:
    return [
        f"seed {curve.seed} diverged at step {len(curve.lr)} of {span.steps}, "
        f"rate {curve.lr[-1]:.3g}: its loss {_how(curve)}"
        for curve in curves
        if len(curve.lr) < span.steps or diverged(curve.loss, stop_factor)
    ]


def _how(curve: SeedCurve) -> str:
    if not np.isfinite(curve.loss).all():
        return "was not finite"
    if np.isinf(curve.heldout_loss).any() or not math.isfinite(curve.heldout_loss[-1]):
        return "on the held-out batch was not finite"
    first, last = curve.loss[:RECENT_STEPS].mean(), curve.loss[-RECENT_STEPS:].mean()
    return f"rose from {first:.3g} to {last:.3g}"


def check_sweep(*, evaluate_every_steps: int, stop_factor: float, extensions: int) -> None:
    """Refuse settings of a sweep that make no sense.

    Raises:
        InputError: a count below its least value, a factor that stops at once.
    """
    for name, value, least in (
        ("evaluate_every_steps", evaluate_every_steps, 1),
        ("widen", extensions, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"need {name} to be a whole number >= {least}, got {name}={value!r}")
    if not stop_factor > 1:
        raise InputError(f"need stop_factor > 1, got stop_factor={stop_factor}: 4.0 is usual")
