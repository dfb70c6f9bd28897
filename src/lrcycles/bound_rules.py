"""Between which bounds should the rate cycle, judging by the curves of a range test?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrcycles.curve_reading import Reading, smith
from lrcycles.errors import InputError
from lrcycles.schedules import cycle_step_size

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Rule = Callable[[int, "pd.DataFrame", float | None], Reading]

RULES: Mapping[str, Rule] = MappingProxyType({"smith": smith})
WIDE_SPREAD_DECADES = 0.3  # a factor of two between seeds


@dataclass(frozen=True)
class Bounds:
    """The chosen bounds, in the keys of bounds.json. Rates have three significant digits."""

    base_lr: float
    max_lr: float
    cycles: int
    step_size: int | None
    rule: str
    status: str
    reasons: list[str]
    warnings: list[str]
    interval: dict[str, Any]
    schema: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Give the content of bounds.json."""
        return asdict(self)


def select_bounds(
    curves: pd.DataFrame,
    *,
    rule: str = "smith",
    initial_accuracy: Mapping[int, float] | None = None,
    cycles: int,
    total_steps: int | None,
    steps_per_epoch: float | None,
) -> Bounds:
    """Choose base_lr and max_lr from range-test curves, and step_size from the length of training.

    Args:
        curves: columns seed, step, lr, loss, accuracy (NaN where it was not measured).
        initial_accuracy: by seed, before the first step; without it the first measurement counts.
        total_steps: of the training to come; without it step_size is None.

    Raises:
        InputError: an unknown rule, or half of the seeds or more show no start or no end.
    """
    if rule not in RULES:
        raise InputError(f"unknown bounds.rule {rule!r}: need one of {', '.join(sorted(RULES))}")
    readings = _read_all(curves, RULES[rule], initial_accuracy)
    whole = [r for r in readings if r.base_lr is not None and r.max_lr is not None]
    if 2 * len(whole) <= len(readings):
        raise InputError(_what_is_missing(readings, curves["lr"]))
    low, high = (np.array([getattr(r, name) for r in whole]) for name in ("base_lr", "max_lr"))
    base_lr, max_lr = _median(low), _median(high)
    if base_lr >= max_lr:
        raise InputError(
            f"need base_lr < max_lr, got base_lr={base_lr}, max_lr={max_lr} from the range test: "
            "raise range_test.steps, so that start and end of the rise lie apart"
        )
    step_size = None if total_steps is None else cycle_step_size(total_steps, cycles)
    interval = {"base_lr": _interval(low), "max_lr": _interval(high)}
    partial = [r for r in readings if r not in whole]
    rates = [(r.seed, r.base_lr, r.max_lr) for r in readings]
    per_seed = [
        {"seed": s, "base_lr": b and _rounded(b), "max_lr": m and _rounded(m)} for s, b, m in rates
    ]
    return Bounds(
        base_lr=base_lr,
        max_lr=max_lr,
        cycles=cycles,
        step_size=step_size,
        rule=rule,
        status="ok",
        reasons=_reasons(readings, whole, base_lr, max_lr),
        warnings=_warnings(interval, partial, cycles, step_size, steps_per_epoch),
        interval={**interval, "per_seed": per_seed},
    )


def _read_all(
    curves: pd.DataFrame,
    read: Rule,
    initial_accuracy: Mapping[int, float] | None,
) -> list[Reading]:
    needed = ["seed", "step", "lr", "loss", "accuracy"]
    if missing := [name for name in needed if name not in curves]:
        raise InputError(
            f"range-test curves need columns {', '.join(needed)}, missing {', '.join(missing)}: "
            "run the range test again"
        )
    if curves.empty:
        raise InputError("range-test curves are empty: run the range test again")
    known = initial_accuracy or {}
    # JSON turns seeds into strings; both spellings are meant.
    known = {int(seed): accuracy for seed, accuracy in known.items()}
    return [
        read(int(seed), curve.sort_values("step"), known.get(int(seed)))
        for seed, curve in curves.groupby("seed", sort=True)
    ]


def _what_is_missing(readings: list[Reading], lr: pd.Series[float]) -> str:
    """Say which bound does not show, over which rates, and what to change."""
    of, rates = len(readings), f"rates {lr.min():.3g} to {lr.max():.3g}"
    no_start = [r for r in readings if r.base_lr is None]
    if 2 * len(no_start) >= of:
        change = "lower range_test.min_lr"
        if "begun" not in no_start[0].start:
            change = "change range_test.min_lr and range_test.max_lr, or raise range_test.steps"
        return (
            f"no start of learning shows in {len(no_start)} of {of} seeds over {rates}: "
            f"{no_start[0].start} (seed {no_start[0].seed}); {change}"
        )
    no_end = [r for r in readings if r.max_lr is None]
    return (
        f"no end of learning shows in {len(no_end)} of {of} seeds over {rates}: "
        f"{no_end[0].end} (seed {no_end[0].seed}); raise range_test.max_lr or range_test.steps"
    )


def _reasons(
    readings: list[Reading], whole: list[Reading], base_lr: float, max_lr: float
) -> list[str]:
    of = f"median of {len(whole)} of {len(readings)} seeds, 3 significant digits"
    return [
        f"base_lr {base_lr:g}: there held-out accuracy began to rise ({of})",
        f"max_lr {max_lr:g}: there it slowed, became ragged or was about to fall ({of})",
        *(f"seed {r.seed}: {r.start}; {r.end}" for r in readings),
    ]


def _warnings(
    interval: Mapping[str, Mapping[str, float | None]],
    missing: list[Reading],
    cycles: int,
    step_size: int | None,
    steps_per_epoch: float | None,
) -> list[str]:
    found = [
        f"{name} differs between seeds by {spread:.2f} decades (sd), more than "
        f"{WIDE_SPREAD_DECADES}: raise range_test.seeds or range_test.steps"
        for name, of in interval.items()
        if (spread := of["spread_decades"]) is not None and spread > WIDE_SPREAD_DECADES
    ]
    if missing:
        seeds = ", ".join(str(r.seed) for r in missing)
        found.append(f"left out, since no start or no end shows: seeds {seeds}")
    if cycles < 3:
        found.append(f"{cycles} cycles: Smith advises at least 3")
    if step_size is not None and steps_per_epoch is not None and step_size < 2 * steps_per_epoch:
        found.append(
            f"half a cycle is {step_size / steps_per_epoch:.1f} epochs: Smith advises 2 to 10; "
            "lower train.cycles or raise train.epochs"
        )
    return found


def _median(rates: Array) -> float:
    return _rounded(10 ** float(np.median(np.log10(rates))))


def _interval(rates: Array) -> dict[str, float | None]:
    """Give the range over the seeds and, from two seeds on, the sd of log10."""
    spread = float(np.std(np.log10(rates), ddof=1)) if len(rates) > 1 else None
    return {
        "low": _rounded(rates.min()),
        "high": _rounded(rates.max()),
        "spread_decades": spread if spread is None else round(spread, 3),
    }


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
