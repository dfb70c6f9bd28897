"""The rules by which other range-test tools suggest one learning rate.

Each rule is written anew after the versions named in tests/references/peer_rules.json, including
the tools' faults, because a comparison needs the rates that the tools really suggest. A rule takes
one seed's raw loss and does what its tool does: it smooths the loss, stops early and leaves out
points at both ends. Where a tool fails, the rule returns a reason and no rate.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Array
from lrcycles.range_tests.recorded import averages
from lrcycles.range_tests.recorded.averages import Average

Choice = tuple[int, str] | str  # a point and what it is, or the reason for none


@dataclass(frozen=True)
class Suggestion:
    """The rate that a rule suggests and what it is, or no rate and the reason."""

    rule: str
    lr: float | None
    reason: str


@dataclass(frozen=True)
class Tool:
    """How a tool records a sweep: it smooths the loss and stops early.

    It stops once the smoothed loss exceeds `stop_factor` times the lowest one. This is the tool's
    own test, unlike `sweep.should_stop`.
    """

    average: Average
    stop_factor: float

    def records(self, loss: Array, *, smoothed: bool = False) -> Array:
        """Return the losses in the tool's history, up to the one that stops the sweep.

        A history of the tool itself is returned whole, because it stops at the same point again.

        Args:
            smoothed: the tool has smoothed the loss already, as in a history that it wrote.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # losses may be inf or nan
            recorded = loss if smoothed else self.average.smooth(loss)
            stops = np.flatnonzero(recorded > self.stop_factor * np.fmin.accumulate(recorded))
        return recorded[: stops[0] + 1] if len(stops) else recorded


@dataclass(frozen=True)
class PeerRule:
    """The rule of one tool.

    Attributes:
        choose: picks a point from the rates, the recorded losses and the length of the whole sweep.
        divisor: the suggested rate is the rate of the point divided by this number.
    """

    name: str
    tool: Tool
    choose: Callable[[Array, Array, int], Choice]
    divisor: float = 1.0

    def __call__(self, lr: Array, loss: Array, *, smoothed: bool = False) -> Suggestion:
        """Suggest a rate for one seed's curve.

        Args:
            loss: the raw losses from the first step on.
            smoothed: the tool has smoothed the loss already, as in a history that it wrote.

        Raises:
            InputError: the rates do not rise, or there is not one loss per rate.
        """
        lr, loss = checked_curve(lr, loss)
        return self.of_recorded(lr, self.tool.records(loss, smoothed=smoothed))

    def of_recorded(self, lr: Array, recorded: Array) -> Suggestion:
        """Suggest a rate for the rates of a whole sweep and the losses that the tool recorded."""
        # The tools also compute with losses of inf and nan.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            choice = self.choose(lr[: len(recorded)], recorded, len(lr))
        if isinstance(choice, tuple):
            return Suggestion(self.name, float(lr[choice[0]]) / self.divisor, choice[1])
        if len(recorded) < len(lr):
            choice += f" (the tool stops at {self.tool.stop_factor:g} times the lowest loss)"
        return Suggestion(self.name, None, choice)


def within_sweep(suggestion: Suggestion, lr: Array) -> Suggestion:
    """Leave out a rate below the first rate of the sweep: the curve shows nothing of it."""
    if suggestion.lr is None or suggestion.lr >= lr[0]:
        return suggestion
    reason = f"{suggestion.reason}: {suggestion.lr:.3g}, below the first rate"
    return Suggestion(suggestion.rule, None, reason)


def checked_curve(lr: Array, loss: Array) -> tuple[Array, Array]:
    """Return rates and losses as float64, after checking that they are one sweep.

    Raises:
        InputError: the rates do not rise, or there is not one loss per rate.
    """
    lr, loss = np.asarray(lr, np.float64), np.asarray(loss, np.float64)
    if lr.ndim != 1 or lr.shape != loss.shape:
        raise InputError(
            "A curve must have one loss per rate, in one dimension. "
            f"Received: shapes {lr.shape} and {loss.shape}. Pass one seed's curve."
        )
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(~(np.isfinite(lr) & (np.diff(lr, prepend=0.0) > 0)))
    if len(wrong):
        raise InputError(
            "The learning rates must be finite, above 0 and rise from step to step. "
            f"Received: {lr[wrong[0]]:g} at point {wrong[0] + 1}. "
            "Pass one sweep, in the order of its steps."
        )
    return lr, loss


