"""What do all rules, ours and other tools', say to one range test?"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.bounds.peers import PEER_RULES, Suggestion
from lrcycles.bounds.thirds import thirds
from lrcycles.errors import InputError

if TYPE_CHECKING:
    from lrcycles.bounds.select import Bounds
    from lrcycles.range_tests.recorded.histories import History

WIDTH = 80  # columns


@dataclass(frozen=True)
class Answer:
    """One rule's rate, the median over the seeds where more than half of them have one.

    `low` and `high` are the least and greatest over the `answered` seeds.
    """

    rule: str
    lr: float | None
    low: float | None
    high: float | None
    answered: int
    reason: str


@dataclass(frozen=True)
class Opinions:
    """Every rule's answer, our bounds, and why there are none if so."""

    history: History
    answers: Sequence[Answer]
    bounds: Bounds | None
    no_bounds: str | None

    @property
    def tools(self) -> list[Answer]:
        """The other tools' answers that hold a rate, from the least."""
        found = [a for a in self.answers if a.rule in PEER_RULES and a.lr is not None]
        return sorted(found, key=lambda answer: answer.lr or 0.0)

    @property
    def disagreement_decades(self) -> float | None:
        """How far the other tools' rates lie apart, as log10 of the greatest over the least."""
        rates = [answer.lr for answer in self.tools if answer.lr is not None]
        return float(np.log10(rates[-1] / rates[0])) if rates else None

    def to_dict(self) -> dict[str, Any]:
        """Give what `lrcycles suggest --json` prints."""
        history, curves = self.history, self.history.curves
        return {
            "schema": 1,
            "source": history.source,
            "seeds": len(curves.seeds),
            "points": len(curves.table),
            "smoothed": history.smoothed,
            "notes": list(curves.notes),
            "rules": {
                a.rule: {k: v for k, v in asdict(a).items() if k != "rule"} for a in self.answers
            },
            "disagreement_decades": self.disagreement_decades,
            "bounds": None if self.bounds is None else self.bounds.to_dict(),
            "no_bounds": self.no_bounds,
        }


def ask_every_rule(
    history: History, *, rule: str | None = None, cycles: int = 3, epochs: int | None = None
) -> Opinions:
    """Ask each tool's rule for a rate and `rule` (by default our own) for bounds.

    Raises:
        InputError: there is no such rule.
    """
    from lrcycles.bounds.select import DEFAULT, RULES, select_bounds

    if rule is not None and rule not in RULES:
        raise InputError(f"need a rule that is known, got {rule!r}: one of {', '.join(RULES)}")
    found: dict[str, list[Suggestion]] = {}
    for curve in history.curves.by_seed():
        for name, peer in PEER_RULES.items():
            found.setdefault(name, []).append(peer(curve.lr, curve.loss))
        found.setdefault("thirds", []).append(thirds(curve.lr, curve.loss))
    bounds, why = None, None
    try:
        bounds = select_bounds(history.curves, rule=rule or DEFAULT, cycles=cycles, epochs=epochs)
    except InputError as error:
        why = str(error)
    return Opinions(history, [_over_seeds(of) for of in found.values()], bounds, why)


def _over_seeds(found: Sequence[Suggestion]) -> Answer:
    rates = [suggestion.lr for suggestion in found if suggestion.lr is not None]
    enough = 2 * len(rates) > len(found)
    reason = next(s.reason for s in found if (s.lr is not None) == enough)
    if not enough:
        return Answer(found[0].rule, None, None, None, len(rates), reason)
    middle = float(10 ** np.median(np.log10(rates)))
    return Answer(found[0].rule, middle, min(rates), max(rates), len(rates), reason)


def as_text(opinions: Opinions) -> str:
    """The table that `lrcycles suggest` prints, no wider than 80 columns."""
    history = opinions.history
    lr, seeds = history.curves.table["lr"], len(history.curves.seeds)
    lines = _wrapped(f"{history}, rates {lr.min():.3g} to {lr.max():.3g}", 2)
    lines += [line for note in history.curves.notes for line in _wrapped(f"note: {note}", 6)]
    head = ["rule", "rate", *(["over the seeds"] if seeds > 1 else []), "what it marks"]
    rows = [_row(answer, seeds) for answer in opinions.answers]
    return "\n".join([*lines, "", *_table(head, rows), "", *_conclusion(opinions)])


def _row(answer: Answer, seeds: int) -> list[str]:
    if answer.lr is None:
        return [answer.rule, "none", *([""] if seeds > 1 else []), answer.reason]
    spread = f"{answer.low:.2g} to {answer.high:.2g}"
    if answer.answered < seeds:
        spread += f" ({answer.answered} of {seeds})"
    return [answer.rule, f"{answer.lr:.3g}", *([spread] if seeds > 1 else []), answer.reason]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; the last one is wrapped to what is left of the width."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head) - 1)]
    left = sum(widths) + 2 * len(widths)
    lines = []
    for *cells, words in (head, *rows):
        start = "".join(f"{cell:{width}}  " for cell, width in zip(cells, widths, strict=True))
        first, *more = textwrap.wrap(words, WIDTH - left)
        lines += [start + first, *(" " * left + line for line in more)]
    return lines


def _conclusion(opinions: Opinions) -> list[str]:
    lines = []
    decades, tools = opinions.disagreement_decades, opinions.tools
    if decades is not None:
        lines += _wrapped(
            f"The tools' rates lie {decades:.1f} decades apart: {tools[0].rule} "
            f"{tools[0].lr:.3g}, {tools[-1].rule} {tools[-1].lr:.3g}.",
            0,
        )
    bounds = opinions.bounds
    if bounds is None:
        return [*lines, *_wrapped(f"Bounds: none. {opinions.no_bounds}", 8)]
    size = "unknown" if bounds.step_size is None else f"{bounds.step_size}"
    lines += _wrapped(
        f"Bounds: base_lr {bounds.base_lr:g}, max_lr {bounds.max_lr:g}, {bounds.cycles} cycles, "
        f"step_size {size} (rule {bounds.rule})",
        8,
    )
    return lines + [line for text in bounds.warnings for line in _wrapped(f"warning: {text}", 9)]


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)
