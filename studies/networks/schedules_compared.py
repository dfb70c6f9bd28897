"""Compares the schedules at their own best peaks, on the grid of the GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy import stats

from lrcycles import drawing
from studies.networks import gpu_grid
from studies.networks.runs import MORE, SCHEDULES

REFERENCE = "warmup_decay"
LABELS = {
    "warmup_decay": "warm-up, linear decay",
    "linear_decay": "linear decay",
    "warmup_cosine": "warm-up, cosine",
    "warmup_stable": "warm-up, stable, linear decay",
    "warmup_stable_sqrt": "warm-up, stable, 1-sqrt decay",
    "one_cycle": "one cycle",
    "cycles": "3 cycles",
    "triangular2": "3 cycles, each half as high",
    "shrinking": "3 shrinking cycles",
    "constant": "constant",
}


def by_task() -> pd.DataFrame:
    """Return loss and best peak of every schedule on every task, relative to `REFERENCE`.

    The loss is the lowest of the grid, `log` the natural logarithm of its ratio. The best peak is
    at the lowest point of a parabola, and `octaves` is log2 of its ratio.
    """
    rows = []
    for name, task in gpu_grid.landscapes([*SCHEDULES, *MORE], "common_loss").items():
        _, best = task.best(REFERENCE)
        peak = task.optimum(REFERENCE)
        rows += [
            {
                "task": name,
                "schedule": schedule,
                "log": np.log(task.best(schedule)[1] / best),
                "octaves": np.log2(task.optimum(schedule) / peak),
            }
            for schedule in task.losses
            if schedule != REFERENCE
        ]
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise tasks by schedule, in the order of `LABELS`.

    The interval of the loss is that of Student's t over the tasks.
    """
    groups = rows.groupby("schedule", sort=False)
    logs, octaves = groups["log"], groups["octaves"]
    half = stats.t.ppf(0.975, logs.count() - 1) * logs.sem()
    table = pd.DataFrame(
        {
            "percent": 100 * np.expm1(logs.mean()),
            "low_percent": 100 * np.expm1(logs.mean() - half),
            "high_percent": 100 * np.expm1(logs.mean() + half),
            "worst_percent": 100 * np.expm1(logs.max()),
            "better": (rows["log"] < 0).groupby(rows["schedule"]).sum(),
            "tasks": logs.count(),
            "octaves": octaves.mean(),
            "octaves_deviation": octaves.std(),
            "octaves_median": octaves.median(),
            "peak_ratio": 2 ** octaves.median(),
        }
    )
    order = [name for name in LABELS if name in table.index]
    table = table.loc[order]
    return table.rename_axis("schedule").reset_index().assign(label=[LABELS[n] for n in order])


def verdicts(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the labels of the schedules that are better or worse than `REFERENCE`.

    The interval of the loss excludes 0.
    """
    better, worse = table[table["high_percent"] < 0], table[table["low_percent"] > 0]
    return {"better": list(better["label"]), "worse": list(worse["label"])}


def page_values(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the tables and the verdicts of the page."""
    table = summary(rows)
    return {
        "rows": table.to_dict("records"),
        "tasks": int(table["tasks"].max()),
        "seeds": gpu_grid.COMMON_SEEDS,
        **verdicts(table),
    }


def figure(rows: pd.DataFrame) -> Figure:
    """Draw loss and best peak of every schedule: a dot for a task, a bar at the mean or median."""
    picture, axes = drawing.panels(2, height=6.4)
    order = [name for name in LABELS if name in set(rows["schedule"])]
    for ax, column, centre in zip(axes, ("log", "octaves"), ("mean", "median"), strict=True):
        for place, name in enumerate(order):
            part = rows.loc[rows["schedule"] == name, column]
            scale = np.exp if column == "log" else np.exp2
            ax.plot(scale(part), np.full(len(part), place), "o", color="black", alpha=0.5, ms=4)
            middle = scale(getattr(part, centre)())
            ax.plot([middle], [place], "|", color="crimson", ms=16, mew=2)
        ax.axvline(1, color=drawing.GREY, linewidth=1, zorder=0)
        ax.set_yticks(range(len(order)), labels=[LABELS[name] for name in order], fontsize=8)
        ax.invert_yaxis()
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_xticks([0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5])
    axes[1].set_xticks([0.125, 0.25, 0.5, 1, 2, 4, 8, 16])
    axes[0].set_xlabel("loss, relative to warm-up and linear decay (bar: mean)")
    axes[1].set_xlabel("best peak, relative to warm-up and linear decay (bar: median)")
    return picture
