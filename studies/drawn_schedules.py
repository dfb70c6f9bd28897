"""Draws every schedule for docs/library.md, without and with a warm-up.

python -m studies.drawn_schedules                   # writes docs/images/schedules.png
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lrcycles import drawing, files
from lrcycles.schedules import keras_schedules

FILE = Path(__file__).parents[1] / "docs" / "images" / "schedules.png"
STEPS, WARMUP_STEPS = 600, 60


def _cycles(steps: int, **others: float) -> dict[str, Any]:
    return {"base_lr": 0.1, "max_lr": 1.0, "step_size": steps // 6, **others}


def _one_cycle(steps: int, **others: Any) -> dict[str, Any]:
    rates = {"base_lr": 0.1, "max_lr": 1.0, "final_lr": 1e-4}
    last = int(0.1 * steps)
    phases = {"rise_steps": 0.45 * steps, "fall_steps": 0.45 * steps, "annihilation_steps": last}
    return {**rates, **phases, **others}


_DECAY = {"max_lr": 1.0, "total_steps": STEPS}
_STABLE = {**_DECAY, "decay_steps": 240}
# The title of a panel, the class, and its settings for a number of steps after the warm-up.
PANELS: tuple[tuple[str, str, Callable[[int], Mapping[str, Any]]], ...] = (
    ("Triangular", "Triangular", _cycles),
    ("Welch", "Welch", _cycles),
    ("Hann", "Hann", _cycles),
    ("Triangular2", "Triangular2", _cycles),
    ("ExpRange", "ExpRange", lambda steps: _cycles(steps, gamma=0.997)),
    ("ExpRangeBounds", "ExpRangeBounds", lambda steps: _cycles(steps, gamma=0.997)),
    ("SGDR", "SGDR", lambda steps: {"max_lr": 1.0, "first_cycle_steps": steps // 3}),
    ("OneCycle", "OneCycle", _one_cycle),
    ("OneCycle (cosine)", "OneCycle", lambda steps: _one_cycle(steps, shape="cosine")),
    ("LinearDecay", "LinearDecay", lambda _: _DECAY),
    ("Cosine", "Cosine", lambda _: _DECAY),
    ("InverseTime", "InverseTime", lambda _: {"base_lr": 1.0, "gamma": 0.01, "power": 0.75}),
    ("WarmupStableDecay", "WarmupStableDecay", lambda _: _STABLE),
    ("the same (1-sqrt)", "WarmupStableDecay", lambda _: {**_STABLE, "shape": "1-sqrt"}),
    ("StepDecay", "StepDecay", lambda _: {"base_lr": 1.0, "factor": 0.4, "every_steps": 150}),
)


def draw() -> Figure:
    """Draw a panel for each schedule that changes the rate."""
    figure, axes = drawing.tiles(len(PANELS), height=1.25, sharey=True)
    plain, warm = list(drawing.palette(["plain", "warm"]).values())
    steps = np.arange(STEPS)
    for ax, (title, name, settings) in zip(axes, PANELS, strict=True):
        for warmup_steps, colour, style in ((WARMUP_STEPS, warm, ":"), (0, plain, "-")):
            rates = getattr(keras_schedules, name)(
                **settings(STEPS - warmup_steps), warmup_steps=warmup_steps
            )
            label = f"warmup_steps={warmup_steps}" if warmup_steps else "without a warm-up"
            ax.plot(steps, rates(steps), style, color=colour, linewidth=1.8, label=label)
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
        ax.set_xticks([0, 200, 400, 600])
        ax.set_ylim(0, 1.1)
        ax.tick_params(labelsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside upper left", ncols=2, frameon=False, fontsize=10
    )
    figure.supxlabel("step", fontsize=10)
    figure.supylabel("learning rate / max_lr", fontsize=10)
    return figure


if __name__ == "__main__":
    files.write_figure(FILE, draw())
