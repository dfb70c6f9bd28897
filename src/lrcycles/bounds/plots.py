"""Draws the selected bounds on the range test's curves."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from lrcycles.range_tests.plots import range_curves

if TYPE_CHECKING:
    import pandas as pd

    from lrcycles.bounds.select import Bounds
    from lrcycles.range_tests.curves import Curves

_BASE, _MAX = "#cc78bc", "#d55e00"


def plot_bounds(curves: Curves, bounds: Bounds) -> Figure:
    """The curves of a range test with the chosen bounds drawn in; a notebook shows the figure.

    Args:
        curves: of `range_test` or `read_history`.
        bounds: what `select_bounds` made of them.
    """
    figure = bounds_on_curve(curves.table, bounds.to_dict(), metric=curves.metric)
    _show_in_notebook(figure)
    return figure


def _show_in_notebook(figure: Figure, shown_in: int | None = None) -> None:
    """Show the figure in IPython wherever in a cell the call stands; elsewhere do nothing.

    Not by pyplot: it would keep every figure of a script in memory.

    Args:
        shown_in: the cell that has shown the figure; there it is not shown again as the value.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or shell.execution_count == shown_in:
        return
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=120)
    shown = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": repr(figure)}
    shell.display_pub.publish(shown)
    vars(figure)["_ipython_display_"] = partial(_show_in_notebook, figure, shell.execution_count)


def bounds_on_curve(
    curves: pd.DataFrame, bounds: Mapping[str, Any], *, metric: str = "accuracy"
) -> Figure:
    """The range-test curves with base_lr and max_lr drawn in, and their intervals over the seeds.

    Args:
        bounds: the content of bounds.json.
    """
    figure = range_curves(curves, metric=metric)
    lowest = min(float(curves["lr"].min()), 0.8 * bounds["interval"]["base_lr"]["low"])
    figure.axes[-1].set_xlim(left=lowest)  # a base_lr may lie below the rates that were tried
    for place, ax in enumerate(figure.axes):
        for key, colour in (("base_lr", _BASE), ("max_lr", _MAX)):
            label = f"{key} = {bounds[key]:.3g}" if place == 0 else None
            ax.axvline(bounds[key], color=colour, linewidth=2, label=label)
            interval = bounds["interval"][key]
            ax.axvspan(interval["low"], interval["high"], color=colour, alpha=0.25, linewidth=0)
    for legend in list(figure.legends):
        legend.remove()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure
