"""Builds the tables that several sections show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import UNKNOWN, number
from lrcycles.report.section import Cell, Table


def comparisons(evidence: Evidence, listed: Sequence[Comparison]) -> Table:
    """Tabulate comparisons in one quantity with their interval, p values and verdict."""
    bca = ["95 % BCa interval"] if any(one.bca95 for one in listed) else []
    units = listed and verdicts.UNITS[listed[0].quantity]
    head = ["comparison", "n", f"mean difference ({units})", "95 % interval", *bca]
    head += ["p", "p (Holm)", "verdict"]
    rows: list[list[Cell]] = [
        [
            " vs ".join(evidence.arms[name].label for name in (one.arm, one.against)),
            str(one.paired.n),
            verdicts.mean(one, evidence),
            verdicts.interval(one, evidence),
            *(verdicts.ends(one, one.bca95, evidence) for _ in bca),
            *verdicts.p_values(one),
            verdicts.mark(one),
        ]
        for one in listed
    ]
    return Table(head, rows)


def every_seed(evidence: Evidence, names: Sequence[str]) -> list[Table]:
    """Tabulate each seed's test error, and its time to the target where that is known."""
    timed = [name for name in names if evidence.reached.get(name)]
    error = _by_seed(
        "test error (%)", evidence, names, lambda name, seed: _error(evidence.arms[name], seed)
    )
    time = _by_seed(
        "time to target (s)", evidence, timed, lambda name, seed: _time(evidence, name, seed)
    )
    return [error, time] if timed else [error]


def _by_seed(
    quantity: str, evidence: Evidence, names: Sequence[str], text: Callable[[str, int], str]
) -> Table:
    """Tabulate seeds and arms; the longer list runs down the page."""
    label = {name: evidence.arms[name].label for name in names}
    seeds = sorted({seed for name in names for seed in evidence.arms[name].cells})
    if len(seeds) >= len(names):
        head = [f"{quantity}, seed", *label.values()]
        rows = [[str(seed), *(text(name, seed) for name in names)] for seed in seeds]
    else:
        head = [f"{quantity}, arm", *(f"seed {seed}" for seed in seeds)]
        rows = [[label[name], *(text(name, seed) for seed in seeds)] for name in names]
    return Table(head, rows, grid=True)


def _error(arm: Arm, seed: int) -> str:
    if seed not in arm.cells:
        return UNKNOWN
    cell = arm.cells[seed]
    return number(cell.test_error_percent) if cell.finished else cell.status


def _time(evidence: Evidence, name: str, seed: int) -> str:
    time = evidence.reached[name].get(seed)
    if time is None:
        return UNKNOWN
    seconds = number(time.seconds, verdicts.digits_of(Quantity.TIME, evidence))
    return f"> {seconds}" if time.censored else seconds
