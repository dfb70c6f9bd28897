"""Words the answer in short, in error and in time."""

from __future__ import annotations

from collections.abc import Mapping
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
    described,
    mean_sd,
    number,
    threads,
    with_interval,
)
from lrcycles.report.section import Block, Cell, Look, Points, Section, Table
from lrcycles.report.sections import ingredients, reference, replay

_ORDER = (Outcome.BETTER, Outcome.EQUIVALENT, Outcome.UNDECIDED, Outcome.WORSE)


def section(evidence: Evidence) -> Section:
    """Put the answer, its figures and the published figures on the first screen."""
    blocks: list[Block] = []
    if evidence.of_stages and (glance := at_a_glance(evidence)):
        blocks.append(glance)
    blocks.append(Points(sentences(evidence)))
    if evidence.of_stages and evidence.candidates:
        blocks.append(_verdicts(evidence))
    return Section("summary", "In short", blocks, Look.BOX)


def sentences(evidence: Evidence) -> list[str]:
    """Word the answer; two experiments that are compared have only their own comparisons."""
    if evidence.of_stages is None:
        lines = [verdicts.sentences(one, evidence) for one in evidence.comparisons.values()]
        lines = lines or ["There is no comparison, because no seed finished in both arms."]
    else:
        lines = [*_of_candidates(evidence), *_of_controls(evidence), *replay.sentences(evidence)]
        if parts := break_down(evidence):
            lines += ingredients.sentences(parts, evidence)
        lines += reference.sentences(evidence)
    if (family := len(evidence.comparisons)) > 1:
        lines.append(
            f"The p values are adjusted by Holm's method for the {family} comparisons of this "
            "report that carry a verdict."
        )
    return lines


def _of_candidates(evidence: Evidence) -> list[str]:
    if not evidence.candidates:
        return [
            "Cycles between the selected bounds were not tried: this experiment has no arm in "
            "group clr."
        ]
    lines = []
    for quantity, word in ((Quantity.ERROR, "Error"), (Quantity.TIME, "Time")):
        comparisons = evidence.of(quantity, Role.CANDIDATE)
        lines += [verdicts.sentences(one, evidence) for one in comparisons]
        if not comparisons:
            asked = any(pair.role == Role.CANDIDATE for pair in evidence.pairs)
            why = "no seed finished in both arms" if asked else "none was asked for"
            lines.append(f"{word}: there is no comparison, because {why}.")
    return lines


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
            title = f"{len(comparisons)} other arms against {described(evidence.arms[against])}"
            lines.append(_by_outcome(title, {one.arm: one for one in comparisons}))
    if single:
        lines.append(_by_outcome("Other pairs", {one.title: one for one in single}))
    return lines


def _by_outcome(title: str, comparisons: Mapping[str, Comparison]) -> str:
    parts = []
    for outcome in _ORDER:
        names = [
            f"{name} {number(one.paired.mean)}"
            for name, one in comparisons.items()
            if one.outcome == outcome
        ]
        parts += [f"{outcome.value}: {', '.join(names)}"] if names else []
    return (
        f"{title}, mean difference in percentage points: {'; '.join(parts)}. The table of all "
        "arms has the intervals."
    )


def _verdicts(evidence: Evidence) -> Table:
    """Tabulate the verdicts of the arms that the report asks about."""
    rows: list[list[Cell]] = []
    for one in evidence.comparisons.values():
        if one.role != Role.CANDIDATE:
            continue
        quantity = "test error (%)" if one.quantity == Quantity.ERROR else "time to target (s)"
        rows.append(
            [
                f"{one.title}: {quantity}",
                verdicts.mark(one),
                f"{verdicts.difference(one)} ({verdicts.interval(one)})",
                _mean_sd(evidence, one.arm, one.quantity),
                _mean_sd(evidence, one.against, one.quantity),
            ]
        )
    head = ["", "verdict", "paired difference (95 % interval)"]
    return Table([*head, "arm: mean ± sd", "compared with: mean ± sd"], rows)


def _mean_sd(evidence: Evidence, name: str, quantity: Quantity) -> str:
    if quantity == Quantity.ERROR:
        return mean_sd(evidence.arms[name].values(quantity), 3)
    return mean_sd({seed: time.seconds for seed, time in evidence.reached[name].items()})


def at_a_glance(evidence: Evidence) -> Table | None:
    """Set the published pair, its replay and the controlled pair side by side."""
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
            "test error (%), published, one run each",
            *map(number, errors),
            f"{number(errors[1] - errors[0])} (from single runs)",
        ],
        ["test error (%), replayed here", *_errors(published), _difference(evidence, published)],
        [
            f"test error (%), controlled pair: {pair[0].name}, {pair[1].name}",
            *_errors(pair),
            _difference(evidence, pair),
        ],
        [
            "training time (s), published",
            *(number(value, 1) for value in seconds),
            _ratio(seconds[0], seconds[1]),
        ],
        [
            "training time (s), replayed by plain Keras fit here, from n measured epochs",
            *(with_interval(fit, 1) if fit else "not measured" for fit in fits),
            _ratio(means[0], means[1]) if len(means) == 2 else UNKNOWN,
        ],
        _controlled_seconds(evidence, pair),
    ]
    head = ["", "constant rate", "cyclical rate", "cyclical minus constant (95 % interval)"]
    return Table(head, rows, compact=True)


def _errors(arms: list[Arm]) -> list[str]:
    return [with_interval(arm.values(Quantity.ERROR), 3) for arm in arms]


def _ratio(first: float, second: float) -> str:
    return f"{number(second - first, 1)} ({second / first:.2f} times)"


def _difference(evidence: Evidence, arms: list[Arm]) -> str:
    comparison = evidence.error(arms[1].name, arms[0].name)
    if comparison is None:
        return UNKNOWN
    return f"{verdicts.with_interval(comparison)}; {comparison.outcome.value}"


def _controlled_seconds(evidence: Evidence, arms: list[Arm]) -> list[str]:
    """Give the median seconds of the controlled arms' steps times their number."""
    row = [f"training time (s), controlled pair, compiled, on {threads(arms)}"]
    for arm in arms:
        per_step = evidence.seconds_per_step.get(arm.name)
        row.append(number(None if per_step is None else per_step * arm.total_steps, 1))
    counts = [arm.total_steps for arm in arms]
    note = "equal steps" if len(set(counts)) == 1 else f"{counts[0]:,} and {counts[1]:,} steps"
    if spent := evidence.range_test_seconds.get(arms[1].name):
        note += f"; the range test took {number(spent, 1)} s more"
    return [*row, note]
