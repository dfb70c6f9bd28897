"""Draws each arm: its rate, its validation curves, its errors, its times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
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

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


Curve = Sequence[tuple[int, float]]  # of epoch and error in percent
MANY = 8  # arms: with more, marks that tell single arms apart only clutter the figure


def rates_over_steps(
    rates: Mapping[str, ArrayLike],
    step_sizes: Mapping[str, int | None] | None = None,
    *,
    warmups: Mapping[str, int] | None = None,
    colours: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw the learning rate at every step, a panel per arm; dotted: the rest of a cut half-cycle.

    Args:
        rates: for each arm the rate of each of its steps.
        step_sizes: for each cyclical arm its half-cycle in steps.
        warmups: the steps before the cycles, of the arms that have such.
        colours: of each arm.
    """
    many = len(rates) > MANY
    figure, axes = (
        tiles(len(rates), height=1.5) if many else panels(len(rates), height=0.4 + 1.6 * len(rates))
    )
    colours = colours or palette(list(rates))
    for ax, (arm, values) in zip(axes, rates.items(), strict=True):
        lr = np.asarray(values, dtype=float)
        steps = np.arange(1, len(lr) + 1)
        ax.plot(steps, lr, color=colours[arm], linewidth=2)
        step_size, start = (step_sizes or {}).get(arm), (warmups or {}).get(arm, 0)
        done = len(lr) - start
        if step_size is not None and 0 < done < step_size:
            peak = lr[start] + (lr[-1] - lr[start]) * step_size / done
            ax.plot([len(lr), start + step_size], [lr[-1], peak], ":", color=GREY, linewidth=1.5)
            note = "never falls"
            if not many:
                note += f": ends at {100 * done / step_size:.0f} % of one half-cycle"
            ax.annotate(
                note,
                (len(lr), lr[-1]),
                (0.97, 0.12),
                textcoords="axes fraction",
                ha="right",
                fontsize=9,
                arrowprops={"arrowstyle": "->", "color": GREY},
            )
        ax.set_ylim(0, 1.25 * max(ax.dataLim.ymax, 1e-12))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        name = shortened(arm, 25) if many else arm
        ax.set_title(name, loc="left", fontsize=10, fontweight="bold")
        ax.set_ylabel("" if many else "rate")
    figure.supxlabel("step (mini-batch)", fontsize=10)
    return figure


def validation_curves(
    histories: Mapping[str, Mapping[int, Curve]],
    *,
    held_out: str = "validation",
    colours: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw the error after each epoch: each seed thin, the mean bold.

    Args:
        histories: by arm and seed, the error in percent after each epoch.
        held_out: what the error is measured on.
        colours: of each arm.
    """
    figure, (ax,) = panels(1, height=3.8)
    colours = colours or palette(list(histories))
    for arm, line in zip(histories, _line_styles(), strict=False):
        colour = colours[arm]
        by_epoch: dict[int, list[float]] = {}
        for history in histories[arm].values():
            for epoch, error in history:
                by_epoch.setdefault(epoch, []).append(error)
            ax.plot(*zip(*history, strict=True), color=colour, linewidth=0.6, alpha=0.45)
        means = [float(np.mean(errors)) for errors in by_epoch.values()]
        ax.plot(list(by_epoch), means, line, color=colour, linewidth=2.2, markersize=5, label=arm)
    log_percent(ax, ticks=6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"{held_out} error (%)")
    ax.legend(frameon=False, fontsize=9)
    return figure


def _line_styles() -> Iterator[str]:
    """Give line and marker, so that arms differ without colour too."""
    marks = "osD^vPX*<>"
    while True:
        yield from (f"-{mark}" for mark in marks)


def errors_by_arm(
    errors: Mapping[str, Mapping[int, float]],
    *,
    means: Mapping[str, tuple[float, float | None, float | None]],
    published: Mapping[str, tuple[float, float, float]] | None = None,
    colours: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw every seed's test error, a row per arm; grey lines join equal seeds of adjacent arms.

    Args:
        errors: percent, by arm and seed.
        means: for each arm the mean and the ends of its 95 % interval, where it has one.
        published: for each arm the figure in the publication and its 95 % interval.
        colours: of each arm.
    """
    published = published or {}
    figure, (ax,) = panels(1, height=1.3 + (0.42 if len(errors) > MANY else 0.75) * len(errors))
    colours = colours or palette(list(errors))
    arms = list(errors)
    for row, (arm, below) in enumerate(pairwise(arms) if len(arms) <= MANY else ()):
        for seed in sorted(errors[arm].keys() & errors[below].keys()):
            ax.plot(
                [errors[arm][seed], errors[below][seed]], [row, row + 1], color="#c4c4c4", lw=0.7
            )
    for row, arm in enumerate(arms):
        values = list(errors[arm].values())
        ax.plot(values, [row] * len(values), "o", color=colours[arm], alpha=0.55, markersize=6)
        mean, low, high = means[arm]
        if low is not None and high is not None:
            ax.plot([low, high], [row + 0.2] * 2, color=colours[arm], linewidth=3)
        ax.plot(mean, row + 0.2, "|", color=colours[arm], markersize=16, markeredgewidth=3)
        if arm in published:
            value, low, high = published[arm]
            ax.plot([low, high], [row - 0.22] * 2, color="black", linewidth=1.2)
            ax.plot(value, row - 0.22, "D", color="black", markersize=6)
    rows_of(ax, arms)
    known = [value for three in published.values() for value in three]
    stay_near(ax, [list(errors[arm].values()) for arm in arms], in_sight=known, least=0.1)
    ax.plot([], [], "o", color=GREY, alpha=0.6, label="one seed")
    ax.plot([], [], "-|", color=GREY, lw=3, ms=12, mew=3, label="mean, 95 % interval")
    if published:
        ax.plot(
            [], [], "-D", color="black", lw=1.2, label="in the publication, 95 % Wilson interval"
        )
    ax.set_xlabel("test error (%)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def run_times(seconds: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw how long a whole run takes, a row per arm, a bar per way of measuring.

    Args:
        seconds: by arm and way, the ways in equal order.
    """
    ways = list(dict.fromkeys(way for by_way in seconds.values() for way in by_way))
    figure, (ax,) = panels(1, height=1.2 + 0.3 * len(seconds) * len(ways))
    # Shades of grey: the colours of arms would mislead.
    colours = dict(
        zip(ways, (str(0.3 + 0.5 * k / len(ways)) for k in range(len(ways))), strict=True)
    )
    thickness = 0.8 / len(ways)
    for place, way in enumerate(ways):
        known = {row: of[way] for row, of in enumerate(seconds.values()) if way in of}
        at = [row + (place - (len(ways) - 1) / 2) * thickness for row in known]
        bars = ax.barh(at, list(known.values()), thickness * 0.9, color=colours[way], label=way)
        ax.bar_label(bars, fmt="%.1f", padding=3, fontsize=9)
    rows_of(ax, list(seconds))
    ax.margins(x=0.12)
    ax.set_xlabel("training time (s)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure
