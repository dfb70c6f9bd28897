"""Draws comparisons of arms: forest, curves over epochs, errors over rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from lrcycles.drawing import (
    GREY,
    log_percent,
    palette,
    panels,
    rows_of,
    shortened,
    stay_near,
    tiles,
)
from lrcycles.report.figures.arms import MANY, Curve
from lrcycles.report.formatting import counted, rate

Ends = tuple[float, float | None, float | None]  # a mean and its 95 % interval, if it has one
_LONGEST_NAME = 20  # of an arm that fits twice below an axis
_LONGEST_PAIR = 32  # of two arms that fit into one line beside an axis
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")
_IN_SIGHT = 3.0  # times the least error: curves leave the panel above


@dataclass(frozen=True)
class Row:
    """A difference in a forest; one or two seeds give nothing but their values.

    Attributes:
        values: of the seeds; empty where single seeds have no difference of their own.
        middle: the mean and the median.
        seeds: the ends of the 95 % interval for the seeds alone.
        both: the ends for seeds and test images together.
    """

    values: Sequence[float] = ()
    middle: tuple[float, float] | None = None
    seeds: tuple[float, float] | None = None
    both: tuple[float, float] | None = None


def forest(
    rows: Mapping[str, Row],
    *,
    margin: float,
    other: str | None = None,
    colours: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw a row per difference in test error: seeds, mean, median, both intervals, and the margin.

    Args:
        rows: by name, in percentage points; "A vs B" is written in two lines.
        margin: half the width of the band within which a difference does not matter.
        other: the arm that all differences subtract, if it is one arm.
        colours: of each row.
    """
    names = list(rows)
    figure, (ax,) = panels(1, height=1.5 + (0.7 if len(names) < MANY else 0.42) * len(names))
    ax.axvspan(-margin, margin, color="#e9e9e9", label=f"does not matter: within ±{margin:g}")
    ax.axvline(0, color=GREY, linewidth=1)
    if len(names) > MANY:
        colours = dict.fromkeys(names, palette(["one"])["one"])
    colours = colours or palette(names)
    for place, (name, row) in enumerate(rows.items()):
        ax.plot(
            row.values, [place] * len(row.values), "o", color=colours[name], alpha=0.45, ms=5, mew=0
        )
        at = place + (0.26 if row.values else 0)
        for ends, width in ((row.both, 1.2), (row.seeds, 3.2)):
            if ends is not None:
                ax.plot(ends, [at] * 2, color="black", linewidth=width, solid_capstyle="butt")
        if row.middle is not None:
            ax.plot(row.middle[0], at, "|", color="black", markersize=11, markeredgewidth=2.4)
            ax.plot(row.middle[1], at, "D", color="black", markerfacecolor="white", markersize=4)
    tall = len(names) < MANY or max(map(len, names)) > _LONGEST_PAIR
    pairs = [[shortened(part, 28) for part in name.split(" vs ")] for name in names]
    rows_of(ax, [("\nvs " if tall else " vs ").join(pair) for pair in pairs])
    stay_near(
        ax,
        [row.values or (row.middle or (0.0,))[:1] for row in rows.values()],
        in_sight=(-margin, margin),
        least=margin,
    )
    if any(row.values for row in rows.values()):
        ax.plot([], [], "o", color=GREY, alpha=0.6, label="one seed")
    if any(row.middle for row in rows.values()):
        ax.plot([], [], "|", color="black", ms=11, mew=2.4, label="mean")
        ax.plot([], [], "D", color="black", mfc="white", ms=4, label="median")
        ax.plot([], [], color="black", lw=3.2, label="95 %: seeds")
        ax.plot([], [], color="black", lw=1.2, label="95 %: seeds and images")
    than = f" than {other}" if other and len(other) <= _LONGEST_NAME else ""
    ax.set_xlabel(
        "difference in test error (percentage points)\n"
        f"← fewer errors{than}        more errors{than} →"
    )
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def errors_over_peaks(
    searches: Mapping[int, Mapping[str, Mapping[float, Ends]]],
    *,
    chosen: Mapping[int, Mapping[str, float]],
) -> Figure:
    """Draw validation error over the peak rate: a panel per length, a curve per schedule.

    Args:
        searches: by epochs, schedule and peak, the mean error in percent with its 95 % interval.
        chosen: by epochs and schedule, the chosen peak.
    """
    figure, axes = panels(len(searches), height=0.9 + 2.9 * len(searches), sharex=True)
    names = list(dict.fromkeys(name for of_length in searches.values() for name in of_length))
    looks = {
        name: (colour, _MARKERS[place % len(_MARKERS)])
        for place, (name, colour) in enumerate(palette(names).items())
    }
    for ax, (epochs, of_length) in zip(axes, searches.items(), strict=True):
        for place, (name, by_peak) in enumerate(of_length.items()):
            # Next to each other, so that the intervals of one peak do not hide each other.
            shift = 1.03 ** (place - (len(of_length) - 1) / 2)
            _draw_peaks(ax, by_peak, chosen[epochs][name], shift, *looks[name])
        _scale_peaks(ax, list(of_length.values()))
        ax.set_title(counted(epochs, "epoch"), loc="left", fontsize=10, fontweight="bold")
    axes[-1].set_xlabel("peak learning rate")
    figure.supylabel("validation error (%)", fontsize=10)
    marks = [
        Line2D([], [], color=colour, marker=marker, ms=5, label=shortened(name))
        for name, (colour, marker) in looks.items()
    ]
    marks.append(
        Line2D(
            [],
            [],
            color=GREY,
            marker="o",
            ls="",
            ms=10,
            mfc="none",
            label="chosen: with an outline",
        )
    )
    figure.legend(handles=marks, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def _draw_peaks(
    ax: Axes, by_peak: Mapping[float, Ends], chosen: float, shift: float, colour: Any, marker: str
) -> None:
    peaks = [peak * shift for peak in by_peak]
    means = [mean for mean, _, _ in by_peak.values()]
    ax.plot(peaks, means, "-", color=colour, linewidth=1.4, marker=marker, ms=4)
    for peak, (_, low, high) in zip(peaks, by_peak.values(), strict=True):
        if low is not None and high is not None:
            ax.plot([peak] * 2, [low, high], color=colour, linewidth=1, alpha=0.7)
    ax.plot(chosen * shift, by_peak[chosen][0], marker, color=colour, ms=10, mfc="none", mew=1.6)


def _scale_peaks(ax: Axes, curves: Sequence[Mapping[float, Ends]]) -> None:
    """Label the peaks that were tried, and keep a curve's steep end from flattening the rest."""
    means = [mean for by_peak in curves for mean, _, _ in by_peak.values() if mean > 0]
    peaks = sorted({peak for by_peak in curves for peak in by_peak})
    ax.set_xscale("log")
    if means:
        log_percent(ax, ticks=6)
        ax.set_ylim(0.9 * min(means), min(1.1 * max(means), _IN_SIGHT * min(means)))
    ax.set_xticks(peaks, labels=[rate(peak) for peak in peaks])
    ax.xaxis.set_minor_locator(NullLocator())


def anytime(
    histories: Mapping[str, Mapping[int, Curve]],
    *,
    cycle_ends: Mapping[str, Sequence[float]],
    colours: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw the validation error after every epoch, a panel per arm, with the first arm in each.

    Lines are means over the seeds. Bands reach from the lowest to the highest seed. Dotted lines
    mark the ends of cycles, where the rate is low and the error of a cyclical arm is comparable.

    Args:
        histories: by arm and seed, the error in percent after each epoch; the baseline first.
        cycle_ends: by arm, in epochs.
        colours: of each arm.
    """
    first, *others = histories
    shown = others or [first]
    figure, axes = tiles(len(shown), height=2.1 if len(shown) > 1 else 3.4, sharey=True)
    colours = colours or palette(list(histories))
    for ax, arm in zip(axes, shown, strict=True):
        for end in cycle_ends.get(arm, ()):
            ax.axvline(end, color=GREY, linestyle=":", linewidth=1)
        for name in (first, arm):
            epochs, low, mean, high = _band(histories[name])
            ax.fill_between(epochs, low, high, color=colours[name], alpha=0.2, linewidth=0)
            ax.plot(epochs, mean, color=colours[name], linewidth=1.8)
        log_percent(ax, ticks=4)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        title = {"fontsize": 9, "fontweight": "bold", "color": colours[arm]}
        ax.set_title(shortened(arm, 25), loc="left", fontdict=title)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("validation error (%)", fontsize=9)
    marks = [
        Line2D([], [], color=colours[name], label=shortened(name))
        for name in (first, *(others if len(others) < MANY else ()))
    ]
    if any(cycle_ends.values()):
        marks.append(Line2D([], [], color=GREY, linestyle=":", label="end of a cycle"))
    figure.legend(handles=marks, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def _band(
    histories: Mapping[int, Curve],
) -> tuple[list[int], list[float], list[float], list[float]]:
    by_epoch: dict[int, list[float]] = {}
    for history in histories.values():
        for epoch, error in history:
            by_epoch.setdefault(epoch, []).append(error)
    values = list(by_epoch.values())
    means = [float(np.mean(errors)) for errors in values]
    return list(by_epoch), [min(e) for e in values], means, [max(e) for e in values]


def sensitivity(
    errors: Mapping[str, Mapping[int, float]],
    *,
    rates: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float | None, float | None]],
    cycles: tuple[str, Ends] | None,
) -> Figure:
    """Draw the test error of every seed over the constant rate, with the selected bounds.

    Args:
        errors: percent, by arm and seed; rates: the constant rate of each of these arms.
        bounds: base_lr and max_lr: the value and its interval over the seeds, if it has one.
        cycles: the name of an arm that cycles between them, with its mean error and interval.
    """
    figure, (ax,) = panels(1, height=3.8)
    colours = palette(["constant", "cycles"])
    order = sorted(errors, key=lambda arm: rates[arm])
    for arm in order:
        values = list(errors[arm].values())
        label = "one seed" if arm == order[0] else None
        at = [rates[arm]] * len(values)
        ax.plot(at, values, "o", color=colours["constant"], alpha=0.4, ms=5, label=label)
    means = [float(np.mean(list(errors[arm].values()))) for arm in order]
    at = [rates[arm] for arm in order]
    ax.plot(at, means, "-", color=colours["constant"], lw=2, label="mean of a constant rate")
    for name, (value, low, high) in bounds.items():
        if low is not None and high is not None:
            label = "bound, lowest to highest seed" if name == "max_lr" else None
            ax.axvspan(low, high, color="#d9d9d9", alpha=0.6, linewidth=0, label=label)
        ax.axvline(value, color=GREY, linestyle="--", linewidth=1.2)
        above = ("data", "axes fraction")
        ax.annotate(name, (value, 1.01), xycoords=above, ha="center", fontsize=9)
    if cycles is not None:
        name, (mean, least, most) = cycles
        label = f"{shortened(name)}, mean and 95 % interval"
        ax.axhline(mean, color=colours["cycles"], linewidth=1.6, label=label)
        if least is not None and most is not None:
            ax.axhspan(least, most, color=colours["cycles"], alpha=0.2, linewidth=0)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    ax.set_xscale("log")
    ax.set_xlabel("constant learning rate")
    ax.set_ylabel("test error (%)")
    return figure
