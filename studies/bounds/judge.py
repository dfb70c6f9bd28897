"""Compares each rule with the best rates and writes docs/study-bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lrcycles import files
from lrcycles.training.compilation import cpu_name
from studies.bounds import measure, tasks
from studies.bounds.tasks import OUT

PARTS = ("choose", "judge", "fresh")
JUDGED_BY = "fresh"
READS_HELDOUT = ("smith",)  # the other rules need no held-out measurements
OURS = ("calibrated", "cycle")
DOCS = Path("docs/study-bounds")
FIRST_VERSION = Path(__file__).with_name("first_version.csv")  # results of our first rule


def main() -> None:
    """Judge all parts and write tables, figures and the page."""
    grids, rules, costs = (_all(*name) for name in _FILES)
    floors = pd.DataFrame(_task_row(task, grids, costs) for task in _tasks())
    regrets = pd.DataFrame(_regrets(rules, floors))
    first = regrets_of_first_version(floors)
    spreads = _spreads(rules)
    summary = _summary(regrets, spreads, floors)
    for name, table in {
        "grid": grids,
        "rules": rules.drop(columns="reason"),
        "tasks": floors,
        "regrets": regrets,
        "summary": summary,
    }.items():
        files.write_text(DOCS / f"{name}.csv", table.to_csv(index=False, float_format="%.5g"))
    files.write_figure(DOCS / "regret.png", _regret_figure(regrets, summary))
    files.write_figure(DOCS / "basins.png", _basin_figure(grids, rules, floors))
    measured = f"{datetime.now(UTC):%Y-%m-%d}, {cpu_name()}"
    page = page_text(summary, floors, regrets, first, measured=measured)
    files.write_text(DOCS / "README.md", page)


_FILES = [
    ("grid", "grid.csv"),
    ("rules", "rules.csv"),
    ("curves", "costs.csv"),
]


def _all(stage: str, file: str) -> pd.DataFrame:
    parts = [pd.read_csv(OUT / stage / half / file).assign(half=half) for half in PARTS]
    return pd.concat(parts, ignore_index=True)


def _tasks() -> list[tasks.Task]:
    return [task for half in PARTS for task in tasks.read_tasks(half)]


def _task_row(task: tasks.Task, grids: pd.DataFrame, costs: pd.DataFrame) -> dict[str, Any]:
    """Return the oracle of a task, its results on the seeds it was not chosen on, and its noise."""
    grid = grids[grids["task"] == task.name]
    best = measure.oracle(grid)
    same = (grid["base_lr"] == best["base_lr"]) & (
        grid["max_lr"] == best.get("max_lr", best["base_lr"])
    )
    ten = grid[same].sort_values("seed")
    fresh = ten[ten["seed"] >= 5]
    spent = costs[costs["task"] == task.name]
    per_test = spent[["seconds", "seconds_loss_only"]].median() * tasks.SWEEP_SEEDS
    training = float(ten["seconds"].median())
    return {
        "half": task.half,
        "task": task.name,
        "schedule": best["name"],
        "base_lr": best["base_lr"],
        "max_lr": best.get("max_lr", best["base_lr"]),
        "oracle_loss": fresh["test_loss"].mean(),
        "oracle_error_percent": fresh["test_error_percent"].mean(),
        "noise_floor_percent": 100 * tasks.noise_floor(ten["test_loss"].to_numpy()),
        "training_seconds": training,
        "range_test_part": per_test["seconds_loss_only"] / training,
        "range_test_part_with_heldout": per_test["seconds"] / training,
    }


def regrets_of_first_version(floors: pd.DataFrame) -> pd.DataFrame:
    """Return the regrets of the first version of our rule, one row per task."""
    return pd.DataFrame(_regrets(pd.read_csv(FIRST_VERSION), floors))


def _regrets(rules: pd.DataFrame, floors: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield loss and error over the five range tests, relative to the oracle.

    There is one row per task, rule and use. A training that diverged counts with the loss and the
    error of random guessing.
    """
    oracles = floors.set_index("task")
    data_of = {task.name: task.data for task in _tasks()}
    for (task, rule, use), rows in rules.groupby(["task", "rule", "use"], sort=False):
        oracle = oracles.loc[task]
        classes = tasks.CLASSES[data_of[task]]
        answered = rows[rows["max_lr"].notna()]
        diverged = answered["status"] != "finished"
        loss = answered["test_loss"].fillna(math.log(classes))
        error = answered["test_error_percent"].fillna(100 * (1 - 1 / classes))
        relative = 100 * (loss.mean() / oracle["oracle_loss"] - 1)
        yield {
            "half": oracle["half"],
            "task": task,
            "rule": rule,
            "use": use,
            "answers": len(answered),
            "diverged": int(diverged.sum()),
            "regret_percent": relative,
            "beyond_floor_percent": max(0.0, relative - oracle["noise_floor_percent"]),
            "error_percent": error.mean(),
            "error_regret_points": error.mean() - oracle["oracle_error_percent"],
        }


def _spreads(rules: pd.DataFrame) -> pd.DataFrame:
    """Return the standard deviation of log10(max_lr): its median and maximum over the tasks."""
    cycles = rules[rules["use"] == "cycle"]
    logs = cycles.assign(log=np.log10(cycles["max_lr"].astype(float)))
    of_task = logs.groupby(["half", "rule", "task"])["log"].std()
    return of_task.groupby(["half", "rule"]).agg(["median", "max"]).add_prefix("spread_")


