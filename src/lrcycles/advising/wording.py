"""Words an advice: its lines, its reasons and what was not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrcycles.advising.choices import AUTO, SCHEDULES, TASKS, transferred
from lrcycles.advising.peak import PeakEstimate
from lrcycles.advising.probes import ProbeResult
from lrcycles.advising.sweeps import RangeTest

if TYPE_CHECKING:
    from lrcycles.advising.advice import Advice

OVERFITTED = 0.05  # of the loss: longer probes end higher by so much
NEAR = 6.0  # times lower are the peaks of the longer probes at most
LEAST_FALL = 0.01  # of the loss before the first update: probes that end higher learn nothing


def lines(advice: Advice) -> str:
    """Word what a reader needs first; the code comes last."""
    low, high = advice.peak_interval
    return "\n".join(
        [
            f"{advice.schedule_name}: {_shape(advice)}",
            f"peak rate {advice.peak_lr:g} (90 % interval {low:g} to {high:g})",
            _expectation(advice),
            _cost(advice),
            *(f"warning: {warning}" for warning in advice.warnings),
            "",
            advice.code,
        ]
    )


def _shape(advice: Advice) -> str:
    warmup = "without warm-up"
    if advice.warmup_steps:
        warmup = f"after a linear warm-up of {advice.warmup_steps:,} steps"
    return f"{advice.total_steps:,} steps, {warmup}"


def _expectation(advice: Advice) -> str:
    if advice.expected_loss is None or advice.expected_interval is None:
        return "expected loss unknown, because no probe ended well"
    low, high = advice.expected_interval
    words = f"expected held-out loss {advice.expected_loss:.3g} ({low:.3g} to {high:.3g})"
    if advice.chance is not None:
        words += (
            f"; chance of {100 * advice.chance:.0f} % that the loss is within 2 % of that of the "
            "best peak"
        )
    return words


def _cost(advice: Advice) -> str:
    cost, count = advice.cost, len(advice.probes)
    noun = "probe" if count == 1 else "probes"
    return (
        f"cost: {cost.used:.2f} of {cost.planned:g} trainings (range test {cost.range_test:.2f}, "
        f"{count} {noun} {cost.probes:.2f}), {cost.seconds:.3g} s"
    )


def reasons(
    range_test: RangeTest,
    done: Sequence[ProbeResult],
    estimate: PeakEstimate,
    *,
    schedule_name: str,
) -> list[str]:
    """Say where the answer comes from."""
    start, curves = range_test.start, range_test.curves
    sentences = [
        f"The range test over the rates {start.low:.3g} to {start.high:.3g} suggests the peak "
        f"{start.peak_lr:g} for the whole training."
    ]
    if start.slope:
        sentences[0] += (
            " Short probes begin higher, because the best peak of a short training is higher."
        )
    if start.explosion is not None:
        sentences.append(f"The loss of a sweep exploded at {start.explosion:.3g}.")
    for steps in sorted({one.probe.steps for one in done}):
        of_length = [one for one in done if one.probe.steps == steps]
        failed = sum(one.failed(start.initial_loss) for one in of_length)
        rates = [one.probe.peak_lr for one in of_length]
        noun = "probe" if len(of_length) == 1 else "probes"
        sentences.append(
            f"{len(of_length)} {noun} of {steps:,} updates, with peaks from {min(rates):.3g} to "
            f"{max(rates):.3g}: {failed} failed."
        )
    # A schedule that begins low has no warm-up, whatever a probe showed.
    has_warmup = SCHEDULES[schedule_name].has_warmup
    bare = [one.probe for one in done if has_warmup and not one.probe.warmup_steps]
    if bare and estimate.needs_warmup:
        sentences.append(
            f"The peak {bare[0].peak_lr:.3g} works only with a warm-up: without one the probe of "
            f"{bare[0].steps:,} updates diverged, or ended at least 5 % higher."
        )
    if bare and not estimate.warmup:
        sentences.append(
            f"The answer has no warm-up: without one the probe of {bare[0].steps:,} updates ended "
            "at least 3 % lower."
        )
    if schedule_name != AUTO:
        row = SCHEDULES[schedule_name]
        sentences.append(
            f"The probes fall linearly. Peak and expected loss of {schedule_name} are those of "
            f"linear decay times a ratio, as measured on {TASKS} tasks: {row.peak:g} for the best "
            f"peak (median) and {row.loss:g} for the loss (geometric mean). The ratios of a single "
            "task differ from these."
        )
    return [*sentences, *curves.notes]


def warnings(
    range_test: RangeTest,
    done: Sequence[ProbeResult],
    estimate: PeakEstimate,
    *,
    schedule_name: str,
    updates_left: float,
    total_steps: int,
) -> list[str]:
    """Say what was not seen, and what to do about it.

    Args:
        estimate: for the linear decay that the probes have.
    """
    start = range_test.start
    answer = f"{transferred(estimate, schedule_name).peak_lr:.3g}"
    if not done:
        return [
            f"Only the range test speaks for {answer}. No probe was trained: after the range test "
            f"the budget pays for {max(0.0, updates_left):,.0f} updates, of a training of "
            f"{total_steps:,}. Raise budget, or train longer.",
        ]
    if all(one.failed(start.initial_loss) for one in done):
        lowest = min(one.probe.peak_lr for one in done)
        return [
            f"Every probe failed, {len(done)} in all, down to the peak {lowest:.3g}. The answer, "
            f"{answer}, is a guess. Raise budget, or heldout_samples where they are few; else "
            "check the data and the loss. A trained model may have nothing left to learn.",
        ]
    fall = start.initial_loss - min(one.loss for one in done if not one.failed(start.initial_loss))
    if not range_test.falls and fall < LEAST_FALL * abs(start.initial_loss):
        peaks = [one.probe.peak_lr for one in done]
        return [
            f"Nothing lowers the loss: neither the sweeps from {start.low:.3g} to {start.high:.3g} "
            f"nor probes with peaks from {min(peaks):.3g} to {max(peaks):.3g}. The answer, "
            f"{answer}, does no harm. Check the model and the labels, or train "
            "longer."
        ]
    if math.isnan(estimate.expected_loss):
        return [
            "No probe lowered the held-out loss by more than 2 %, so the answer, "
            f"{answer}, is a guess. Train longer, or raise budget."
        ]
    return [*_unseen(range_test, estimate, schedule_name), *overfitted(done)]


def overfitted(done: Sequence[ProbeResult]) -> list[str]:
    """Say that longer probes end higher than the best one, although their peaks are as low."""
    finite = [one for one in done if math.isfinite(one.loss)]
    best = min(finite, key=lambda one: one.loss)
    longer = [
        one
        for one in finite
        if one.probe.steps > best.probe.steps
        and best.probe.peak_lr / NEAR <= one.probe.peak_lr <= best.probe.peak_lr
    ]
    lowest = min(longer, key=lambda one: one.loss, default=best)
    if lowest.loss - best.loss <= OVERFITTED * abs(best.loss):
        return []
    return [
        f"The best probe of {best.probe.steps:,} updates ended at {best.loss:.3g}, and one of "
        f"{lowest.probe.steps:,} updates at {lowest.loss:.3g}, so the training may overfit. Train "
        "for fewer epochs, keep the best weights, or get more data."
    ]


def _unseen(range_test: RangeTest, estimate: PeakEstimate, schedule_name: str) -> list[str]:
    """Say which better rates may lie beyond those that were tried."""
    peaks = "peaks" if schedule_name == AUTO else "peaks of linear decay"
    start, missing = range_test.start, range_test.missing
    peak, sentences = f"{estimate.peak_lr:.3g}", []
    if estimate.open_below and estimate.open_above:
        sentences.append(
            f"Too few {peaks} were tried to see whether lower or higher ones are better than "
            f"{peak}. Use {peak}, or raise budget to see more."
        )
    elif estimate.open_below:
        sentences.append(
            f"The lowest {peaks} that were tried ended best at every length, so lower ones may be "
            f"better than {peak}. Use {peak}, or raise budget to see lower ones."
        )
    elif estimate.open_above:
        end = "exploded at" if start.explosion is not None else "reached"
        highest = start.high if start.explosion is None else start.explosion
        sentences.append(
            f"The highest {peaks} that were tried ended best at every length, so higher ones may "
            f"be better than {peak}. The sweeps {end} {highest:.3g}. Use {peak}, or raise budget "
            "to see higher ones."
        )
    reasons = (missing.start, missing.end, missing.either)
    return [
        *sentences,
        *(f"The range test misses an end: {why}." for why in reasons if why and sentences),
    ]


def known(value: float) -> float | None:
    """Return None in place of NaN, which JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
