"""Estimates the best peak of the whole training, and what it will reach, from the probes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lrcycles.advising.belief import believe
from lrcycles.advising.probes import ProbeResult, StartingPoint

TINY = 1e-12  # a loss of 0 has no percent
HARMS, HELPS = 0.97, 1.05  # the loss without a warm-up, relative to that with one
Z90 = 1.645


@dataclass(frozen=True)
class PeakEstimate:
    """The best peak of a training with a linear decay to 0, and how sure that is.

    Attributes:
        low: with `high`, an interval that holds the best peak with a chance of 90 %.
        chance: that the loss at `peak_lr` is within 2 % of the loss at the best peak.
        expected_loss: the held-out loss at the end of the training; NaN without probes. So are its
            two ends of an interval of 90 %.
        warmup: whether the training should have one: unless a probe ended 3 % lower without.
        needs_warmup: a probe ended at least 5 % higher without a warm-up, or diverged.
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
    warmup: bool
    needs_warmup: bool
    open_above: bool
    open_below: bool


def best_peak(done: Sequence[ProbeResult], *, start: StartingPoint, total_steps: int) -> float:
    """Return the peak with the least expected regret at a length."""
    belief = believe(_warmed(done), start, total_steps)
    return _harmless(_warmed(done), start) if belief is None else belief.peak


def estimate_peak(
    done: Sequence[ProbeResult], *, start: StartingPoint, total_steps: int
) -> PeakEstimate:
    """Estimate the best peak of the whole training from the probes with a warm-up.

    Without a probe that has learned, the answer is a harmless rate. Without any probe, it is the
    rate of the range test.

    Args:
        total_steps: updates of the training.
    """
    warmed = _warmed(done)
    belief = believe(warmed, start, total_steps)
    if belief is None:
        peak = _harmless(warmed, start)
        unknown = math.nan
        return PeakEstimate(
            peak,
            min(peak, start.low),
            max(peak, start.highest),
            *4 * (unknown,),
            True,
            False,
            open_above=True,
            open_below=True,
        )
    without = _without_warmup(done)
    loss, spread = belief.loss
    low, high = belief.interval
    tried = [one.probe.peak_lr for one in warmed]
    return PeakEstimate(
        peak_lr=belief.peak,
        low=min(belief.peak, max(low, min(start.low, *tried))),
        high=max(belief.peak, min(high, max(start.highest, *tried))),
        chance=belief.chance,
        expected_loss=loss - belief.lifted,
        expected_low=loss * math.exp(-Z90 * spread) - belief.lifted,
        expected_high=loss * math.exp(Z90 * spread) - belief.lifted,
        warmup=without is None or not without < HARMS,
        needs_warmup=without is not None and not without <= HELPS,
        open_above=_is_open(warmed, above=True),
        open_below=_is_open(warmed, above=False),
    )


def _harmless(warmed: Sequence[ProbeResult], start: StartingPoint) -> float:
    """Return a peak for when no probe has learned.

    1. The peak of the lowest loss, if no probe of this or a greater length failed at or below it.
    2. Else a quarter of the lowest peak, or the rate of the range test where it is lower.
    """
    failed = [one.probe for one in warmed if one.failed(start.initial_loss)]
    fine = [
        one
        for one in warmed
        if one.probe not in failed
        and not any(
            bad.peak_lr <= one.probe.peak_lr and bad.steps >= one.probe.steps for bad in failed
        )
    ]
    if fine:
        return min(fine, key=lambda one: one.loss).probe.peak_lr
    return min([start.peak_lr, *(one.probe.peak_lr / 4 for one in warmed)])


def _warmed(done: Sequence[ProbeResult]) -> list[ProbeResult]:
    return [one for one in done if one.probe.warmup_steps]


def _without_warmup(done: Sequence[ProbeResult]) -> float | None:
    """Return the loss without a warm-up relative to that of the same probe with one."""
    for bare in (one for one in done if not one.probe.warmup_steps):
        for warmed in _warmed(done):
            if (warmed.probe.peak_lr, warmed.probe.steps) == (bare.probe.peak_lr, bare.probe.steps):
                return 1 + (bare.loss - warmed.loss) / max(abs(warmed.loss), TINY)
    return None


def _is_open(done: Sequence[ProbeResult], *, above: bool) -> bool:
    """Whether the best probe of every length has no worse one on this side."""
    for steps in {one.probe.steps for one in done}:
        same = [one for one in done if one.probe.steps == steps]
        best = min(same, key=lambda one: math.inf if math.isnan(one.loss) else one.loss)
        peak = best.probe.peak_lr
        if any(one.probe.peak_lr > peak if above else one.probe.peak_lr < peak for one in same):
            return False
    return True
