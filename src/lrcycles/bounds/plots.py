"""Draws the selected bounds, and the rates of all rules, on the curves of a range test."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrcycles.drawing import GREY, WIDTH
from lrcycles.errors import InputError
from lrcycles.range_tests.plots import draw_range, range_curves

if TYPE_CHECKING:
    import pandas as pd

    from lrcycles.bounds.select import Bounds
    from lrcycles.bounds.suggestions import RuleSummary, Suggestions
    from lrcycles.range_tests.curves import Array, Curves

_BASE, _MAX = "#cc78bc", "#d55e00"
_BANDS = {"base_lr": "#e9c9e2", "max_lr": "#f4bf99"}  # opaque: no colour below mixes with them
_LOSS, _RATE = "#0173b2", "#333333"


@overload
def plot_bounds(curves: Curves, bounds: Bounds, ax: None = None) -> Figure: ...
@overload
def plot_bounds(curves: Curves, bounds: Bounds, ax: Axes) -> Axes: ...
def plot_bounds(curves: Curves, bounds: Bounds, ax: Axes | None = None) -> Figure | Axes:
    """Draw the bounds on the curves of a range test; a notebook shows the figure.

    Args:
        curves: from `range_test`, or the `curves` of a `read_history`.
        bounds: from `select_bounds` of the same curves.
        ax: Matplotlib axes that get the loss and the bounds, without the held-out metric.

    Returns:
        The new figure, or `ax` where it is given.

    Raises:
        InputError: an argument is something else, such as an array of axes.
    """
    table = getattr(curves, "table", None)
    if table is None or not hasattr(bounds, "to_dict"):
        raise InputError(
            "plot_bounds must get the result of range_test and the result of select_bounds. "
            f"Received: {type(curves).__name__} and {type(bounds).__name__}. Pass both in that "
            "order."
        )
    if ax is None:
        figure = bounds_on_curve(table, bounds.to_dict(), metric=curves.metric)
        show_in_notebook(figure)
        return figure
    if not isinstance(ax, Axes) or ax.name != "rectilinear":
        raise InputError(
            "ax must be one Matplotlib Axes, without another projection. "
            f"Received: {type(ax).__name__}. Pass one, such as axes[0] of plt.subplots."
        )
    draw_range([ax], table)
    _draw_bounds([ax], table, bounds.to_dict())
    named = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    ax.legend(handles=named, frameon=False, fontsize=9)  # all phases would hide small axes
    return ax


def show_in_notebook(figure: Figure, shown_in: int | None = None) -> None:
    """Show the figure in IPython, wherever in a cell the call is; elsewhere do nothing.

    pyplot would also show it, but pyplot keeps every figure of a script in memory.

    Args:
        shown_in: the cell that has already shown the figure and must not show it again.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or shell.execution_count == shown_in:
        return
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=120)
    output = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": repr(figure)}
    shell.display_pub.publish(output)
    vars(figure)["_ipython_display_"] = partial(show_in_notebook, figure, shell.execution_count)


def bounds_on_curve(
    curves: pd.DataFrame, bounds: Mapping[str, Any], *, metric: str = "accuracy"
) -> Figure:
    """Draw base_lr and max_lr, and their ranges over the seeds, on the range-test curves.

    Args:
        bounds: the content of bounds.json.
    """
    figure = range_curves(curves, metric=metric)
    _draw_bounds(figure.axes, curves, bounds)
    for legend in list(figure.legends):
        legend.remove()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_bounds(axes: Sequence[Axes], curves: pd.DataFrame, bounds: Mapping[str, Any]) -> None:
    """Draw each bound as a line, and its range over the seeds as a band if it has its own."""
    lowest = min(float(curves["lr"].min()), 0.8 * bounds["interval"]["base_lr"]["low"])
    axes[-1].set_xlim(left=lowest)  # base_lr may be below the lowest rate of the sweep
    # base_lr has no range of its own where it is a share of max_lr.
    derived = bounds.get("ratio") is not None
    for place, ax in enumerate(axes):
        for key, colour in (("base_lr", _BASE), ("max_lr", _MAX)):
            label = f"{key} = {bounds[key]:.3g}" if place == 0 else None
            ax.axvline(bounds[key], color=colour, linewidth=2, label=label)
            if key == "max_lr" or not derived:
                low, high = (bounds["interval"][key][end] for end in ("low", "high"))
                ax.axvspan(
                    low, high, color=_BANDS[key], linewidth=0, zorder=0.5,
                    label=f"{key} over the seeds" if place == 0 else None,
                )  # fmt: skip


def suggestions_on_curve(suggestions: Suggestions) -> Figure:
    """Draw the loss against the rate, and below it a row with the rate of each rule.

    A dot is the median over the seeds, the line through it the range. The bounds are shaded.
    """
    figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 5))
    curves, bounds = suggestions.history.curves, suggestions.bounds
    below.set_xscale("log" if curves.ramp == "exponential" else "linear")
    below.set_xlim(*_x_limits(suggestions))
    _draw_loss(above, curves)
    _draw_rules(below, suggestions)
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, color="#e9e9e9", linewidth=0.6)
        ax.set_axisbelow(True)
        if bounds is not None:
            ax.axvspan(bounds.base_lr, bounds.max_lr, color=_MAX, alpha=0.12, linewidth=0)
    below.set_xlabel("learning rate")
    figure.suptitle(_title(suggestions), x=0.01, ha="left", fontsize=11)
    return figure


