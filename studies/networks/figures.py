"""Draws the landscapes of the tasks and the regrets of the rules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from lrcycles import drawing
from lrcycles.bounds.select import DEFAULT
from studies.networks.landscape import Landscape
from studies.networks.runs import SCHEDULES

LABELS = {
    "constant": "constant",
    "linear_decay": "linear decay",
    "warmup_decay": "warm-up and linear decay",
    "cycles": "3 cycles",
}


def landscapes(maps: Mapping[str, Landscape], rules: pd.DataFrame, advice: pd.DataFrame) -> Figure:
    """Draw each task's held-out loss over the peak rate, with the answers of rule and `advise`."""
    picture, axes = drawing.tiles(len(maps), height=2.2)
    colours = drawing.palette(SCHEDULES)
    selected = rules[(rules["rule"] == DEFAULT) & (rules["length"] == "short")]
    for ax, (name, landscape) in zip(axes, maps.items(), strict=True):
        for schedule in SCHEDULES:
            ax.plot(
                landscape.peaks,
                landscape.losses[schedule].mean(axis=0),
                color=colours[schedule],
                marker=".",
                label=LABELS[schedule],
            )
        best = landscape.oracle[2]
        ax.set_ylim(0.97 * best, min(4 * best, 1.05 * landscape.initial_loss))
        bottom = best * np.array([0.985])
        answers = selected.loc[selected["task"] == name, "max_lr"].dropna().unique()
        ax.plot(answers, np.repeat(bottom, len(answers)), "|", color="black", label="select_bounds")
        answers = advice[advice["task"] == name]
        ax.plot(
            answers["peak_lr"],
            answers["trained_loss"],
            "^",
            color="crimson",
            markersize=4,
            label="trained with the answer of advise",
        )
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_title(name.replace("_", " "), fontsize=7)
    axes[0].legend(frameon=False, fontsize=7)
    return picture


def rules(rows: pd.DataFrame) -> Figure:
    """Draw each rule's regret on the tasks that judge: a dot for a task, a bar at the mean."""
    picture, (ax,) = drawing.panels(1, height=5)
    logs = rows.assign(log=np.log(rows["ratio"])).groupby(["rule", "use", "task"])["log"].mean()
    best_use = logs.groupby(["rule", "use"]).mean().groupby("rule").idxmin()
    order = sorted(best_use, key=lambda pair: float(logs[pair].mean()))
    for place, pair in enumerate(order):
        percent = np.maximum(100 * np.expm1(logs[pair]), 0.1)
        colour = "crimson" if pair[0] == DEFAULT else "black"
        ax.plot(percent, np.full(len(percent), place), "o", color=colour, alpha=0.5, markersize=4)
        mean = max(0.1, 100 * np.expm1(float(logs[pair].mean())))
        ax.plot([mean], [place], "|", color=colour, markersize=14)
    ax.set_yticks(
        range(len(order)), labels=[f"{rule}, {LABELS[use]}" for rule, use in order], fontsize=8
    )
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlabel("loss above the best of the grid, %")
    return picture
