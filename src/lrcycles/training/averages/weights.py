"""Says how much of each step's weights an average holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.errors import InputError


def ema_shares(decay: float, total_steps: int) -> np.ndarray:
    """Tabulate the share of the new weights in the moving average of each step, float32.

    After step t the average is the weighted mean of the weights after the steps 1 to t. The weights
    after step i have the factor decay**(t - i). The initial weights are no part of the mean, so a
    short training is not drawn towards its start. The average of Keras's optimizers begins as the
    weights after the first step, and draws a short training towards them.

    >>> ema_shares(0.5, 3).astype(float).round(3).tolist()
    [1.0, 0.667, 0.571]
    """
    steps = np.arange(1, total_steps + 1)
    return ((1 - decay) / (1 - decay**steps)).astype(np.float32)


def share_table(cells: Sequence[Cell], total_steps: int) -> np.ndarray | None:
    """Tabulate `ema_shares` for each cell, (cells, total_steps); None where no cell keeps one."""
    if not cells[0].keeps_ema:  # cells of one shape agree in it
        return None
    decays = [(cell.averages or {})["ema"]["decay"] for cell in cells]
    return np.stack([ema_shares(decay, total_steps) for decay in decays])


def checkpoint_count(cell: Cell) -> int:
    """Return over how many last epochs the cell averages the weights at the end; 0 for none.

    Raises:
        InputError: the training has fewer epochs.
    """
    count = int((cell.averages or {}).get("last", {}).get("checkpoints", 0))
    if count > cell.epochs:
        raise InputError(
            f"The averaged checkpoints of {cell} must be at most its epochs, because a checkpoint "
            f"is taken at the end of an epoch. Received: {count} for {cell.epochs}. Lower them."
        )
    return count
