"""Estimates where the best peak of the whole training lies, given the probes.

The held-out loss L at the end of a decay from the peak p over T updates has two parts. What is not
yet learned falls with the distance that the updates can go, p T; what the updates disturb rises
with p:

    L(p, T) = floor + A (p T)^-a + B p^b.

So the best peak falls with the length, as T^(-a / (a + b)). Short trainings tell A and a at high
peaks, which are those of a long training at low peaks, and B and b directly. For every pair (a, b)
of a grid the other three are a linear fit; the pairs are weighed by how well they fit and by a
prior of the slope a / (a + b). The constants below were fitted on the half of docs/study-networks
that chooses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from lrcycles.advising.probes import ProbeResult, StartingPoint

Array = NDArray[np.float64]
LEARNING = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)  # exponents a
DISTURBANCE = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0)  # exponents b
SLOPE, SLOPE_SPREAD = 0.3, 0.4  # the prior of a / (a + b)
NOISE = 0.04  # of a loss, relative, at the length of the training; more in shorter ones
SHORTER_NOISE = 0.75  # more noise for each halving of the length, as a share of NOISE
MODEL_OCTAVES = 0.4  # error of the model itself, in factors of 2 of the peak
LOSS_NOISE = 0.07  # of the expected loss, as NOISE, and as much again for each halving
CAUTION_OCTAVES = 0.2  # the peak is chosen for the mean loss over so much uncertainty
BELOW, ABOVE = 1.5, 0.7  # octaves beyond the probes within which a best peak is believed
FLOOR = 0.35  # prior spread of the floor, as a share of the lowest loss of the probes
WITHIN = 0.02  # of the best loss
LEARNED = 0.98  # of the loss before training: a probe above this says nothing of the best peak
TINY = 1e-12  # a loss of 0 has no percent
HARMS, HELPS = 0.93, 1.05  # the loss without a warm-up, relative to that with one
Z90 = 1.645
OCTAVES = np.linspace(-10.0, 10.0, 201)  # around the best probe


@dataclass(frozen=True)
class PeakEstimate:
    """The best peak of a training with a linear decay to 0, and how sure that is.

    Attributes:
        low: with `high`, an interval that holds the best peak with a chance of 90 %.
        chance: that the loss at `peak_lr` is within 2 % of the loss at the best peak.
        expected_loss: the held-out loss at the end of the training; NaN without probes. So are its
            two ends of an interval of 90 %.
        warmup: whether the training should have one: unless a probe ended 7 % lower without.
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
    """Return the peak with the least expected loss at a length."""
    fit = _fit(_warmed(done), start, total_steps)
    if fit is None:
        return min(one.probe.peak_lr for one in done) / 4
    return fit.peak


def estimate_peak(
    done: Sequence[ProbeResult], *, start: StartingPoint, total_steps: int
) -> PeakEstimate:
    """Estimate the best peak of the whole training from the probes with a warm-up.

    Without a probe that has learned, the answer is the rate of the range test, or a quarter of the
    lowest peak that failed.

    Args:
        total_steps: updates of the training.
    """
    warmed = _warmed(done)
    fit = _fit(warmed, start, total_steps)
    if fit is None:
        tried = [one.probe.peak_lr / 4 for one in warmed]
        peak = max(start.low, min([start.peak_lr, *tried]))
        unknown = math.nan
        return PeakEstimate(
            peak,
            start.low,
            start.highest,
            *4 * (unknown,),
            True,
            False,
            open_above=True,
            open_below=True,
        )
    half, without = Z90 * fit.octaves, _without_warmup(done)
    loss, spread = fit.loss
    return PeakEstimate(
        peak_lr=fit.peak,
        low=fit.peak * 2**-half,
        high=fit.peak * 2**half,
        chance=fit.chance,
        expected_loss=loss - fit.lifted,
        expected_low=loss * math.exp(-Z90 * spread) - fit.lifted,
        expected_high=loss * math.exp(Z90 * spread) - fit.lifted,
        warmup=without is None or not without < HARMS,
        needs_warmup=without is not None and not without <= HELPS,
        open_above=_is_open(warmed, above=True),
        open_below=_is_open(warmed, above=False),
    )


def has_learned(one: ProbeResult, start: StartingPoint) -> bool:
    """Whether a probe ended clearly below the loss before training."""
    return one.loss < start.initial_loss - (1 - LEARNED) * abs(start.initial_loss)


