"""Splits the published gain into its ingredients, in error and in time."""

from __future__ import annotations

from dataclasses import dataclass

from lrcycles.evidence.comparisons import Comparison
from lrcycles.evidence.weigh import Evidence


@dataclass(frozen=True)
class Ingredient:
    """What one step between the two published runs changes.

    Attributes:
        adds: the ingredient, as conf/ describes it.
        change: the change in test error.
        share_percent: of the whole change in error; None where there is none.
        seconds: the change in training time; None where no run of a kind finished.
    """

    adds: str
    change: Comparison
    share_percent: float | None
    seconds: float | None


@dataclass(frozen=True)
class Breakdown:
    """The whole change between the two published runs, and the ingredients that make it up.

    `seconds` holds the training time of the first and of the second run, if both are known.
    """

    whole: Comparison
    ingredients: list[Ingredient]
    arms: list[str]
    seconds: tuple[float, float] | None


def break_down(evidence: Evidence) -> Breakdown | None:
    """Break the replayed change down; None unless the waterfall leads from one run to the other."""
    if len(evidence.replay) != 2:
        return None
    first, last = evidence.replay
    order = list(evidence.waterfall)
    whole = evidence.error(last, first)
    if whole is None or first not in order or last not in order:
        return None
    between = evidence.steps[order.index(first) : order.index(last)]
    ingredients = []
    for name, before in between:
        change = evidence.error(name, before)
        if change is None:
            return None
        ingredients.append(
            Ingredient(
                evidence.waterfall[name],
                change,
                100 * change.paired.mean / whole.paired.mean if whole.paired.mean else None,
                _change(_seconds(evidence, before), _seconds(evidence, name)),
            )
        )
    if not ingredients:  # the waterfall has the two in the opposite order
        return None
    ends = _seconds(evidence, first), _seconds(evidence, last)
    known = ends[0] is not None and all(one.seconds is not None for one in ingredients)
    return Breakdown(
        whole,
        ingredients,
        list(dict.fromkeys(name for pair in between for name in pair)),
        (ends[0], ends[1]) if known and ends[0] is not None and ends[1] is not None else None,
    )


def _seconds(evidence: Evidence, name: str) -> float | None:
    """Give the training time of an arm: the median of its steps, times their number."""
    per_step = evidence.seconds_per_step.get(name)
    return None if per_step is None else evidence.arms[name].total_steps * per_step


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
