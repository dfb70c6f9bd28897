"""Collects the rates that the rules of other tools suggest, together with the selected bounds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.bounds.peers import PEER_RULES, Suggestion, peer_suggestions, within_sweep
from lrcycles.bounds.select import DEFAULT, Bounds, need_rule, select_bounds
from lrcycles.bounds.thirds import thirds
from lrcycles.errors import InputError
from lrcycles.range_tests.basin import NoBasin, find_basin

if TYPE_CHECKING:
    from lrcycles.range_tests.curves import Curves, SeedCurve
    from lrcycles.range_tests.recorded.histories import History

WIDTH = 80  # columns
MOST_DRAWN = 5000  # points of a seed


_SOURCES = {  # of the rules whose names do not tell
    **dict.fromkeys(("valley", "slide", "steep", "minimum"), "fastai"),
    "thirds": "Smith",
}


@dataclass(frozen=True)
class RuleSummary:
    """The rate of one rule over all seeds.

    Attributes:
        lr: the median over the seeds on the logarithmic scale; None where half of the seeds or
            more have no rate.
        low: the lowest rate of a seed.
        high: the highest rate of a seed.
        answered: the number of seeds with a rate.
        reason: what the rate is, or why there is none.
    """

    rule: str
    lr: float | None
    low: float | None
    high: float | None
    answered: int
    reason: str

    @property
    def label(self) -> str:
        """The rule's name, with its source where the name does not tell it."""
        source = _SOURCES.get(self.rule)
        return f"{self.rule} ({source})" if source else self.rule


@dataclass(frozen=True)
class Choice:
    """Bounds, or the reason for none."""

    bounds: Bounds | None
    no_bounds: str | None


