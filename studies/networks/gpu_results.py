"""Keeps and reads the results of trainings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROWS = ("schedule", "peak", "steps", "seed", "losses", "measure", "initial_loss", "look")


def best_of(look: Path) -> float:
    """Return the peak of the linear decay with the lowest mean loss."""
    with np.load(look) as kept:
        decay = kept["schedule"] == "linear_decay"
        final, initial, peak = (
            part[decay] for part in (kept["losses"][:, -1], kept["initial_loss"], kept["peak"])
        )
    final = np.where(np.isfinite(final), final, initial)
    return float(min(np.unique(peak), key=lambda one: final[peak == one].mean()))


def save(path: Path, rows: Sequence[dict[str, Any]], **more: Any) -> None:
    """Save trainings, and what holds for all of them, unless there are none."""
    if not rows:
        return
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in rows]) for name in ROWS if name != "losses"
    }
    most = max(len(row["losses"]) for row in rows)
    # Short trainings have one loss; NaN fills the places before it.
    losses = [[np.nan] * (most - len(row["losses"])) + row["losses"] for row in rows]
    counts = [len(row["losses"]) for row in rows]
    new = path.with_suffix(".new.npz")
    np.savez_compressed(new, losses=losses, counts=counts, **columns, **more)
    new.rename(path)


def read(folder: Path | str) -> Any:
    """Return all trainings in the files of a folder, in the form of `measure.measure`.

    `look` is true for the trainings of the first look. `losses` ends with the final loss: a whole
    training has five, after 8, 12, 14, 15 and 16 sixteenths, a short training has one.
    """
    import pandas as pd

    tables = []
    for path in sorted(Path(folder).glob("*.npz")):
        with np.load(path) as kept:
            columns = {name: kept[name] for name in ROWS if name != "losses"}
            pairs = zip(kept["losses"], kept["counts"], strict=True)
            losses = [list(row[-count:]) for row, count in pairs]
            table = pd.DataFrame({**columns, "losses": losses})
            seconds = {name: float(kept[name]) for name in ("compile_seconds", "train_seconds")}
            tables.append(
                table.assign(task=path.name.split("-")[0], whole=int(kept["whole"]), **seconds)
            )
    return pd.concat(tables, ignore_index=True)
