"""Weighs what the best peak of the whole training may be, given the range test and the probes.

The held-out loss L at the end of a decay from the peak p over T updates has two parts. What is not
yet learned falls with the distance that the updates can go, p T; what the updates disturb rises
with p:

    L(p, T) = floor + A (p T)^-a + B p^b.

So the best peak falls with the length, as T^(-a / (a + b)). Short trainings tell A and a at high
peaks, which are those of a long training at low peaks, and B and b directly.

Instead of A, B and the floor, the code uses what they say of the whole training: its best peak
p*, its least loss L*, and the disturbance d that is left at p*, as a share of L*. A grid holds many
values of p*, d, a and b, and for each of them the best L* is a linear fit. How well the probes fit
weighs them by Bayes' theorem, with what is known before: the range test says roughly where p* is,
and the optimizer how fast it falls with the length. So where the probes show no difference between
peaks, the range test decides. The answer is the peak with the least expected regret. The constants
were chosen on the tasks of docs/study-networks that choose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lrcycles.advising.probes import Probe, ProbeResult, StartingPoint

Array = NDArray[np.float64]
OCTAVES = np.linspace(-9.0, 9.0, 91)  # of p*, around the best of the longest probes
LEARNING = np.array([0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0])  # exponents a
DISTURBANCE = np.array([0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0])  # exponents b
DISTURBED = np.geomspace(0.002, 2.0, 14)  # shares d
SLOPE_SPREAD = 0.35  # of a / (a + b), around what the optimizer says
NOISE = 0.035  # of a loss, relative, at the length of the training; more in shorter ones
SHORTER_NOISE = 0.3  # more noise for each halving of the length, as a share of NOISE
LEVEL_NOISES = (0.0, 0.05, 0.2, 0.8)  # of all losses of one length, for each halving of it
LOSS_NOISE = 0.1  # of the expected loss, as NOISE, and as much again for each halving
MODEL_OCTAVES = 0.4  # error of the model itself, in factors of 2 of the peak
MODEL_ERROR = np.exp(-0.5 * ((OCTAVES[:, None] - OCTAVES) / MODEL_OCTAVES) ** 2)
MODEL_ERROR /= MODEL_ERROR.sum(axis=1, keepdims=True)  # the chances of OCTAVES around each of them
BELOW, ABOVE = 1.5, 0.7  # octaves beyond the probes within which the answer stays
WITHIN = 0.02  # of the best loss
LEARNED = 0.98  # of the loss before training: a probe above this says nothing of the best peak
ENDS = (0.05, 0.95)  # of an interval of 90 %
MOST = 1e6  # of a part of the loss: where it is higher, only that matters


def has_learned(one: ProbeResult, start: StartingPoint) -> bool:
    """Whether a probe ended clearly below the loss before training."""
    return one.loss < start.initial_loss - (1 - LEARNED) * abs(start.initial_loss)


def is_flat(one: ProbeResult, start: StartingPoint) -> bool:
    """Whether a probe ended near the loss before training."""
    return abs(one.loss - start.initial_loss) <= (1 - LEARNED) * abs(start.initial_loss)


@dataclass(frozen=True)
class Belief:
    """What is believed of the whole training.

    Attributes:
        centre: log2 of the rate at which `OCTAVES` is 0.
        weights: of the cells of the grid, with the sum 1. Axes: d, p*, a, b.
        least: the loss L* of each cell.
        initial_loss: no training ends above it.
        inside: the places of `OCTAVES` at which the answer may be.
        share: of the length that the longest probe has.
        lifted: was added to all losses, so that they are above 0.
    """

    centre: float
    weights: Array
    least: Array
    initial_loss: float
    inside: NDArray[np.intp]
    share: float
    lifted: float

    @cached_property
    def cells(self) -> tuple[Array, Array]:
        """The weights of the likely cells, and the loss of each at all `OCTAVES`."""
        weights = self.weights.ravel()
        likely = np.flatnonzero(weights > 1e-4 * weights.max())
        d, p, a, b = np.unravel_index(likely, self.weights.shape)
        excess = _excess(
            OCTAVES - OCTAVES[p][:, None], 1.0, LEARNING[a][:, None], DISTURBANCE[b][:, None]
        )
        losses = self.least.ravel()[likely][:, None] * (1 + DISTURBED[d][:, None] * excess)
        return weights[likely] / weights[likely].sum(), np.minimum(losses, self.initial_loss)

    @cached_property
    def place(self) -> int:
        """The place of the answer: of the least expected regret."""
        weights, losses = self.cells
        regret = weights @ np.log(losses / losses.min(axis=1, keepdims=True))
        return int(self.inside[regret[self.inside].argmin()])

    @property
    def peak(self) -> float:
        return float(2 ** (OCTAVES[self.place] + self.centre))

    @property
    def interval(self) -> tuple[float, float]:
        """Two rates that hold the best peak with a chance of 90 %."""
        spacing = OCTAVES[1] - OCTAVES[0]
        below = np.cumsum(self.weights.sum(axis=(0, 2, 3)) @ MODEL_ERROR)
        low, high = np.interp(ENDS, below, OCTAVES + spacing / 2)
        return (
            min(self.peak, float(2 ** (low + self.centre))),
            max(self.peak, float(2 ** (high + self.centre))),
        )

    @property
    def loss(self) -> tuple[float, float]:
        """The expected loss at the answer, and the standard deviation of its logarithm."""
        weights, losses = self.cells
        logs = np.log(losses[:, self.place])
        mean = float(weights @ logs)
        own = LOSS_NOISE * (1 + math.log2(1 / self.share))
        return math.exp(mean), math.hypot(math.sqrt(weights @ (logs - mean) ** 2), own)

    @property
    def chance(self) -> float:
        """The chance that the loss at the answer is within `WITHIN` of the best."""
        weights, losses = self.cells
        good = losses <= (1 + WITHIN) * losses.min(axis=1, keepdims=True)
        return float(weights @ good @ MODEL_ERROR[self.place])


def believe(done: Sequence[ProbeResult], start: StartingPoint, total_steps: int) -> Belief | None:
    """Weigh every cell of the grid by the probes; None where no probe has learned."""
    learned = [one for one in done if has_learned(one, start)]
    if not learned:
        return None
    lifted = _lift([one.loss for one in learned], start.initial_loss)
    longest = max(one.probe.steps for one in learned)
    best = min((one.loss, one.probe.peak_lr) for one in learned if one.probe.steps == longest)
    centre = math.log2(best[1])
    at = np.array([math.log2(one.probe.peak_lr) - centre for one in learned])
    share = np.array([one.probe.steps / total_steps for one in learned])
    loss = np.array([one.loss for one in learned]) + lifted
    least, misfit = _fit(at, share, loss, _noise(share, loss))
    scale = max(1.0, misfit.min() / max(1, len(learned) - 3))
    slope = LEARNING[:, None] / (LEARNING[:, None] + DISTURBANCE)
    known = ((slope - start.slope) / SLOPE_SPREAD) ** 2
    tested = ((OCTAVES + centre - math.log2(start.peak_lr)) / start.octaves) ** 2
    if not start.low <= best[1] <= start.highest:  # of this the range test saw nothing
        tested = np.zeros_like(tested)
    logs = -0.5 * ((misfit - misfit.min()) / scale + known + tested[:, None, None])
    highest = at.max() + ABOVE
    too_high = [
        math.log2(one.probe.peak_lr) - centre for one in done if _is_too_high(one.probe, learned)
    ]
    if too_high:
        # A best peak is not believed above a probe that failed.
        highest = min(highest, *too_high)
        logs[:, min(too_high) < OCTAVES] = -np.inf
    weights = np.exp(logs - logs.max())
    return Belief(
        centre,
        weights / weights.sum(),
        least,
        start.initial_loss + lifted,
        np.flatnonzero((min(at.min(), highest) - BELOW <= OCTAVES) & (highest >= OCTAVES)),
        float(share.max()),
        lifted,
    )


def _is_too_high(probe: Probe, learned: Sequence[ProbeResult]) -> bool:
    """Whether no probe of this length or a greater one has learned at this peak or a higher one."""
    return not any(
        one.probe.steps >= probe.steps and one.probe.peak_lr >= probe.peak_lr for one in learned
    )


def _noise(share: Array, loss: Array) -> Array:
    """Return the standard deviation of the logarithm of each probe's loss."""
    lowest = np.array([loss[share == one].min() for one in share])
    # Losses far above the best of their length say little of where the best peak is.
    shorter = 1 + SHORTER_NOISE * np.maximum(0, np.log2(1 / share))
    noise: Array = NOISE * loss / lowest * shorter
    return noise


