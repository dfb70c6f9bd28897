"""Builds the tables that several sections show."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import UNKNOWN, number
from lrcycles.report.section import Cell, Table


def comparisons(evidence: Evidence, listed: Sequence[Comparison]) -> Table:
    """Tabulate comparisons with their interval, p values and verdict."""
    bca = ["95 % BCa interval"] if any(one.bca95 for one in listed) else []
    head = ["comparison", "n", "mean difference", "95 % interval", *bca]
    head += ["p", "p (Holm)", "verdict"]
    rows: list[list[Cell]] = [
        [
            " vs ".join(evidence.arms[name].label for name in (one.arm, one.against)),
            str(one.paired.n),
            verdicts.difference(one),
            verdicts.interval(one),
            *(verdicts.ends(one, one.bca95) for _ in bca),
            *verdicts.p_values(one),
            verdicts.mark(one),
        ]
        for one in listed
    ]
    return Table(head, rows)


def every_seed(evidence: Evidence, names: Sequence[str]) -> Table:
    """Tabulate each seed's test error, and its time to the target where that is known."""
    timed = [name for name in names if evidence.reached.get(name)]
    label = {name: evidence.arms[name].label for name in names}
    head = ["seed", *(f"{label[name]}: error (%)" for name in names)]
    head += [f"{label[name]}: time (s)" for name in timed]
    rows = []
    for seed in sorted({seed for name in names for seed in evidence.arms[name].cells}):
        errors = [_error(evidence.arms[name], seed) for name in names]
        times = [_time(evidence, name, seed) for name in timed]
        rows.append([str(seed), *errors, *times])
    return Table(head, rows)


def _error(arm: Arm, seed: int) -> str:
    if seed not in arm.cells:
        return UNKNOWN
    cell = arm.cells[seed]
    return number(cell.test_error_percent) if cell.finished else cell.status


def _time(evidence: Evidence, name: str, seed: int) -> str:
    time = evidence.reached[name].get(seed)
    if time is None:
        return UNKNOWN
    return f"> {number(time.seconds)}" if time.censored else number(time.seconds)