@dataclass(frozen=True)
class Suggestions:
    """The rates of all rules for one range test, and the bounds or the reason for none.

    Attributes:
        other: the bounds of `History.alternative`, where the file leaves a doubt.
        falls: whether the loss of any seed falls; if none does, no rule has a rate.
    """

    history: History
    rules: Sequence[RuleSummary]
    bounds: Bounds | None
    no_bounds: str | None
    other: Choice | None = None
    falls: bool = True

    @property
    def peers(self) -> list[RuleSummary]:
        """Return the other tools' rules that found a rate, from the lowest rate on."""
        peers = [rule for rule in self.rules if rule.rule in PEER_RULES and rule.lr is not None]
        return sorted(peers, key=lambda rule: rule.lr or 0.0)

    @property
    def disagreement_decades(self) -> float | None:
        """Return log10 of the highest over the lowest rate of the other tools' rules."""
        rates = [rule.lr for rule in self.peers if rule.lr is not None]
        return float(np.log10(rates[-1] / rates[0])) if rates else None

    def thinned(self) -> Suggestions:
        """Return the suggestions with at most `MOST_DRAWN` points of each seed, for a figure."""
        table = self.history.curves.table
        every = -(-int(table["seed"].value_counts().max()) // MOST_DRAWN)
        if every == 1:
            return self
        note = f"The figure shows 1 of every {every} points of the file."
        curves = replace(
            self.history.curves,
            table=table[(table["step"] - 1) % every == 0],
            notes=[*self.history.curves.notes, note],
        )
        return replace(self, history=replace(self.history, curves=curves))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `lrcycles suggest --json`."""
        history, curves = self.history, self.history.curves
        rules = [asdict(rule) for rule in self.rules]
        return {
            "schema": 1,
            "source": history.source,
            "seeds": len(curves.seeds),
            "points": len(curves.table),
            "smoothed": history.smoothed,
            "notes": list(curves.notes),
            "rules": {rule.pop("rule"): rule for rule in rules},
            "disagreement_decades": self.disagreement_decades,
            "bounds": None if self.bounds is None else self.bounds.to_dict(),
            "no_bounds": self.no_bounds,
            "doubt": self._doubt(),
        }

    def _doubt(self) -> dict[str, Any] | None:
        """Return why the losses may be read in two ways, and the bounds of the second way."""
        if self.other is None:
            return None
        (option, condition), (other_option, other_condition) = self.history.options
        bounds = self.other.bounds
        return {
            "reason": self.history.doubt,
            "read": {"option": option, "condition": condition},
            "alternative": {
                "option": other_option,
                "condition": other_condition,
                "bounds": None if bounds is None else bounds.to_dict(),
                "no_bounds": self.other.no_bounds,
            },
        }


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # losses may be huge
def collect_suggestions(
    history: History, *, rule: str | None = None, cycles: int = 3, epochs: int | None = None
) -> Suggestions:
    """Apply every tool's rule to a range test, and select bounds by `rule` (default: `DEFAULT`).

    Raises:
        InputError: there is no such rule.
    """
    rule = DEFAULT if rule is None else rule
    need_rule(rule)
    per_rule: dict[str, list[Suggestion]] = {}
    falls = False
    for curve in history.curves.by_seed():
        basin = find_basin(curve)
        without = basin.reason if isinstance(basin, NoBasin) and basin.falls is False else None
        falls = falls or without is None
        for suggestion in _of_seed(curve, without):
            per_rule.setdefault(suggestion.rule, []).append(suggestion)

    def choice(curves: Curves) -> Choice:
        try:
            return Choice(select_bounds(curves, rule=rule, cycles=cycles, epochs=epochs), None)
        except InputError as error:
            return Choice(None, str(error))

    rules = [_over_seeds(seeds) for seeds in per_rule.values()]
    first = choice(history.curves)
    other = None if history.alternative is None else choice(history.alternative)
    return Suggestions(history, rules, first.bounds, first.no_bounds, other, falls)


def _of_seed(curve: SeedCurve, without: str | None) -> list[Suggestion]:
    """Apply every rule to one seed.

    Args:
        without: why the loss never falls, so that no rate means anything; None if it does.
    """
    if without is not None:
        return [Suggestion(rule, None, without) for rule in (*PEER_RULES, "thirds")]
    peers = [within_sweep(peer, curve.lr) for peer in peer_suggestions(curve.lr, curve.loss)]
    return [*peers, thirds(curve.lr, curve.loss)]


def _over_seeds(seeds: Sequence[Suggestion]) -> RuleSummary:
    rule = seeds[0].rule
    rates = [suggestion.lr for suggestion in seeds if suggestion.lr is not None]
    enough = 2 * len(rates) > len(seeds)
    reason = next(s.reason for s in seeds if (s.lr is not None) == enough)
    if not enough:
        return RuleSummary(rule, None, None, None, len(rates), reason)
    median = float(10 ** np.median(np.log10(rates)))
    return RuleSummary(rule, median, min(rates), max(rates), len(rates), reason)


def as_text(suggestions: Suggestions) -> str:
    """Return the table that `lrcycles suggest` prints, at most 80 columns wide."""
    history = suggestions.history
    lr, seeds = history.curves.table["lr"], len(history.curves.seeds)
    lines = _wrapped(f"{history}, rates {lr.min():.3g} to {lr.max():.3g}", 2)
    notes = [note for note in history.curves.notes if note != history.doubt_note]
    lines += [line for note in notes for line in _wrapped(f"note: {note}", 6)]
    if not suggestions.falls:
        left_out = _wrapped("No rule of another tool is applied, because the loss never falls.", 0)
        return "\n".join([*lines, "", *left_out, *_conclusion(suggestions)])
    head = ["rule", "rate", *(["over the seeds"] if seeds > 1 else []), "meaning"]
    rows = [_row(rule, seeds) for rule in suggestions.rules]
    return "\n".join([*lines, "", *_table(head, rows), "", *_conclusion(suggestions)])


def _row(rule: RuleSummary, seeds: int) -> list[str]:
    if rule.lr is None:
        return [rule.label, "none", *([""] if seeds > 1 else []), rule.reason]
    spread = f"{rule.low:.2g} to {rule.high:.2g}"
    if rule.answered < seeds:
        spread += f" ({rule.answered} of {seeds})"
    return [rule.label, f"{rule.lr:.3g}", *([spread] if seeds > 1 else []), rule.reason]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the columns, and wrap the last one to the width that is left."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head) - 1)]
    left = sum(widths) + 2 * len(widths)
    lines = []
    for *cells, words in (head, *rows):
        start = "".join(f"{cell:{width}}  " for cell, width in zip(cells, widths, strict=True))
        first, *more = textwrap.wrap(words, WIDTH - left)
        lines += [start + first, *(" " * left + line for line in more)]
    return lines


def _conclusion(suggestions: Suggestions) -> list[str]:
    lines = []
    decades, peers = suggestions.disagreement_decades, suggestions.peers
    if decades is not None:
        lines += _wrapped(
            f"The rates of the other tools' rules span {decades:.1f} decades, from "
            f"{peers[0].lr:.3g} ({peers[0].rule}) to {peers[-1].lr:.3g} ({peers[-1].rule}).",
            0,
        )
    first = Choice(suggestions.bounds, suggestions.no_bounds)
    if suggestions.other is None:
        lines += _wrapped(f"Bounds: {_bounds_text(first)}", 8)
    else:
        lines += _two_bounds(suggestions.history, first, suggestions.other)
    warnings = first.bounds.warnings if first.bounds else []
    return lines + [line for text in warnings for line in _wrapped(f"warning: {text}", 9)]


def _bounds_text(choice: Choice) -> str:
    bounds = choice.bounds
    if bounds is None:
        return f"none. {choice.no_bounds}"
    size = (
        "unknown without --steps-per-epoch" if bounds.step_size is None else f"{bounds.step_size}"
    )
    return (
        f"base_lr {bounds.base_lr:g}, max_lr {bounds.max_lr:g}, {bounds.cycles} cycles, "
        f"step_size {size} (rule {bounds.rule})"
    )


def _two_bounds(history: History, first: Choice, other: Choice) -> list[str]:
    """Word the bounds of both readings of the losses, and how to choose between them."""
    texts = [_bounds_text(choice) for choice in (first, other)]
    if texts[0] == texts[1]:
        conditions = " and ".join(condition for _, condition in history.options)
        return _wrapped(f"Bounds, both {conditions}: {texts[0]}", 8)
    words = f"{history.doubt} Choose one of these readings by adding its option."
    lines = _wrapped(words, 0)
    for text, (option, condition) in zip(texts, history.options, strict=True):
        lines += _wrapped(f"Bounds {condition} ({option}): {text}", 8)
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)
