"""Selects base_lr, max_lr and step_size from the curves of a range test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import numpy as np

from lrcycles.bounds import wording
from lrcycles.bounds.calibrated import RATIO, calibrated
from lrcycles.bounds.peers import PEER_RULES, Suggestion, within_sweep
from lrcycles.bounds.scaled import scaled
from lrcycles.bounds.seed_bounds import BoundsRule, SeedBounds
from lrcycles.bounds.smith import smith
from lrcycles.bounds.thirds import thirds
from lrcycles.errors import InputError
from lrcycles.range_tests.basin import NoBasin, find_basin
from lrcycles.range_tests.curves import Array, Curves, SeedCurve, plain
from lrcycles.schedules.cycles import STEP_SIZE_EPOCHS, check_cycles
from lrcycles.schedules.limits import need_count, run_length
from lrcycles.schedules.table import cycle_step_size

DEFAULT = "scaled"


def _with_ratio(suggest: Callable[[Array, Array], Suggestion], ratio: int) -> BoundsRule:
    """Make a rule for both bounds from a rule for one rate: max_lr is the rate."""

    def bounds(curve: SeedCurve) -> SeedBounds:
        basin = find_basin(curve)
        if isinstance(basin, NoBasin) and basin.falls is False:
            return SeedBounds.none(curve.seed, basin.reason, basin.missing)
        suggestion = within_sweep(suggest(curve.lr, curve.loss), curve.lr)
        if suggestion.lr is None:
            return SeedBounds.none(curve.seed, suggestion.reason)
        return SeedBounds(
            curve.seed,
            base_lr=suggestion.lr / ratio,
            max_lr=suggestion.lr,
            base_lr_reason=f"base_lr is max_lr / {ratio}",
            max_lr_reason=f"max_lr is {suggestion.lr:.3g} ({suggestion.reason})",
        )

    return bounds


# The rules that find max_lr alone: base_lr is max_lr divided by this. Smith 2017, sec. 3.3, has a
# third or a fourth. Other tools give no base_lr; the study used RATIO for their rates too.
RATIOS: Mapping[str, int] = MappingProxyType(
    {"scaled": RATIO, "calibrated": RATIO, "thirds": 3, **dict.fromkeys(PEER_RULES, RATIO)}
)
_OF_ONE_RATE: Mapping[str, BoundsRule] = {
    "thirds": _with_ratio(thirds, RATIOS["thirds"]),
    **{name: _with_ratio(rule, RATIOS[name]) for name, rule in PEER_RULES.items()},
}
RULES: Mapping[str, BoundsRule] = MappingProxyType(
    {"scaled": scaled, "calibrated": calibrated, "smith": smith, **_OF_ONE_RATE}
)


@dataclass(frozen=True)
class Bounds:
    """The selected bounds, with the keys of bounds.json. Rates have three significant digits.

    `print` shows five lines; `to_dict` has everything.

    Attributes:
        cycles: whole cycles in the training.
        step_size: half a cycle in steps; None where neither the length of the training nor the
            steps of an epoch are known.
        status: ok, or warned where there are `warnings`.
        reasons: how the rule read each seed's bounds, where step_size comes from, and the notes of
            the range test.
        interval: for base_lr and max_lr the lowest and highest rate over the seeds ("low", "high")
            and the standard deviation of their log10 ("spread_decades"). "per_seed" holds each
            seed's bounds.
        ratio: base_lr is max_lr divided by this; its interval follows from the one of max_lr. None
            for a rule that reads base_lr from the curves.
    """

    base_lr: float
    max_lr: float
    cycles: int
    step_size: int | None
    rule: str
    status: str
    reasons: list[str] = field(repr=False)
    warnings: list[str] = field(repr=False)
    interval: dict[str, Any] = field(repr=False)
    steps_per_epoch: int | None = None
    ratio: int | None = field(default=None, repr=False)
    schema: int = field(default=1, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of bounds.json."""
        return asdict(self)

    def __str__(self) -> str:
        return wording.five_lines(self)


