"""Which numbers of the evidence does `dvc metrics show` print?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.evidence.arms import summarise
from lrcycles.evidence.comparisons import ERROR, LOSS, TIME, Comparison
from lrcycles.evidence.gather import Evidence

if TYPE_CHECKING:
    import pandas as pd

_POINTS = 200  # of a learning rate in DVC plots: enough for the eye
_CELL = ["arm", "group", "seed", "status", ERROR, LOSS, "validation_error_percent"]
_TIMES = ["steps_to_target", "censored", "charged_seconds"]
_EPOCH = ["epoch", "step", "validation_error_percent", "validation_loss"]
_CELL += ["train_seconds", "compile_seconds", "steps", "batch_size", "epochs", "key"]


def metrics(evidence: Evidence) -> dict[str, Any]:
    """The report's numbers, nested as `dvc metrics show` prints them; what is unknown is absent."""
    found: dict[str, Any] = {}
    for name, arm in evidence.arms.items():
        entry: dict[str, Any] = {"diverged": len(arm.diverged)}
        for key in (ERROR, LOSS, "validation_error_percent", "train_seconds"):
            entry[key] = _known(vars(summarise(arm.values(key).values())))
        times = evidence.reached.get(name)
        if times:
            entry[TIME] = _known(vars(summarise(time.seconds for time in times.values())))
            entry[TIME]["censored"] = sum(time.censored for time in times.values())
        found[name] = entry
    found["comparisons"] = {}
    for comparison in evidence.comparisons.values():
        pair = f"{comparison.arm}_vs_{comparison.against}"
        found["comparisons"].setdefault(pair, {})[comparison.quantity] = _judged(comparison)
    if evidence.of_stages:
        found["bounds"] = {key: evidence.stages.bounds[key] for key in ("base_lr", "max_lr")}
    if evidence.target_percent is not None:
        found["target_validation_error_percent"] = evidence.target_percent
    return found


def _judged(comparison: Comparison) -> dict[str, Any]:
    entry: dict[str, Any] = {"n": comparison.paired.n, "verdict": comparison.verdict}
    if comparison.left_open:
        return {**entry, "at_least": comparison.left_open[0], "at_most": comparison.left_open[1]}
    low, high = comparison.paired.interval95 or (None, None)
    figures = {"mean_difference": comparison.paired.mean, "low": low, "high": high}
    if comparison.limit:
        entry["limit"] = True  # of runs that never arrived: the mean is the limit next to zero
    else:
        chance = comparison.chance
        figures |= {"percent_better": chance.percent, "percent_better_low": chance.low}
        figures["percent_better_high"] = chance.high
    figures["bca_low"], figures["bca_high"] = comparison.paired.bca95 or (None, None)
    return _known({**figures, "p": comparison.paired.p, "holm_p": comparison.judged.holm_p} | entry)


def _known(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null or not finite: JSON has no NaN, and a diff of null says nothing."""
    return {
        key: value
        for key, value in entry.items()
        if value is not None and (not isinstance(value, float) or math.isfinite(value))
    }


def plot_tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """What `dvc plots` draws, validation error, rate and test error by arm; and every cell."""
    import pandas as pd

    validation, rates, errors = [], [], []
    cells, histories = [], []
    for name, arm in evidence.arms.items():
        for seed, cell in arm.cells.items():
            time = evidence.reached.get(name, {}).get(seed)
            when = (
                (time.steps, time.censored, evidence.extra_seconds[name]) if time else (None,) * 3
            )
            cells.append([name, *(cell.get(key) for key in _CELL[1:]), *when])
            histories += [(name, seed, *(e.get(key) for key in _EPOCH)) for e in cell["history"]]
        by_epoch: dict[int, list[float]] = {}
        for cell in arm.finished.values():
            for entry in cell["history"]:
                by_epoch.setdefault(entry["epoch"], []).append(entry["validation_error_percent"])
        for epoch, values in by_epoch.items():
            found = summarise(values)
            validation.append((epoch, name, found.mean, found.sd, found.n))
        count = len(arm.rates)
        kept = np.unique(np.linspace(0, count - 1, min(count, _POINTS)).round().astype(int))
        rates += [(int(index) + 1, name, arm.rates[index]) for index in kept]
        errors += [(name, seed, error) for seed, error in arm.values(ERROR).items()]
    return {
        "validation_error": pd.DataFrame(
            validation, columns=["epoch", "arm", "validation_error_percent", "sd", "n"]
        ),
        "learning_rate": pd.DataFrame(rates, columns=["step", "arm", "lr"]),
        "test_error": pd.DataFrame(errors, columns=["arm", "seed", ERROR]),
        "cells": pd.DataFrame(cells, columns=[*_CELL, *_TIMES]),
        "epochs": pd.DataFrame(histories, columns=["arm", "seed", *_EPOCH]),
    }


def flat_metrics(found: Mapping[str, Any], above: str = "") -> dict[str, float]:
    """The numbers of nested metrics under dotted names, for MLflow; words are left out.

    >>> flat_metrics({"clr": {"mean": 1.5, "verdict": "better"}})
    {'clr.mean': 1.5}
    """
    flat: dict[str, float] = {}
    for key, value in found.items():
        if isinstance(value, Mapping):
            flat |= flat_metrics(value, f"{above}{key}.")
        elif isinstance(value, int | float):
            flat[f"{above}{key}"] = float(value)
    return flat
