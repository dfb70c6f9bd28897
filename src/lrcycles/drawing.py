"""Defines the look of all figures: size, colours, panels and axes.

Figures are narrow, so that their letters stay readable on a phone. Colour-blind readers can
distinguish the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

WIDTH = 6.4  # inches: 768 pixels as files.write_figure saves them
GREY = "#6b6b6b"
_FAR = 10  # interquartile ranges: a value further out may be cut off
_FEW = 0.2  # the share of values that may be cut off


def panels(count: int, *, height: float, sharex: bool = False) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` panels below each other, `height` inches in all."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = list(figure.subplots(count, 1, sharex=sharex, squeeze=False)[:, 0])
    for ax in axes:
        _quieten(ax)
    return figure, axes


def tiles(count: int, *, height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` small panels, up to three per row, each `height` inches high."""
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + height * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flatten())
    for ax in axes[:count]:
        _quieten(ax)
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, axes[:count]


def _quieten(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#e3e3e3", linewidth=0.6)
    ax.set_axisbelow(True)


def shortened(name: str, most: int = 32) -> str:
    """Keep the end of a name, so that a long one leaves room for the panel.

    >>> shortened("/a/long/folder:clr", 12)
    '…/folder:clr'
    """
    return name if len(name) <= most else f"…{name[1 - most :]}"


def rows_of(ax: Axes, names: Sequence[str]) -> None:
    """Give a panel a row per name, from the top down; a name may have several lines."""
    lines = [[shortened(line) for line in name.split("\n")] for name in names]
    ax.set_yticks(range(len(names)), labels=["\n".join(of_name) for of_name in lines])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def log_percent(ax: Axes, *, ticks: int) -> None:
    """Give a panel a logarithmic axis of percentages, written as plain numbers."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())


def stay_near(
    ax: Axes, rows: Sequence[Sequence[float]], *, in_sight: Sequence[float], least: float
) -> None:
    """Cut off a few values that lie far out, so that they do not flatten all others.

    An arrow at the edge gives each value that was cut off.

    Args:
        rows: the values at each whole y.
        in_sight: values that must stay in sight too.
        least: a value this near to the middle half of the values is never cut off.
    """
    every = np.concatenate([np.asarray(row, dtype=float) for row in rows])
    first, third = np.percentile(every, [25, 75])
    reach = _FAR * max(third - first, least)
    far = (every < first - reach) | (every > third + reach)
    if not 0 < far.mean() < _FEW:
        return
    seen = np.concatenate([every[~far], np.asarray(in_sight, dtype=float)])
    edge = 0.15 * float(np.ptp(seen))
    ax.set_xlim(seen.min() - edge, seen.max() + edge)
    for row, values in enumerate(rows):
        for value in values:
            if not first - reach <= value <= third + reach:
                right = value > third
                ax.annotate(
                    f"{value:.3g} →" if right else f"← {value:.3g}",
                    (1 if right else 0, row),
                    xycoords=("axes fraction", "data"),
                    ha="right" if right else "left",
                    va="bottom",
                    fontsize=9,
                )


def palette(arms: Sequence[str]) -> dict[str, Any]:
    """Choose a colour for each arm, in the order given."""
    import seaborn

    order = [0, 3, 2, 4, 1, 5, 7, 8, 9, 6]  # blue and vermilion differ most and come first
    ten = seaborn.color_palette("colorblind", len(order))
    if len(arms) > len(order):
        # Without the pale end, which a white page swallows and a dark page turns too dark.
        shades = seaborn.color_palette("viridis", -(-5 * len(arms) // 4))
        return dict(zip(arms, shades, strict=False))
    return {arm: ten[order[place]] for place, arm in enumerate(arms)}
