"""The plan finds the best peak of trainings whose losses are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from lrcycles.advising.peak import PeakEstimate, estimate_peak
from lrcycles.advising.plan import next_probe
from lrcycles.advising.probes import Probe, ProbeResult, StartingPoint
from lrcycles.advising.wording import overfitted

TOTAL = 2000
Loss = Callable[[Probe], float]


def start(peak: float = 0.01, explosion: float | None = None) -> StartingPoint:
    return StartingPoint(
        peak, low=1e-6, high=10.0, explosion=explosion, initial_loss=2.3, slope=0.3, octaves=2.0
    )


def asked(
    loss: Loss, budget: float = 1.3, at: StartingPoint | None = None
) -> tuple[list[ProbeResult], PeakEstimate]:
    """Train probes with a known loss as the plan asks for them."""
    done: list[ProbeResult] = []
    left, at = budget * TOTAL, at or start()
    while True:
        probe = next_probe(done, start=at, total_steps=TOTAL, budget_steps=left)
        if probe is None:
            return done, estimate_peak(done, start=at, total_steps=TOTAL)
        done.append(ProbeResult(probe, loss(probe)))
        left -= probe.steps
        assert left >= 0


def valley(best: float, slope: float) -> Loss:
    """Two straight lines in log loss over log peak; the best peak falls as length^-slope."""

    def loss(probe: Probe) -> float:
        own = best * (TOTAL / probe.steps) ** slope
        octaves = math.log2(probe.peak_lr / own)
        level = 0.1 * (TOTAL / probe.steps) ** 0.3
        return min(2.3, level * 2 ** (0.4 * max(-octaves, 0) + 1.0 * max(octaves, 0)))

    return loss


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("best", [0.0005, 0.01, 0.3])
def test_the_best_peak_is_found_from_any_start(best, slope):
    _, estimate = asked(valley(best, slope))
    assert abs(math.log2(estimate.peak_lr / best)) < 1.1


def test_an_interval_of_90_percent_holds_the_best_peak_in_eight_of_nine_valleys():
    held = 0
    for best in (0.0005, 0.01, 0.3):
        for slope in (0.0, 0.3, 0.6):
            _, estimate = asked(valley(best, slope))
            held += estimate.low < best < estimate.high
    assert held >= 8


def test_a_larger_budget_narrows_the_interval_and_comes_closer():
    errors, widths = [], []
    for budget in (0.4, 1.3, 6.0):
        _, estimate = asked(valley(0.02, 0.6), budget)
        errors.append(abs(math.log2(estimate.peak_lr / 0.02)))
        widths.append(estimate.high / estimate.low)
    assert errors[-1] < 0.5
    assert widths[0] > widths[1] > widths[2]


def test_the_expected_loss_is_that_of_the_whole_training():
    _, estimate = asked(valley(0.02, 0.3), budget=6.0)
    assert estimate.expected_low < 0.1 < estimate.expected_high


@pytest.mark.parametrize("failed", [math.nan, 1e4])
def test_the_answer_is_never_above_a_peak_that_failed(failed):
    inside = valley(0.05, 0.3)
    done, estimate = asked(lambda probe: failed if probe.peak_lr > 0.1 else inside(probe))
    assert any(not one.loss < 2.3 for one in done)
    assert estimate.peak_lr <= 0.1


def test_probes_go_down_until_one_does_not_fail():
    inside = valley(1e-4, 0.3)
    done, estimate = asked(lambda probe: math.nan if probe.peak_lr > 1e-3 else inside(probe))
    assert estimate.peak_lr <= 1e-3
    assert not math.isnan(estimate.expected_loss)
    assert min(one.probe.peak_lr for one in done) < 1e-3


@pytest.mark.parametrize("limit", [1e-8, 1e6])
def test_a_best_peak_far_outside_of_the_sweep_is_found(limit):
    """Gradient descent on a parabola, which diverges above the limit."""

    def loss(probe):
        if probe.peak_lr > limit:
            return math.nan
        rate = probe.peak_lr / limit
        return 0.05 + 2.25 * math.exp(-rate * probe.steps) + 0.5 * rate

    _, estimate = asked(loss, budget=1.5)
    assert loss(Probe(estimate.peak_lr, TOTAL, 1, 0)) < 0.3
    assert estimate.low <= estimate.peak_lr <= estimate.high


@pytest.mark.parametrize("best", [2e-7, 500.0])
def test_the_answer_lies_in_its_interval_also_outside_of_the_sweep(best):
    _, estimate = asked(valley(best, 0.0), at=start(best))
    assert estimate.low <= estimate.peak_lr <= estimate.high


def test_probes_end_their_search_at_a_rate_that_changes_nothing():
    """As a model that has nothing left to learn."""
    done, _ = asked(lambda probe: 2.3 + 0.001 * probe.steps * probe.peak_lr / start().peak_lr)
    lowest = min(one.probe.peak_lr for one in done)
    assert 1e-6 < lowest < start().peak_lr


def test_where_probes_hardly_lower_the_loss_the_answer_is_the_best_of_them():
    at = start()
    done, estimate = asked(lambda probe: 2.3 - 0.01 / (1 + abs(math.log(probe.peak_lr / 0.03))))
    best = min(done, key=lambda one: one.loss).probe.peak_lr
    assert estimate.peak_lr == best
    assert math.isnan(estimate.expected_loss)
    assert max(one.probe.peak_lr for one in done) <= at.highest


@pytest.mark.parametrize("fall", [0.01, 1.0])
def test_the_answer_is_below_a_longer_probe_that_failed(fall):
    """Short trainings lower the loss, long ones overfit."""
    at = start()
    done, estimate = asked(lambda probe: 2.3 - fall if probe.steps <= TOTAL / 16 else 3.0)
    failed = [one.probe.peak_lr for one in done if one.failed(at.initial_loss)]
    assert max(one.probe.peak_lr for one in done) > min(failed)
    assert estimate.peak_lr < min(failed)


def test_a_warning_says_that_longer_probes_end_higher():
    def ended(steps, loss, peak=0.1):
        return ProbeResult(Probe(peak, steps, 2, 0), loss)

    (warning,) = overfitted([ended(20, 0.5), ended(80, 0.7), ended(80, math.nan)])
    assert "20 updates ended at 0.5, and one of 80 updates at 0.7" in warning
    assert overfitted([ended(20, -0.5), ended(80, -0.4)])
    assert not overfitted([ended(20, 0.5), ended(80, 0.51)])
    assert not overfitted([ended(20, 0.5), ended(80, 0.7, peak=0.01)])
    assert not overfitted([ended(20, 0.5), ended(80, 0.7, peak=0.2)])


def test_if_every_probe_fails_the_answer_is_below_all_of_them():
    done, estimate = asked(lambda _: math.nan)
    assert estimate.peak_lr < min(one.probe.peak_lr for one in done)
    assert estimate.open_above
    assert estimate.open_below
    assert math.isnan(estimate.expected_loss)


def test_no_probe_goes_far_beyond_the_explosion_of_a_sweep():
    done, _ = asked(valley(5.0, 0.0), at=start(0.5, explosion=1.0))
    assert max(one.probe.peak_lr for one in done) <= 2.0


@pytest.mark.parametrize(
    ("without", "warmup", "needs"), [(1.2, True, True), (1.0, True, False), (0.8, False, False)]
)
def test_a_pair_of_probes_decides_the_warm_up(without, warmup, needs):
    inside = valley(0.01, 0.3)
    done, estimate = asked(
        lambda probe: inside(probe) * (1 if probe.warmup_steps else without), budget=1.7
    )
    assert sum(one.probe.warmup_steps == 0 for one in done) == 1
    assert (estimate.warmup, estimate.needs_warmup) == (warmup, needs)


def test_a_loss_of_exactly_0_has_an_answer():
    _, estimate = asked(lambda probe: 0.0 if probe.peak_lr < 0.05 else 2.0, budget=1.7)
    assert (estimate.warmup, estimate.needs_warmup) == (True, False)


def test_losses_below_zero_are_taken():
    inside = valley(0.01, 0.3)
    _, moved = asked(
        lambda probe: inside(probe) - 5, at=StartingPoint(0.01, 1e-6, 10, None, -2.7, 0.3, 2.0)
    )
    assert abs(math.log2(moved.peak_lr / 0.01)) < 1.5
    assert moved.expected_loss == pytest.approx(-4.9, abs=0.2)


def test_without_probes_the_range_test_answers():
    estimate = estimate_peak([], start=start(0.02), total_steps=TOTAL)
    assert estimate.peak_lr == 0.02
    assert math.isnan(estimate.chance)