@dataclass(frozen=True)
class _Fit:
    """The loss over the peak, by every pair of exponents.

    Attributes:
        centre: log2 of the rate at which `OCTAVES` is 0.
        weights: of the pairs, with the sum 1.
        curves: one row of losses for each pair.
        inside: the places of `OCTAVES` that are believed.
        share: of the length that the longest probe has.
        lifted: was added to all losses, so that they are above 0.
    """

    centre: float
    weights: Array
    curves: Array
    inside: NDArray[np.intp]
    share: float
    lifted: float

    @property
    def place(self) -> int:
        """The place of the peak: of the least mean loss, over the uncertainty of the peak."""
        mean = _blurred(self.weights @ self.curves, CAUTION_OCTAVES)
        return int(self.inside[mean[self.inside].argmin()])

    @property
    def peak(self) -> float:
        return float(2 ** (OCTAVES[self.place] + self.centre))

    @property
    def octaves(self) -> float:
        """The standard deviation of log2 of the best peak."""
        best = OCTAVES[self.inside[self.curves[:, self.inside].argmin(axis=1)]]
        mean = self.weights @ best
        return float(math.sqrt(self.weights @ (best - mean) ** 2 + MODEL_OCTAVES**2))

    @property
    def loss(self) -> tuple[float, float]:
        """The expected loss at the peak, and the standard deviation of its logarithm."""
        logs = np.log(self.curves[:, self.place])
        mean = float(self.weights @ logs)
        halvings = math.log2(1 / self.share)
        own = LOSS_NOISE * (1 + halvings)
        return math.exp(mean), math.sqrt(float(self.weights @ (logs - mean) ** 2) + own**2)

    @property
    def chance(self) -> float:
        """The chance that the loss at the peak is within `WITHIN` of the best."""
        least = self.curves.min(axis=1, keepdims=True)
        good = (self.curves <= (1 + WITHIN) * least).astype(float)
        return float(self.weights @ [_blurred(row, MODEL_OCTAVES)[self.place] for row in good])


def _fit(done: Sequence[ProbeResult], start: StartingPoint, total_steps: int) -> _Fit | None:
    """Fit every pair of exponents; None where no probe has learned."""
    learned = [one for one in done if has_learned(one, start)]
    if not learned:
        return None
    initial_loss = start.initial_loss
    lifted = _lift([one.loss for one in learned], initial_loss)
    longest = max(one.probe.steps for one in learned)
    centre = math.log2(
        min(
            (one for one in learned if one.probe.steps == longest), key=lambda one: one.loss
        ).probe.peak_lr
    )
    at = np.array([math.log2(one.probe.peak_lr) - centre for one in learned])
    share = np.array([one.probe.steps / total_steps for one in learned])
    loss = np.array([one.loss for one in learned]) + lifted
    lowest = {steps: loss[share == steps].min() for steps in np.unique(share)}
    # Losses far above the best of their length say little of where the best peak is.
    far = loss / np.array([lowest[steps] for steps in share])
    noise = NOISE * loss * far * (1 + SHORTER_NOISE * np.maximum(0, np.log2(1 / share)))
    misfits, slopes, curves = [], [], []
    for a in LEARNING:
        for b in DISTURBANCE:
            parts = np.stack([np.ones_like(at), 2.0 ** (-a * at) * share**-a, 2.0 ** (b * at)], 1)
            scaled = parts / noise[:, None]
            size = np.abs(scaled).max(axis=0)
            rows = np.vstack([scaled, [1 / (FLOOR * loss.min()), 0.0, 0.0]])
            factors, misfit = nnls(rows / size, np.append(loss / noise, 0.0))
            floor, learning, disturbance = factors / size
            curve = floor + learning * 2.0 ** (-a * OCTAVES) + disturbance * 2.0 ** (b * OCTAVES)
            curves.append(np.minimum(curve, initial_loss + lifted))
            misfits.append(misfit**2)
            slopes.append(a / (a + b))
    squares = np.array(misfits)
    scale = max(1.0, squares.min() / max(1, len(learned) - 3))
    prior = ((np.array(slopes) - SLOPE) / SLOPE_SPREAD) ** 2
    weights = np.exp(-0.5 * ((squares - squares.min()) / scale + prior))
    highest = at.max() + ABOVE
    failed = [math.log2(one.probe.peak_lr) - centre for one in done if one not in learned]
    # A best peak is not believed above a probe that failed.
    highest = min([highest, *(peak for peak in failed if peak > at.max())])
    inside = (at.min() - BELOW <= OCTAVES) & (highest >= OCTAVES)
    return _Fit(
        centre,
        weights / weights.sum(),
        np.array(curves),
        np.flatnonzero(inside),
        float(share.max()),
        lifted,
    )


def _lift(losses: Sequence[float], initial_loss: float) -> float:
    """Return 0 for losses above 0; else what lifts them to a tenth of their fall above 0."""
    least = min(losses)
    return 0.0 if least > 0 else 0.1 * (initial_loss - least) - least


def _blurred(values: Array, octaves: float) -> Array:
    """Return the mean over a normal error of the peak."""
    spacing = OCTAVES[1] - OCTAVES[0]
    reach = round(3 * octaves / spacing)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * spacing / octaves) ** 2)
    padded = np.pad(values, reach, mode="edge")
    return np.convolve(padded, weights / weights.sum(), mode="valid")


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
