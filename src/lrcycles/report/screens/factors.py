"""Answers which factors make up a change in test error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.factorial import Effect, Factorial
from lrcycles.evidence.paired import FEWEST
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import answers, verdicts
from lrcycles.report.figures.answer import Row
from lrcycles.report.formatting import UNKNOWN, counted, listed, number, span
from lrcycles.report.screens import use
from lrcycles.report.section import Picture, Screen, Table
from lrcycles.report.sections.factorial import missing

_MOST, _WHOLE = 50, 100  # percent: a larger share is most of the whole, or more than it
_MOST_SHARES = 2  # in a sentence
_BETWEEN = (
    "made by each change, averaged over all orders of making the changes (not between two rows)"
)


def screen(evidence: Evidence) -> Screen:
    """Say which factors make up the change, and which have no effect that shows."""
    parts = evidence.factorial
    names = [name for name in evidence.report.factors if name in evidence.arms]
    failed = answers.failures(evidence, names)
    compared = evidence.of(Quantity.ERROR, Role.REPLAY, Role.OTHER)
    unfolded = use.parts_of(evidence, compared)
    if parts is None:
        table = use.table_of(evidence, names)
        return Screen([*failed, missing(evidence)], [], [table], unfolded)
    return Screen(
        [*failed, " ".join([_whole(parts, evidence), *_without_effect(parts)])],
        _lines(parts, compared, evidence),
        [_picture(parts, evidence), _table(parts, evidence)],
        unfolded,
    )


def _whole(parts: Factorial, evidence: Evidence) -> str:
    """Word what makes up the whole change, the largest part first."""
    if parts.seeds < FEWEST:
        return f"{counted(parts.seeds, 'seed')} cannot show what makes up the change."
    if not parts.whole.sign:
        words = [f"No change shows between {parts.none} and {parts.all}."]
        words += _add_or_take(_with_effect(parts))
        return " ".join(words)
    along = [one for one in _with_effect(parts) if one.sign == parts.whole.sign]
    against = [one for one in _with_effect(parts) if one.sign == -parts.whole.sign]
    return " ".join([_parts(along, _change(parts, evidence)), *_add_or_take(against)])


def _change(parts: Factorial, evidence: Evidence) -> str:
    """Name the whole change and its size: a gain where errors go away."""
    kind = "gain" if parts.whole.sign < 0 else "loss"
    which = f"the {kind} from {parts.none} to {parts.all}"
    if [parts.none, parts.all] == evidence.replay:
        which = f"the published {kind}"
    return f"{which} of {number(abs(parts.whole.estimate.mean), _digits(evidence))} points"


def _parts(along: Sequence[Effect], change: str) -> str:
    """Word which factors make up the change."""
    if not along:
        return f"Of {change}, no factor alone makes up a part that shows."
    names = [one.factor for one in along]
    shares = [one.share[0] for one in along if one.share is not None]
    if len(along) == 1 and shares and shares[0] > _WHOLE:
        return f"{change[0].upper()}{change[1:]} comes from {names[0]}, which alone gives more."
    if len(along) == 1 and shares and shares[0] > _MOST:
        return f"Of {change}, most comes from {names[0]}."
    if len(shares) == len(along) <= _MOST_SHARES and sum(shares) <= _WHOLE:
        each = [
            f"{number(share, 0)} % comes from {name}"
            for share, name in zip(shares, names, strict=True)
        ]
        return f"Of {change}, {listed(each)}."
    return f"Parts of {change} come from {listed(names)}."


def _add_or_take(effects: Sequence[Effect]) -> list[str]:
    words = []
    for sign, what in ((-1, "taken away"), (1, "added")):
        if names := [one.factor for one in effects if one.sign == sign]:
            words.append(f"Errors are {what} by {listed(names)}.")
    return words


def _without_effect(parts: Factorial) -> list[str]:
    names = [one.factor for one in parts.effects if not one.sign]
    if parts.seeds < FEWEST or not names:
        return []
    return [f"No effect is shown for {listed(names)}."]


def _with_effect(parts: Factorial) -> list[Effect]:
    shown = [one for one in parts.effects if one.sign]
    return sorted(shown, key=lambda one: -abs(one.estimate.mean))


def _lines(parts: Factorial, compared: Sequence[Comparison], evidence: Evidence) -> list[str]:
    if parts.seeds < FEWEST:
        return []
    lines = [
        f"The effects rest on {counted(parts.seeds, 'seed')}"
        f"{' that trained in every arm' if parts.failed else ''}."
    ]
    if evidence.arms[parts.all].never_turns:
        lines.append(
            f"The cyclical rate of {parts.all} never falls: its run ends before, so it tests no "
            "cycle."
        )
    lines += [line for one in compared if (line := _restart(one, evidence))]
    least = evidence.report.margin_percent / 2
    every = (parts.whole, *parts.effects)
    carried = [one for one in every if one.estimate.robust_disagrees >= least]
    if len(carried) > 1:
        of = listed([one.factor for one in carried])
        lines.append(f"A few seeds change far more than the others: {of}.")
    return lines + [
        f"A few seeds change far more than the others: the median of {one.factor} is "
        f"{number(one.estimate.median, _digits(evidence))} points."
        for one in carried[: len(carried) == 1]
    ]


def _restart(one: Comparison, evidence: Evidence) -> str | None:
    """Word what a new optimizer changes: two runs after each other, against one of their length."""
    arm, other = evidence.arms[one.arm], evidence.arms[one.against]
    parent = evidence.arms.get(arm.settings.continues or "")
    if parent is None or other.settings.continues or one.estimate is None:
        return None
    if parent.settings.epochs + arm.settings.epochs != other.settings.epochs:
        return None
    difference = verdicts.with_interval(one, evidence)
    return (
        f"A new optimizer in the middle, as in {one.arm}, changes the error by {difference} points."
    )


def _picture(parts: Factorial, evidence: Evidence) -> Picture | None:
    """Draw the errors of no factor, of each alone and of all, and every effect."""
    alone = {own[0]: name for name, own in evidence.report.factors.items() if len(own) == 1}
    named = {parts.none: "no change"} | {name: factor for factor, name in alone.items()}
    named[parts.all] = "all together"
    rows = [
        replace(use.row_of(evidence.arms[name], evidence), name=f"{name}: {factors}")
        for name, factors in named.items()
        if evidence.arms[name].trained
    ]
    effects = [
        (
            Row(one.factor, _effect(one, evidence), alone.get(one.factor, parts.all), one.by_seed),
            one.estimate,
        )
        for one in (parts.whole, *parts.effects)
    ]
    return use.draw(rows, effects, evidence.report.margin_percent, _BETWEEN)


def _table(parts: Factorial, evidence: Evidence) -> Table:
    head = ["", "effect in points (95 % interval)", "median over seeds"]
    rows = [
        [one.factor, _effect(one, evidence), number(one.estimate.median, _digits(evidence))]
        for one in (parts.whole, *parts.effects)
    ]
    shares = [one.share for one in parts.effects if one.share is not None]
    # Where effects have different signs, a share says nothing.
    if len(shares) == len(parts.effects) and all(0 <= share <= _WHOLE for share, _ in shares):
        head.append("share of the whole")
        whole = [f"{number(share, 0)} % ({span(*ends, 0)})" for share, ends in shares]
        rows = [[*row, share] for row, share in zip(rows, [UNKNOWN, *whole], strict=True)]
    return Table(head, rows)


def _effect(one: Effect, evidence: Evidence) -> str:
    ends = one.estimate.interval()
    mean = number(one.estimate.mean, _digits(evidence))
    return mean if ends is None else f"{mean} ({span(*ends, _digits(evidence))})"


def _digits(evidence: Evidence) -> int:
    return verdicts.digits_of(Quantity.ERROR, evidence)
