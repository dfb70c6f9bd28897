"""Lists how each arm trains, and where and with what the runs were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import UNKNOWN, counted, number, rate, rates_of
from lrcycles.report.section import Block, Heading, Points, Section, Table
from lrcycles.report.sections.replay import DEVIATIONS

_MACHINE = ("device", "device_name", "threads", "backend", "precision", "compile")


def section(evidence: Evidence) -> Section:
    """Show settings, machine and versions, and where the replay deviates from the tutorial."""
    blocks: list[Block] = [settings(evidence), _machine(evidence)]
    if evidence.replay:
        blocks += [Heading("Where the replay deviates from the tutorial"), Points(DEVIATIONS)]
    return Section("protocol", "Protocol", blocks)


def settings(evidence: Evidence) -> Table:
    """Tabulate how each arm trains."""
    head = ["arm", "schedule", "rates", "step_size", "batch", "epochs", "steps", "images"]
    head += ["optimizer", "continues", "seeds"]
    return Table(head, [_row(name, arm) for name, arm in evidence.arms.items()])


def _row(name: str, arm: Arm) -> list[str]:
    own = arm.settings
    step_size = own.schedule.step_size
    return [
        name,
        own.schedule.name,
        rates_of(arm) or UNKNOWN,
        UNKNOWN if step_size is None else f"{step_size:,}",
        f"{own.batch_size:,}",
        str(own.epochs),
        f"{arm.total_steps:,}",
        f"{own.images:,} ({own.training_set})",
        own.optimizer["name"],
        own.continues or UNKNOWN,
        _span(list(arm.cells)),
    ]


def _span(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _machine(evidence: Evidence) -> Table:
    """Tabulate machine and versions; several values where runs differ."""
    cells = [cell for arm in evidence.arms.values() for cell in arm.cells.values()]
    rows = [["network", _distinct(_network(cell.model) for cell in cells)]]
    for key in _MACHINE:
        rows.append([key.replace("_", " "), _distinct(getattr(cell, key) for cell in cells)])
    for library in sorted({library for cell in cells for library in cell.versions}):
        rows.append([library, _distinct(cell.versions.get(library) for cell in cells)])
    if evidence.of_stages:
        rows.append(["range test", _range_test(evidence.stages.range_test)])
    return Table(["", "of every run"], rows)


def _network(model: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{key}={value}" for key, value in model["arguments"].items())
    return f"{model['function']}({arguments})"


def _range_test(test: Mapping[str, Any]) -> str:
    return (
        f"{test['ramp']} ramp from {rate(test['min_lr'])} to {rate(test['max_lr'])} in "
        f"{test['steps']:,} steps of batch {test['batch_size']}, "
        f"{counted(len(test['seeds']), 'seed')}, {number(test['train_seconds'], 1)} s in all"
    )


def _distinct(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))
