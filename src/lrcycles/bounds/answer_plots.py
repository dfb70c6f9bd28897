"""Where on a range test's curve do the rules' answers lie?"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrcycles.bounds.opinions import Answer, Opinions
from lrcycles.drawing import GREY, WIDTH
from lrcycles.range_tests.curves import Array, Curves

_LOSS, _ANSWER, _BOUNDS = "#0173b2", "#333333", "#d55e00"
_TOOLS = {
    **dict.fromkeys(("valley", "slide", "steep", "minimum"), "fastai"),
    "thirds": "Smith",
}


def answers_on_curve(opinions: Opinions) -> Figure:
    """The loss against the rate and below it, on the same axis, a row for each rule's rate.

    A dot is the median over the seeds, the line through it their range. The bounds are shaded.
    """
    figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 5))
    curves, bounds = opinions.history.curves, opinions.bounds
    below.set_xscale("log" if curves.ramp == "exponential" else "linear")
    below.set_xlim(*_shown_rates(opinions))
    _draw_loss(above, curves)
    _draw_answers(below, opinions)
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, color="#e9e9e9", linewidth=0.6)
        ax.set_axisbelow(True)
        if bounds is not None:
            ax.axvspan(bounds.base_lr, bounds.max_lr, color=_BOUNDS, alpha=0.12, linewidth=0)
    below.set_xlabel("learning rate")
    figure.suptitle(_title(opinions), x=0.01, ha="left", fontsize=11)
    return figure


def _title(opinions: Opinions) -> str:
    decades = opinions.disagreement_decades
    if decades is None:
        return "No tool's rule finds a rate"
    return f"{len(opinions.tools)} rules of other tools lie {decades:.1f} decades apart"


def _shown_rates(opinions: Opinions) -> tuple[float, float]:
    """The sweep's, and smaller ones where a rule divides."""
    lr = opinions.history.curves.table["lr"]
    found = [answer.low for answer in opinions.answers if answer.low is not None]
    if opinions.bounds is not None:
        found.append(opinions.bounds.base_lr)
    # A dot on the edge would be cut in half.
    return float(min(lr.min(), 0.7 * min(found, default=np.inf))), float(lr.max())


def _draw_loss(ax: Axes, curves: Curves) -> None:
    """Every seed thin; bold the median over seeds and neighbours, which shows through noise."""
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
    # The height of a divergence would flatten all that came before it.
    start = np.nanmax(middle[: len(middle) // 3 + 1])
    least = min(np.nanmin(middle), np.nanpercentile(rows, 1))
    room = max(float(start - least), 0.1 * abs(float(start)), 1e-9)
    ax.set_ylim(float(least) - 0.2 * room, float(start) + 0.5 * room)


def _median(rows: Array, *, half: int) -> Array:
    """At each point the median of all seeds within `half` points; nan where none was finite."""
    windows = [rows[:, max(at - half, 0) : at + half + 1] for at in range(rows.shape[1])]
    return np.array([np.nan if np.isnan(w).all() else np.nanmedian(w) for w in windows])


def _draw_answers(ax: Axes, opinions: Opinions) -> None:
    """One row a rule from the least rate on, then those without one; the bounds first."""
    answers = sorted(opinions.answers, key=lambda a: (a.lr is None, a.lr or 0.0))
    bounds = opinions.bounds
    if bounds is None:
        _write(ax, 0, None, "none found")
    else:
        ends = [bounds.base_lr, bounds.max_lr]
        ax.plot(ends, [0, 0], color=_BOUNDS, linewidth=6, solid_capstyle="butt")
        _write(ax, 0, ends, f"{ends[0]:.2g} to {ends[1]:.2g}", color=_BOUNDS)
    for row, answer in enumerate(answers, start=1):
        _draw_answer(ax, row, answer)
    names = ["bounds" if bounds is None else f"bounds ({bounds.rule})", *map(_label, answers)]
    ax.set_yticks(range(len(names)), labels=names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)


def _label(answer: Answer) -> str:
    tool = _TOOLS.get(answer.rule)
    return f"{answer.rule} ({tool})" if tool else answer.rule


def _draw_answer(ax: Axes, row: int, answer: Answer) -> None:
    if answer.lr is None or answer.low is None or answer.high is None:
        _write(ax, row, None, "no rate")
        return
    ax.plot([answer.low, answer.high], [row, row], color=_ANSWER, linewidth=1.5, alpha=0.6)
    ax.plot([answer.lr], [row], "o", color=_ANSWER, markersize=6)
    _write(ax, row, [answer.low, answer.high], f"{answer.lr:.2g}")


def _write(
    ax: Axes, row: int, span: list[float] | None, words: str, *, color: str = _ANSWER
) -> None:
    """Right of what spans these rates, left of it near the right edge, at the left without any."""
    if span is None:
        ax.annotate(
            words, (0, row), xycoords=ax.get_yaxis_transform(), xytext=(4, 0), va="center",
            textcoords="offset points", fontsize=9, color=GREY, style="italic",
        )  # fmt: skip
        return
    to_axes = ax.transScale + ax.transLimits
    right = to_axes.transform((max(span), row))[0] < 0.75
    ax.annotate(
        words, (max(span) if right else min(span), row), xytext=(7 if right else -7, 0),
        textcoords="offset points", ha="left" if right else "right", va="center", fontsize=9,
        color=color,
    )  # fmt: skip
