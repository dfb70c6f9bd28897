"""Writes docs/study-drawn-bounds/README.md from the numbers beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrcycles import files
from studies.drawn_bounds.measure import DRAWN, FIRST_SEED, SHARED

OUT = Path("docs/study-drawn-bounds")

_TEXT = """\
# What changes if every seed has a range test of its own?

Made by `make study-drawn-bounds`, which computes all figures on this page.

All seeds of experiment `tutorial` train with the bounds of one range test, the shared bounds. The
intervals of its report hold for these bounds alone. Here each of {seeds} seeds also has a range
test of its own, with the settings of the tutorial: rule smith and three sweeps. The sweeps of seed
s have the seeds {first} + 3s to {first} + 3s + 2. With these drawn bounds each seed trains `clr`
(cycles between both bounds) and `linear_decay` (a fall from max_lr to 0).

## The bounds

| bound | shared | drawn: geometric mean | drawn: lowest and highest | standard deviation of log10 |
|---|---:|---:|---:|---:|
{bounds}

{answered} of {seeds} range tests give bounds.

## The test errors

Errors are in percent of the test images, and differences in percentage points. The interval
covers other seeds and other test images. With drawn bounds it also covers other range tests, for
each seed has its own. "Seeds" and "images" are half the interval of each part alone.

| | seeds | failed runs | mean | 95 % interval | seeds | images | standard deviation |
|---|---:|---:|---:|---|---:|---:|---:|
{errors}

{answers}

The shared bounds are one draw: "drawn minus shared" compares other draws with this one. This page
gives intervals and no verdicts.

The numbers are in [cells.csv](cells.csv) and [estimates.json](estimates.json).
"""


def text() -> str:
    """Fill the page with the numbers of `OUT`."""
    cells = pd.read_csv(OUT / "cells.csv")
    estimates = files.read_json(OUT / "estimates.json")
    drawn = cells[cells["bounds"] == DRAWN]
    return _TEXT.format(
        seeds=len(drawn),
        first=FIRST_SEED,
        bounds="\n".join(_bound(name, cells) for name in ("base_lr", "max_lr")),
        answered=int(drawn["max_lr"].notna().sum()),
        errors="\n".join(_error(name, entry) for name, entry in estimates.items()),
        answers="\n".join(
            f"- {_answer(name, estimates[name], words)}"
            for name, words in {
                "clr minus linear_decay, drawn bounds": ("clr", "linear_decay with drawn bounds"),
                "clr, drawn minus shared": ("clr with drawn bounds", "with shared bounds"),
                "linear_decay, drawn minus shared": (
                    "linear_decay with drawn bounds",
                    "with shared bounds",
                ),
            }.items()
        ),
    )


def _bound(name: str, cells: pd.DataFrame) -> str:
    shared = cells.loc[cells["bounds"] == SHARED, name].iloc[0]
    drawn = cells.loc[cells["bounds"] == DRAWN, name].dropna()
    exponents = np.log10(drawn)
    return (
        f"| {name} | {shared:.3g} | {10 ** exponents.mean():.3g} | {drawn.min():.3g} to "
        f"{drawn.max():.3g} | {exponents.std():.2f} |"
    )


def _error(name: str, entry: Mapping[str, Any]) -> str:
    if not entry["n"]:
        return f"| {name} | 0 | | | | | | |"
    half = [_number(entry[key]) for key in ("seeds_half", "images_half", "sd")]
    return (
        f"| {name} | {entry['n']} | {entry['failed']} | {entry['mean']:.3f} | "
        f"{_interval(entry)} | {' | '.join(half)} |"
    )


def _interval(entry: Mapping[str, Any]) -> str:
    if entry["interval"] is None:
        return "none"
    return " to ".join(f"{end:.3f}" for end in entry["interval"])


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _answer(name: str, entry: Mapping[str, Any], words: tuple[str, str]) -> str:
    """Word a difference; an interval that contains 0 shows none."""
    arm, other = words
    if not entry["n"] or entry["interval"] is None:
        return f"{name.capitalize()}: too few seeds."
    low, high = entry["interval"]
    if low <= 0 <= high:
        return f"No difference shows between {arm} and {other}: {low:.3f} to {high:.3f} points."
    more = "more" if low > 0 else "fewer"
    return f"{arm} makes {more} errors than {other}: {low:.3f} to {high:.3f} points."