def select_bounds(
    curves: Curves,
    *,
    rule: str = DEFAULT,
    cycles: int = 3,
    epochs: int | None = None,
    total_steps: int | None = None,
    steps_per_epoch: int | None = None,
) -> Bounds:
    """Select base_lr and max_lr from range-test curves, and step_size from the training's length.

    The rule is applied to each seed's curve. Each bound is the median over the seeds on the
    logarithmic scale.

    Args:
        curves: the result of `range_test`, or the `curves` of a `read_history`.
        rule: one of `RULES`. scaled, calibrated and thirds read the loss, smith reads held-out
            accuracy, and the others are rules of other tools. Only smith reads base_lr from the
            curves. It is max_lr / 3 for thirds, and max_lr / 40 for the rest.
        cycles: whole cycles in the training.
        epochs: the length of the training.
        total_steps: the length of the training in steps, instead of `epochs`. Without a length,
            step_size is two epochs, the shortest half-cycle that Smith advises.
        steps_per_epoch: mini-batches of an epoch of the training; by default those of the range
            test, which does not know them for a generator.

    Raises:
        InputError: the rule is unknown, a length or count is wrong, half of the seeds or more show
            no bounds, or the training is too short for its cycles.
    """
    _need_curves(curves)
    cycles, epochs, total_steps, steps_per_epoch = map(
        plain, (cycles, epochs, total_steps, steps_per_epoch)
    )
    per_epoch = plain(curves.steps_per_epoch) if steps_per_epoch is None else steps_per_epoch
    need_rule(rule)
    _need_rising_metric(curves, rule)
    need_count("cycles", cycles)
    total_steps = run_length(epochs, total_steps, per_epoch)
    step_size, why = _step_size(total_steps, cycles, per_epoch)
    seeds = [RULES[rule](curve) for curve in curves.by_seed(total_steps=total_steps)]
    complete = _complete(seeds, curves, rule)
    base_lrs, max_lrs = (
        np.array([getattr(seed, name) for seed in complete]) for name in ("base_lr", "max_lr")
    )
    base_lr, max_lr = _median(base_lrs), _median(max_lrs)
    _need_rise(base_lr, max_lr)
    interval = {"base_lr": _interval(base_lrs), "max_lr": _interval(max_lrs)}
    ratio = RATIOS.get(rule)
    warnings = [
        *wording.warnings(interval, seeds, ratio),
        *_cycle_warnings(cycles, step_size, total_steps, per_epoch),
    ]
    return Bounds(
        base_lr=base_lr,
        max_lr=max_lr,
        cycles=cycles,
        step_size=step_size,
        rule=rule,
        status="warned" if warnings else "ok",
        reasons=[
            f"Rule {rule} gives base_lr {base_lr:g}, max_lr {max_lr:g} (medians over "
            f"{len(complete)} of {len(seeds)} seeds, rounded to 3 significant digits).",
            *wording.reasons(seeds, ratio),
            *(why, *curves.notes),
        ],
        warnings=warnings,
        interval={**interval, "per_seed": [_as_entry(seed) for seed in seeds]},
        steps_per_epoch=per_epoch,
        ratio=ratio,
    )


def _complete(seeds: Sequence[SeedBounds], curves: Curves, rule: str) -> list[SeedBounds]:
    """Return the seeds with both bounds; refuse curves of which half or more show none."""
    complete = [seed for seed in seeds if seed.base_lr is not None and seed.max_lr is not None]
    if 2 * len(complete) <= len(seeds):
        raise InputError(
            wording.missing_bounds(rule, seeds, curves, of_one_rate=rule in _OF_ONE_RATE)
        )
    return complete


def _need_rise(base_lr: float, max_lr: float) -> None:
    if base_lr >= max_lr:
        raise InputError(
            "base_lr must be below max_lr. "
            f"Received: base_lr={base_lr} and max_lr={max_lr} from the range test. "
            "Give the range test more steps, so that start and end of the rise lie apart."
        )


def _need_curves(curves: Any) -> None:
    if not isinstance(curves, Curves):
        raise InputError(
            "curves must be the result of range_test, or the attribute curves of a history that "
            f"read_history read. Received: {type(curves).__name__}. Pass one of them."
        )


def _need_rising_metric(curves: Curves, rule: str) -> None:
    if rule == "smith" and not (curves.metric_rises and curves.metric in curves.table):
        metric = curves.metric if curves.metric in curves.table else "none"
        raise InputError(
            "Rule smith must read a held-out metric that rises, such as accuracy. "
            f"Received: curves with the metric {metric}. Choose rule calibrated, which reads the "
            "loss, or compile the model with metrics=['accuracy']."
        )


def need_rule(rule: str) -> None:
    """Refuse a rule that is not in `RULES`."""
    if not isinstance(rule, str) or rule not in RULES:
        near = get_close_matches(str(rule), RULES, 1)
        remedy = f"Did you mean {near[0]}?" if near else "Choose one of them."
        raise InputError(f"rule must be one of {', '.join(RULES)}. Received: {rule!r}. {remedy}")


def _step_size(
    total_steps: int | None, cycles: int, steps_per_epoch: int | None
) -> tuple[int | None, str]:
    """Return half a cycle in steps, and a sentence on where it comes from."""
    if total_steps is not None:
        size = cycle_step_size(total_steps, cycles)
        noun = "cycle" if cycles == 1 else "cycles"
        return size, f"step_size is {size:,} steps: {cycles} whole {noun} in {total_steps:,} steps."
    if steps_per_epoch is None:
        return None, (
            "step_size is unknown, because neither the length of the training nor the steps of an "
            "epoch are known. Give total_steps, or epochs and steps_per_epoch."
        )
    least, most = STEP_SIZE_EPOCHS
    size = least * steps_per_epoch
    return size, (
        f"step_size is {size:,} steps, which is {least} epochs. Smith advises {least} to {most} "
        f"epochs. {cycles} cycles take {2 * least * cycles} epochs."
    )


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


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
