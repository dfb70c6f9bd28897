"""Draws loss and held-out accuracy against the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrcycles.drawing import panels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


_LOSS, _ACCURACY = "#0173b2", "#029e73"
_PHASES = {
    "loss hardly changes": "#ececec",
    "loss falls, then stays flat": "#d3ecf7",
    "loss rises": "#f7f0c4",
}


def _by_rate(curves: pd.DataFrame, column: str) -> pd.Series[float]:
    """Return the median over the seeds at each rate that at least half of them reached."""
    finite = curves[np.isfinite(curves[column])]
    by_rate = finite.groupby("lr")[column]
    return by_rate.median()[by_rate.count() * 2 >= curves["seed"].nunique()]


def _smooth(values: pd.Series[float]) -> pd.Series[float]:
    return values.rolling(max(len(values) // 40, 1) * 2 + 1, center=True, min_periods=1).median()


def _phases(loss: pd.Series[float]) -> list[tuple[float, float]]:
    """Divide the rates into three phases and return the first and last rate of each.

    The first phase ends once the loss has fallen by a tenth of its whole fall. The second ends
    once the loss has risen by a tenth above its minimum. A phase that the curve does not have
    begins and ends at the same rate. There are no phases where no loss is finite.
    """
    if loss.empty:
        return []
    rates, values = loss.index.to_numpy(), loss.to_numpy()
    lowest = int(np.argmin(values))
    before = np.median(values[: max(len(values) // 20, 1)])
    tenth = 0.1 * (before - values[lowest])
    start = min(int(np.argmax(values <= before - tenth)), lowest)
    risen = np.flatnonzero(values[lowest:] > values[lowest] + tenth)
    end = lowest + int(risen[0]) if len(risen) else len(values) - 1
    edges = [float(rates[at]) for at in (0, start, end, len(rates) - 1)]
    return list(pairwise(edges))


def _is_linear(rates: NDArray[np.float64]) -> bool:
    """Return whether the rates rise by equal amounts, not by equal factors."""
    steps = np.diff(rates)
    return bool(len(steps) < 2 or np.allclose(steps, steps.mean(), rtol=1e-3))


def range_curves(curves: pd.DataFrame, *, metric: str = "accuracy") -> Figure:
    """Draw loss and held-out metric against the learning rate.

    Each seed is a thin line, the median over the seeds a bold one. The phases of the loss are
    shaded.

    Args:
        curves: the columns seed, step, lr, loss and `metric`, as stage `range_test` writes them.
        metric: the metric's column; where it is missing or empty, only the loss is drawn.
    """
    measured = metric in curves and bool(np.isfinite(curves[metric]).any())
    figure, axes = panels(1 + measured, height=5.6 if measured else 3.4, sharex=True)
    if measured:
        _draw_metric(axes[1], curves, metric)
    draw_range(axes, curves)
    if axes[0].get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_range(axes: Sequence[Axes], curves: pd.DataFrame) -> None:
    """Draw the loss into the first of `axes`; shade the phases and name the rates in all."""
    above = axes[0]
    for _, curve in curves.groupby("seed"):
        loss = curve[np.isfinite(curve["loss"])]
        above.plot(loss["lr"], loss["loss"], color=_LOSS, linewidth=0.5, alpha=0.25)
    median = _smooth(_by_rate(curves, "loss"))
    above.plot(median.index, median, color=_LOSS, linewidth=2)
    above.set_ylabel("mini-batch loss")
    for (name, colour), (low, high) in zip(_PHASES.items(), _phases(median), strict=False):
        for ax in axes if low < high else ():
            ax.axvspan(low, high, color=colour, zorder=0, label=name if ax is above else None)
    rates = np.sort(curves["lr"].unique())
    axes[-1].set_xscale("linear" if _is_linear(rates) else "log")
    if rates[0] < rates[-1]:
        axes[-1].set_xlim(rates[0], rates[-1])
    axes[-1].set_xlabel("learning rate")
    if median.empty:
        above.text(0.5, 0.5, "no finite loss", transform=above.transAxes, ha="center")
    else:
        start = float(median.iloc[: max(len(median) // 20, 1)].median())
        above.set_ylim(min(0.0, float(median.min())), max(1.6 * start, float(median.min()) + 1e-9))


def _draw_metric(ax: Axes, curves: pd.DataFrame, metric: str) -> None:
    """Draw every seed's held-out metric and their median; an accuracy in percent."""
    scale = 100 if metric == "accuracy" else 1
    for _, curve in curves.groupby("seed"):
        points = curve[np.isfinite(curve[metric])]
        ax.plot(points["lr"], scale * points[metric], color=_ACCURACY, lw=0.6, alpha=0.4)
    median = scale * _by_rate(curves, metric)
    ax.plot(median.index, median, color=_ACCURACY, linewidth=2)
    ax.set_ylabel("held-out accuracy (%)" if metric == "accuracy" else f"held-out {metric}")
    if metric == "accuracy":
        ax.set_ylim(0, 100)