def _summary(regrets: pd.DataFrame, spreads: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (half, rule, use), group in regrets.groupby(["half", "rule", "use"], sort=False):
        whole = group[group["answers"] > 0]
        part = "range_test_part" + ("_with_heldout" if rule in READS_HELDOUT else "")
        rows.append(
            {
                "half": half,
                "rule": rule,
                "use": use,
                "median_percent": whole["beyond_floor_percent"].median(),
                "worst_percent": whole["beyond_floor_percent"].max(),
                "median_error_points": whole["error_regret_points"].median(),
                "worst_error_points": whole["error_regret_points"].max(),
                "diverged_percent": 100 * whole["diverged"].sum() / whole["answers"].sum(),
                "answered_percent": 100 * group["answers"].sum() / (tasks.RANGE_TESTS * len(group)),
                **spreads.loc[(half, rule)].to_dict(),
                "worst_cost": floors.loc[floors["half"] == half, part].max(),
            }
        )
    summary = pd.DataFrame(rows)
    # A rule without a rate on some task cannot be ranked among those with rates on all.
    summary["silent"] = summary["answered_percent"] < 100
    return summary.sort_values(["half", "silent", "median_percent"], ignore_index=True)


def _regret_figure(regrets: pd.DataFrame, summary: pd.DataFrame) -> Figure:
    """Draw the regret of each rule on each task of `JUDGED_BY`, with the best rule on top."""
    figure, ax = plt.subplots(figsize=(6.4, 6.4), layout="constrained")
    order = summary[summary["half"] == JUDGED_BY]
    for place, row in enumerate(order.itertuples()):
        mine = regrets[
            (regrets["half"] == JUDGED_BY)
            & (regrets["rule"] == row.rule)
            & (regrets["use"] == row.use)
            & (regrets["answers"] > 0)
        ]
        colour = "#d55e00" if (row.rule, row.use) == OURS else "#0173b2"
        values = mine["beyond_floor_percent"].clip(lower=0.5)
        ax.scatter(values, np.full(len(values), place), color=colour, alpha=0.6, s=22, lw=0)
        ax.plot([values.median()] * 2, [place - 0.35, place + 0.35], color=colour, lw=2)
    ax.set_yticks(range(len(order)), [f"{row.rule}, {row.use}" for row in order.itertuples()])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel(
        "held-out loss above the oracle's, beyond the noise floor (%)\n0.5 means 0.5 or less"
    )
    ax.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _basin_figure(grids: pd.DataFrame, rules: pd.DataFrame, floors: pd.DataFrame) -> Figure:
    """Draw the held-out loss over the grid's rates, with max_lr of our rule for each range test."""
    figure, axes = plt.subplots(7, len(PARTS), figsize=(9.6, 14), layout="constrained")
    for column, half in enumerate(PARTS):
        for ax, task in zip(axes[:, column], tasks.read_tasks(half), strict=True):
            grid = grids[(grids["task"] == task.name) & (grids["seed"] < 5)]
            ratio = (grid["max_lr"] / grid["base_lr"]).round()
            for value, colour, name in (
                (1, "#6b6b6b", "constant"),
                (40, "#0173b2", "cycle, base_lr = max_lr / 40"),
            ):
                line = grid[ratio == value].groupby("max_lr")["test_loss"].mean()
                ax.plot(line.index, line, color=colour, marker=".", ms=4, lw=1, label=name)
            mine = rules[(rules["task"] == task.name) & (rules["rule"] == OURS[0])]
            for rate in mine["max_lr"].dropna():
                ax.axvline(rate, color="#d55e00", lw=0.8, alpha=0.7)
            lowest = floors.set_index("task").loc[task.name, "oracle_loss"]
            ax.set_ylim(0.9 * lowest, 3 * lowest)
            ax.set_xscale("log")
            ax.set_title(f"{half}: {task.name}", fontsize=8)
            ax.tick_params(labelsize=7)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    figure.supxlabel(
        "constant rate, or max_lr of a cycle; vertical lines: max_lr of our rule", fontsize=9
    )
    figure.supylabel("held-out cross-entropy, mean of 5 seeds", fontsize=9)
    return figure


def page_text(
    summary: pd.DataFrame,
    floors: pd.DataFrame,
    regrets: pd.DataFrame,
    first: pd.DataFrame,
    *,
    measured: str,
) -> str:
    """Fill the figures into page.md.j2.

    Args:
        first: the regrets of the first version of our rule.
        measured: the date and the processor of the measurements.
    """
    judged = summary[summary["half"] == JUDGED_BY]
    ours = judged[(judged["rule"] == OURS[0]) & (judged["use"] == OURS[1])].iloc[0]
    mine = regrets[(regrets["half"] == JUDGED_BY) & (regrets["rule"] == OURS[0])]
    folder = Path(__file__).parent
    page = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, autoescape=False
    ).get_template("page.md.j2")
    return page.render(
        rule=OURS[0],
        ours=ours,
        worst_task=mine.loc[mine["beyond_floor_percent"].idxmax(), "task"],
        mine=mine.sort_values("beyond_floor_percent").to_dict("records"),
        peers=_best_peers(judged),
        parts={half: summary[summary["half"] == half].to_dict("records") for half in PARTS[::-1]},
        first=first[first["half"] == "judge"]["beyond_floor_percent"],
        second=regrets[(regrets["half"] != JUDGED_BY) & (regrets["rule"] == OURS[0])],
        floors=floors.to_dict("records"),
        tasks=tasks,
        measured=measured,
        met=lambda met: "met" if met else "**missed**",
    )


def _best_peers(judged: pd.DataFrame) -> dict[str, Any]:
    """Return the other tools' best rule by median and by worst regret, of those with all rates."""
    others = judged[~judged["rule"].isin(measure.OWN_BOUNDS) & ~judged["silent"]]
    return {
        word: others.loc[others[f"{word}_percent"].idxmin()].to_dict()
        for word in ("median", "worst")
    }
