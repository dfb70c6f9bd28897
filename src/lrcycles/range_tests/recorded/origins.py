"""Recognises which tool wrote a history, and whether the tool smoothed the losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lrcycles.range_tests.curves import Array
from lrcycles.range_tests.recorded.names import words
from lrcycles.range_tests.recorded.readings import RAW, Reading, by_keras, by_tool, late_start

if TYPE_CHECKING:
    import pandas as pd

PLAIN = "history of rates and losses"
_RUNNING_MEAN = (
    "Keras reports the mean loss since the start of the epoch. This mean follows the learning rate "
    "with a delay. To undo it, give the number of steps in an epoch as running_mean_of "
    "(--running-mean-of STEPS)."
)
_EPOCH_MEANS = "Each loss of a Keras history is the mean of a whole epoch."
KTRAIN_MEAN = (
    "ktrain averages what Keras reports, the mean loss since the start of the epoch. This mean "
    "is still there and follows the learning rate with a delay. To undo it, give the number of "
    "steps in an epoch as steps_per_epoch (--steps-per-epoch STEPS)."
)
_LRS = (
    "fastai, ktrain and keras_lr_finder write the names lrs and losses. lrcycles undoes the "
    "average of fastai and ktrain. If ktrain wrote the file, add smoothed_by and steps_per_epoch "
    "(--smoothed-by ktrain --steps-per-epoch STEPS). If keras_lr_finder wrote it, add "
    "running_mean_of (--running-mean-of STEPS)."
)


@dataclass(frozen=True)
class Origin:
    """Which tool wrote a history, how its losses are read, and how else they could be read.

    Attributes:
        doubt: why there is another reading; empty where there is none.
    """

    source: str
    reading: Reading
    notes: Sequence[str] = ()
    other: Reading | None = None
    doubt: str = ""


def recognise(
    names: Iterable[str], rows: pd.DataFrame, *, steps_per_epoch: int | None = None
) -> Origin:
    """Recognise the tool that wrote a history, by the names of the columns and by the rates.

    An average is undone only where the file leaves no doubt about it. Low noise alone is doubt:
    then the losses are read as raw, and `Origin.other` undoes the average.

    Args:
        names: the names of the file's columns.
        rows: the columns seed, lr and loss, in the order of the steps.
        steps_per_epoch: mini-batches in an epoch, where the user knows them.
    """
    written = {name.lower() for name in names}
    spelled = {"".join(words(name)) for name in names}
    first = rows[rows["seed"] == rows["seed"].iloc[0]]
    lr, loss = first["lr"].to_numpy(), first["loss"].to_numpy()
    if {"batch/loss", "batch/learning_rate"} <= written:  # W&B's callback for Keras
        return _of_keras("Keras history", steps_per_epoch)
    log = _log(written)
    if log is not None:
        return Origin(log, RAW)
    if written == {"iteration", "timestamp", "learning_rate", "train_loss"}:
        return _of_tool("flair learning-rate finder", by_tool("flair"), loss)
    if {"iterations", "lr", "loss"} <= written:
        return _of_keras("CyclicLR callback history", steps_per_epoch)
    if _is_keras_history(written, first):
        return Origin("Keras history", RAW, [_EPOCH_MEANS])
    if _skips_second(lr) or _skips_second(np.log(np.where(lr > 0, lr, np.nan))):
        return _of_tool("Lightning history", by_tool("lightning"), loss, *_later(loss))
    if {"lrs", "losses"} <= spelled:
        return _of_recorder(loss, steps_per_epoch)
    return _plain(loss)


def _log(written: set[str]) -> str | None:
    """Return the name of a log, which holds the losses as they were logged."""
    if {"_step", "_runtime"} <= written or any(" - " in name for name in written):
        return "Weights & Biases export"
    if {"seed", "step", "lr", "loss"} <= written:
        return "lrcycles range test"
    if "step" in written and any(name.startswith("lr-") for name in written):
        return "Lightning log"
    if {"epoch", "step", "learning_rate", "loss"} <= written:
        return "Trainer log"  # of transformers
    if {"epoch", "timestamp", "learning_rate"} <= written:
        return "flair log"
    return "training log" if {"epoch", "step"} <= written else None


def _is_keras_history(written: set[str], rows: pd.DataFrame) -> bool:
    """Return whether each metric has its `val_` partner, and each row is an epoch."""
    metrics = written - {"epoch", "lr", "learning_rate", "unnamed: 0"}
    own = {name for name in metrics if not name.startswith("val_")}
    paired = {f"val_{name}" for name in own} == metrics - own
    epochs = "epoch" in rows and rows["epoch"].is_unique
    return paired and "loss" in own and (epochs or len(own) > 1)


def _skips_second(values: Array) -> bool:
    """Return whether the first step is twice as long as the next ones, as Lightning's schedule."""
    steps = np.diff(values[:20])
    if len(steps) < 3 or not np.isfinite(steps).all() or not (steps > 0).all():
        return False
    relative = steps / steps[1:].mean()
    return bool(abs(relative[0] - 2) < 0.04 and (np.abs(relative[1:] - 1) < 0.02).all())


