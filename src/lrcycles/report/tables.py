"""Builds the tables that several sections show."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison
from lrcycles.evidence.estimates import FEWEST
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import UNKNOWN, number
from lrcycles.report.section import Cell, Table


def comparisons(evidence: Evidence, listed: Sequence[Comparison]) -> Table:
    """Tabulate comparisons in one quantity with both parts of the interval and the verdict.

    Columns that would hold nothing are left out: p values where nothing is tested, and robust
    estimates where they agree with the mean.
    """
    tested = any(one.verdict.p is not None for one in listed)
    robust = any(one.robust_disagrees for one in listed)
    unit = verdicts.UNITS[listed[0].quantity].removeprefix("percentage ")
    head = ["comparison", "verdict", "seeds", f"mean ({unit})", "95 % interval"]
    head += ["part of seeds", "part of images"]
    head += ["median; Hodges-Lehmann"] if robust else []
    head += ["p; level"] if tested else []
    rows: list[list[Cell]] = []
    for one in listed:
        title = " vs ".join(evidence.arms[name].label for name in (one.arm, one.against))
        row: list[Cell] = [title, verdicts.mark(one), str(one.seeds)]
        row += [verdicts.mean(one, evidence), verdicts.interval(one, evidence)]
        row += verdicts.halves(one, evidence)
        row += [_robust(one, evidence)] if robust else []
        row += ["; ".join(verdicts.p_values(one))] if tested else []
        rows.append(row)
    return Table(head, rows)


def _robust(comparison: Comparison, evidence: Evidence) -> str:
    found, digits = comparison.estimate, verdicts.digits_of(comparison.quantity, evidence)
    if found is None or found.n < FEWEST:
        return UNKNOWN
    return f"{number(found.median, digits)}; {number(found.hodges_lehmann, digits)}"


def every_seed(evidence: Evidence, names: Sequence[str]) -> Table:
    """Tabulate each seed's test error; the longer list of seeds or arms runs down the page."""
    label = {name: evidence.arms[name].label for name in names}
    seeds = sorted({seed for name in names for seed in evidence.arms[name].cells})
    if len(seeds) >= len(names):
        head = ["test error (%), seed", *label.values()]
        rows = [
            [str(seed), *(_error(evidence.arms[name], seed) for name in names)] for seed in seeds
        ]
    else:
        head = ["test error (%), arm", *(f"seed {seed}" for seed in seeds)]
        rows = [
            [label[name], *(_error(evidence.arms[name], seed) for seed in seeds)] for name in names
        ]
    return Table(head, rows, grid=True)


def _error(arm: Arm, seed: int) -> str:
    if seed not in arm.cells:
        return UNKNOWN
    cell = arm.cells[seed]
    if not cell.finished:
        return cell.status
    error = number(cell.test_error_percent)
    return error if seed in arm.trained else f"{error} (a guess)"