def _trimmed(loss: Array, planned: int) -> tuple[int, int]:
    """Return the first and last point (exclusive) that fastai's rules use.

    They leave out the first tenth of the planned sweep, the last five points, and all points from
    the first nan on.
    """
    start, stop = planned // 10, max(len(loss) - 5, planned // 10)
    nans = np.flatnonzero(np.isnan(loss[start:stop]))
    return start, start + int(nans[0]) if len(nans) else stop


def _too_few(left: int, needed: int) -> str:
    return f"{left} points are left after leaving out both ends, {needed} are needed"


def _longest_fall(loss: Array) -> tuple[int, int]:
    """Return the last point and the length of the longest strictly falling subsequence.

    Of several equally long ones, the first counts.
    """
    ends: list[float] = []  # ends[k]: highest last loss of a fall of k + 1 points, negated
    last, longest = 0, 1
    for point, value in enumerate((-loss).tolist()):
        if math.isnan(value):
            continue
        length = bisect_left(ends, value)
        ends[length : length + 1] = [value]
        if length + 1 > longest:
            last, longest = point, length + 1
    return last, longest


def _valley_of(loss: Array) -> tuple[int, str]:
    last, length = _longest_fall(loss)
    if length == 1:
        return 0, "first rate that the rule uses, because the loss never falls"
    # The tools count back by the length of the subsequence, although it may skip points.
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
        return start, "first rate that the rule uses, because its window never stopped"
    point = len(steep) - max(int(still[0]), 1)
    return start + point, "left end of the sliding window"


def _minimum(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    start, stop = _trimmed(loss, planned)
    if start >= stop:
        return _too_few(0, 1)
    return start + int(np.argmin(loss[start:stop])), "a tenth of the rate of the lowest loss"


def _steep(lr: Array, loss: Array, planned: int) -> Choice:
    start, stop = _trimmed(loss, planned)
    if stop - start < 2:
        return _too_few(stop - start, 2)
    slopes = np.diff(loss[start:stop]) / np.diff(np.log(lr[start:stop]))
    return start + int(np.argmin(slopes)), "steepest fall over log(rate)"


def _lightning(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    points = np.arange(10, max(len(loss) - 1, 10))
    points = points[np.isfinite(loss[points])]
    if len(points) < 2:
        return _too_few(len(points), 2)
    slopes = np.gradient(loss[points], lr[points])
    return int(points[np.argmin(slopes)]), "steepest fall over the rate"


def _torch_lr_finder(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    if len(loss) < 17:
        return f"{len(loss)} points were recorded, 17 are needed"
    return _steepest(np.gradient(loss[10:-5]), start=10)


def _ignite(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    lowest = int(np.argmin(loss))  # the first nan, where there is one
    if lowest < 2:
        return f"the loss is lowest at point {lowest + 1}, but the rule needs 2 before"
    slopes = (loss[2 : lowest + 1] - loss[: lowest - 1]) / 2
    return _steepest(slopes, start=1)


def _ktrain(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    lowest = int(np.argmin(loss))
    if lowest < 34:
        return f"the loss is lowest at point {lowest + 1}, but the rule needs 34 before"
    # start is 0 although the slice begins at 32. This fault is ktrain's.
    slopes = np.gradient(loss[32:lowest])
    return _steepest(slopes, start=0, words="steepest fall, 32 points too early")


def _ktrain_minimum(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    return int(np.argmin(loss)), "a tenth of the rate of the lowest loss"


def _ktrain_valley(lr: Array, loss: Array, planned: int) -> Choice:  # noqa: ARG001
    return _valley_of(loss)


def _steepest(
    slopes: Array, *, start: int, words: str = "steepest fall from step to step"
) -> tuple[int, str]:
    # numpy and torch both treat nan as the lowest value.
    if np.isnan(slopes).any():
        words = "rate at which the loss became nan"
    return start + int(np.argmin(slopes)), words


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


def peer_suggestions(lr: Array, loss: Array) -> list[Suggestion]:
    """Return the suggestion of every rule for one seed's raw losses.

    Raises:
        InputError: the rates do not rise, or there is not one loss per rate.
    """
    lr, loss = checked_curve(lr, loss)
    tools = dict.fromkeys(rule.tool for rule in PEER_RULES.values())
    recorded = {tool: tool.records(loss) for tool in tools}  # shared, as a long one takes seconds
    return [rule.of_recorded(lr, recorded[rule.tool]) for rule in PEER_RULES.values()]
