"""Writes docs/study-networks from the kept trainings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from scipy import stats

from lrcycles import files
from lrcycles.bounds.select import DEFAULT
from lrcycles.training.compilation import cpu_name
from studies.networks import figures, measure, rules, sweeps, tasks
from studies.networks.landscape import Landscape

OUT = Path("docs/study-networks")


def landscapes() -> dict[str, Landscape]:
    """Return the landscape of every task whose grid is complete."""
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
    maps = landscapes()
    rows = pd.read_csv(OUT / "rules.csv")
    advice, tuned = pd.read_csv(OUT / "advice.csv"), pd.read_csv(OUT / "tuners.csv")
    summaries = {
        (half, length): rules.summary(part)
        for (half, length), part in rows.groupby(["half", "length"])
    }
    table = pd.DataFrame(_task_row(landscape) for landscape in maps.values())
    _write("tasks.csv", table)
    files.write_figure(OUT / "landscapes.png", figures.landscapes(maps, rows, advice))
    files.write_figure(OUT / "rules.png", figures.rules(rows[rows["half"] == "judge"]))
    files.write_figure(OUT / "tuners.png", figures.tuners(tuned, advice))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.md.j2").render(
        measured=f"{datetime.now(UTC):%Y-%m-%d}, {cpu_name()}",
        tasks=table.to_dict("records"),
        summaries={key: table.to_dict("records") for key, table in summaries.items()},
        default=DEFAULT,
        advice=advice_summary(advice),
        advice_tasks=advice_by_task(advice).to_dict("records"),
        tuners=tuner_summary(tuned, advice).to_dict("records"),
    )
    files.write_text(OUT / "README.md", text)


def _write(name: str, table: pd.DataFrame) -> None:
    files.write_text(OUT / name, table.to_csv(index=False, float_format="%.5g"))


def _task_row(landscape: Landscape) -> dict[str, Any]:
    schedule, peak, loss = landscape.oracle
    task = tasks.named(landscape.task)
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
        "best_decay_percent": 100 * (landscape.best("linear_decay")[1] / loss - 1),
        "best_cycles_percent": 100 * (landscape.best("cycles")[1] / loss - 1),
        "best_constant_percent": 100 * (landscape.best("constant")[1] / loss - 1),
    }


def advice_by_task(advice: pd.DataFrame) -> pd.DataFrame:
    """Return regret, cost and coverage of each task over its repeats."""
    inside = advice["oracle_peak"].between(advice["low"], advice["high"])
    groups = advice.assign(inside=inside, log=np.log(advice["ratio"])).groupby("task")
    return groups.agg(
        regret_percent=("log", lambda logs: 100 * np.expm1(logs.mean())),
        worst_repeat_percent=("ratio", lambda ratios: 100 * (ratios.max() - 1)),
        covered=("inside", "mean"),
        cost=("cost", "mean"),
        repeats=("ratio", "size"),
        diverged=("diverged", "sum"),
    ).reset_index()


def advice_summary(advice: pd.DataFrame) -> dict[str, float]:
    """Return what the page promises of `advise`: over tasks, with the interval of its coverage."""
    by_task = advice_by_task(advice)
    half = stats.t.ppf(0.975, len(by_task) - 1) * by_task["covered"].sem()
    return {
        "median_percent": by_task["regret_percent"].median(),
        "worst_percent": by_task["regret_percent"].max(),
        "covered": by_task["covered"].mean(),
        "covered_low": by_task["covered"].mean() - half,
        "covered_high": min(1.0, by_task["covered"].mean() + half),
        "cost": advice["cost"].mean(),
        "highest_cost": advice["cost"].max(),
        "diverged": int(advice["diverged"].sum()),
    }


def tuner_summary(tuned: pd.DataFrame, advice: pd.DataFrame) -> pd.DataFrame:
    """Compare each tuner at each cost with `advise`: regret, and on how many tasks it is worse."""
    ours = np.log(advice["ratio"]).groupby(advice["task"]).mean()
    logs = tuned.assign(log=np.log(tuned["ratio"]))
    out = []
    for (tuner, cost), rows in logs.groupby(["tuner", "cost"]):
        theirs = rows.groupby("task")["log"].mean()
        out.append(
            {
                "tuner": tuner,
                "cost": cost,
                "geometric_percent": 100 * np.expm1(theirs.mean()),
                "median_percent": 100 * np.expm1(theirs.median()),
                "worst_percent": 100 * np.expm1(theirs.max()),
                "advise_wins": int((theirs > ours.loc[theirs.index]).sum()),
                "tasks": len(theirs),
            }
        )
    return pd.DataFrame(out)
