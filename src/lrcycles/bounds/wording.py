"""Words how bounds were selected, how sure they are, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lrcycles.bounds.seed_bounds import SeedBounds
from lrcycles.range_tests.basin import Missing

if TYPE_CHECKING:
    from lrcycles.bounds.select import Bounds
    from lrcycles.range_tests.curves import Curves

HIGHEST = 100  # a loss that is still low at this rate hardly rises at ten times this rate
WIDE_SPREAD_DECADES = 0.3  # a factor of two
MEANINGS = {
    "scaled": "max_lr lies below the explosion of the loss, by the optimizer and the length",
    "calibrated": "max_lr lies between the lowest loss and its explosion",
    "smith": "base_lr is where accuracy starts to rise, max_lr where its rise ends",
    "thirds": "max_lr is the largest rate that still converges",
}
# A rule that finds an answer where the first rule finds no end of learning.
OTHERWISE = {
    "scaled": "choose rule steep, which needs no end",
    "calibrated": "choose rule steep, which needs no end",
    "smith": "choose rule calibrated, which reads the loss",
}


def missing_bounds(
    rule: str, seeds: Sequence[SeedBounds], curves: Curves, *, of_one_rate: bool
) -> str:
    """Name the bound that does not show, the rates of the sweep, and what to change.

    Args:
        of_one_rate: the rule finds max_lr alone; the curve need not show a start.
    """
    lr = curves.table["lr"]
    rates = f"over the rates {lr.min():.3g} to {lr.max():.3g}"
    lower, higher = f"min_lr to {lr.min() / 10:.3g}", f"max_lr to {10 * lr.max():.3g}"
    if curves.ramp == "linear":
        higher = f"max_lr to {2 * lr.max():.3g}"
    no_base = [seed for seed in seeds if seed.base_lr is None]
    # A curve without a start has no end either, so count it only once.
    no_end = [seed for seed in seeds if seed.max_lr is None and seed.base_lr is not None]
    if of_one_rate and no_base[0].missing is None:
        first = no_base[0]
        return (
            f"Rule {rule} must find a rate in more than half of the seeds. "
            f"Received: no rate in {len(no_base)} of {len(seeds)} seeds {rates}. "
            f"Seed {first.seed}: {first.max_lr_reason}. "
            f"Lower {lower}, raise {higher}, raise steps, or choose another rule."
        )
    if 2 * len(no_base) >= len(seeds):
        first = no_base[0]
        change = f"Raise {higher}, raise steps, or start from weights that are not trained yet"
        if first.missing == Missing.NONE:
            change = "Raise steps, or start from weights that are not trained yet"
        if first.missing == Missing.LOWER:
            change = f"Lower {lower}"
            if curves.ramp == "linear":
                change = "Set ramp to exponential, which has more low rates"
        return (
            "The range test must show where learning starts, in more than half of the seeds. "
            f"Received: no start in {len(no_base)} of {len(seeds)} seeds {rates}. "
            f"Seed {first.seed}: {first.base_lr_reason}. {change}."
        )
    if 2 * len(no_end) < len(seeds):
        return (
            "More than half of the seeds must show both ends of learning. "
            f"Received: no start in {len(no_base)} and no end in {len(no_end)} of {len(seeds)} "
            f"seeds {rates}. Lower {lower}, raise {higher}, or raise steps."
        )
    first, remedy = no_end[0], f"Raise {higher}, or {OTHERWISE[rule]}"
    if lr.max() > HIGHEST:
        remedy = OTHERWISE[rule].capitalize()
    return (
        "The range test must show where learning ends, in more than half of the seeds. "
        f"Received: no end in {len(no_end)} of {len(seeds)} seeds {rates}. "
        f"Seed {first.seed}: {first.max_lr_reason}. {remedy}."
    )


def five_lines(bounds: Bounds) -> str:
    """Word what a reader of selected bounds needs first."""
    size = "step_size unknown"
    if bounds.step_size is not None:
        size = f"step_size {bounds.step_size:,} steps (half a cycle)"
    measured = ["base_lr", "max_lr"] if bounds.ratio is None else ["max_lr"]
    meaning = MEANINGS.get(bounds.rule, "max_lr is the rate that another tool suggests")
    if bounds.ratio is not None:
        meaning += f"; base_lr is max_lr / {bounds.ratio}"
    lines = [
        f"base_lr {bounds.base_lr:g}, max_lr {bounds.max_lr:g}",
        f"{bounds.cycles} cycle{'s' * (bounds.cycles != 1)}, {size}",
        "over the seeds: "
        + ", ".join(f"{name} {_spread(bounds.interval[name])}" for name in measured),
        f"rule {bounds.rule}: {meaning}",
        _first_of(bounds.warnings),
    ]
    return "\n".join(lines)


def _spread(interval: Mapping[str, float | None]) -> str:
    spread = interval["spread_decades"]
    if spread is None:
        return f"{interval['low']:g} (one seed)"
    return f"{interval['low']:g} to {interval['high']:g} (standard deviation {spread:.2f} decades)"


def _first_of(warnings: Sequence[str]) -> str:
    if len(warnings) > 1:
        return f"{len(warnings)} warnings, the first: {warnings[0]}"
    return f"warning: {warnings[0]}" if warnings else "no warnings"


def reasons(seeds: Sequence[SeedBounds], ratio: int | None) -> list[str]:
    """Say how the rule read each seed, and where base_lr comes from if it is derived."""
    derived = [] if ratio is None else [f"base_lr is max_lr / {ratio}."]
    sentences = []
    for seed in seeds:
        clauses = [seed.max_lr_reason] if ratio else [seed.base_lr_reason, seed.max_lr_reason]
        # Where no bound was found, both reasons are the same clause.
        sentences.append(f"Seed {seed.seed}: {'; '.join(dict.fromkeys(clauses))}.")
    return derived + sentences


def warnings(
    interval: Mapping[str, Mapping[str, float | None]],
    seeds: Sequence[SeedBounds],
    ratio: int | None,
) -> list[str]:
    """Warn of bounds that differ between the seeds, of seeds without, and of what is not seen."""
    sentences = [
        f"{name} differs between the seeds by a standard deviation of {spread:.2f} decades, more "
        f"than {WIDE_SPREAD_DECADES}. Give the range test more seeds or steps."
        for name in (["max_lr"] if ratio else ["base_lr", "max_lr"])
        if (spread := interval[name]["spread_decades"]) is not None and spread > WIDE_SPREAD_DECADES
    ]
    unseen = [seed.warning for seed in seeds if seed.warning is not None]
    if 2 * len(unseen) > len(seeds):
        sentences.append(unseen[0])
    incomplete = [seed for seed in seeds if seed.base_lr is None or seed.max_lr is None]
    if incomplete:
        numbers = ", ".join(str(seed.seed) for seed in incomplete)
        sentences.append(f"Seeds left out, because they do not show both bounds: {numbers}.")
    return sentences
