"""Between which bounds should the rate cycle, judging by the curves of a range test?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from lrcycles.bounds.calibrated import calibrated
from lrcycles.bounds.peers import PEER_RULES, Suggestion
from lrcycles.bounds.smith import Reading, smith
from lrcycles.bounds.thirds import thirds
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Array, Curves, SeedCurve
from lrcycles.schedules.cycles import STEP_SIZE_EPOCHS, check_cycles
from lrcycles.schedules.limits import need_count, run_length
from lrcycles.schedules.table import cycle_step_size

DEFAULT = "calibrated"
WIDE_SPREAD_DECADES = 0.3  # a factor of two between seeds


def _from_one_rate(suggest: Callable[[Array, Array], Suggestion], divisor: float) -> ReadingRule:
    """Bounds of a rule that knows one rate: up to that one, from a part of it."""

    def read(curve: SeedCurve) -> Reading:
        found = suggest(curve.lr, curve.loss)
        if found.lr is None:
            return Reading(curve.seed, None, None, found.reason, found.reason)
        part = f"a {'third' if divisor == 3 else 'fourth'} of max_lr"
        return Reading(curve.seed, found.lr / divisor, found.lr, part, found.reason)

    return read


ReadingRule = Callable[[SeedCurve], Reading]
# Smith 2017, sec. 3.3: base_lr is a third or a fourth of max_lr. The peers name no base_lr.
_OF_ONE_RATE: Mapping[str, ReadingRule] = {
    "thirds": _from_one_rate(thirds, 3),
    **{name: _from_one_rate(rule, 4) for name, rule in PEER_RULES.items()},
}
RULES: Mapping[str, ReadingRule] = MappingProxyType(
    {"calibrated": calibrated, "smith": smith, **_OF_ONE_RATE}
)


@dataclass(frozen=True)
class Bounds:
    """The chosen bounds, in the keys of bounds.json. Rates have three significant digits.

    Attributes:
        step_size: half a cycle in steps; None where neither the length of the training nor that
            of an epoch is known.
        status: ok, or warned where `warnings` are not empty.
        interval: for base_lr and max_lr the least and greatest rate over the seeds ("low", "high")
            and the sd of their log10 ("spread_decades"); "per_seed" has each seed's bounds.
    """

    base_lr: float
    max_lr: float
    cycles: int
    step_size: int | None
    rule: str
    status: str
    reasons: list[str]
    warnings: list[str]
    interval: dict[str, Any]
    steps_per_epoch: int | None = None
    schema: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Give the content of bounds.json."""
        return asdict(self)

    def __str__(self) -> str:
        size = "unknown" if self.step_size is None else f"{self.step_size:,} steps"
        lines = [
            f"base_lr {self.base_lr:g}, max_lr {self.max_lr:g}, {self.cycles} cycles, "
            f"step_size {size} (rule: {self.rule})",
            *(f"{name} {_range_in_words(self.interval[name])}" for name in ("base_lr", "max_lr")),
            *self.reasons,
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)


def select_bounds(
    curves: Curves,
    *,
    rule: str = DEFAULT,
    cycles: int = 3,
    epochs: int | None = None,
    total_steps: int | None = None,
) -> Bounds:
    """Choose base_lr and max_lr from range-test curves, and step_size from the length of training.

    Every seed's curve is read by itself; a bound is the median over the seeds on the logarithmic
    scale.

    Args:
        rule: one of `RULES`: calibrated is ours, smith reads held-out accuracy, the others are
            those of other tools.
        epochs: of the training to come, if `curves` know the steps of an epoch.
        total_steps: instead of `epochs`. Without either, step_size is the shortest half-cycle that
            Smith advises, two epochs.

    Raises:
        InputError: an unknown rule, a length that breaks its rule, half of the seeds or more show
            no bounds, or the training is too short for its cycles.
    """
    per_epoch = curves.steps_per_epoch
    need_count("cycles", cycles)
    total_steps = run_length(epochs, total_steps, per_epoch)
    if rule not in RULES:
        raise InputError(f"unknown rule {rule!r} for bounds: need one of {', '.join(RULES)}")
    readings = [RULES[rule](curve) for curve in curves.by_seed()]
    whole = [r for r in readings if r.base_lr is not None and r.max_lr is not None]
    if 2 * len(whole) <= len(readings):
        raise InputError(_what_is_missing(rule, readings, curves.table["lr"]))
    low, high = (np.array([getattr(r, name) for r in whole]) for name in ("base_lr", "max_lr"))
    base_lr, max_lr = _median(low), _median(high)
    if base_lr >= max_lr:
        raise InputError(
            f"need base_lr < max_lr, got base_lr={base_lr}, max_lr={max_lr} from the range test: "
            "give it more steps, so that start and end of the rise lie apart"
        )
    step_size, why = _step_size(total_steps, cycles, per_epoch)
    interval = {"base_lr": _interval(low), "max_lr": _interval(high)}
    warnings = [
        *_warnings(interval, [r for r in readings if r not in whole]),
        *_unwise_cycles(cycles, step_size, total_steps, per_epoch),
    ]
    return Bounds(
        base_lr=base_lr,
        max_lr=max_lr,
        cycles=cycles,
        step_size=step_size,
        rule=rule,
        status="warned" if warnings else "ok",
        reasons=[*_reasons(rule, readings, whole, base_lr, max_lr), why, *curves.notes],
        warnings=warnings,
        interval={**interval, "per_seed": [_as_entry(r) for r in readings]},
        steps_per_epoch=per_epoch,
    )


