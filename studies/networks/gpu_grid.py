"""Keeps the means of the grid that a GPU trained with sixteen seeds, to check that of two cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lrcycles import files
from studies.networks import gpu_results
from studies.networks.landscape import Landscape
from studies.networks.runs import SCHEDULES

FILE = Path("docs/study-networks/gpu.csv")
COMMON_SEEDS = 8  # that every schedule has; the four of the study have eight more


def keep(folder: Path) -> None:
    """Write the mean final loss of every setting; a diverged training counts as the first loss.

    `common_loss` is the mean over the seeds that every schedule has.
    """
    rows = gpu_results.read(folder)
    rows = rows[~rows["look"]]
    final = rows["losses"].str[-1].astype(float).fillna(rows["initial_loss"])
    common = final.where(rows["seed"] < COMMON_SEEDS)
    rows = rows.assign(loss=final, common=common, share=rows["steps"] / rows["whole"])
    keys = ["task", "whole", "share", "schedule", "peak"]
    table = rows.groupby(keys).agg(
        loss=("loss", "mean"),
        common_loss=("common", "mean"),
        deviation=("loss", "std"),
        seeds=("loss", "size"),
        initial_loss=("initial_loss", "mean"),
    )
    files.write_text(FILE, table.reset_index().to_csv(index=False, float_format="%.5g"))


def landscapes(schedules: Sequence[str] = SCHEDULES, column: str = "loss") -> dict[str, Landscape]:
    """Return the landscape of every task, from the kept means of whole trainings.

    Args:
        schedules: by default the four of the study.
        column: loss, or common_loss to compare all schedules.
    """
    table = pd.read_csv(FILE)
    table = table[(table["share"] == 1) & table["schedule"].isin(schedules)]
    maps = {}
    for name, rows in table.groupby("task"):
        means = {
            str(schedule): part.sort_values("peak")[column].to_numpy(float)[None, :]
            for schedule, part in rows.groupby("schedule")
        }
        first = rows.iloc[0]
        peaks = np.sort(rows["peak"].unique())
        maps[str(name)] = Landscape(
            str(name), int(first["whole"]), peaks, means, float(first["initial_loss"])
        )
    return maps


def comparison(maps: Mapping[str, Landscape]) -> pd.DataFrame:
    """Compare the oracles of both machines."""
    rows = []
    for name, theirs in landscapes().items():
        if name not in maps:
            continue
        ours = maps[name]
        schedule, peak, loss = theirs.oracle
        rows.append(
            {
                "task": name,
                "schedule": schedule,
                "peak": peak,
                "loss": loss,
                "own_schedule": ours.oracle[0],
                "own_peak": ours.oracle[1],
                "own_loss": ours.oracle[2],
            }
        )
    return pd.DataFrame(rows)
