"""Draws an advice: the range test, the probes, the best peak and the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from lrcycles.drawing import GREY, panels
from lrcycles.range_tests.plots import draw_range

if TYPE_CHECKING:
    import pandas as pd

    from lrcycles.advising.advice import Advice

_PEAK, _INTERVAL = "#d55e00", "#f4bf99"
_LENGTHS = ("#56b4e9", "#0173b2", "#08306b", "#029e73", "#000000")  # from short to long probes
MOST_LABELLED = 1e3  # times the lowest value, where 2 and 5 have labels besides the powers of 10


def figure_of(advice: Advice) -> Figure:
    """Draw all curves of an advice in one figure."""
    figure, (above, middle, below) = panels(3, height=8.4)
    draw_range([above], advice.curves.table)
    _draw_probes(middle, advice)
    _draw_schedule(below, advice)
    low, high = advice.peak_interval
    for ax in (above, middle):
        ax.axvspan(low, high, color=_INTERVAL, linewidth=0, zorder=0.5, label="90 % interval")
        ax.axvline(advice.peak_lr, color=_PEAK, linewidth=2, label=f"peak {advice.peak_lr:g}")
        ax.legend(framealpha=0.8, edgecolor="none", fontsize=8)
    figure.suptitle(f"{advice.schedule_name} with the peak {advice.peak_lr:g}", fontsize=11)
    return figure


def _draw_probes(ax: Axes, advice: Advice) -> None:
    """Draw the loss at the end of each probe against its peak, with a line for each length."""
    ax.set_xlabel("peak learning rate")
    ax.set_ylabel("held-out loss at the end")
    table = advice.probes
    _plain_log(ax, "x", table["peak_lr"])
    if (table["loss"].dropna() > 0).all():
        _plain_log(ax, "y", table["loss"].dropna())
    if table.empty:
        ax.text(0.5, 0.5, "no probe was trained", transform=ax.transAxes, ha="center")
        return
    for colour, (steps, of_length) in zip(
        _colours(table["steps"].nunique()), table.groupby("steps"), strict=True
    ):
        for warm, rows in of_length.groupby(of_length["warmup_steps"] > 0):
            fine = rows[~rows["failed"]]
            means = fine.groupby("peak_lr")["loss"].mean()
            label = f"{steps:,} updates{'' if warm else ', without warm-up'}"
            style = "o-" if warm else "D:"
            ax.plot(means.index, means, style, color=colour, markersize=5, label=label)
    failed = table[table["failed"]]["peak_lr"]
    if len(failed):
        at_top = ax.get_xaxis_transform()
        ax.plot(
            failed, np.full(len(failed), 0.97), "x", color=GREY, transform=at_top, label="failed"
        )
    if advice.expected_loss is not None and advice.expected_interval is not None:
        low, high = advice.expected_interval
        middle = float(np.clip(advice.expected_loss, low, high))
        ax.errorbar(
            [advice.peak_lr],
            [middle],
            yerr=[[middle - low], [high - middle]],
            fmt="*",
            color=_PEAK,
            markersize=10,
            capsize=4,
            label=f"expected after {advice.total_steps:,} steps",
        )


def _plain_log(ax: Axes, axis: str, values: pd.Series[float]) -> None:
    """Make an axis logarithmic, with plain numbers also where it has less than a decade."""
    ax.set(**{f"{axis}scale": "log"})
    of_axis = ax.xaxis if axis == "x" else ax.yaxis
    few_decades = values.empty or values.max() < MOST_LABELLED * values.min()
    of_axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few_decades else (1.0,)))
    of_axis.set_major_formatter(lambda value, _: f"{value:g}")
    of_axis.set_minor_formatter(NullFormatter())


def _draw_schedule(ax: Axes, advice: Advice) -> None:
    steps = np.unique(np.linspace(0, advice.total_steps - 1, 500).astype(int))
    ax.plot(steps, np.asarray(advice.schedule()(steps)), color=_PEAK, linewidth=2)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("mini-batch")
    ax.set_ylabel("learning rate")


def _colours(count: int) -> list[str]:
    return [*_LENGTHS[:count], *[_LENGTHS[-1]] * (count - len(_LENGTHS))]
