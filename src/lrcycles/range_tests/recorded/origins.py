"""Who wrote a range test's history, and how were its losses smoothed?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Array
from lrcycles.range_tests.recorded import averages
from lrcycles.range_tests.recorded.averages import Average

if TYPE_CHECKING:
    import pandas as pd

AVERAGES = {
    "fastai": averages.FASTAI,
    "ktrain": averages.KTRAIN,
    "lightning": averages.LIGHTNING,
    "torch-lr-finder": averages.LR_FINDER,
    "ignite": averages.LR_FINDER,
}
_SOURCES = {
    "fastai": "fastai or ktrain history",
    "lightning": "Lightning history",
    "torch-lr-finder": "torch-lr-finder or ignite history",
}
_LIGHTNING_LOG = {"epoch", "step"}  # its CSVLogger's; each row is of one call, losses are raw
_KERAS = {"epoch", "iterations", "learningrate", "accuracy", "valloss", "valaccuracy"}


def recognise(
    names: set[str], table: pd.DataFrame, smoothed_by: str | None
) -> tuple[str, Average | None, list[str]]:
    """Which tool wrote this, how did it smooth, and what must a reader know?

    Args:
        names: the file's columns, in lower case and without "_".
        table: columns seed, lr and loss, in the order of the steps.
        smoothed_by: one of `AVERAGES` or nobody, if the user has said so.

    Raises:
        InputError: `smoothed_by` is neither.
    """
    if smoothed_by is not None:
        if smoothed_by not in (*AVERAGES, "nobody"):
            raise InputError(
                f"need smoothed_by to be nobody or one of {', '.join(AVERAGES)}, "
                f"got {smoothed_by!r}"
            )
        return f"history smoothed by {smoothed_by}", AVERAGES.get(smoothed_by), []
    if {"seed", "step"} <= names:
        return "lrcycles range test", None, []
    if names >= _LIGHTNING_LOG:
        return "Lightning log", None, []
    if names & _KERAS:
        source = "CyclicLR callback history" if "iterations" in names else "Keras history"
        lag = "Keras reports the mean loss of the epoch so far, which lags behind the rates"
        return source, None, [lag]
    lr = table[table["seed"] == table["seed"].iloc[0]]["lr"].to_numpy()
    skipped = np.isclose(np.log(lr[1] / lr[0]), 2 * np.log(lr[2] / lr[1]), rtol=1e-3)
    # Lightning's schedule leaves out its second rate. The others' averages tell themselves by
    # what cannot be: undoing one that was not there, or kept less, gives losses below zero.
    if skipped:
        possible = ["lightning"]
    elif {"lrs", "losses"} <= names:  # as fastai's and ktrain's recorders call them
        possible = ["fastai"]
    elif _noise_grows(undone(table, AVERAGES["fastai"])[: len(lr)].to_numpy()):
        possible = ["torch-lr-finder"]
    else:
        possible = ["fastai", "torch-lr-finder"]
    for tool in possible:
        if not (undone(table, AVERAGES[tool]) < -0.01 * table["loss"].median()).any():
            return _SOURCES[tool], AVERAGES[tool], []
    return "history of rates and losses", None, []


def _noise_grows(loss: Array) -> bool:
    """Whether the noise more than doubles within the first twenty steps.

    So it does, fourfold, where an average that starts at the first loss was undone as one that is
    corrected for its start at 0.
    """
    bends = np.abs(np.diff(loss[:20], 2)) + 1e-3 * abs(loss[0])  # some have no noise
    half = len(bends) // 2
    return bool(np.mean(bends[half:]) > 2 * np.mean(bends[:half]))


def undone(table: pd.DataFrame, average: Average) -> pd.Series[float]:
    """The losses before a tool's average, seed by seed."""
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf, once a sweep has diverged
        return table.groupby("seed")["loss"].transform(lambda loss: average.undo(loss.to_numpy()))
