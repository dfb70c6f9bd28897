"""Reads what a figure shows."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure


def lines(figure: Figure, panel: int) -> list[np.ndarray]:
    """Return the points of each line of a panel, one row (x, y) per point."""
    return [np.asarray(line.get_xydata()) for line in figure.axes[panel].lines]


def legend(figure: Figure) -> list[str]:
    """Return the texts of a figure's legends."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]
