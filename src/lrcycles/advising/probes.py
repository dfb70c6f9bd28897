"""Trains probes: short whole trainings that end at a low rate.

A sweep meets a high rate for a few updates only, and a short training at a constant rate ends with
the noise of that rate. A training that falls to 0 shows both what a rate does in the long run and
what is left at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrcycles.advising.meter import Meter
from lrcycles.schedules.table import rate_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Probe:
    """A training with a linear decay from `peak_lr` to 0, which is short.

    Attributes:
        steps: updates, with those of the warm-up.
        warmup_steps: updates of the linear rise to the peak.
        seed: decides the order of the data and the random numbers of the layers.
    """

    peak_lr: float
    steps: int
    warmup_steps: int
    seed: int

    def rates(self) -> NDArray[np.float32]:
        """Tabulate the rate of each update.

        >>> Probe(6.0, steps=6, warmup_steps=2, seed=0).rates().tolist()
        [2.0, 4.0, 6.0, 4.5, 3.0, 1.5]
        """
        return rate_table(
            "linear_decay",
            total_steps=self.steps,
            base_lr=0.0,
            max_lr=self.peak_lr,
            warmup_steps=self.warmup_steps,
        )


@dataclass(frozen=True)
class StartingPoint:
    """What the range test gives to the first probe.

    Attributes:
        peak_lr: the rate that the range test suggests for the whole training.
        low: the lowest rate of the sweeps.
        high: the highest rate that every sweep reached.
        explosion: the lowest rate at which a sweep exploded; None where none did.
        initial_loss: the held-out loss before the first update.
        slope: by which power of the length the best peak falls, by what the optimizer is.
        octaves: the standard deviation of log2 of the best peak around `peak_lr`.
    """

    peak_lr: float
    low: float
    high: float
    explosion: float | None
    initial_loss: float
    slope: float
    octaves: float

    @property
    def highest(self) -> float:
        """The highest peak that a probe may have: a probe tells more than one sweep."""
        return 10 * self.high if self.explosion is None else 2 * self.explosion


@dataclass(frozen=True)
class ProbeResult:
    """A trained probe. The loss is the held-out loss at its end, NaN where it diverged."""

    probe: Probe
    loss: float

    def failed(self, initial_loss: float) -> bool:
        """Whether the probe diverged or ended above the loss before the first update."""
        return not self.loss <= initial_loss


def train_probe(probe: Probe, meter: Meter, *, seed: int) -> ProbeResult:
    """Train a probe from the start of the trial, and evaluate it at its end."""
    meter.trial.reset(seed)
    losses = meter.advance(probe.rates())
    if not math.isfinite(losses[-1]):
        return ProbeResult(probe, math.nan)
    loss, _ = meter.evaluate()
    return ProbeResult(probe, loss if math.isfinite(loss) else math.nan)


def as_table(results: Sequence[ProbeResult], initial_loss: float) -> pd.DataFrame:
    """Return one row for each probe, in the order of training."""
    import pandas as pd

    return pd.DataFrame(
        [
            {**vars(one.probe), "loss": one.loss, "failed": one.failed(initial_loss)}
            for one in results
        ],
        columns=["peak_lr", "steps", "warmup_steps", "seed", "loss", "failed"],
    )
