"""Puts the answer on the first screen: one sentence, a few lines, one figure, one table."""

from __future__ import annotations

from lrcycles.evidence.answer import Question, question
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.screens import budgets, cause, factors, optimizers, paper, use
from lrcycles.report.section import Block, Folded, Lead, Look, Points, Section
from lrcycles.report.sections import averages
from lrcycles.report.sections.budgets import at_ends

_SCREENS = {
    Question.TWO: use.screen,
    Question.FACTORS: factors.screen,
    Question.PAPER: paper.screen,
    Question.BUDGETS: budgets.screen,
    Question.CAUSE: cause.screen,
    Question.OPTIMIZERS: optimizers.screen,
    Question.USE: use.screen,
}
_TITLES = {
    Question.FACTORS: "What makes up the published gain?",
    Question.PAPER: "Do the paper's errors come out again?",
    Question.BUDGETS: "Which schedule is best for which length of training?",
    Question.CAUSE: "Is it the cycling, or where the learning rate ends?",
    Question.OPTIMIZERS: "Does cycling the learning rate help with every optimizer?",
}


def title(evidence: Evidence) -> str:
    """Give the title of the page: the question that the experiment asks."""
    return _TITLES.get(question(evidence), "Does cycling the learning rate help here?")


def trained(evidence: Evidence) -> str:
    """Say what was trained on what, for the head of the page; empty without the data's name."""
    if evidence.of_stages is None:
        return ""
    settings = [evidence.arms[name].settings for name in evidence.controlled]
    cells = [cell for name in evidence.controlled for cell in evidence.arms[name].cells.values()]
    parts = [
        ("data", {evidence.stages.data["name"]}),
        ("network", {cell.model["function"].rpartition(":")[2] for cell in cells}),
        ("optimizer", {one.optimizer["name"] for one in settings}),
        ("epochs", {one.epochs for one in settings}),
    ]
    return " · ".join(
        f"{word} {', '.join(map(str, sorted(values)))}" for word, values in parts if values
    )


def section(evidence: Evidence) -> Section:
    """Put the answer, its figure and its table on the first screen."""
    screen = _SCREENS[question(evidence)](evidence)
    blocks: list[Block] = [Lead(screen.lead)]
    if lines := [*screen.lines, *at_ends(evidence), *averages.in_short(evidence)]:
        blocks.append(Points(lines))
    blocks += [block for block in screen.shown if block is not None]
    if screen.compared:
        blocks.append(Folded("Both parts of every interval", screen.compared))
    return Section("summary", "In short", blocks, Look.BOX)
