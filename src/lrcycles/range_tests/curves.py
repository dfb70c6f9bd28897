"""What does a range test leave?"""

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


@dataclass(frozen=True)
class SeedCurve:
    """One seed's sweep as float64 arrays of equal length, ordered by step.

    `heldout_loss` and `metric` are NaN at steps where they were not measured.
    """

    seed: int
    lr: Array
    loss: Array  # of the mini-batch, raw, before the step's update
    heldout_loss: Array  # on the fixed held-out batch, after the update
    metric: Array  # likewise; rises when the model gets better
    initial_loss: float | None = None  # on the held-out batch, before the first step
    initial_metric: float | None = None
    momentum: float = 0.0


@dataclass(frozen=True)
class Curves:
    """The curves of a range test, one a seed, and what is known about it.

    Attributes:
        table: columns seed, step (from 1), lr, loss (raw, of the mini-batch) and, where they were
            measured, heldout_loss and a column named as `metric` says; NaN where a step was not
            measured.
        metric: the held-out metric's column, such as accuracy.
        metric_rises: whether a higher metric is a better one.
        initial_loss: by seed, of the held-out batch before the first step.
        initial_metric: likewise, the metric.
        steps_per_epoch: mini-batches in an epoch; None where that is unknown.
        ramp: linear or exponential.
        momentum: of the optimizer's velocity (SGD's, RMSprop's); 0 without one. Adam's beta_1 is
            none: its average forgets what it takes in, so the size of a step stays.
        seconds: what the sweeps took, compilation apart.
        notes: what a reader must know, such as a range that was widened or a sweep that diverged.
    """

    table: pd.DataFrame
    metric: str = "accuracy"
    metric_rises: bool = True
    initial_loss: Mapping[int, float] = field(default_factory=dict)
    initial_metric: Mapping[int, float] = field(default_factory=dict)
    steps_per_epoch: int | None = None
    ramp: str = "exponential"
    momentum: float = 0.0
    seconds: float | None = None
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if missing := [name for name in COLUMNS if name not in self.table]:
            raise InputError(
                f"range-test curves need columns {', '.join(COLUMNS)}, missing "
                f"{', '.join(missing)}: run the range test again"
            )
        if self.table.empty:
            raise InputError("range-test curves are empty: run the range test again")

    @classmethod
    def from_summary(
        cls, table: pd.DataFrame, summary: Mapping[str, Any], *, steps_per_epoch: int | None
    ) -> Curves:
        """Curves from the files of stage `range_test`: curves.parquet and range_test.json."""

        def by_seed(name: str) -> dict[int, float]:
            return {int(seed): value for seed, value in summary[name].items()}  # JSON's are text

        return cls(
            table,
            initial_loss=by_seed("initial_loss"),
            initial_metric=by_seed("initial_accuracy"),
            steps_per_epoch=steps_per_epoch,
            ramp=summary["ramp"],
            momentum=summary["optimizer"]["arguments"].get("momentum", 0.0),
            seconds=summary["train_seconds"],
            notes=summary["notes"],
        )

    @property
    def seeds(self) -> list[int]:
        """The seeds, in rising order."""
        return sorted(int(seed) for seed in self.table["seed"].unique())

    def by_seed(self) -> Iterator[SeedCurve]:
        """Give each seed's curve as arrays, in the order of the seeds."""
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
            )