def _later(loss: Array) -> list[str]:
    steps = late_start(loss[~np.isnan(loss)]) - 1
    if steps < 1:
        return []
    return [
        "Lightning divides the first losses as if training had gone on for "
        f"{'400 steps or more' if steps >= 400 else f'about {steps} steps'} before lr_find. "
        "lrcycles undoes the average for this start."
    ]


def _of_tool(source: str, reading: Reading, loss: Array, *notes: str) -> Origin:
    """Undo a tool's average; read raw losses, in doubt, if some would then be below zero."""
    if reading.is_possible(loss):
        return Origin(source, reading, notes)
    if not reading.is_quiet(loss):
        return Origin(PLAIN, RAW)
    doubt = (
        f"The file looks like a {source}, which holds smoothed losses, but some losses are below "
        "zero if the average is undone."
    )
    return Origin(PLAIN, RAW, other=reading, doubt=doubt)


def _of_keras(source: str, steps_per_epoch: int | None) -> Origin:
    if steps_per_epoch is None:
        return Origin(source, RAW, [_RUNNING_MEAN])
    doubt = (
        "Keras reports the mean loss since the start of the epoch, but before TensorFlow 2.2 it "
        "reported the loss of the mini-batch. The file does not name the version."
    )
    return Origin(source, RAW, other=by_keras(steps_per_epoch), doubt=doubt)


def _of_recorder(loss: Array, steps_per_epoch: int | None) -> Origin:
    fastai, source = by_tool("fastai"), "fastai or ktrain history"
    if steps_per_epoch is None or not fastai.is_possible(loss):
        return _of_tool(source, fastai, loss, _LRS)
    ktrain = by_tool("ktrain", epoch_steps=steps_per_epoch)
    doubt = (
        "fastai and ktrain write the same names, but ktrain averages what Keras reports, the mean "
        "loss since the start of the epoch."
    )
    return Origin(source, fastai, other=replace(ktrain, option="--smoothed-by ktrain"), doubt=doubt)


def _plain(loss: Array) -> Origin:
    """Read the losses as raw; name another reading if they are as smooth as an average."""
    fastai, finder = by_tool("fastai"), by_tool("torch-lr-finder")
    likely = [finder] if _noise_grows(fastai.raw_losses(loss)) else [fastai, finder]
    smooth = [one for one in likely if one.is_possible(loss) and one.is_quiet(loss)]
    if not smooth:
        return Origin(PLAIN, RAW)
    doubt = (
        "The losses have so little noise that a tool may have smoothed them. The file does not "
        "settle this."
    )
    return Origin(PLAIN, RAW, other=smooth[0], doubt=doubt)


def _noise_grows(loss: Array) -> bool:
    """Return whether the noise more than doubles within the first twenty steps.

    It grows fourfold where the losses were averaged from the first loss on, but the average was
    undone as one that starts at 0.
    """
    loss = loss[np.isfinite(loss)][:20]
    if len(loss) < 6:
        return False
    bends = np.abs(np.diff(loss, 2)) + 1e-3 * abs(loss[0])  # above 0 also without noise
    half = len(bends) // 2
    return bool(np.mean(bends[half:]) > 2 * np.mean(bends[:half]))
