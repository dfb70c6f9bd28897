"""Selects base_lr, max_lr and step_size from the curves of a range test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from lrcycles.bounds.calibrated import calibrated
from lrcycles.bounds.peers import PEER_RULES, Suggestion
from lrcycles.bounds.seed_bounds import BoundsRule, SeedBounds
from lrcycles.bounds.smith import smith
from lrcycles.bounds.thirds import thirds
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Array, Curves, SeedCurve
from lrcycles.schedules.cycles import STEP_SIZE_EPOCHS, check_cycles
from lrcycles.schedules.limits import need_count, run_length
from lrcycles.schedules.table import cycle_step_size

DEFAULT = "calibrated"
WIDE_SPREAD_DECADES = 0.3  # a factor of two


def _with_ratio(suggest: Callable[[Array, Array], Suggestion], ratio: int) -> BoundsRule:
    """Make a rule for both bounds from a rule for one rate: max_lr is the rate."""

    def bounds(curve: SeedCurve) -> SeedBounds:
        suggestion = suggest(curve.lr, curve.loss)
        if suggestion.lr is None:
            return SeedBounds.none(curve.seed, suggestion.reason)
        return SeedBounds(
            curve.seed,
            base_lr=suggestion.lr / ratio,
            max_lr=suggestion.lr,
            base_lr_reason=f"base_lr is 1/{ratio} of max_lr",
            max_lr_reason=f"max_lr is {suggestion.lr:.3g} ({suggestion.reason})",
        )

    return bounds


# Smith 2017, sec. 3.3: base_lr is a third or a fourth of max_lr. Other tools give no base_lr.
_OF_ONE_RATE: Mapping[str, BoundsRule] = {
    "thirds": _with_ratio(thirds, 3),
    **{name: _with_ratio(rule, 4) for name, rule in PEER_RULES.items()},
}
RULES: Mapping[str, BoundsRule] = MappingProxyType(
    {"calibrated": calibrated, "smith": smith, **_OF_ONE_RATE}
)


@dataclass(frozen=True)
class Bounds:
    """The selected bounds, with the keys of bounds.json. Rates have three significant digits.

    Attributes:
        step_size: half a cycle in steps; None where neither the length of the training nor the
            steps of an epoch are known.
        status: ok, or warned where there are `warnings`.
        interval: for base_lr and max_lr the lowest and highest rate over the seeds ("low", "high")
            and the standard deviation of their log10 ("spread_decades"). "per_seed" holds each
            seed's bounds.
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
        """Return the content of bounds.json."""
        return asdict(self)

    def __str__(self) -> str:
        size = "unknown" if self.step_size is None else f"{self.step_size:,} steps"
        lines = [
            f"base_lr {self.base_lr:g}, max_lr {self.max_lr:g}, {self.cycles} cycles, "
            f"step_size {size} (rule: {self.rule})",
            *(f"{name} {_spread_text(self.interval[name])}" for name in ("base_lr", "max_lr")),
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
    """Select base_lr and max_lr from range-test curves, and step_size from the training's length.

    The rule is applied to each seed's curve. Each bound is the median over the seeds on the
    logarithmic scale.

    Args:
        rule: one of `RULES`. calibrated and thirds read the loss, smith reads held-out accuracy,
            and the others are rules of other tools.
        cycles: whole cycles in the training.
        epochs: the length of the training, where `curves.steps_per_epoch` is known.
        total_steps: the length of the training in steps, instead of `epochs`. Without a length,
            step_size is two epochs, the shortest half-cycle that Smith advises.

    Raises:
        InputError: the rule is unknown, a length or count is wrong, half of the seeds or more show
            no bounds, or the training is too short for its cycles.
    """
    per_epoch = curves.steps_per_epoch
    need_count("cycles", cycles)
    total_steps = run_length(epochs, total_steps, per_epoch)
    need_rule(rule)
    seeds = [RULES[rule](curve) for curve in curves.by_seed()]
    complete = [seed for seed in seeds if seed.base_lr is not None and seed.max_lr is not None]
    if 2 * len(complete) <= len(seeds):
        raise InputError(_missing_bounds(rule, seeds, curves.table["lr"]))
    base_lrs, max_lrs = (
        np.array([getattr(seed, name) for seed in complete]) for name in ("base_lr", "max_lr")
    )
    base_lr, max_lr = _median(base_lrs), _median(max_lrs)
    if base_lr >= max_lr:
        raise InputError(
            "base_lr must be below max_lr. "
            f"Received: base_lr={base_lr} and max_lr={max_lr} from the range test. "
            "Give the range test more steps, so that start and end of the rise lie apart."
        )
    step_size, why = _step_size(total_steps, cycles, per_epoch)
    interval = {"base_lr": _interval(base_lrs), "max_lr": _interval(max_lrs)}
    warnings = [
        *_warnings(interval, [seed for seed in seeds if seed not in complete]),
        *_cycle_warnings(cycles, step_size, total_steps, per_epoch),
    ]
    return Bounds(
        base_lr=base_lr,
        max_lr=max_lr,
        cycles=cycles,
        step_size=step_size,
        rule=rule,
        status="warned" if warnings else "ok",
        reasons=[*_reasons(rule, seeds, len(complete), base_lr, max_lr), why, *curves.notes],
        warnings=warnings,
        interval={**interval, "per_seed": [_as_entry(seed) for seed in seeds]},
        steps_per_epoch=per_epoch,
    )


def need_rule(rule: str) -> None:
    """Refuse a rule that is not in `RULES`."""
    if rule not in RULES:
        raise InputError(
            f"rule must be one of {', '.join(RULES)}. Received: {rule!r}. Choose one of them."
        )


def _step_size(
    total_steps: int | None, cycles: int, steps_per_epoch: int | None
) -> tuple[int | None, str]:
    """Return half a cycle in steps, and a sentence on where it comes from."""
    if total_steps is not None:
        size = cycle_step_size(total_steps, cycles)
        return size, f"step_size is {size:,} steps: {cycles} whole cycles in {total_steps:,} steps."
    if steps_per_epoch is None:
        return None, (
            "step_size is unknown, because neither the length of the training nor the steps of an "
            "epoch are known. Pass total_steps."
        )
    least, most = STEP_SIZE_EPOCHS
    size = least * steps_per_epoch
    return size, (
        f"step_size is {size:,} steps, which is {least} epochs. Smith advises {least} to {most} "
        f"epochs. {cycles} cycles take {2 * least * cycles} epochs."
    )


def _missing_bounds(rule: str, seeds: Sequence[SeedBounds], lr: Any) -> str:
    """Word which bound does not show, over which rates, and what to change."""
    rates = f"over the rates {lr.min():.3g} to {lr.max():.3g}"
    no_base = [seed for seed in seeds if seed.base_lr is None]
    # A curve without a start has no end either, so count it only once.
    no_end = [seed for seed in seeds if seed.max_lr is None and seed.base_lr is not None]
    if rule in _OF_ONE_RATE:
        first = no_base[0]
        return (
            f"Rule {rule} must find a rate in more than half of the seeds. "
            f"Received: no rate in {len(no_base)} of {len(seeds)} seeds {rates}. "
            f"Seed {first.seed}: {first.max_lr_reason}. "
            "Change min_lr and max_lr, raise steps, or choose another rule."
        )
    if 2 * len(no_base) >= len(seeds):
        first = no_base[0]
        change = "Change min_lr and max_lr, or raise steps."
        if first.learns_at_first_rate:
            change = "Lower min_lr."
        return (
            "The range test must show where learning starts, in more than half of the seeds. "
            f"Received: no start in {len(no_base)} of {len(seeds)} seeds {rates}. "
            f"Seed {first.seed}: {first.base_lr_reason}. {change}"
        )
    if 2 * len(no_end) < len(seeds):
        return (
            "More than half of the seeds must show both ends of learning. "
            f"Received: no start in {len(no_base)} and no end in {len(no_end)} of {len(seeds)} "
            f"seeds {rates}. Change min_lr and max_lr, or raise steps."
        )
    first = no_end[0]
    return (
        "The range test must show where learning ends, in more than half of the seeds. "
        f"Received: no end in {len(no_end)} of {len(seeds)} seeds {rates}. "
        f"Seed {first.seed}: {first.max_lr_reason}. Raise max_lr or steps."
    )


def _reasons(
    rule: str, seeds: Sequence[SeedBounds], complete: int, base_lr: float, max_lr: float
) -> list[str]:
    return [
        f"Rule {rule} gives base_lr {base_lr:g}, max_lr {max_lr:g} (medians over {complete} of "
        f"{len(seeds)} seeds, rounded to 3 significant digits).",
        # Where no bound was found, both reasons are the same clause.
        *(
            f"Seed {seed.seed}: "
            f"{'; '.join(dict.fromkeys((seed.base_lr_reason, seed.max_lr_reason)))}."
            for seed in seeds
        ),
    ]


def _warnings(
    interval: Mapping[str, Mapping[str, float | None]], incomplete: Sequence[SeedBounds]
) -> list[str]:
    warnings = [
        f"{name} differs between the seeds by a standard deviation of {spread:.2f} decades, more "
        f"than {WIDE_SPREAD_DECADES}. Give the range test more seeds or steps."
        for name, entry in interval.items()
        if (spread := entry["spread_decades"]) is not None and spread > WIDE_SPREAD_DECADES
    ]
    if incomplete:
        numbers = ", ".join(str(seed.seed) for seed in incomplete)
        warnings.append(f"Seeds left out, because they do not show both bounds: {numbers}.")
    return warnings


def _cycle_warnings(
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


def _as_entry(bounds: SeedBounds) -> dict[str, Any]:
    base_lr, max_lr = bounds.base_lr, bounds.max_lr
    return {
        "seed": bounds.seed,
        "base_lr": base_lr and _rounded(base_lr),
        "max_lr": max_lr and _rounded(max_lr),
    }


def _median(rates: Array) -> float:
    return _rounded(10 ** float(np.median(np.log10(rates))))


def _interval(rates: Array) -> dict[str, float | None]:
    """Return the range over the seeds and, for two seeds or more, the deviation of log10."""
    spread = float(np.std(np.log10(rates), ddof=1)) if len(rates) > 1 else None
    return {
        "low": _rounded(rates.min()),
        "high": _rounded(rates.max()),
        "spread_decades": spread if spread is None else round(spread, 3),
    }


def _spread_text(interval: Mapping[str, float | None]) -> str:
    spread = interval["spread_decades"]
    deviation = "one seed" if spread is None else f"standard deviation {spread:.2f} decades"
    return f"over the seeds: {interval['low']:g} to {interval['high']:g} ({deviation})"


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
