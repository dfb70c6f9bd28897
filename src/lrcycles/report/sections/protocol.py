"""Lists how each arm trains, and where and with what the runs were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.figures.arms import rates_over_steps
from lrcycles.report.figures.inputs import colours_of
from lrcycles.report.formatting import UNKNOWN, counted, listed, number, rate, rates_of
from lrcycles.report.section import Block, Heading, Picture, Points, Section, Table
from lrcycles.report.sections.replay import DEVIATIONS

_MACHINE = ("device", "device_name", "threads", "backend", "precision", "compile")


def section(evidence: Evidence) -> Section:
    """Show settings, machine and versions, and where the replay deviates from the tutorial."""
    advised = evidence.stages.advised_arms if evidence.of_stages else []
    by_arm = {
        arm.label: _settings(arm, advised=arm.name in advised) for arm in evidence.arms.values()
    }
    blocks: list[Block] = [settings(by_arm)]
    if advised and evidence.stages.advice:
        blocks.append(Points(_advice(advised, evidence.stages.advice)))
    blocks += [_shared(by_arm, evidence), _rates(evidence)]
    if evidence.replay:
        blocks += [Heading("Where the replay deviates from the tutorial"), Points(DEVIATIONS)]
    about = "How each arm trains, with its rate at every step, on which machine and with what."
    return Section("protocol", "Protocol", blocks, about=about)


def _rates(evidence: Evidence) -> Picture:
    """Draw every arm's rate, and how far a half-cycle that is cut short would go."""
    turnless = {name: arm for name, arm in evidence.arms.items() if arm.never_turns}
    drawn = rates_over_steps(
        {name: arm.rates for name, arm in evidence.arms.items()},
        {name: arm.settings.schedule.step_size for name, arm in turnless.items()},
        warmups={name: arm.warmup_steps for name, arm in evidence.arms.items()},
        colours=colours_of(evidence),
    )
    caption = "The rate of each arm."
    if turnless:
        caption += " A dotted line is the rest of a half-cycle that the run does not finish."
    alt = "The learning rate of each arm at every step."
    return Picture("learning_rate", drawn, alt, caption)


def settings(by_arm: Mapping[str, Mapping[str, str]]) -> Table:
    """Tabulate the settings in which arms differ."""
    keys = [key for key, values in _values(by_arm).items() if len(values) > 1]
    return Table(
        ["arm", *keys], [[arm, *(own[key] for key in keys)] for arm, own in by_arm.items()]
    )


def _values(by_arm: Mapping[str, Mapping[str, str]]) -> dict[str, set[str]]:
    """Collect the values of each setting."""
    keys = next(iter(by_arm.values()))
    return {key: {own[key] for own in by_arm.values()} for key in keys}


def _advice(arms: Sequence[str], advice: Mapping[str, Any]) -> list[str]:
    """Word where the rate of advised arms comes from, and its price."""
    low, high = advice["peak_interval"]
    return [
        f"Stage advise found the peak rate of {listed(arms)} by short trainings. Its 90 % interval "
        f"reaches from {rate(low)} to {rate(high)}.",
        f"The advice cost as much as {number(advice['cost']['used'])} trainings. No time in this "
        "report includes this price.",
    ]


def _settings(arm: Arm, *, advised: bool) -> dict[str, str]:
    own = arm.settings
    step_size = own.schedule.step_size
    return {
        "schedule": own.schedule.name,
        "rates": (rates_of(arm) or UNKNOWN) + (" (advice)" if advised else ""),
        "warm-up (steps)": f"{arm.warmup_steps:,}",
        "step_size": UNKNOWN if step_size is None else f"{step_size:,}",
        "batch size": f"{own.batch_size:,}",
        "epochs": str(own.epochs),
        "steps": f"{arm.total_steps:,}",
        "images": f"{own.images:,} ({own.training_set})",
        "optimizer": own.optimizer["name"],
        "seeds": _span(list(arm.cells)),
    }


def _span(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _shared(by_arm: Mapping[str, Mapping[str, str]], evidence: Evidence) -> Table:
    """Tabulate the settings that all arms share, machine and versions.

    Machine and versions have several values where runs differ.
    """
    equal = [[key, *values] for key, values in _values(by_arm).items() if len(values) == 1]
    cells = [cell for arm in evidence.arms.values() for cell in arm.cells.values()]
    rows = [["network", _distinct(_network(cell.model) for cell in cells)]]
    for key in _MACHINE:
        rows.append([key.replace("_", " "), _distinct(getattr(cell, key) for cell in cells)])
    if evidence.of_stages and (alone := evidence.stages.fit_epochs):
        rows.append(["threads of the measured epochs", _distinct(e["threads"] for e in alone)])
    for library in sorted({library for cell in cells for library in cell.versions}):
        rows.append([library, _distinct(cell.versions.get(library) for cell in cells)])
    if evidence.of_stages:
        rows.append(["range test", _range_test(evidence.stages.range_test)])
    return Table(["", "of every run"], [*equal, *rows])


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
