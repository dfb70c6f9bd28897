"""Builds the tables that several sections show."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison
from lrcycles.evidence.families import Family
from lrcycles.evidence.paired import FEWEST
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import UNKNOWN, number
from lrcycles.report.section import Cell, Table


def comparisons(evidence: Evidence, listed: Sequence[Comparison]) -> Table:
    """Tabulate comparisons in one quantity with both parts of the interval and the verdict.

    Columns that would hold nothing are left out: p values where nothing is tested, robust
    estimates where they agree with the mean, and reasons where every verdict is given.
    """
    reasons = [verdicts.reason(one) for one in listed]
    tested = any(one.verdict.p is not None for one in listed)
    robust = any(one.robust_disagrees for one in listed)
    unit = verdicts.UNITS[listed[0].quantity].removeprefix("percentage ")
    head = ["comparison", "verdict", *(["why it is open"] if any(reasons) else [])]
    head += ["seeds", f"mean ({unit})", "95 % interval"]
    head += ["part of seeds; part of images"]
    head += ["median; Hodges-Lehmann"] if robust else []
    head += ["interval at the level", _p_and_level(listed)] if tested else []
    rows: list[list[Cell]] = []
    for one, reason in zip(listed, reasons, strict=True):
        title = " vs ".join(evidence.arms[name].label for name in (one.arm, one.against))
        row: list[Cell] = [title, verdicts.mark(one)]
        row += [reason or UNKNOWN] if any(reasons) else []
        row += [str(one.seeds), verdicts.mean(one, evidence), verdicts.interval(one, evidence)]
        row.append("; ".join(verdicts.halves(one, evidence)))
        row += [_robust(one, evidence)] if robust else []
        if tested:
            row += [verdicts.level_interval(one, evidence), "; ".join(verdicts.p_values(one))]
        rows.append(row)
    return Table(head, rows)


def _p_and_level(listed: Sequence[Comparison]) -> str:
    """Name p and its level: one of both is adjusted for the family."""
    families = {one.family for one in listed}
    if families == {Family.PRIMARY}:
        return "p; its level (Holm)"
    return "p; level" if Family.PRIMARY in families else "adjusted p (max-T); level"


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
