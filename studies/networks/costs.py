"""Compares `advise` with tuners at every cost: the table and the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from scipy import stats

from lrcycles import drawing
from studies.networks.task import Array

DRAWS = 2000
TICKS = [0.5, 1, 1.5, 3, 5, 10]


def by_task(answers: pd.DataFrame) -> pd.Series:
    """Return the mean log ratio over the repeats, by tuner, cost and task."""
    logs = answers.assign(log_ratio=np.log(answers["ratio"]))
    return logs.groupby(["tuner", "cost", "task"])["log_ratio"].mean()


def summary(answers: pd.DataFrame, advised: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each tuner and cost, with the number of tasks on which `advise` is better.

    Args:
        answers: of the tuners, with columns tuner, task, repeat, cost and ratio.
        advised: of `advise`, with columns task, repeat, cost and ratio. `advise` has one cost on
            a task, and is compared with a tuner at all costs.
    """
    of_advise = by_task(advised.assign(tuner="advise", cost=0.0)).droplevel(["tuner", "cost"])
    rows = []
    for (tuner, cost), logs in by_task(answers).groupby(level=["tuner", "cost"]):
        difference = (logs.droplevel(["tuner", "cost"]) - of_advise).dropna()
        wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
        decided = wins + losses
        rows.append(
            {
                "tuner": tuner,
                "cost": cost,
                "geometric_mean": np.exp(logs.mean()),
                "median": np.exp(logs.median()),
                "worst": np.exp(logs.max()),
                "advise_better": wins,
                "tasks": len(difference),
                "p": stats.binomtest(wins, decided).pvalue if decided else 1.0,
            }
        )
    return pd.DataFrame(rows)


def caught_up(answers: pd.DataFrame, advised: pd.DataFrame) -> dict[str, float]:
    """Return the cost from which each tuner is at least as good as `advise`; infinite if never.

    The measure is the geometric mean of the ratios over the tasks of `advised` and their repeats.
    """
    answers = answers[answers["task"].isin(advised["task"])]
    goal = float(by_task(advised.assign(tuner="advise", cost=0.0)).mean())
    means = by_task(answers).groupby(level=["tuner", "cost"]).mean().unstack("cost")
    found = {}
    for tuner, row in means.iterrows():
        behind = row.index[row > goal]
        later = row.index if behind.empty else row.index[row.index > behind.max()]
        found[str(tuner)] = float(later.min()) if len(later) else np.inf
    return found


def interval(answers: pd.DataFrame, seed: int = 0) -> Array:
    """Return the 95 % interval of the geometric mean ratio, over tasks and their repeats.

    Tasks are drawn anew, and for each one its repeats.
    """
    table = answers.pivot(index="task", columns="repeat", values="ratio").to_numpy(float)
    draw = np.random.default_rng(seed)
    tasks, repeats = table.shape
    task = draw.integers(tasks, size=(DRAWS, tasks, 1))
    repeat = draw.integers(repeats, size=(DRAWS, tasks, repeats))
    means = np.log(table)[task, repeat].mean(axis=(1, 2))
    return np.asarray(np.exp(np.quantile(means, [0.025, 0.975])))


def percent(ratio: Array | float) -> Array:
    """Return how far a ratio lies above 1, in percent; at least 0.1, which an axis can show."""
    return np.asarray(np.maximum(100 * (np.asarray(ratio) - 1), 0.1))


def figure(answers: pd.DataFrame, advised: pd.DataFrame | None = None) -> Figure:
    """Draw the regret of each tuner against what it has cost, and `advise` as a point."""
    picture, (ax,) = drawing.panels(1, height=4)
    names = list(answers["tuner"].unique())
    colours = drawing.palette(["advise", *names])
    means = np.exp(by_task(answers).groupby(level=["tuner", "cost"]).mean())
    for name in names:
        of_tuner = answers[answers["tuner"] == name]
        bounds = np.array([interval(rows) for _, rows in of_tuner.groupby("cost")])
        costs = means[name].index.to_numpy(float)
        colour = colours[name]
        below, above = percent(bounds).T
        ax.fill_between(costs, below, above, step="post", color=colour, alpha=0.15, linewidth=0)
        ax.plot(costs, percent(means[name]), color=colour, label=name, drawstyle="steps-post")
    if advised is not None:
        mean = percent(np.exp(by_task(advised.assign(tuner="advise", cost=0.0)).mean()))
        below, above = percent(interval(advised))
        ax.errorbar(
            advised["cost"].mean(),
            mean,
            yerr=[[mean - below], [above - mean]],
            fmt="o",
            color=colours["advise"],
            label="advise",
            capsize=3,
        )
    ax.set_xscale("log")
    ax.set_xticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
    ax.minorticks_off()
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("cost in whole trainings")
    ax.set_ylabel("loss above the best of the grid, %")
    ax.legend(frameon=False)
    return picture