def _title(suggestions: Suggestions) -> str:
    decades = suggestions.disagreement_decades
    if not suggestions.falls:
        return "The loss never falls, so no rule of another tool is applied"
    if decades is None:
        return "No rule of another tool finds a rate"
    return f"The rates of {len(suggestions.peers)} rules of other tools span {decades:.1f} decades"


def _x_limits(suggestions: Suggestions) -> tuple[float, float]:
    """Return limits that hold the sweep, and lower rates where a rule suggests them."""
    lr = suggestions.history.curves.table["lr"]
    rates = [rule.low for rule in suggestions.rules if rule.low is not None]
    if suggestions.bounds is not None:
        rates.append(suggestions.bounds.base_lr)
    # The factor leaves room for a whole dot.
    return float(min(lr.min(), 0.7 * min(rates, default=np.inf))), float(lr.max())


def _draw_loss(ax: Axes, curves: Curves) -> None:
    """Draw each seed as a thin line, and the median over seeds and neighbours as a bold one."""
    sweeps = list(curves.by_seed())
    longest = max((sweep.lr for sweep in sweeps), key=len)
    rows = np.full((len(sweeps), len(longest)), np.nan)
    for row, sweep in zip(rows, sweeps, strict=True):
        loss = np.where(np.isfinite(sweep.loss), sweep.loss, np.nan)
        ax.plot(sweep.lr, loss, color=_LOSS, linewidth=0.7, alpha=0.35)
        row[: len(loss)] = loss
    middle = _median(rows, half=max(len(longest) // 40, 1))
    ax.plot(longest, middle, color=_LOSS, linewidth=2)
    ax.set_ylabel("mini-batch loss")
    # The axis ends a little above the first losses: exploded losses would flatten all others.
    start = np.nanmax(middle[: len(middle) // 3 + 1])
    least = min(np.nanmin(middle), np.nanpercentile(rows, 1))
    room = max(float(start - least), 0.1 * abs(float(start)), 1e-9)
    ax.set_ylim(float(least) - 0.2 * room, float(start) + 0.5 * room)


def _median(rows: Array, *, half: int) -> Array:
    """Return at each point the median of all seeds within `half` points; nan without losses."""
    windows = [rows[:, max(at - half, 0) : at + half + 1] for at in range(rows.shape[1])]
    return np.array([np.nan if np.isnan(w).all() else np.nanmedian(w) for w in windows])


def _draw_rules(ax: Axes, suggestions: Suggestions) -> None:
    """Draw the bounds in the first row, then the rules by their rates, then those without one."""
    rules = sorted(suggestions.rules, key=lambda rule: (rule.lr is None, rule.lr or 0.0))
    bounds = suggestions.bounds
    if bounds is None:
        _write(ax, 0, None, "none found")
    else:
        ends = [bounds.base_lr, bounds.max_lr]
        ax.plot(ends, [0, 0], color=_MAX, linewidth=6, solid_capstyle="butt")
        _write(ax, 0, ends, f"{ends[0]:.2g} to {ends[1]:.2g}", color=_MAX)
    for row, rule in enumerate(rules, start=1):
        _draw_rule(ax, row, rule)
    first = "bounds" if bounds is None else f"bounds ({bounds.rule})"
    names = [first, *(rule.label for rule in rules)]
    ax.set_yticks(range(len(names)), labels=names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)


def _draw_rule(ax: Axes, row: int, rule: RuleSummary) -> None:
    if rule.lr is None or rule.low is None or rule.high is None:
        _write(ax, row, None, "no rate")
        return
    ax.plot([rule.low, rule.high], [row, row], color=_RATE, linewidth=1.5, alpha=0.6)
    ax.plot([rule.lr], [row], "o", color=_RATE, markersize=6)
    _write(ax, row, [rule.low, rule.high], f"{rule.lr:.2g}")


def _write(ax: Axes, row: int, span: list[float] | None, text: str, *, color: str = _RATE) -> None:
    """Write right of the rates `span`, or left of them near the right edge of the panel.

    Without `span` the text is at the left edge.
    """
    if span is None:
        ax.annotate(
            text, (0, row), xycoords=ax.get_yaxis_transform(), xytext=(4, 0), va="center",
            textcoords="offset points", fontsize=9, color=GREY, style="italic",
        )  # fmt: skip
        return
    to_axes = ax.transScale + ax.transLimits
    right = to_axes.transform((max(span), row))[0] < 0.75
    ax.annotate(
        text, (max(span) if right else min(span), row), xytext=(7 if right else -7, 0),
        textcoords="offset points", ha="left" if right else "right", va="center", fontsize=9,
        color=color,
    )  # fmt: skip
