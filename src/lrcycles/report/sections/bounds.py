"""Shows the selected bounds, the range test that they come from, and constant rates beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrcycles.bounds.plots import bounds_on_curve
from lrcycles.evidence.arms import Arm, summarise
from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.figures.comparisons import sensitivity
from lrcycles.report.figures.inputs import mean_and_interval
from lrcycles.report.formatting import counted, number, rate
from lrcycles.report.section import Block, Folded, Picture, Points, Section, Table

_FEWEST_RATES = 3  # constant rates that show how the error depends on the rate
# What a constant rate has in common with the baseline.
_ALIKE = ("epochs", "batch_size", "optimizer", "momentum", "model", "training_set", "continues")


def section(evidence: Evidence) -> Section | None:
    """Show the bounds; None where two experiments are compared."""
    if evidence.of_stages is None:
        return None
    stages, chosen = evidence.stages, evidence.stages.bounds
    blocks: list[Block] = [
        Points(_sentences(evidence)),
        Picture(
            "bounds",
            bounds_on_curve(stages.curves, chosen),
            "Loss and held-out accuracy against the learning rate of the range test, with the "
            "selected bounds. The table below has the figures.",
            "The range test. Thin lines are seeds, the bold line is their median. The background "
            "shows three phases: (1) the loss hardly changes, (2) the loss falls and stays low, "
            "(3) the loss rises. The vertical lines are the two bounds. A coloured band shows the "
            "lowest to highest value over the seeds.",
        ),
        _table(evidence),
        Folded("How each bound was read", [Points(chosen["reasons"])]),
    ]
    if picture := _constant_rates(evidence):
        blocks.append(picture)
    about = "Between which rates the cycles move, and how the range test leads to them."
    return Section("bounds", "The bounds and the range test", blocks, about=about)


def _sentences(evidence: Evidence) -> list[str]:
    chosen = evidence.stages.bounds
    lines = [
        f"The rule '{chosen['rule']}' selects base_lr = {rate(chosen['base_lr'])} and max_lr = "
        f"{rate(chosen['max_lr'])}.",
        f"The training has {counted(chosen['cycles'], 'cycle')} of 2 x {chosen['step_size']:,} "
        "steps.",
    ]
    if not any(arm.settings.uses_bounds for arm in evidence.arms.values()):
        lines.append("No arm of this experiment uses the bounds.")
    return lines


def _table(evidence: Evidence) -> Table:
    chosen = evidence.stages.bounds
    interval, ratio = chosen["interval"], chosen.get("ratio")
    rows = []
    for key in ("base_lr", "max_lr"):
        spread = interval[key]
        if key == "base_lr" and ratio is not None:
            rows.append([key, rate(chosen[key]), f"none: it is max_lr / {ratio:g}", "", ""])
            continue
        each = ["none" if seed[key] is None else rate(seed[key]) for seed in interval["per_seed"]]
        rows.append(
            [
                key,
                rate(chosen[key]),
                f"{rate(spread['low'])} to {rate(spread['high'])}",
                number(spread["spread_decades"]),
                ", ".join(each),
            ]
        )
    # A seed that does not show both bounds is left out.
    whole = [one for one in interval["per_seed"] if one["base_lr"] and one["max_lr"]]
    seeds = counted(len(whole), "seed")
    ends = f"lowest to highest of {seeds}"
    return Table(["", "selected", ends, "spread (decades)", "each seed"], rows)


def _ends(chosen: Mapping[str, Any], key: str) -> tuple[float | None, float | None]:
    """Return the interval of a bound; a bound that follows from the other has none of its own."""
    if key == "base_lr" and chosen.get("ratio") is not None:
        return None, None
    spread = chosen["interval"][key]
    return spread["low"], spread["high"]


def _differs_in_rate(arm: Arm, first: Arm) -> bool:
    """Whether an arm has a constant rate, and differs from the first arm in nothing else."""
    return arm.settings.schedule.name == "constant" and all(
        getattr(arm.settings, key) == getattr(first.settings, key) for key in _ALIKE
    )


def _constant_rates(evidence: Evidence) -> Picture | None:
    """Draw the error over constant rates, if there are enough to show how it depends on them."""
    first = evidence.arms[evidence.baseline]
    controlled = [evidence.arms[name] for name in evidence.controlled]
    arms = [arm for arm in controlled if arm.trained and _differs_in_rate(arm, first)]
    arms.sort(key=lambda arm: arm.rates[0])
    if len(arms) < _FEWEST_RATES:
        return None
    cycles = [evidence.arms[name] for name in evidence.candidates if evidence.arms[name].trained]
    chosen = evidence.stages.bounds
    drawn = sensitivity(
        {arm.name: arm.values(Quantity.ERROR) for arm in arms},
        rates={arm.name: arm.rates[0] for arm in arms},
        bounds={
            "base_lr": (chosen["base_lr"], *_ends(chosen, "base_lr")),
            "max_lr": (chosen["max_lr"], *_ends(chosen, "max_lr")),
        },
        cycles=(
            cycles[0].name,
            mean_and_interval(summarise(cycles[0].values(Quantity.ERROR).values())),
        )
        if cycles
        else None,
    )
    return Picture(
        "sensitivity",
        drawn,
        "Test error in percent by constant learning rate. Section 'All arms' has the figures.",
        "Test error at constant rates: every seed and the mean. A grey band shows the lowest to "
        "highest value of a bound over the seeds of the range test.",
    )
