"""Makes metrics.json and the tables of DVC plots from the evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.evidence.arms import summarise
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.weigh import Evidence

if TYPE_CHECKING:
    import pandas as pd

_MOST_RATES = 200  # of an arm in DVC plots: more would not be seen
_CELL = ["group", "seed", "status", "test_error_percent", "test_loss", "validation_error_percent"]
_CELL += ["train_seconds", "compile_seconds", "steps", "batch_size", "epochs", "key"]
_TIMES = ["steps_to_target", "censored", "charged_seconds"]
_EPOCH = ["epoch", "step", "validation_error_percent", "validation_loss"]


def metrics(evidence: Evidence) -> dict[str, Any]:
    """Nest all numbers of the report by arm and by comparison; unknown ones are left out."""
    nested: dict[str, Any] = {}
    for name, arm in evidence.arms.items():
        entry: dict[str, Any] = {"group": arm.group, "diverged": len(arm.diverged)}
        figures = (Quantity.ERROR, Quantity.LOSS, "validation_error_percent", "train_seconds")
        for key in figures:
            entry[str(key)] = _known(vars(summarise(arm.values(key).values())))
        if times := evidence.reached.get(name):
            summary = summarise(time.seconds for time in times.values())
            entry[str(Quantity.TIME)] = _known(vars(summary))
            entry[str(Quantity.TIME)]["censored"] = sum(time.censored for time in times.values())
        nested[name] = entry
    nested["comparisons"] = {}
    for comparison in evidence.comparisons.values():
        pair = f"{comparison.arm}_vs_{comparison.against}"
        judged = _judged(comparison)
        nested["comparisons"].setdefault(pair, {})[str(comparison.quantity)] = judged
    if evidence.of_stages:
        nested["bounds"] = {key: evidence.stages.bounds[key] for key in ("base_lr", "max_lr")}
    if evidence.target_percent is not None:
        nested["target_validation_error_percent"] = evidence.target_percent
    return nested


def headline_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Pick the few numbers that experiments are compared by; unknown ones are left out.

    None of them is a time, because times differ when the same trainings run again. `baseline` and
    `clr` mean the first arm of that group, whatever its name is.

    Args:
        metrics: as `metrics` returns them.
    """
    arms = {
        name: entry
        for name, entry in metrics.items()
        if isinstance(entry, Mapping) and "group" in entry
    }
    names = {"linear_decay": "linear_decay"}
    names |= {entry["group"]: name for name, entry in reversed(arms.items())}
    clr, error = names.get("clr"), str(Quantity.ERROR)
    numbers: dict[str, float | None] = {}
    for title in ("baseline", "clr", "linear_decay"):
        if (name := names.get(title)) in arms:
            numbers[f"{title}_error_percent"] = arms[name][error].get("mean")
    for title in ("baseline", "linear_decay"):
        compared = metrics["comparisons"].get(f"{clr}_vs_{names.get(title)}", {}).get(error, {})
        numbers[f"clr_minus_{title}_percent"] = compared.get("mean_difference")
        numbers[f"clr_minus_{title}_holm_p"] = compared.get("holm_p")
    numbers |= metrics.get("bounds", {})
    if arms:
        numbers["seeds"] = max(entry[error]["n"] + entry["diverged"] for entry in arms.values())
        numbers["diverged_runs"] = sum(entry["diverged"] for entry in arms.values())
    return {key: value for key, value in numbers.items() if value is not None}


def _judged(comparison: Comparison) -> dict[str, Any]:
    entry: dict[str, Any] = {"n": comparison.paired.n, "verdict": comparison.outcome.value}
    if comparison.possible_means:
        least, most = comparison.possible_means
        return {**entry, "at_least": least, "at_most": most}
    low, high = comparison.paired.interval95 or (None, None)
    figures = {"mean_difference": comparison.paired.mean, "low": low, "high": high}
    if comparison.is_limit:
        entry["limit"] = True  # the mean is the limit nearest to zero
    else:
        chance = comparison.chance
        figures |= {"percent_better": chance.percent, "percent_better_low": chance.low}
        figures["percent_better_high"] = chance.high
    figures["bca_low"], figures["bca_high"] = comparison.paired.bca95 or (None, None)
    p_values = {"p": comparison.paired.p, "holm_p": comparison.judged.holm_p}
    return _known({**figures, **p_values, **entry})


def _known(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null or not finite: JSON has no NaN, and a diff of null shows nothing."""
    return {
        key: value
        for key, value in entry.items()
        if value is not None and (not isinstance(value, float) or math.isfinite(value))
    }


def plot_tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Tabulate validation error, rate and test error by arm, every cell and every epoch."""
    import pandas as pd

    validation, rates, errors, cells, epochs = [], [], [], [], []
    for name, arm in evidence.arms.items():
        by_epoch: dict[int, list[float]] = {}
        for seed, cell in arm.cells.items():
            time = evidence.reached.get(name, {}).get(seed)
            charged = evidence.extra_seconds.get(name)
            times = (time.steps, time.censored, charged) if time else (None,) * 3
            cells.append([name, *(getattr(cell, key) for key in _CELL), *times])
            for entry in cell.history:
                epochs.append((name, seed, *(getattr(entry, key) for key in _EPOCH)))
                if cell.finished:
                    by_epoch.setdefault(entry.epoch, []).append(entry.validation_error_percent)
        for epoch, values in by_epoch.items():
            summary = summarise(values)
            validation.append((epoch, name, summary.mean, summary.sd, summary.n))
        count = len(arm.rates)
        kept = np.unique(np.linspace(0, count - 1, min(count, _MOST_RATES)).round().astype(int))
        rates += [(int(index) + 1, name, arm.rates[index]) for index in kept]
        errors += [(name, seed, error) for seed, error in arm.values(Quantity.ERROR).items()]
    return {
        "validation_error": pd.DataFrame(
            validation, columns=["epoch", "arm", "validation_error_percent", "sd", "n"]
        ),
        "learning_rate": pd.DataFrame(rates, columns=["step", "arm", "lr"]),
        "test_error": pd.DataFrame(errors, columns=["arm", "seed", str(Quantity.ERROR)]),
        "cells": pd.DataFrame(cells, columns=["arm", *_CELL, *_TIMES]),
        "epochs": pd.DataFrame(epochs, columns=["arm", "seed", *_EPOCH]),
    }
