"""Which one rate would other range-test tools suggest for this curve?

Each rule is told in our words, after the versions named in tests/data/peer_rules.json, faults
included: a comparison is fair only with what the tool really answers. A rule gets one seed's raw
loss and does what its tool does on the way: smooth as it records, stop early, trim both ends. So a
whole curve gives what the tool would have seen of it. Where a tool fails, the rule says why.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Array
from lrcycles.range_tests.recorded import averages
from lrcycles.range_tests.recorded.averages import Average

Choice = tuple[int, str] | str  # a point and what it is, or why there is none


@dataclass(frozen=True)
class Suggestion:
    """What one rule answers: a rate and what it marks, or no rate and why there is none."""

    rule: str
    lr: float | None
    reason: str


@dataclass(frozen=True)
class Tool:
    """How a tool records a sweep: it smooths the loss and stops at `stop_factor` times the best."""

    average: Average
    stop_factor: float

    def records(self, loss: Array, *, smoothed: bool = False) -> Array:
        """Give the losses in the tool's history; the one that stops the sweep is the last.

        A history that the tool has stopped stays whole, since it stops at the same point again.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # a sweep that diverged ends in inf, nan
            seen = loss if smoothed else self.average.smooth(loss)
            diverged = np.flatnonzero(seen > self.stop_factor * np.fmin.accumulate(seen))
        return seen[: diverged[0] + 1] if len(diverged) else seen


@dataclass(frozen=True)
class PeerRule:
    """One tool's rule: `choose` picks a point of what `tool` records, `divisor` lowers its rate.

    `choose` gets the rates, the recorded losses and the length of the whole sweep.
    """

    name: str
    tool: Tool
    choose: Callable[[Array, Array, int], Choice]
    divisor: float = 1.0

    def __call__(self, lr: Array, loss: Array, *, smoothed: bool = False) -> Suggestion:
        """Suggest a rate for one seed's curve, rates and raw losses from the first step on.

        Args:
            smoothed: the tool has smoothed the loss already, as in a history that it wrote.

        Raises:
            InputError: the rates do not rise, or are not as many as the losses.
        """
        lr, loss = checked_curve(lr, loss)
        seen = self.tool.records(loss, smoothed=smoothed)
        # Losses of inf and nan are the sweep's own; the tools compute with them as well.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            choice = self.choose(lr[: len(seen)], seen, len(lr))
        if isinstance(choice, tuple):
            return Suggestion(self.name, float(lr[choice[0]]) / self.divisor, choice[1])
        if len(seen) < len(lr):
            choice += f" (it stops at {self.tool.stop_factor:g} times the best loss)"
        return Suggestion(self.name, None, choice)


def checked_curve(lr: Array, loss: Array) -> tuple[Array, Array]:
    """Give both as float64, once they are one sweep.

    Raises:
        InputError: the rates do not rise, or are not as many as the losses.
    """
    lr, loss = np.asarray(lr, np.float64), np.asarray(loss, np.float64)
    if lr.ndim != 1 or lr.shape != loss.shape:
        raise InputError(
            f"need as many losses as rates, in one dimension, got shapes {lr.shape} and "
            f"{loss.shape}: pass one seed's curve"
        )
    if not (np.all(np.isfinite(lr)) and np.all(lr > 0) and np.all(np.diff(lr) > 0)):
        raise InputError(
            "need finite rates above 0 that rise from step to step, got others: "
            "pass one sweep, in the order of its steps"
        )
    return lr, loss


def _trimmed(loss: Array, planned: int) -> tuple[int, int]:
    """Where fastai's rules look: without a tenth of the planned sweep and the last five points."""
    start, stop = planned // 10, max(len(loss) - 5, planned // 10)
    lost = np.flatnonzero(np.isnan(loss[start:stop]))
    return start, start + int(lost[0]) if len(lost) else stop


def _too_few(left: int, needed: int) -> str:
    return f"{left} points are left after trimming, {needed} are needed"


def _longest_fall(loss: Array) -> tuple[int, int]:
    """Last point and length of the longest strictly falling subsequence; the first of equals."""
    ends: list[float] = []  # ends[k]: the least steep end of a fall of k + 1 points, negated
    last, longest = 0, 1
    for point, value in enumerate(-loss):
        if np.isnan(value):
            continue
        length = bisect_left(ends, value)
        ends[length : length + 1] = [value]
        if length + 1 > longest:
            last, longest = point, length + 1
    return last, longest


