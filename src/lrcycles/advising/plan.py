"""Decides which probe comes next, within a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lrcycles.advising.probes import Probe, ProbeResult

SHARES = (8, 4)  # of the training, as divisors: first short probes, then longer ones
FEWEST_STEPS = 10  # of a probe


@dataclass(frozen=True)
class StartingPoint:
    """What the range test gives to the first probe.

    Attributes:
        peak_lr: the rate that the range test suggests.
        low: the lowest rate of the sweeps.
        high: the highest rate that every sweep reached.
        explosion: the lowest rate at which a sweep exploded; None where none did.
        initial_loss: the held-out loss before the first update.
    """

    peak_lr: float
    low: float
    high: float
    explosion: float | None
    initial_loss: float


def next_probe(
    done: Sequence[ProbeResult], *, start: StartingPoint, total_steps: int, budget_steps: float
) -> Probe | None:
    """Return the next probe; None where no further probe is worth its price or fits the budget.

    The probes take first an eighth and then a quarter of the training. At each length they are the
    starting peak, the rates four times lower and higher, then half and twice the best so far, and
    the best with a warm-up. A longer length begins at the best peak of the shorter one.

    Args:
        total_steps: updates of the training.
        budget_steps: updates that a probe may still take.
    """
    for share in SHARES:
        steps = total_steps // share
        if not FEWEST_STEPS <= steps <= budget_steps:
            continue
        begin = _best(done, start) if done else start.peak_lr
        for peak, warmup in _asked(done, steps, begin, start):
            if not any(_same(one.probe, peak, steps, warmup) for one in done):
                return Probe(peak, steps, warmup, seed=0)
    return None


def _asked(
    done: Sequence[ProbeResult], steps: int, begin: float, start: StartingPoint
) -> Iterator[tuple[float, int]]:
    longest = [one for one in done if one.probe.steps == steps]
    first = longest[0].probe.peak_lr if longest else begin
    highest = start.explosion or start.high
    for factor in (1.0, 0.25, 4.0):
        yield max(start.low, min(first * factor, highest)), 0
    best = _best(longest, start)
    for factor in (0.5, 2.0):
        yield max(start.low, min(best * factor, highest)), 0
    yield best, max(1, steps // 10)


def _best(done: Sequence[ProbeResult], start: StartingPoint) -> float:
    fine = [one for one in done if not one.failed(start.initial_loss)]
    if not fine:
        return max(start.low, min((one.probe.peak_lr for one in done), default=start.peak_lr) / 4)
    longest = max(one.probe.steps for one in fine)
    return min(
        (one for one in fine if one.probe.steps == longest), key=lambda one: one.loss
    ).probe.peak_lr


def _same(probe: Probe, peak: float, steps: int, warmup: int) -> bool:
    near = abs(probe.peak_lr / peak - 1) < 0.1
    return near and probe.steps == steps and (probe.warmup_steps > 0) == (warmup > 0)