def _step_size(
    total_steps: int | None, cycles: int, steps_per_epoch: int | None
) -> tuple[int | None, str]:
    """Half a cycle in steps, and why."""
    if total_steps is not None:
        size = cycle_step_size(total_steps, cycles)
        return size, f"step_size {size}: {cycles} whole cycles in {total_steps:,} steps"
    if steps_per_epoch is None:
        return None, (
            "step_size is not known: neither the length of the training nor that of an epoch is; "
            "give total_steps"
        )
    least, most = STEP_SIZE_EPOCHS
    size = least * steps_per_epoch
    return size, (
        f"step_size {size}: {least} epochs, the least of the {least} to {most} that Smith advises; "
        f"{cycles} cycles take {2 * least * cycles} epochs"
    )


def _what_is_missing(rule: str, readings: Sequence[Reading], lr: Any) -> str:
    """Say which bound does not show, over which rates, and what to change."""
    of, rates = len(readings), f"rates {lr.min():.3g} to {lr.max():.3g}"
    no_start = [r for r in readings if r.base_lr is None]
    if rule in _OF_ONE_RATE:
        return (
            f"rule {rule} has no answer in {len(no_start)} of {of} seeds of the range test over "
            f"{rates}: {no_start[0].end} (seed {no_start[0].seed}); change its min_lr and max_lr, "
            "raise its steps, or take another rule"
        )
    if 2 * len(no_start) >= of:
        change = "lower its min_lr"
        if "begun" not in no_start[0].start:
            change = "change its min_lr and max_lr, or raise its steps"
        return (
            f"no start of learning shows in {len(no_start)} of {of} seeds of the range test over "
            f"{rates}: {no_start[0].start} (seed {no_start[0].seed}); {change}"
        )
    no_end = [r for r in readings if r.max_lr is None]
    return (
        f"no end of learning shows in {len(no_end)} of {of} seeds of the range test over {rates}: "
        f"{no_end[0].end} (seed {no_end[0].seed}); raise its max_lr or its steps"
    )


def _reasons(
    rule: str,
    readings: Sequence[Reading],
    whole: Sequence[Reading],
    base_lr: float,
    max_lr: float,
) -> list[str]:
    of = f"median of {len(whole)} of {len(readings)} seeds, 3 significant digits"
    return [
        f"base_lr {base_lr:g}, max_lr {max_lr:g}: by rule {rule} ({of})",
        # Without any answer both are one sentence.
        *(f"seed {r.seed}: {'; '.join(dict.fromkeys((r.start, r.end)))}" for r in readings),
    ]


def _warnings(
    interval: Mapping[str, Mapping[str, float | None]], missing: Sequence[Reading]
) -> list[str]:
    found = [
        f"{name} differs between seeds by {spread:.2f} decades (sd), more than "
        f"{WIDE_SPREAD_DECADES}: give the range test more seeds or steps"
        for name, of in interval.items()
        if (spread := of["spread_decades"]) is not None and spread > WIDE_SPREAD_DECADES
    ]
    if missing:
        seeds = ", ".join(str(r.seed) for r in missing)
        found.append(f"left out, since they do not show both bounds: seeds {seeds}")
    return found


def _unwise_cycles(
    cycles: int, step_size: int | None, total_steps: int | None, steps_per_epoch: int | None
) -> list[str]:
    if step_size is None:
        return []
    return check_cycles(
        "triangular",
        total_steps=total_steps or 2 * cycles * step_size,
        step_size=step_size,
        steps_per_epoch=steps_per_epoch,
        cycles=cycles,
    )


def _as_entry(reading: Reading) -> dict[str, Any]:
    base_lr, max_lr = reading.base_lr, reading.max_lr
    return {
        "seed": reading.seed,
        "base_lr": base_lr and _rounded(base_lr),
        "max_lr": max_lr and _rounded(max_lr),
    }


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


def _range_in_words(interval: Mapping[str, float | None]) -> str:
    spread = interval["spread_decades"]
    sd = "one seed" if spread is None else f"sd {spread:.2f} decades"
    return f"over the seeds: {interval['low']:g} to {interval['high']:g} ({sd})"


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
