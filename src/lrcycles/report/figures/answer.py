"""Draws the answer: every seed of each arm, and the paired differences below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrcycles.drawing import GREY, palette, panels, shortened, stay_near
from lrcycles.evidence.paired import FEWEST, Estimate

_LETTERS = 12  # points: the figure is shown at half its size on a phone
_SPREAD = 0.16  # of a row, over which its dots lie: equal values must not hide each other
_GOLDEN = 0.618  # the fractional part of its multiples never repeats and fills a row evenly


@dataclass(frozen=True)
class Row:
    """A row of dots with the text above it, at the left and at the right."""

    name: str
    note: str
    colour_of: str
    values: Sequence[float]


def errors_and_differences(
    errors: Sequence[Row],
    differences: Sequence[tuple[Row, Estimate]],
    *,
    margin: float,
) -> Figure:
    """Draw a dot per seed and arm, then a dot per pair with the mean and both intervals.

    Args:
        errors: of each arm, in percent.
        differences: of each comparison, in percentage points.
        margin: half the width of the band of differences that do not matter.
    """
    groups = [errors, [row for row, _ in differences]]
    heights = [0.75 + 0.62 * len(rows) for rows in groups if rows]
    figure, axes = panels(len(heights), height=sum(heights))
    if grid := axes[0].get_gridspec():
        grid.set_height_ratios(heights)
    every = (*errors, *(row for row, _ in differences))
    colours = palette(list(dict.fromkeys(row.colour_of for row in every)))
    if errors:
        _errors(axes[0], errors, colours, margin)
    if differences:
        _differences(axes[-1], differences, colours, margin)
    return figure


def _errors(ax: Axes, errors: Sequence[Row], colours: Mapping[str, object], margin: float) -> None:
    _dots(ax, errors, colours)
    for place, row in enumerate(errors):
        if len(row.values) >= FEWEST:
            middle = float(np.mean(row.values))
            ax.plot([middle] * 2, [place + 0.06, place + 0.44], color="black", linewidth=2.4)
    stay_near(ax, [row.values for row in errors], in_sight=[], least=margin)
    ax.set_xlabel("test error (%)", fontsize=_LETTERS)


def _differences(
    ax: Axes,
    differences: Sequence[tuple[Row, Estimate]],
    colours: Mapping[str, object],
    margin: float,
) -> None:
    ax.axvspan(-margin, margin, color="#e4e4e4", linewidth=0)
    ax.axvline(0, color=GREY, linewidth=1.2)
    _dots(ax, [row for row, _ in differences], colours)
    for place, (_, found) in enumerate(differences):
        whole, (of_seeds, _) = found.interval(), found.halves()
        at = place + 0.25
        if whole is not None:
            ax.plot(whole, [at] * 2, color="black", linewidth=4, solid_capstyle="butt")
            ax.plot([found.mean], [at], "o", color="black", markersize=8)
        if of_seeds is not None:
            ends = [found.mean - of_seeds, found.mean + of_seeds]
            ax.plot(ends, [at] * 2, "|", color="white", markersize=3.6, markeredgewidth=1.6)
    values = [row.values for row, _ in differences]
    stay_near(ax, values, in_sight=(-margin, margin), least=margin)
    ax.set_xlabel(
        "difference (percentage points)\n← fewer errors        more errors →", fontsize=_LETTERS
    )


def _dots(ax: Axes, rows: Sequence[Row], colours: Mapping[str, object]) -> None:
    """Draw a dot per seed, and the texts of each row above its dots."""
    for place, row in enumerate(rows):
        # Without chance: equal reports are equal byte by byte.
        lift = ((np.arange(len(row.values)) * _GOLDEN) % 1 - 0.5) * 2 * _SPREAD
        ax.plot(
            row.values, place + 0.25 + lift, "o", color=colours[row.colour_of],
            alpha=0.55, markersize=6, markeredgewidth=0,
        )  # fmt: skip
        for text, at, side in ((shortened(row.name, 42), 0, "left"), (row.note, 1, "right")):
            ax.annotate(
                text, (at, place - 0.08), xycoords=("axes fraction", "data"), ha=side,
                va="bottom", fontsize=_LETTERS, annotation_clip=False,
            )  # fmt: skip
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.4, -0.5)
    ax.spines["left"].set_visible(False)
    ax.tick_params(labelsize=_LETTERS - 1)
