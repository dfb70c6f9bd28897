"""How do the data and the range test look?

Every function returns a figure and writes nothing; in a notebook `plot_bounds` shows it as well.
Figures are narrow, so that their letters stay readable on a phone, and take their colours from a
palette that colour-blind readers can tell apart.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from lrcycles.bound_rules import Bounds
    from lrcycles.curves import Curves

WIDTH = 6.4  # inches: 768 pixels as results.write_figure saves them
GREY = "#6b6b6b"
_FAR, _FEW = 10, 0.2  # interquartile ranges; the share of runs that may lie so far off
_LOSS, _ACCURACY, _BASE, _MAX = "#0173b2", "#029e73", "#cc78bc", "#d55e00"
_PHASES = {"hardly any change": "#ececec", "steep fall, then flat": "#d3ecf7", "rise": "#fbe3d2"}


def panels(count: int, *, height: float, sharex: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels below each other, `height` inches in all."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = list(figure.subplots(count, 1, sharex=sharex, squeeze=False)[:, 0])
    for ax in axes:
        _quieten(ax)
    return figure, axes


def tiles(count: int, *, height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of `count` small panels, up to three beside each other, each `height` inches."""
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


def rows_of(ax: Axes, names: Sequence[str]) -> None:
    """Give a panel a row per name from the top down, with room above and below."""
    ax.set_yticks(range(len(names)), labels=list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def log_percent(ax: Axes, *, ticks: int) -> None:
    """Give a panel a logarithmic axis of percentages, written as plain numbers."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())


def stay_near(
    ax: Axes, rows: Sequence[Sequence[float]], *, beside: Sequence[float], least: float
) -> None:
    """Keep a run that learned nothing from flattening all others: an arrow tells where it lies.

    Args:
        rows: the values that stand at each whole y.
        beside: what must stay in sight too.
        least: nearer than that to the middle half of the values, none is far.
    """
    every = np.concatenate([np.asarray(row, dtype=float) for row in rows])
    first, third = np.percentile(every, [25, 75])
    reach = _FAR * max(third - first, least)
    far = (every < first - reach) | (every > third + reach)
    if not 0 < far.mean() < _FEW:
        return
    seen = np.concatenate([every[~far], np.asarray(beside, dtype=float)])
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
    """A colour for each arm, in the order given."""
    import seaborn

    order = [0, 3, 2, 4, 1, 5, 7, 8, 9, 6]  # blue and vermilion, the most distinct, come first
    ten = seaborn.color_palette("colorblind", len(order))
    if len(arms) > len(order):
        return dict(zip(arms, seaborn.color_palette("viridis", len(arms)), strict=True))
    return {arm: ten[order[place]] for place, arm in enumerate(arms)}


def sample_digits(
    images: NDArray[np.uint8 | np.float32], labels: NDArray[np.integer], classes: Sequence[str]
) -> Figure:
    """The first ten images of every class, a row per class, in grey or in colour.

    Args:
        images: whole numbers to 255 or fractions to 1.
    """
    columns, gap = 10, 2
    white = 1 if np.issubdtype(images.dtype, np.floating) else 255
    pixels = images.reshape(images.shape[:3]) if images.shape[3:] == (1,) else images
    height, width = pixels.shape[1:3]
    cell_height, cell_width = height + gap, width + gap
    mosaic = np.full(
        (len(classes) * cell_height, columns * cell_width, *pixels.shape[3:]), white, pixels.dtype
    )
    for row in range(len(classes)):
        for column, index in enumerate(np.flatnonzero(labels == row)[:columns]):
            top, left = row * cell_height, column * cell_width
            mosaic[top : top + height, left : left + width] = pixels[index]
    figure, (ax,) = panels(1, height=0.3 + WIDTH * 0.85 * len(classes) / columns)
    ax.imshow(mosaic, cmap="gray", vmin=0, vmax=white, interpolation="nearest")
    ax.set_yticks(np.arange(len(classes)) * cell_height + height / 2, labels=list(classes))
    ax.set_xticks([])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_ylabel("class")
    return figure


def class_balance(class_counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> Figure:
    """The share of every class in each split, side by side."""
    figure, (ax,) = panels(1, height=3.2)
    colours = palette(list(class_counts))
    thickness = 0.8 / len(class_counts)
    for place, (split, counts) in enumerate(class_counts.items()):
        share = 100 * np.asarray(counts) / max(sum(counts), 1)
        offset = (place - (len(class_counts) - 1) / 2) * thickness
        label = f"{split} ({sum(counts):,} images)"
        ax.bar(
            np.arange(len(classes)) + offset, share, thickness, color=colours[split], label=label
        )
    long_names = max(len(name) for name in classes) > 3
    ax.set_xticks(np.arange(len(classes)), labels=list(classes), rotation=35 if long_names else 0)
    ax.grid(visible=False, axis="x")
    ax.set_xlabel("class")
    ax.set_ylabel("share of the split (%)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _by_rate(curves: pd.DataFrame, column: str) -> pd.Series[float]:
    """The median over seeds at each rate, where at least half of the seeds still have a value."""
    finite = curves[np.isfinite(curves[column])]
    by_rate = finite.groupby("lr")[column]
    return by_rate.median()[by_rate.count() * 2 >= curves["seed"].nunique()]


def _smooth(values: pd.Series[float]) -> pd.Series[float]:
    return values.rolling(max(len(values) // 40, 1) * 2 + 1, center=True, min_periods=1).median()


def _phases(loss: pd.Series[float]) -> list[tuple[float, float]]:
    """Three ranges of rates: until a tenth of the fall in loss, until risen by a tenth, beyond.

    None where no loss was finite; a phase that the curve does not show begins where it ends.
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
    """Whether the rates rise by equal amounts and not by equal factors."""
    steps = np.diff(rates)
    return bool(len(steps) < 2 or np.allclose(steps, steps.mean(), rtol=1e-3))


def range_curves(curves: pd.DataFrame, *, metric: str = "accuracy") -> Figure:
    """Loss and held-out accuracy against the rate: each seed thin, the median bold, phases shaded.

    Args:
        curves: columns seed, step, lr, loss, accuracy, as stage `range_test` writes them.
        metric: another column in accuracy's place; where it is missing or empty, the loss alone.
    """
    measured = metric in curves and bool(np.isfinite(curves[metric]).any())
    figure, axes = panels(1 + measured, height=5.6 if measured else 3.4, sharex=True)
    above = axes[0]
    for _, curve in curves.groupby("seed"):
        loss = curve[np.isfinite(curve["loss"])]
        above.plot(loss["lr"], loss["loss"], color=_LOSS, linewidth=0.5, alpha=0.25)
    median = _smooth(_by_rate(curves, "loss"))
    above.plot(median.index, median, color=_LOSS, linewidth=2)
    above.set_ylabel("mini-batch loss")
    if measured:
        _draw_metric(axes[1], curves, metric)
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
    if above.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_metric(ax: Axes, curves: pd.DataFrame, metric: str) -> None:
    """Every seed's held-out metric and their median; an accuracy in percent."""
    scale = 100 if metric == "accuracy" else 1
    for _, curve in curves.groupby("seed"):
        points = curve[np.isfinite(curve[metric])]
        ax.plot(points["lr"], scale * points[metric], color=_ACCURACY, lw=0.6, alpha=0.4)
    median = scale * _by_rate(curves, metric)
    ax.plot(median.index, median, color=_ACCURACY, linewidth=2)
    ax.set_ylabel("held-out accuracy (%)" if metric == "accuracy" else f"held-out {metric}")
    if metric == "accuracy":
        ax.set_ylim(0, 100)


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
