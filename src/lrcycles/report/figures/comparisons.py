"""Draws comparisons of arms: waterfall, forest, curves over epochs, errors over rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

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
from lrcycles.report.figures.arms import Curve
from lrcycles.report.formatting import number, span

Ends = tuple[float, float | None, float | None]  # a mean and its 95 % interval, if it has one
_BETTER, _WORSE, _SINGLE_COLOUR_FROM = "#0173b2", "#d55e00", 8
_LONGEST_NAME = 20  # of an arm that fits twice below an axis


def waterfall(
    means: Mapping[str, Ends],
    changes: Mapping[str, Ends],
    *,
    published: Mapping[str, float],
    quantity: str,
    digits: int,
) -> Figure:
    """Draw a row for each arm with its mean, and a bar for the change from the row above.

    Args:
        means: by row, the mean test error with its interval.
        changes: by row except the first, the paired difference from the row above.
        published: by row, a published figure.
        digits: the decimals of the changes.
    """
    rows = list(means)
    figure, (ax,) = panels(1, height=1.3 + 0.5 * len(rows))
    for place, row in enumerate(rows):
        mean, low, high = means[row]
        if row in changes:
            before = means[rows[place - 1]][0]
            colour = _BETTER if mean < before else _WORSE
            ax.barh(place, mean - before, left=before, height=0.42, color=colour, alpha=0.35)
            ax.plot([before] * 2, [place - 1, place], ":", color=GREY, linewidth=1)
        if low is not None and high is not None:
            ax.plot([low, high], [place] * 2, color="black", linewidth=1.4)
        ax.plot(mean, place, "o", color="black", markersize=5)
        if row in published:
            ax.plot(published[row], place - 0.34, "D", color="black", mfc="none", markersize=6)
    for place, row in enumerate(rows):
        if row in changes:
            change, low, high = changes[row]
            label = number(change, digits)
            if low is not None:
                label += f" ({span(low, high, digits)})"
            ax.annotate(
                label, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8,
                annotation_clip=False,
            )  # fmt: skip
    ax.plot([], [], "-o", color="black", markersize=5, label="mean, 95 % interval")
    ax.barh(0, 0, color=_BETTER, alpha=0.35, label="fewer errors than the row above")
    ax.barh(0, 0, color=_WORSE, alpha=0.35, label="more errors than the row above")
    if published:
        ax.plot([], [], "D", color="black", mfc="none", label="in the publication")
    rows_of(ax, rows)
    ends = [end for known in means.values() for end in known if end is not None]
    ends += published.values()
    room = 0.06 * (max(ends) - min(ends))
    ax.set_xlim(min(ends) - room, max(ends) + room)
    ax.set_xlabel(f"{quantity}; right: change, paired by seed")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def forest(
    differences: Mapping[str, Mapping[int, float]],
    *,
    intervals: Mapping[str, Ends],
    margin: float,
    other: str | None,
) -> Figure:
    """Draw each seed's difference, a row per comparison, with mean, interval and margin.

    Args:
        differences: by comparison and seed, in percentage points of test error.
        intervals: for each comparison the mean difference and the ends of its 95 % interval.
        margin: half the width of the band within which two arms count as equivalent.
        other: the arm that all comparisons subtract, if it is one arm.
    """
    import pandas as pd
    import seaborn

    names = list(differences)
    figure, (ax,) = panels(1, height=1.5 + (0.7 if len(names) < 8 else 0.42) * len(names))
    ax.axvspan(-margin, margin, color="#e9e9e9", label=f"equivalent: within ±{margin:g}")
    ax.axvline(0, color=GREY, linewidth=1)
    points = pd.DataFrame(
        [(name, value) for name in names for value in differences[name].values()],
        columns=["comparison", "difference"],
    )
    colours = palette(names)
    if len(names) > _SINGLE_COLOUR_FROM:
        colours = dict.fromkeys(names, palette(["one"])["one"])
    # Without jitter, which is drawn at random: equal reports are equal byte by byte.
    seaborn.stripplot(
        points, x="difference", y="comparison", hue="comparison", order=names, hue_order=names,
        palette=colours, jitter=False, alpha=0.45, size=5, legend=False, ax=ax,
    )  # fmt: skip
    for row, name in enumerate(names):
        mean, low, high = intervals[name]
        if low is not None and high is not None:
            ax.plot([low, high], [row + 0.26] * 2, color="black", linewidth=2.2)
        ax.plot(mean, row + 0.26, "|", color="black", markersize=11, markeredgewidth=2.4)
    tall = len(names) < 8 or max(map(len, names)) > 32
    pairs = [[shortened(arm, 28) for arm in name.split(" vs ")] for name in names]
    rows_of(ax, [("\nvs " if tall else " vs ").join(pair) for pair in pairs])
    values = [list(differences[name].values()) for name in names]
    stay_near(ax, values, in_sight=(-margin, margin), least=margin)
    ax.plot([], [], "o", color=GREY, alpha=0.6, label="one seed")
    ax.plot([], [], "-|", color="black", lw=2.2, ms=11, mew=2.4, label="mean, 95 % interval")
    ax.set_ylabel("")
    than = f" than {other}" if other and len(other) <= _LONGEST_NAME else ""
    ax.set_xlabel(
        "difference in test error (percentage points)\n"
        f"← fewer errors{than}        more errors{than} →"
    )
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def anytime(
    histories: Mapping[str, Mapping[int, Curve]],
    *,
    cycle_ends: Mapping[str, Sequence[float]],
    target: float | None,
) -> Figure:
    """Draw the validation error after every epoch, a panel per arm, with the first arm in grey.

    Lines are means over the seeds. Bands reach from the lowest to the highest seed. Dotted lines
    mark the ends of cycles, where the rate is low and the error of a cyclical arm is comparable.

    Args:
        histories: by arm and seed, the error in percent after each epoch; the baseline first.
        cycle_ends: by arm, in epochs.
        target: percent.
    """
    first, *others = histories
    shown = others or [first]
    figure, axes = tiles(len(shown), height=2.1 if len(shown) > 1 else 3.4, sharey=True)
    colour = palette(["baseline", "arm"])["arm"]
    for ax, arm in zip(axes, shown, strict=True):
        for end in cycle_ends.get(arm, ()):
            ax.axvline(end, color=colour, linestyle=":", linewidth=1)
        for name, ink in ((first, GREY), (arm, colour)):
            epochs, low, mean, high = _band(histories[name])
            ax.fill_between(epochs, low, high, color=ink, alpha=0.2, linewidth=0)
            ax.plot(epochs, mean, color=ink, linewidth=1.8)
        if target is not None:
            ax.axhline(target, color=GREY, linestyle="--", linewidth=0.9)
        log_percent(ax, ticks=4)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.set_title(shortened(arm, 25), loc="left", fontsize=9, fontweight="bold")
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("validation error (%)", fontsize=9)
    marks = [
        Line2D([], [], color=GREY, label=shortened(first)),
        Line2D([], [], color=colour, label="the arm above the panel"),
    ]
    if any(cycle_ends.values()):
        marks.append(Line2D([], [], color=colour, linestyle=":", label="end of a cycle"))
    if target is not None:
        label = f"target {number(target)} %"
        marks.append(Line2D([], [], color=GREY, linestyle="--", label=label))
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
            label = "bound, interval over seeds" if name == "max_lr" else None
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
