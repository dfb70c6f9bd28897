"""Reads the losses of a file: as they are, or with the smoothing of a tool undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Array
from lrcycles.range_tests.noise import noise
from lrcycles.range_tests.recorded import averages
from lrcycles.range_tests.recorded.averages import KEPT, KEPT_FROM_FIRST

Undo = Callable[[Array], Array]


@dataclass(frozen=True)
class Reading:
    """A way to read the losses, and how the user chooses it.

    Attributes:
        undo: gives a seed's raw losses for its losses in the file; None where they are raw.
        option: of the command `lrcycles suggest`.
        condition: when this reading is right, such as "if the losses are raw".
    """

    undo: Undo | None
    option: str
    condition: str

    def raw_losses(self, loss: Array) -> Array:
        """Return one seed's raw losses; steps without a loss stay so."""
        return loss if self.undo is None else self.undo(loss)

    def is_possible(self, loss: Array) -> bool:
        """Return whether no raw loss would be below zero; of negative losses, whether quiet."""
        if not np.isfinite(loss).any() or np.nanmin(loss) < 0:
            return self.is_quiet(loss)
        return not (self.raw_losses(loss) < -0.01 * np.nanmedian(loss)).any()

    def is_quiet(self, loss: Array) -> bool:
        """Return whether the raw losses would have less noise than half the fall of the loss."""
        raw, seen = (values[np.isfinite(values)] for values in (self.raw_losses(loss), loss))
        if len(raw) < 3 or len(seen) < 3:
            return False
        return bool(noise(raw) < 0.5 * (np.median(seen[:10]) - seen.min()))


RAW = Reading(None, "--smoothed-by nobody", "if the losses are raw")


def _corrected(kept: float | None) -> Undo:
    return averages.corrected(KEPT if kept is None else kept).undo


def _from_first(kept: float | None) -> Undo:
    return averages.from_first(KEPT_FROM_FIRST if kept is None else kept).undo


def _flair(kept: float | None) -> Undo:
    weight = KEPT if kept is None else kept

    def undo(loss: Array) -> Array:
        late = _flattest(loss[1:], weight, (1, 2))  # 2: later versions of flair
        return averages.after_first(weight, late=late).undo(loss)

    return undo


def _lightning(kept: float | None) -> Undo:
    weight = KEPT if kept is None else kept
    return lambda loss: averages.corrected(weight, late=late_start(loss, weight)).undo(loss)


# Each tool's way to undo its average, for the weight of the previous average (None: its default).
TOOLS: Mapping[str, Callable[[float | None], Undo]] = MappingProxyType(
    {
        "fastai": _corrected,
        "ktrain": _corrected,
        "lightning": _lightning,
        "torch-lr-finder": _from_first,
        "ignite": _from_first,
        "flair": _flair,
    }
)


def late_start(loss: Array, kept: float = KEPT) -> int:
    """Return by how many steps Lightning's count of the weights was ahead at the first loss.

    It is 1 in a new training, 0 in old versions, and more where `lr_find` was called after some
    steps of a training. At the first rates of a sweep the loss neither doubles nor halves: where
    it seems to, the count was another one.
    """
    raw = averages.corrected(kept, late=1).undo(loss[:6])
    ratio = raw[0] / np.median(raw[1:])
    if ratio > 1.6:
        return 0
    if not ratio < 0.6:
        return 1
    return _flattest(loss, kept, (1, *range(2, 400), 10_000))


def _flattest(loss: Array, kept: float, possible: Sequence[int]) -> int:
    """Return the start with which the first raw losses are the most equal.

    Of starts about as good, it is the first one if that is among them, else the last one.
    """
    first = loss[: max(15, min(len(loss) // 4, 30))]
    spread: dict[int, float] = {}
    for late in possible:
        raw = averages.corrected(kept, late=late).undo(first)
        spread[late] = float(np.std(raw) / abs(np.mean(raw)))
    least = min(spread.values())
    if not np.isfinite(list(spread.values())).all() or spread[possible[0]] <= 1.5 * least:
        return possible[0]
    return max(late for late, value in spread.items() if value <= 1.1 * least)


def _past_gaps(undo: Undo) -> Undo:
    """Undo an average that its tool does not change at steps without a loss."""

    def undo_there(loss: Array) -> Array:
        raw, there = loss.copy(), ~np.isnan(loss)
        raw[there] = undo(loss[there])
        return raw

    return undo_there


def by_tool(
    tool: str, *, smoothing: float | None = None, epoch_steps: int | None = None
) -> Reading:
    """Return the reading of losses that a tool smoothed.

    Args:
        tool: one of `TOOLS`.
        smoothing: the weight of the previous average; by default the tool's own.
        epoch_steps: the steps of an epoch, where Keras took a running mean before the tool did.
    """
    undo = _past_gaps(TOOLS[tool](smoothing))
    option = f"--smoothed-by {tool}" + ("" if smoothing is None else f" --smoothing {smoothing:g}")
    condition = f"if {tool} smoothed the losses"
    if epoch_steps is None:
        return Reading(undo, option, condition)
    of_keras = averages.running_mean(epoch_steps).undo
    return Reading(
        lambda loss: of_keras(undo(loss)), f"{option} --running-mean-of {epoch_steps}", condition
    )


def by_keras(epoch_steps: int) -> Reading:
    """Return the reading of the mean loss of the epoch so far."""
    return Reading(
        averages.running_mean(epoch_steps).undo,
        f"--running-mean-of {epoch_steps}",
        "if each loss is the mean of its epoch so far",
    )


def chosen_reading(
    smoothed_by: str | None,
    smoothing: float | None,
    running_mean_of: int | None,
    steps_per_epoch: int | None,
) -> Reading | None:
    """Return the reading that the user chose; None where the user chose none.

    Raises:
        InputError: a value is wrong, or the values do not go together.
    """
    if smoothed_by is not None and smoothed_by not in (*TOOLS, "nobody"):
        raise InputError(
            f"smoothed_by must be nobody or one of {', '.join(TOOLS)}. "
            f"Received: {smoothed_by!r}. Choose one of them."
        )
    if smoothing is not None and not 0 <= smoothing < 1:
        raise InputError(
            "smoothing, the weight of the previous average, must be at least 0 and below 1. "
            f"Received: {smoothing}. Set a value such as 0.98."
        )
    if smoothing is not None and smoothed_by in (None, "nobody"):
        raise InputError(
            "smoothing must come with the tool that smoothed the losses. "
            f"Received: smoothing {smoothing:g}, smoothed_by {smoothed_by}. "
            "Add smoothed_by (--smoothed-by fastai)."
        )
    if running_mean_of is not None and running_mean_of < 1:
        raise InputError(
            "running_mean_of, the steps of an epoch, must be at least 1. "
            f"Received: {running_mean_of}. Set the number of mini-batches in an epoch."
        )
    if smoothed_by == "ktrain" and running_mean_of is None:
        running_mean_of = steps_per_epoch  # ktrain averages what Keras reports
    if smoothed_by in (None, "nobody"):
        if running_mean_of is not None:
            return by_keras(running_mean_of)
        return RAW if smoothed_by else None
    return by_tool(smoothed_by, smoothing=smoothing, epoch_steps=running_mean_of)
