"""Writes docs/study-networks from the kept trainings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from scipy import stats

from lrcycles import files
from lrcycles.advising.belief import WITHIN
from lrcycles.bounds.select import DEFAULT
from lrcycles.training.compilation import cpu_name
from studies.networks import (
    advised,
    costs,
    figures,
    gpu_grid,
    measure,
    rules,
    schedules_compared,
    sweeps,
    tasks,
)
from studies.networks.landscape import Landscape

OUT = Path("docs/study-networks")
HEADLINES = (1.5, 3.0, 10.0)  # trainings that a tuner may take


def landscapes() -> dict[str, Landscape]:
    """Return the landscape of every task."""
    return {task.name: Landscape.of(measure.kept(task)) for task in tasks.of_part("grid")}


def apply_rules() -> None:
    """Apply every rule to the kept range tests, and write the table of regrets."""
    parts = []
    for name, landscape in landscapes().items():
        for length in sweeps.REPEATS:
            tests = sweeps.range_tests(tasks.named(name), length)
            parts.append(
                rules.regrets(landscape, tests, length=length, total_steps=landscape.steps)
            )
    rows = pd.concat(parts, ignore_index=True)
    rows.insert(0, "half", rows["task"].map(tasks.half_of))
    _write("rules.csv", rows)


def main() -> None:
    """Write tables, figures and the page."""
    maps, rows = landscapes(), pd.read_csv(OUT / "rules.csv")
    judging = tasks.of_part("advice")
    advice = pd.concat(
        [advised.judged(task, maps[task.name], advised.ask(task)) for task in judging],
        ignore_index=True,
    )
    tuned = pd.concat(
        [
            files.read_table(measure.OUT / f"{task.name}-{task.digest}-tuned.parquet")
            for task in judging
        ],
        ignore_index=True,
    )
    table = pd.DataFrame(_task_row(landscape) for landscape in maps.values())
    tuners = costs.summary(tuned, advice)
    _write("tasks.csv", table)
    _write("advice.csv", advice.drop(columns="warnings"))
    _write("tuners.csv", tuners)
    files.write_figure(OUT / "landscapes.png", figures.landscapes(maps, rows, advice))
    files.write_figure(OUT / "rules.png", figures.rules(rows[_judge(rows)]))
    files.write_figure(OUT / "tuners.png", costs.figure(tuned, advice))
    compared = schedules_compared.by_task()
    files.write_figure(OUT / "schedules.png", schedules_compared.figure(compared))
    by_task = advice_by_task(advice)
    files.write_text(
        OUT / "README.md",
        _page(
            measured=f"{datetime.now(UTC):%Y-%m-%d}, {cpu_name()}",
            tasks=table.to_dict("records"),
            summaries={
                (half, length): rules.summary(part).to_dict("records")
                for (half, length), part in rows.groupby(["half", "length"])
            },
            default=DEFAULT,
            advice=advice_summary(advice, by_task),
            advice_tasks=by_task.to_dict("records"),
            beaten={
                length: rules.beaten(rows[(rows["half"] == "judge") & (rows["length"] == length)])
                for length in sweeps.REPEATS
            },
            optimism=_optimism([maps[task.name] for task in judging]),
            tuners=tuners[tuners["cost"].isin(HEADLINES)].to_dict("records"),
            caught_up=costs.caught_up(tuned, advice),
            minutes=_minutes(),
            schedules=schedules_compared.page_values(compared),
            gpu=gpu_grid.comparison(maps).to_dict("records"),
            labels=figures.LABELS,
        ),
    )


def _judge(rows: pd.DataFrame) -> pd.Series:
    return (rows["half"] == "judge") & (rows["length"] == "short")


def _page(**values: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{value:.1f}"
    return environment.get_template("page.md.j2").render(**values)


def _write(name: str, table: pd.DataFrame) -> None:
    files.write_text(OUT / name, table.to_csv(index=False, float_format="%.5g"))


def _minutes() -> dict[str, tuple[float, int]]:
    """Return the minutes of one core that each part took, and for how many tasks."""
    path = measure.OUT / "seconds.jsonl"
    if not path.exists():
        return {}
    parts = pd.read_json(path, lines=True).groupby("part", sort=False)
    return {str(part): (rows["seconds"].sum() / 60, rows["task"].nunique()) for part, rows in parts}


def _optimism(maps: Sequence[Landscape]) -> float:
    """Return by how much the oracles' losses are too low by chance, in percent."""
    logs = [np.log(landscape.unchosen_loss / landscape.oracle[2]) for landscape in maps]
    return float(100 * np.expm1(np.mean(logs)))


def _task_row(landscape: Landscape) -> dict[str, Any]:
    schedule, peak, loss = landscape.oracle
    task = tasks.named(landscape.task)
    best = {name: landscape.best(name)[1] for name in landscape.losses}
    return {
        "half": tasks.half_of(task.name),
        "task": task.name,
        "steps": landscape.steps,
        "batch_size": task.batch_size,
        "initial_loss": landscape.initial_loss,
        "oracle": schedule,
        "peak": peak,
        "loss": loss,
        "floor_percent": 100 * landscape.floor,
        **{f"{name}_percent": 100 * (value / loss - 1) for name, value in best.items()},
    }


def advice_by_task(advice: pd.DataFrame) -> pd.DataFrame:
    """Return regret, cost and coverage of each task over its repeats."""
    inside = advice["oracle_peak"].between(advice["low"], advice["high"])
    groups = advice.assign(inside=inside, log=np.log(advice["ratio"])).groupby("task")
    return groups.agg(
        regret_percent=("log", lambda logs: 100 * np.expm1(logs.mean())),
        worst_repeat_percent=("ratio", lambda ratios: 100 * (ratios.max() - 1)),
        covered_percent=("inside", lambda column: 100 * column.mean()),
        chance_percent=("chance", lambda column: 100 * column.mean()),
        within_percent=("ratio", lambda ratios: 100 * (ratios <= 1 + WITHIN).mean()),
        cost=("cost", "mean"),
        repeats=("ratio", "size"),
        diverged=("diverged", "sum"),
    ).reset_index()


def advice_summary(advice: pd.DataFrame, by_task: pd.DataFrame) -> dict[str, float]:
    """Return what the page promises of `advise`: over tasks, with the interval of its coverage."""
    covered = by_task["covered_percent"]
    half = stats.t.ppf(0.975, len(by_task) - 1) * covered.sem()
    return {
        "geometric_percent": 100 * np.expm1(np.log1p(by_task["regret_percent"] / 100).mean()),
        "median_percent": by_task["regret_percent"].median(),
        "worst_percent": by_task["regret_percent"].max(),
        "covered": covered.mean(),
        "covered_low": covered.mean() - half,
        "covered_high": min(100.0, covered.mean() + half),
        "cost": advice["cost"].mean(),
        "highest_cost": advice["cost"].max(),
        "diverged": int(advice["diverged"].sum()),
        "asked": len(advice),
    }
