"""Estimates where the best peak of the whole training lies, given the probes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lrcycles.advising.plan import StartingPoint
from lrcycles.advising.probes import ProbeResult


@dataclass(frozen=True)
class PeakEstimate:
    """The best peak of a training with a linear decay to 0, and how sure that is.

    Attributes:
        low: with `high`, an interval that holds the best peak with a chance of 90 %.
        chance: that the loss at `peak_lr` is within 2 % of the loss at the best peak.
        expected_loss: the held-out loss at the end of the training; NaN without probes. So are its
            two ends of an interval of 90 %.
        open_above: no probe shows that a higher peak is worse.
        open_below: no probe shows that a lower peak is worse.
    """

    peak_lr: float
    low: float
    high: float
    chance: float
    expected_loss: float
    expected_low: float
    expected_high: float
    needs_warmup: bool
    open_above: bool
    open_below: bool


def estimate_peak(
    done: Sequence[ProbeResult],
    *,
    start: StartingPoint,
    total_steps: int,  # noqa: ARG001
) -> PeakEstimate:
    """Take the best probe of the longest length; its neighbours of any length are the interval."""
    fine = [one for one in done if not one.failed(start.initial_loss)]
    highest = start.explosion or start.high
    if not fine:
        tried = [one.probe.peak_lr for one in done]
        peak = max(start.low, min([start.peak_lr, *(rate / 4 for rate in tried)]))
        nothing = math.nan
        return PeakEstimate(
            peak, start.low, highest, nothing, nothing, nothing, nothing, False, True, True
        )
    steps = max(one.probe.steps for one in fine)
    longest = [one for one in fine if one.probe.steps == steps]
    best = min(longest, key=lambda one: one.loss)
    peaks = sorted({one.probe.peak_lr for one in done})
    peak = best.probe.peak_lr
    below = [rate for rate in peaks if rate < peak]
    above = [rate for rate in peaks if rate > peak]
    return PeakEstimate(
        peak,
        below[-1] if below else start.low,
        above[0] if above else highest,
        chance=0.5,
        expected_loss=best.loss,
        expected_low=best.loss / 2,
        expected_high=best.loss,
        needs_warmup=best.probe.warmup_steps > 0,
        open_above=not above,
        open_below=not below,
    )