def _valley_of(loss: Array) -> tuple[int, str]:
    last, length = _longest_fall(loss)
    if length == 1:
        return 0, "its loss never falls: the first rate it looks at"
    # The tools treat the length of the subsequence as a stretch of steps, which it need not be.
    point = last - length + int(length / 3) + int(length / 6)
    return point, "middle of the longest fall"


def _valley(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    start, stop = _trimmed(loss, planned)
    if start >= stop:
        return _too_few(0, 1)
    point, words = _valley_of(loss[start:stop])
    return start + point, words


def _slide(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    start, stop = _trimmed(loss, planned)
    width = 15
    if stop - start <= width:
        return _too_few(stop - start, width + 1)
    slopes = np.gradient(loss[start:stop])
    steep = np.abs(slopes[width:] - slopes[:-width]) > 0.005
    still = np.flatnonzero(~steep[::-1])  # counted from the right
    if not len(still):
        return start, "its window slid over the whole curve: the first rate it looks at"
    point = len(steep) - max(int(still[0]), 1)
    return start + point, "left end of its sliding window"


def _minimum(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    start, stop = _trimmed(loss, planned)
    if start >= stop:
        return _too_few(0, 1)
    return start + int(np.argmin(loss[start:stop])), "a tenth of the least loss's rate"


def _steep(lr: Array, loss: Array, planned: int) -> Choice:
    start, stop = _trimmed(loss, planned)
    if stop - start < 2:
        return _too_few(stop - start, 2)
    slopes = np.diff(loss[start:stop]) / np.diff(np.log(lr[start:stop]))
    return start + int(np.argmin(slopes)), "steepest fall over the log rate"


def _lightning(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    points = np.arange(10, max(len(loss) - 1, 10))
    points = points[np.isfinite(loss[points])]
    if len(points) < 2:
        return _too_few(len(points), 2)
    slopes = np.gradient(loss[points], lr[points])
    return int(points[np.argmin(slopes)]), "steepest fall over the linear rate"


def _torch_lr_finder(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    if len(loss) < 17:
        return f"{len(loss)} points were recorded, 17 are needed"
    return _steepest_step(loss[10:-5], start=10)


def _ignite(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    lowest = int(np.argmin(loss))  # the first nan, if there is one
    if lowest < 2:
        return f"its loss is least at point {lowest + 1}, it needs two before: lower the first rate"
    slopes = (loss[2 : lowest + 1] - loss[: lowest - 1]) / 2
    return 1 + int(np.argmin(slopes)), _what_is_steepest(slopes)


def _ktrain(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    lowest = int(np.argmin(loss))
    if lowest < 34:
        return f"its loss is least at point {lowest + 1}, it needs 34 before"
    point, words = _steepest_step(loss[32:lowest], start=0)
    # The tool forgets that its slice begins at 32.
    return point, words.replace("from step to step", "32 points too early")


def _ktrain_minimum(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    return int(np.argmin(loss)), "a tenth of the least loss's rate"


def _ktrain_valley(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    return _valley_of(loss)


def _steepest_step(loss: Array, *, start: int) -> tuple[int, str]:
    slopes = np.gradient(loss)
    return start + int(np.argmin(slopes)), _what_is_steepest(slopes)


def _what_is_steepest(slopes: Array) -> str:
    # numpy and torch both take nan for the least of all.
    return (
        "where its loss became nan" if np.isnan(slopes).any() else "steepest fall from step to step"
    )


_FASTAI = Tool(averages.FASTAI, stop_factor=4)
_LIGHTNING = Tool(averages.LIGHTNING, stop_factor=4)
_LR_FINDER = Tool(averages.LR_FINDER, stop_factor=5)
_KTRAIN = Tool(averages.KTRAIN, stop_factor=4)

PEER_RULES: Mapping[str, PeerRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            PeerRule("valley", _FASTAI, _valley),
            PeerRule("slide", _FASTAI, _slide),
            PeerRule("steep", _FASTAI, _steep),
            PeerRule("minimum", _FASTAI, _minimum, divisor=10),
            PeerRule("lightning", _LIGHTNING, _lightning),
            PeerRule("torch_lr_finder", _LR_FINDER, _torch_lr_finder),
            PeerRule("ignite", _LR_FINDER, _ignite),
            PeerRule("ktrain", _KTRAIN, _ktrain),
            PeerRule("ktrain_minimum", _KTRAIN, _ktrain_minimum, divisor=10),
            PeerRule("ktrain_valley", _KTRAIN, _ktrain_valley),
        )
    }
)
