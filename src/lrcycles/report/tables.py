"""Which tables does the report show? Cells are text, so that HTML and Markdown share them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lrcycles.evidence.arms import Arm, wilson_percent
from lrcycles.evidence.comparisons import ERROR, Comparison
from lrcycles.evidence.gather import Evidence
from lrcycles.report import formatting
from lrcycles.report.formatting import (
    UNKNOWN,
    every_seed,
    mean_sd,
    number,
    rate,
    rates_of,
    with_interval,
)


@dataclass(frozen=True)
class Table:
    head: list[str]
    rows: list[list[str]]


def headline(evidence: Evidence) -> Table:
    """The verdicts of the arms of group clr: the figures of the first screen."""
    rows = []
    for found in evidence.comparisons.values():
        asked = (found.arm, found.against) in evidence.pairs
        if not asked or evidence.arms[found.arm].group != "clr":
            continue
        if found.quantity == ERROR:
            quantity = "test error (%)"
            values = [evidence.arms[name].values(ERROR) for name in (found.against, found.arm)]
        else:
            quantity = "time to target (s)"
            values = [_seconds(evidence, name) for name in (found.against, found.arm)]
        shown = [mean_sd(value) for value in values]
        difference = f"{formatting.difference(found)} ({formatting.interval(found)})"
        rows.append([f"{found.title}: {quantity}", found.verdict, difference, *shown])
    head = ["", "verdict", "paired difference (95 % interval)"]
    return Table([*head, "the other: mean ± sd", "the arm: mean ± sd"], rows)


def _seconds(evidence: Evidence, name: str) -> dict[int, float]:
    return {seed: time.seconds for seed, time in evidence.reached.get(name, {}).items()}


def replay(evidence: Evidence, published: Mapping[str, Mapping[str, float]]) -> Table:
    """The published figures beside what their replay measures on this machine."""
    images = int(evidence.stages.data["counts"]["test"])
    arms = [evidence.arms[name] for name in evidence.replay]
    rows = [["test error as published, one run (%)"], ["test error replayed (%)"]]
    rows += [
        ["training time as published (s)"],
        ["plain Keras fit here, alone on all cores, from epochs measured (s)"],
        ["compiled training here, likewise (s)"],
    ]
    rows += [
        [f"compiled training here, each run on {threads(arms)} (s)"],
        ["test error replayed, each seed (%)"],
    ]
    for arm in arms:
        figure = published[arm.name]
        low, high = wilson_percent(figure["error_percent"], images)
        rows[0].append(
            f"{number(figure['error_percent'])} (Wilson 95 %: {number(low)} to {number(high)})"
        )
        rows[1].append(mean_sd(arm.values(ERROR)))
        rows[2].append(number(figure["seconds"]))
        for row, kind in ((rows[3], "fit_seconds"), (rows[4], "compiled_seconds")):
            alone = measured_alone(evidence, arm, kind)
            row.append(with_interval(alone, 1) if alone else "not measured")
        rows[5].append(mean_sd(arm.values("train_seconds"), 1))
        rows[6].append(every_seed(arm.values(ERROR)))
    return Table(["", *evidence.replay], rows)


def threads(arms: Iterable[Arm]) -> str:
    """How many threads each run had."""
    counts = sorted({int(arm.settings["threads"]) for arm in arms})
    return f"{' or '.join(map(str, counts))} thread{'' if counts == [1] else 's'}"


def measured_alone(evidence: Evidence, arm: Arm, kind: str) -> dict[int, float]:
    """What the whole run would take by each epoch that was measured alone on all cores, if any."""
    epochs = int(arm.settings["epochs"])
    return {
        turn: epochs * seconds
        for entry in evidence.stages.fit_epochs
        if entry["batch_size"] == arm.settings["batch_size"]
        for turn, seconds in enumerate(entry[kind])
    }


def comparisons(evidence: Evidence, quantity: str, names: Iterable[str]) -> Table:
    """Every comparison between the named arms in one quantity, with its verdict."""
    wanted = set(names)
    shown = [found for found in evidence.of(quantity) if {found.arm, found.against} <= wanted]
    bca = ["95 % BCa interval"] if any(found.bca95 for found in shown) else []
    head = ["comparison", "n", "mean difference", "95 % interval", *bca]
    head += ["p", "p (Holm)", "verdict"]
    rows = [
        [
            " vs ".join(evidence.arms[name].label for name in (found.arm, found.against)),
            str(found.paired.n),
            formatting.difference(found),
            formatting.interval(found),
            *(formatting.ends(found, found.bca95) for _ in bca),
            *_p_values(found),
            found.verdict,
        ]
        for found in shown
    ]
    return Table(head, rows)


def _p_values(found: Comparison) -> list[str]:
    known = [None, None] if found.left_open else [found.paired.p, found.judged.holm_p]
    return [formatting.p_value(p).removeprefix("= ") for p in known]


def times(evidence: Evidence) -> Table:
    """Time to the target per arm, and the raw seconds, which carry no verdict."""
    head = ["arm", "time to target (s)", "never reached it", "spent before training (s)"]
    head += ["ms per step, median of its kind", "whole training, raw (s)", "compilation apart (s)"]
    rows = []
    for name in evidence.reached:
        arm = evidence.arms[name]
        reached = evidence.reached[name]
        censored = sum(time.censored for time in reached.values())
        per_step = evidence.seconds_per_step.get(name)
        rows.append(
            [
                arm.label,
                mean_sd(_seconds(evidence, name)),
                f"{censored} of {len(reached)}",
                number(evidence.extra_seconds[name]),
                number(None if per_step is None else 1000 * per_step, 3),
                mean_sd(arm.values("train_seconds")),
                mean_sd(arm.values("compile_seconds"), 1),
            ]
        )
    return Table(head, rows)


def seeds(evidence: Evidence, names: list[str]) -> Table:
    """Every seed of every arm: test error, and time to target where it is defined."""
    timed = [name for name in names if evidence.reached.get(name)]
    label = {name: evidence.arms[name].label for name in names}
    head = ["seed", *(f"{label[name]}: error (%)" for name in names)]
    head += [f"{label[name]}: time (s)" for name in timed]
    rows = []
    for seed in sorted({seed for name in names for seed in evidence.arms[name].cells}):
        row = [str(seed)]
        for name in names:
            cell = evidence.arms[name].cells.get(seed)
            row.append(_error_of(cell))
        for name in timed:
            time = evidence.reached[name].get(seed)
            row.append(UNKNOWN if time is None else _time_of(time.seconds, time.censored))
        rows.append(row)
    return Table(head, rows)


def _error_of(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return UNKNOWN
    return number(cell[ERROR]) if cell["status"] == "finished" else str(cell["status"])


def _time_of(seconds: float, censored: bool) -> str:
    return f"> {number(seconds)}" if censored else number(seconds)


def bounds(evidence: Evidence) -> Table:
    """The chosen bounds and how they vary from seed to seed."""
    chosen = evidence.stages.bounds
    rows = []
    for key in ("base_lr", "max_lr"):
        spread = chosen["interval"][key]
        rows.append(
            [
                key,
                rate(chosen[key]),
                f"{rate(spread['low'])} to {rate(spread['high'])}",
                number(spread["spread_decades"]),
                " ".join(
                    "none" if entry[key] is None else rate(entry[key])
                    for entry in chosen["interval"]["per_seed"]
                ),
            ]
        )
    return Table(["", "chosen", "interval over seeds", "spread (decades)", "each seed"], rows)


def data(evidence: Evidence) -> Table:
    found = evidence.stages.data
    rows = [[f"{part} images", f"{count:,}"] for part, count in found["counts"].items()]
    shape = " x ".join(map(str, found["image_shape"]))
    rows += [["image shape", shape], ["split seed", str(found["split_seed"])]]
    for part, digest in found["sha256"].items():
        rows.append([f"SHA-256 {part.replace('_', ' ')}", digest])
    rows.append(["digest of data and split", str(found["digest"])])
    return Table(["", f"{found['name']}, from {found['source']}"], rows)


def settings(evidence: Evidence) -> Table:
    """How each arm trains."""
    head = ["arm", "schedule", "rates", "step_size", "batch", "epochs", "steps", "images"]
    head += ["optimizer", "continues", "seeds"]
    rows = []
    for name, arm in evidence.arms.items():
        own = arm.settings
        schedule = own["schedule"]
        rows.append(
            [
                name,
                schedule["name"],
                rates_of(arm) or UNKNOWN,
                UNKNOWN if schedule["step_size"] is None else f"{schedule['step_size']:,}",
                f"{own['batch_size']:,}",
                str(own["epochs"]),
                f"{arm.total_steps:,}",
                f"{own['images']:,} ({own['training_set']})",
                own["optimizer"]["name"],
                own["continues"] or UNKNOWN,
                _span(list(arm.cells)),
            ]
        )
    return Table(head, rows)


def _span(seeds: list[int]) -> str:
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def machine(evidence: Evidence) -> Table:
    """Where and with what the runs were made; several values where runs differ."""
    cells = [cell for arm in evidence.arms.values() for cell in arm.cells.values()]
    rows = [
        [key.replace("_", " "), _distinct(cell[key] for cell in cells)]
        for key in ("device", "device_name", "threads", "backend", "precision", "compile")
    ]
    for library in sorted({library for cell in cells for library in cell["versions"]}):
        rows.append([library, _distinct(cell["versions"].get(library) for cell in cells)])
    if evidence.of_stages:
        rows.append(["range test", _range_test(evidence.stages.range_test)])
    return Table(["", "of every run"], rows)


def _range_test(test: Mapping[str, Any]) -> str:
    return (
        f"{test['ramp']} ramp from {rate(test['min_lr'])} to {rate(test['max_lr'])} in "
        f"{test['steps']:,} steps of batch {test['batch_size']}, "
        f"{len(test['seeds'])} seeds, {number(test['train_seconds'], 1)} s"
    )


def _distinct(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))
