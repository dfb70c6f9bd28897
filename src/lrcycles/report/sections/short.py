"""Words the answer in short, in error and in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.costs import measured_alone
from lrcycles.evidence.ingredients import break_down
from lrcycles.evidence.paired import Outcome
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import (
    UNKNOWN,
    listed,
    mean_sd,
    number,
    with_interval,
)
from lrcycles.report.section import Block, Cell, Folded, Look, Points, Section, Table
from lrcycles.report.sections import ingredients, reference, replay

_ASKED = {Quantity.ERROR: "Error", Quantity.TIME: "Time"}
_MOST_NAMES = 4  # of arms in a sentence
_ORDER = (Outcome.BETTER, Outcome.EQUIVALENT, Outcome.UNDECIDED, Outcome.WORSE)


def section(evidence: Evidence) -> Section:
    """Put the answer, its figures and the published figures on the first screen."""
    compared = _compared(evidence)
    blocks: list[Block] = [_verdicts(evidence, compared)] if compared else []
    if lines := [*_not_compared(evidence), *_remarks(evidence, compared), *_beside(evidence)]:
        blocks.append(Points(lines))
    if evidence.of_stages and (glance := at_a_glance(evidence)):
        blocks.append(glance)
    blocks.append(Folded("The answers in full sentences", [Points(sentences(evidence))]))
    return Section("summary", "In short", blocks, Look.BOX)


def _compared(evidence: Evidence) -> list[Comparison]:
    """List the comparisons that the report asks about, those in error first."""
    return [one for kind in _ASKED for one in evidence.of(kind, Role.CANDIDATE)]


def _remarks(evidence: Evidence, compared: Sequence[Comparison]) -> list[str]:
    """Word what would decide the open comparisons, equal remarks once."""
    titles: dict[str, list[str]] = {}
    for one in compared:
        for remark in verdicts.consequence(one, evidence):
            titles.setdefault(remark, []).append(f"{one.title} in {_ASKED[one.quantity].lower()}")
    lines = [f"{listed(of)}: {remark}" for remark, of in titles.items()]
    if any(one.quantity == Quantity.TIME for one in compared):
        lines.append(f"The target is {verdicts.target(evidence)}.{_charged(evidence, compared)}")
    return lines


def _charged(evidence: Evidence, compared: Sequence[Comparison]) -> str:
    arms = dict.fromkeys(name for one in compared for name in (one.arm, one.against))
    paying = [
        f"{name} ({number(seconds, 1)} s)"
        for name in arms
        if (seconds := evidence.range_test_seconds.get(name))
    ]
    return f" The range test is included in the time of {listed(paying)}." if paying else ""


def _beside(evidence: Evidence) -> list[str]:
    """Word what else the first screen says, without the figures that the tables below have."""
    if evidence.of_stages is None:
        return []
    lines = _of_controls(evidence)
    for one in evidence.of(Quantity.ERROR, Role.REPLAY):
        lines.append(f"The published pair, replayed: {replay.conclusion(one, evidence)}")
    if parts := break_down(evidence):
        lines.append(ingredients.shares(parts, evidence))
    return lines + reference.sentences(evidence)


def sentences(evidence: Evidence) -> list[str]:
    """Word the answer; two experiments that are compared have only their own comparisons."""
    lines = [verdicts.sentences(one, evidence) for one in _compared(evidence)]
    lines += _not_compared(evidence)
    if evidence.of_stages is not None:
        lines += [*_of_controls(evidence), *replay.sentences(evidence)]
        if parts := break_down(evidence):
            lines += ingredients.sentences(parts, evidence)
        lines += reference.sentences(evidence)
    if (family := len(evidence.comparisons)) > 1:
        lines.append(
            f"The p values are adjusted by Holm's method for the {family} comparisons of this "
            "report that carry a verdict."
        )
    return lines


def _not_compared(evidence: Evidence) -> list[str]:
    """Word why there is no answer in error, in time or at all."""
    if evidence.of_stages is None:
        if evidence.comparisons:
            return []
        return ["There is no comparison, because no seed finished in both arms."]
    if not evidence.candidates:
        return [
            "Cycles between the selected bounds were not tried: this experiment has no arm in "
            "group clr."
        ]
    asked = any(pair.role == Role.CANDIDATE for pair in evidence.pairs)
    why = "no seed finished in both arms" if asked else "none was asked for"
    return [
        f"{word}: there is no comparison, because {why}."
        for quantity, word in _ASKED.items()
        if not evidence.of(quantity, Role.CANDIDATE)
    ]


def _of_controls(evidence: Evidence) -> list[str]:
    """Rank the control arms against each arm that they are compared with, the best first."""
    by_other: dict[str, list[Comparison]] = {}
    ranked = sorted(
        evidence.of(Quantity.ERROR, Role.CONTROL), key=lambda comparison: comparison.paired.mean
    )
    for comparison in ranked:
        by_other.setdefault(comparison.against, []).append(comparison)
    lines, single = [], []
    for against in evidence.controlled:
        comparisons = by_other.get(against, [])
        if len(comparisons) == 1:
            single += comparisons
        elif comparisons:
            title = f"{len(comparisons)} other arms against {against}"
            lines.append(_by_outcome(title, {one.arm: one for one in comparisons}))
    if single:
        lines.append(_by_outcome("Other pairs", {one.title: one for one in single}))
    if lines:
        lines[-1] += " Section 'All arms' has the figures."
    return lines


def _by_outcome(title: str, comparisons: Mapping[str, Comparison]) -> str:
    parts = []
    for outcome in _ORDER:
        names = [name for name, one in comparisons.items() if one.outcome == outcome]
        if len(names) > _MOST_NAMES:
            parts.append(f"{len(names)} {outcome.value}")
        elif names:
            parts.append(f"{len(names)} {outcome.value} ({', '.join(names)})")
    return f"{title}: {', '.join(parts)}."


def _verdicts(evidence: Evidence, compared: Sequence[Comparison]) -> Table:
    """Tabulate the answers on the arms that the report asks about, with their figures."""
    rows: list[list[Cell]] = [
        [
            verdicts.answer(one, evidence),
            verdicts.with_interval(one, evidence),
            _mean_sd(evidence, one.arm, one.quantity),
            _mean_sd(evidence, one.against, one.quantity),
        ]
        for one in compared
    ]
    arms, others = ({getattr(one, side) for one in compared} for side in ("arm", "against"))
    arm = arms.pop() if len(arms) == 1 else "arm"
    other = others.pop() if len(others) == 1 else "other arm"
    head = ["answer (errors in %, times in s)", "mean difference (95 % interval)"]
    return Table([*head, *(f"{name}: mean ± sd" for name in (arm, other))], rows)


def _mean_sd(evidence: Evidence, name: str, quantity: Quantity) -> str:
    digits = verdicts.digits_of(quantity, evidence)
    if quantity == Quantity.ERROR:
        return mean_sd(evidence.arms[name].values(quantity), digits, count=False)
    times = evidence.reached[name]
    reached = sum(not time.censored for time in times.values())
    if reached < len(times):  # the others count with their full length, which is too short
        mean = number(fmean(time.seconds for time in times.values()), digits)
        return f"at least {mean} ({reached} of {len(times)} reach it)"
    return mean_sd({seed: time.seconds for seed, time in times.items()}, digits, count=False)


def at_a_glance(evidence: Evidence) -> Table | None:
    """Set the published pair beside its replay, and its times beside the controlled pair's."""
    published = [evidence.arms[name] for name in evidence.replay]
    if len(published) != 2 or not evidence.candidates:
        return None
    pair = [evidence.arms[evidence.baseline], evidence.arms[evidence.candidates[0]]]
    figures = [evidence.report.published[arm.name] for arm in published]
    errors = [figure.error_percent for figure in figures]
    seconds = [figure.seconds for figure in figures]
    fits = [measured_alone(evidence, arm, "fit_seconds") for arm in published]
    means = [fmean(fit.values()) for fit in fits if fit]
    rows = [
        [
            "error (%), publication",
            *map(number, errors),
            f"{number(errors[1] - errors[0])} (from single runs)",
        ],
        [
            "error (%), replay",
            *_errors(published, evidence),
            _difference(evidence, published),
        ],
        [
            "time (s), publication",
            *(number(value, 1) for value in seconds),
            _ratio(seconds[0], seconds[1]),
        ],
        [
            "time (s), plain Keras fit here",
            *(with_interval(fit, 1) if fit else "not measured" for fit in fits),
            _ratio(means[0], means[1]) if len(means) == 2 else UNKNOWN,
        ],
        _controlled_seconds(evidence, pair),
    ]
    head = ["mean (95 % interval)", "constant rate", "cyclical rate", "cyclical minus constant"]
    return Table(head, rows)


def _errors(arms: list[Arm], evidence: Evidence) -> list[str]:
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    return [with_interval(arm.values(Quantity.ERROR), digits) for arm in arms]


def _ratio(first: float, second: float) -> str:
    return f"{number(second - first, 1)} ({second / first:.2f} times)"


def _difference(evidence: Evidence, arms: list[Arm]) -> str:
    comparison = evidence.error(arms[1].name, arms[0].name)
    if comparison is None:
        return UNKNOWN
    return verdicts.with_interval(comparison, evidence)


def _controlled_seconds(evidence: Evidence, arms: list[Arm]) -> list[str]:
    """Give the median seconds of the controlled arms' steps times their number."""
    names = " and ".join(arm.name for arm in arms)
    row = [f"time (s), {names}"]
    for arm in arms:
        per_step = evidence.seconds_per_step.get(arm.name)
        row.append(number(None if per_step is None else per_step * arm.total_steps, 1))
    counts = [arm.total_steps for arm in arms]
    equal = len(set(counts)) == 1
    return [*row, "equal steps" if equal else f"{counts[0]:,} and {counts[1]:,} steps"]
