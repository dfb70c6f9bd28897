"""Decides which probe comes next, within a budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from lrcycles.advising.belief import has_learned, is_flat
from lrcycles.advising.peak import best_peak
from lrcycles.advising.probes import Probe, ProbeResult, StartingPoint

SHORT = 16  # a short probe is this part of the training
LONG = ((4, 3), (2, 4), (1, 4))  # a long one is this part of it, and so many of a length are enough
FEWEST_STEPS = 20  # of a short probe; in shorter trainings a short probe is an eighth
GAP = 2.4  # between neighbouring peaks
MOST_SHORT = 6
FARTHER = 10.0  # between peaks beyond the short ones, where none of these has learned
MOST_FARTHER = 12
WARMUP_SHARE = 0.1  # of the updates


def next_probe(
    done: Sequence[ProbeResult], *, start: StartingPoint, total_steps: int, budget_steps: float
) -> Probe | None:
    """Return the next probe; None where no further probe is worth its price or fits the budget.

    1. Short probes of a sixteenth of the training, the first at the peak of the range test, raised
       because the best peak of a short training is higher. Then the peaks 2.4 times lower and
       higher, and further ones on the side of the lowest loss, until that side rises. If none
       of them has learned, peaks of further decades follow on that side.
    2. Up to three probes of a quarter of the training, the first at the best peak that the short
       ones foretell. Then peaks 2.4 times lower or higher until the best one has a worse one on
       both sides, then between.
    3. The best of these again, without a warm-up, if it fits the budget; else of the short ones.
    4. A larger budget pays for up to four of a half and four of the whole.

    All probes have the same seed, so that they differ in nothing but the peak and the length.

    Args:
        total_steps: updates of the training.
        budget_steps: updates that a probe may still take.
    """
    short = SHORT if total_steps >= SHORT * FEWEST_STEPS else SHORT // 2
    steps = max(2, total_steps // short)
    of_short = _of(done, steps)
    peak = _next_short(of_short, start, short) or _farther(of_short, start)
    if peak is not None:
        return _probe(peak, steps) if steps <= budget_steps else None
    for share, enough in LONG:
        steps = max(2, total_steps // share)
        long = _of(done, steps)
        if steps > budget_steps:
            break
        if len(long) < enough:
            highest = max(one.probe.peak_lr for one in done)
            peak = min(_next_long(long, done, start, steps), max(start.highest, highest))
            if all(abs(math.log(peak / one.probe.peak_lr)) > 0.05 for one in long):
                return _probe(peak, steps)
        elif share == LONG[0][0] and not any(one.probe.warmup_steps == 0 for one in done):
            return _bare(long)
    if any(one.probe.warmup_steps == 0 for one in done):
        return None
    bare = _bare(_of(done, max(2, total_steps // short)))
    return bare if bare.steps <= budget_steps else None


def _next_short(short: Sequence[ProbeResult], start: StartingPoint, share: int) -> float | None:
    if len(short) >= MOST_SHORT:
        return None
    if not short:
        raised: float = start.peak_lr * share**start.slope
        return min(raised, start.highest)
    peaks = sorted(one.probe.peak_lr for one in short)
    centre = short[0].probe.peak_lr
    lower, higher = peaks[0] / GAP, peaks[-1] * GAP
    wanted = [centre / GAP] if len(short) == 1 else [centre * GAP] if len(short) == 2 else []
    best = min(short, key=lambda one: _rank(one, start)).probe.peak_lr
    if len(short) >= 3 and not any(has_learned(one, start) for one in short):
        # Either side may be the right one: take both in turn, the safe one first.
        wanted = [lower, higher] if len(short) % 2 else [higher, lower]
    elif len(short) >= 3 and best == peaks[0]:
        wanted = [lower]
    elif len(short) >= 3 and best == peaks[-1]:
        wanted = [higher]
    # Sweeps may begin at a rate that is far too high, but say which rates are too high for probes.
    for peak in wanted:
        within = min(peak, start.highest)
        if all(abs(math.log(within / tried)) > 0.25 for tried in peaks):
            return within
    return None


def _farther(short: Sequence[ProbeResult], start: StartingPoint) -> float | None:
    """Return a peak a decade beyond the best one; None where probes have shown where to look."""
    learned = any(has_learned(one, start) for one in short[:MOST_SHORT])
    if learned or len(short) >= MOST_SHORT + MOST_FARTHER:
        return None
    peaks = [one.probe.peak_lr for one in short]
    best = min(short, key=lambda one: _rank(one, start))
    if best.probe.peak_lr == min(peaks):
        # Below a rate that changes nothing, no rate does.
        return None if is_flat(best, start) else best.probe.peak_lr / FARTHER
    return best.probe.peak_lr * FARTHER if best.probe.peak_lr == max(peaks) else None


def _next_long(
    long: Sequence[ProbeResult],
    done: Sequence[ProbeResult],
    start: StartingPoint,
    steps: int,
) -> float:
    foretold = best_peak(done, start=start, total_steps=steps)
    if not long:
        return foretold
    ordered = sorted(long, key=lambda one: one.probe.peak_lr)
    peaks = [one.probe.peak_lr for one in ordered]
    place = min(range(len(ordered)), key=lambda k: _loss(ordered[k]))
    if len(long) == 1:
        return peaks[0] * (GAP if foretold > peaks[0] else 1 / GAP)
    if place == 0:
        return peaks[0] / GAP
    if place == len(peaks) - 1:
        return peaks[-1] * GAP
    below, above = _loss(ordered[place - 1]), _loss(ordered[place + 1])
    sides = [place + 1, place - 1] if above < below else [place - 1, place + 1]
    wide = [k for k in sides if abs(math.log(peaks[k] / peaks[place])) > 0.6 * math.log(GAP)]
    return math.sqrt(peaks[place] * peaks[(wide or sides)[0]])


def _probe(peak: float, steps: int) -> Probe:
    return Probe(peak, steps, max(1, round(WARMUP_SHARE * steps)), seed=0)


def _of(done: Sequence[ProbeResult], steps: int) -> list[ProbeResult]:
    return [one for one in done if one.probe.steps == steps and one.probe.warmup_steps]


def _bare(warmed: Sequence[ProbeResult]) -> Probe:
    """Return the best of these probes without its warm-up."""
    return replace(min(warmed, key=_loss).probe, warmup_steps=0)


def _rank(one: ProbeResult, start: StartingPoint) -> tuple[bool, float]:
    """Order probes by their loss; those that failed come last, the lowest peak first."""
    failed = one.failed(start.initial_loss)
    return failed, one.probe.peak_lr if failed else one.loss


def _loss(one: ProbeResult) -> float:
    return math.inf if math.isnan(one.loss) else one.loss
