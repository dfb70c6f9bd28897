"""Recognises which tool wrote a range test's history and how the tool smoothed the losses."""

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
_LIGHTNING_LOG = {"epoch", "step"}  # written by CSVLogger: one row per call, raw losses
_KERAS = {"epoch", "iterations", "learningrate", "accuracy", "valloss", "valaccuracy"}


def recognise(
    names: set[str], table: pd.DataFrame, smoothed_by: str | None
) -> tuple[str, Average | None, list[str]]:
    """Recognise the tool that wrote a history.

    Args:
        names: the names of the file's columns, in lower case and without "_".
        table: the columns seed, lr and loss, in the order of the steps.
        smoothed_by: one of `AVERAGES`, or nobody, where the user names the tool.

    Returns:
        A description of the source, the average that smoothed the losses (None for raw losses),
        and notes for the user.

    Raises:
        InputError: `smoothed_by` is unknown.
    """
    if smoothed_by is not None:
        if smoothed_by not in (*AVERAGES, "nobody"):
            raise InputError(
                f"smoothed_by must be nobody or one of {', '.join(AVERAGES)}. "
                f"Received: {smoothed_by!r}. Choose one of them."
            )
        return f"history smoothed by {smoothed_by}", AVERAGES.get(smoothed_by), []
    if {"seed", "step"} <= names:
        return "lrcycles range test", None, []
    if names >= _LIGHTNING_LOG:
        return "Lightning log", None, []
    if names & _KERAS:
        source = "CyclicLR callback history" if "iterations" in names else "Keras history"
        lag = (
            "Keras reports the mean loss since the start of the epoch. This mean follows the "
            "learning rate with a delay."
        )
        return source, None, [lag]
    lr = table[table["seed"] == table["seed"].iloc[0]]["lr"].to_numpy()
    skipped = np.isclose(np.log(lr[1] / lr[0]), 2 * np.log(lr[2] / lr[1]), rtol=1e-3)
    # Lightning's schedule leaves out its second rate. An average of another tool is ruled out if
    # undoing it gives losses below zero: then it was not there, or it had a smaller weight.
    if skipped:
        possible = ["lightning"]
    elif {"lrs", "losses"} <= names:  # the names in fastai's and ktrain's recorders
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
    """Return whether the noise more than doubles within the first twenty steps.

    It grows fourfold where the losses were averaged from the first loss on, but the average was
    undone as one that starts at 0.
    """
    bends = np.abs(np.diff(loss[:20], 2)) + 1e-3 * abs(loss[0])  # above 0 also without noise
    half = len(bends) // 2
    return bool(np.mean(bends[half:]) > 2 * np.mean(bends[:half]))


def undone(table: pd.DataFrame, average: Average) -> pd.Series[float]:
    """Undo a tool's average for each seed, and return the raw losses."""
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf, where a loss was infinite
        return table.groupby("seed")["loss"].transform(lambda loss: average.undo(loss.to_numpy()))
