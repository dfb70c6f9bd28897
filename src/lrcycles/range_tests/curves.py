"""The curves that a learning-rate range test measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrcycles.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
COLUMNS = ("seed", "step", "lr", "loss")


def plain(value: Any) -> Any:
    """Return a number of NumPy as a number of Python, and anything else as it is.

    >>> plain(np.int64(3)), plain("3")
    (3, '3')
    """
    return value.item() if isinstance(value, np.number) else value


@dataclass(frozen=True)
class SeedCurve:
    """One seed's sweep as float64 arrays of equal length, ordered by step.

    Attributes:
        lr: the learning rate of each step.
        loss: the mini-batch's raw loss before the update of the step.
        heldout_loss: the fixed held-out batch's loss after the update; NaN where not measured.
        metric: the held-out metric after the update, with a sign so that higher is better; NaN
            where not measured.
        initial_loss: the held-out loss before the first update; None where not measured.
        initial_metric: the held-out metric before the first update, with the sign of `metric`.
        momentum: see `Curves`.
        optimizer: see `Curves`.
        total_steps: updates of the training that comes; None where not known.
    """

    seed: int
    lr: Array
    loss: Array
    heldout_loss: Array
    metric: Array
    initial_loss: float | None = None
    initial_metric: float | None = None
    momentum: float = 0.0
    optimizer: str | None = None
    total_steps: int | None = None


@dataclass(frozen=True, repr=False)
class Curves:
    """The curves of a range test, one per seed, and the settings of the test.

    Attributes:
        table: the columns seed, step (from 1), lr and loss (raw, of the mini-batch). The columns
            heldout_loss and `metric` are optional; they are NaN at steps without a measurement.
        metric: the name of the held-out metric's column, such as accuracy.
        metric_rises: whether a higher metric is better.
        initial_loss: for each seed, the held-out loss before the first step.
        initial_metric: for each seed, the held-out metric before the first step.
        steps_per_epoch: mini-batches in an epoch; None where unknown.
        ramp: linear or exponential.
        momentum: the momentum of SGD or RMSprop, from 0 to below 1; 0 for an optimizer without a
            velocity. Adam's beta_1 does not count: Adam's running mean of the gradients does not
            make a step larger.
        optimizer: the name of the optimizer's class in small letters, such as adamw; None where not
            known.
        seconds: the time that the sweeps took, without compilation.
        notes: sentences for the user, such as that the range was widened or a sweep stopped early.
    """

    table: pd.DataFrame
    metric: str = "accuracy"
    metric_rises: bool = True
    initial_loss: Mapping[int, float] = field(default_factory=dict)
    initial_metric: Mapping[int, float] = field(default_factory=dict)
    steps_per_epoch: int | None = None
    ramp: str = "exponential"
    momentum: float = 0.0
    optimizer: str | None = None
    seconds: float | None = None
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        columns = getattr(self.table, "columns", ())
        if missing := [name for name in COLUMNS if name not in columns]:
            raise InputError(
                f"Range-test curves must have the columns {', '.join(COLUMNS)}. "
                f"Received: curves without {', '.join(missing)}. Run the range test again."
            )
        if self.table.empty:
            raise InputError(
                "Range-test curves must have at least one row. Received: an empty table. "
                "Run the range test again."
            )
        kinds = {name: self.table[name].dtype.kind for name in COLUMNS}
        if texts := [name for name, kind in kinds.items() if kind not in "iuf"]:
            raise InputError(
                "The columns of range-test curves must hold numbers. "
                f"Received: other values in {', '.join(texts)}. Convert them."
            )
        lowest = self.table["lr"].min()
        ordered = self.table.sort_values("step", kind="stable").groupby("seed")["lr"]
        if not lowest > 0 or ordered.diff().min() < 0:
            raise InputError(
                "The rates of range-test curves must be above 0 and must not fall from step to "
                f"step. Received: rates from {self.table['lr'].iloc[0]:.3g} to "
                f"{self.table['lr'].iloc[-1]:.3g}. Give the steps of a sweep in which they rise."
            )

    @classmethod
    def from_summary(
        cls, table: pd.DataFrame, summary: Mapping[str, Any], *, steps_per_epoch: int | None
    ) -> Curves:
        """Make curves from the files of stage `range_test`: curves.parquet and range_test.json."""

        def by_seed(name: str) -> dict[int, float]:
            return {int(seed): value for seed, value in summary[name].items()}  # JSON keys are text

        return cls(
            table,
            initial_loss=by_seed("initial_loss"),
            initial_metric=by_seed("initial_accuracy"),
            steps_per_epoch=steps_per_epoch,
            ramp=summary["ramp"],
            momentum=summary["optimizer"]["arguments"].get("momentum", 0.0),
            optimizer=summary["optimizer"]["name"].replace("_", "").lower(),
            seconds=summary["train_seconds"],
            notes=summary["notes"],
        )

    def __repr__(self) -> str:
        lr, seeds, notes = self.table["lr"], len(self.seeds), len(self.notes)
        parts = [
            f"{seeds} seed{'s' * (seeds != 1)}",
            f"{len(self.table):,} steps",
            f"rates {lr.min():.3g} to {lr.max():.3g}",
            f"metric={self.metric!r}",
            f"{notes} note{'s' * (notes != 1)}",
        ]
        return f"Curves({', '.join(parts)})"

    def __str__(self) -> str:
        return "\n".join([repr(self), *self.notes])

    @property
    def seeds(self) -> list[int]:
        """Return the seeds in rising order."""
        return sorted(int(seed) for seed in self.table["seed"].unique())

    def by_seed(self, *, total_steps: int | None = None) -> Iterator[SeedCurve]:
        """Yield each seed's curve as arrays, in rising order of the seeds.

        Args:
            total_steps: updates of the training that comes, for a rule that uses it.
        """
        sign = 1.0 if self.metric_rises else -1.0
        for seed in self.seeds:
            rows = self.table[self.table["seed"] == seed].sort_values("step")

            def column(name: str, rows: pd.DataFrame = rows) -> Array:
                if name not in rows:
                    return np.full(len(rows), np.nan)
                return np.asarray(rows[name].to_numpy(float))

            initial = self.initial_metric.get(seed)
            yield SeedCurve(
                seed=seed,
                lr=column("lr"),
                loss=column("loss"),
                heldout_loss=column("heldout_loss"),
                metric=sign * column(self.metric),
                initial_loss=self.initial_loss.get(seed),
                initial_metric=None if initial is None else sign * initial,
                momentum=self.momentum,
                optimizer=self.optimizer,
                total_steps=total_steps,
            )