def _covariance(share: Array, noise: Array, level_noise: float) -> Array:
    """Return the covariance of the logarithms of the losses.

    Probes of one length have the same seed, and how fast the loss falls with the length is not
    always a power: some networks learn nothing for long. So they have an error in common.
    """
    level = level_noise * np.maximum(0, np.log2(1 / share))
    common = np.outer(level, level) * (share[:, None] == share)
    covariance: Array = np.diag(noise**2) + common
    return covariance


def _fit(at: Array, share: Array, loss: Array, noise: Array) -> tuple[Array, Array]:
    """Return the best L* of every cell, and how badly it fits: a sum of squares.

    Args:
        at: log2 of the peak of each probe, relative to the centre.
        share: of the length of the training that each probe has.
    """
    excess = _excess(
        (at[:, None] - OCTAVES)[..., None, None],
        share[:, None, None, None],
        LEARNING[:, None],
        DISTURBANCE,
    )
    # log loss = log L* + log(1 + d excess), by generalized least squares
    d = DISTURBED[:, None, None, None]
    relative = np.maximum(1 + d * excess[:, None], 1 / MOST)  # less has a floor below 0
    rest = np.log(loss)[:, None, None, None, None] - np.log(relative)
    fits = []
    for level_noise in LEVEL_NOISES:
        covariance = _covariance(share, noise, level_noise)
        precision = np.linalg.inv(covariance)
        weighed = np.tensordot(precision, rest, 1)
        level = weighed.sum(axis=0) / precision.sum()
        misfit = (rest * weighed).sum(axis=0) - level**2 * precision.sum()
        fits.append((misfit.min() + np.linalg.slogdet(covariance)[1], level, misfit))
    _, level, misfit = min(fits, key=lambda fit: float(fit[0]))
    floor = 1 - d * (1 + DISTURBANCE / LEARNING[:, None])
    return np.exp(level), np.where(floor < 0, np.inf, misfit)


def _excess(octaves: Array, share: Array | float, a: Array, b: Array) -> Array:
    """Return (L / L* - 1) / d, so many octaves above p* in a training of this share of the length.

    At p* the two parts of the loss have slopes of equal size, so that A is b / a times B there.
    """
    learning = np.minimum(2.0 ** (-a * octaves) * share**-a, MOST)
    disturbance = np.minimum(2.0 ** (b * octaves), MOST)
    excess: Array = b / a * (learning - 1) + disturbance - 1
    return excess


def _lift(losses: Sequence[float], initial_loss: float) -> float:
    """Return 0 for losses above 0; else what lifts them to a tenth of their fall above 0."""
    least = min(losses)
    return 0.0 if least > 0 else 0.1 * (initial_loss - least) - least
