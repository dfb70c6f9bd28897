"""Decides by a column's name what the column holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_HELDOUT = {"val", "valid", "validation", "eval", "evaluation", "test", "testing", "dev"}
_HELDOUT |= {"heldout", "holdout"}
_RATE = {"lr", "lrs", "learning", "rate", "rates"}
_NOT_A_RATE = re.compile(
    r"\b(momentum|betas?\d?|weight decay|wd|eps|epsilon|lr decay|rate decay|gamma|dropout|mult|"
    r"multiplier|scaler?|factor|min|max|(log|log10) (lrs?|learning)|"
    r"(base|initial|init|target|start|end|final|warmup) (lrs?|learning))\b"
)
_LOSS = {"loss", "losses"}
_STEP = {"step", "steps", "iteration", "iterations", "iter", "iters", "batch", "batches"}
# Words that do not change what a column is.
_FILLERS = {"train", "training", "trainer", "global", "current", "mini", "minibatch", "optimizer"}
_FILLERS |= {"total", "raw", "value", "idx", "index", "num", "number", "opt"}
_GLUED = re.compile(
    "(train|training|batch|smooth|val|valid|validation|eval|test|dev|heldout|learning)"
    "(loss|losses|acc|accuracy|rate|rates)"
)


@dataclass(frozen=True)
class Wanted:
    """The columns that the user names; None where the file's names decide."""

    lr: str | None = None
    loss: str | None = None


@lru_cache(maxsize=50_000)
def words(name: str) -> tuple[str, ...]:
    """Split a column's name into words in lower case.

    >>> words("train/Loss_step"), words("LearningRate"), words("lr-SGD/pg1"), words("valLoss.1")
    (('train', 'loss', 'step'), ('learning', 'rate'), ('lr', 'sgd', 'pg1'), ('val', 'loss'))
    """
    name = re.sub(r"\.\d+$", "", name)  # pandas numbers columns of the same name
    name = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()
    name = re.sub(r"\bheld[ _-]out|\bhold[ _-]out", "heldout", name)
    parts = re.split(r"[^a-z0-9]+", name)
    split = [match.groups() if (match := _GLUED.fullmatch(part)) else (part,) for part in parts]
    return tuple(word for glued in split for word in glued if word)


def is_heldout(name: str) -> bool:
    """Return whether the column is of validation or test data."""
    return bool(_HELDOUT & set(words(name)))


def rate_rank(name: str) -> int | None:
    """Return 0 for the learning rate, 1 for the rate of one group or optimizer, None for others."""
    named = {re.sub(r"^lr\d+$", "lr", word) for word in words(name)}
    alone = bool(named) and named <= {"rate", "rates"}
    rate = named & {"lr", "lrs"} or ("learning" in named and named & {"rate", "rates"}) or alone
    if not rate or named & (_HELDOUT | _LOSS) or _NOT_A_RATE.search(" ".join(words(name))):
        return None
    numbered = re.search(r"lr\d", name.lower())
    return 1 if numbered or named - _RATE - _FILLERS - _STEP else 0


def loss_rank(name: str) -> int | None:
    """Return a rank for training losses, None for others.

    The ranks are 0 for the loss of a step, 1 for the loss, 2 for means of an epoch, and 3 for a
    loss with an unknown word in its name, such as a part of the loss.
    """
    named = set(words(name))
    if not named & _LOSS or named & _HELDOUT:
        return None
    rest = named - _LOSS - _FILLERS
    if not rest:
        return 1
    if rest <= _STEP:
        return 0
    return 2 if rest <= {"epoch", "epochs", "mean", "avg", "average"} else 3


def is_step(named: Sequence[str]) -> bool:
    """Return whether these words name the number of a step."""
    rest = set(named) - _FILLERS
    return bool(rest) and rest <= _STEP


def _is_metric(named: Sequence[str], *kinds: str) -> bool:
    return bool(set(named) & set(kinds) and set(named) & _HELDOUT)


OTHERS: dict[str, Callable[[Sequence[str]], bool]] = {
    "seed": lambda named: named in (("seed",), ("run",)),
    "step": is_step,
    "epoch": lambda named: set(named) - _FILLERS == {"epoch"},
    "heldout_loss": lambda named: _is_metric(named, "loss", "losses"),
    "accuracy": lambda named: _is_metric(named, "acc", "accuracy"),
}


def may_matter(name: str, wanted: Wanted) -> bool:
    """Return whether a column may hold rates, losses or something else that lrcycles reads."""
    metric = name.rsplit(" - ", 1)[-1]  # W&B writes "run - name"
    if metric.lower() in ("accuracy", "value") or {name, metric} & {wanted.lr, wanted.loss}:
        return True
    if rate_rank(metric) is not None or loss_rank(metric) is not None:
        return True
    return any(is_one(words(metric)) for is_one in OTHERS.values())


def is_sweep(names: Iterable[str], wanted: Wanted) -> bool:
    """Return whether there are names of a learning rate and of a loss."""
    names = list(names)
    rate = wanted.lr in names or any(rate_rank(name) is not None for name in names)
    return rate and (wanted.loss in names or any(loss_rank(name) is not None for name in names))
