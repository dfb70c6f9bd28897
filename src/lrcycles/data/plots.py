"""Draws sample images and the balance of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from lrcycles.drawing import WIDTH, palette, panels

if TYPE_CHECKING:
    from numpy.typing import NDArray


_LABEL = {"facecolor": "#e6e8ea", "edgecolor": "none", "boxstyle": "round,pad=0.3"}


def sample_digits(
    images: NDArray[np.uint8 | np.float32], labels: NDArray[np.integer], classes: Sequence[str]
) -> Figure:
    """Draw the first ten images of every class, a row per class, in grey or in colour.

    The ground is transparent and every letter has its own, so a light and a dark page both fit.

    Args:
        images: uint8 from 0 to 255, or float32 from 0 to 1.
    """
    columns, gap = 10, 2
    white = 1 if np.issubdtype(images.dtype, np.floating) else 255
    height, width = images.shape[1:3]
    cell_height, cell_width = height + gap, width + gap
    mosaic = np.zeros((len(classes) * cell_height, columns * cell_width, 4))
    for row in range(len(classes)):
        for column, index in enumerate(np.flatnonzero(labels == row)[:columns]):
            place = np.s_[
                row * cell_height : row * cell_height + height,
                column * cell_width : column * cell_width + width,
            ]
            mosaic[*place, :3] = images[index].reshape(height, width, -1) / white
            mosaic[*place, 3] = 1
    figure, (ax,) = panels(1, height=0.3 + WIDTH * 0.85 * len(classes) / columns)
    figure.patch.set_alpha(0)
    ax.patch.set_alpha(0)
    ax.imshow(mosaic, interpolation="nearest")
    middle = np.arange(len(classes)) * cell_height + height / 2
    ax.set_yticks(middle, labels=list(classes), bbox=_LABEL)
    ax.set_xticks([])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


def class_balance(class_counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draw the share of every class in each split, side by side."""
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
