"""Makes metrics.json and the tables of DVC plots from the evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles.evidence.arms import Arm, summarise
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.factorial import Effect
from lrcycles.evidence.families import Family
from lrcycles.evidence.weigh import Evidence

if TYPE_CHECKING:
    import pandas as pd

_MOST_RATES = 200  # of an arm in DVC plots: more would not be seen
_CELL = ["group", "seed", "status", "test_error_percent", "test_loss", "validation_error_percent"]
_CELL += ["train_seconds", "compile_seconds", "steps", "batch_size", "epochs", "key"]
# Epochs of plain Keras and of the compiled loop, and steps without and with a schedule, in turns.
_MEASURED = ["fit_seconds", "compiled_seconds", "step_seconds", "scheduled_step_seconds"]
_EPOCH = ["epoch", "step", "validation_error_percent", "validation_loss"]


def metrics(evidence: Evidence) -> dict[str, Any]:
    """Nest all numbers of the report by arm and by comparison; unknown ones are left out."""
    nested: dict[str, Any] = {name: _of_arm(arm) for name, arm in evidence.arms.items()}
    if found := evidence.averages:
        nested["report.averages"] = {name: _of_arm(arm) for name, arm in found.arms.items()}
    nested["comparisons"] = {}
    averages = [*found.own, *found.decays] if found else []
    for comparison in (*evidence.comparisons.values(), *averages):
        pair = f"{comparison.arm}_vs_{comparison.against}"
        of_pair = nested["comparisons"].setdefault(pair, {})
        of_pair[str(comparison.quantity)] = _judged(comparison)
    # Primary comparisons that were not trained count in the family of those that were.
    declared = evidence.report.primary.items()
    nested["report.primary"] = [
        {"arm": arm, "against": other, "trained": (arm, other) not in evidence.absent_primary}
        for arm, others in declared
        for other in others
    ]
    if evidence.factorial:
        parts = [evidence.factorial.whole, *evidence.factorial.effects]
        nested["report.factors"] = {part.factor: _effect(part) for part in parts}
    if evidence.of_stages:
        nested["bounds"] = {key: evidence.stages.bounds[key] for key in ("base_lr", "max_lr")}
    return nested


def _effect(effect: Effect) -> dict[str, Any]:
    found = effect.estimate
    entry: dict[str, Any] = {"n": found.n, "mean": found.mean, "median": found.median}
    entry["interval95"] = found.interval()
    if effect.share:
        entry["share_percent"], entry["share_percent95"] = effect.share
    return _known(entry)


def _of_arm(arm: Arm) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "group": arm.group,
        "diverged": len(arm.diverged),
        "guessed": len(arm.guessed),
    }
    for key in (Quantity.ERROR, Quantity.LOSS, "validation_error_percent", "train_seconds"):
        entry[str(key)] = _known(vars(summarise(arm.values(key).values())))
    return entry


def headline_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Pick the few numbers that experiments are compared by; unknown ones are left out.

    None of them is a time, because times differ when the same trainings run again. `baseline` and
    `clr` mean the first arm of that group in the primary comparisons, or else in the experiment,
    whatever its name is.

    Args:
        metrics: as `metrics` returns them.
    """
    arms = {
        name: entry
        for name, entry in metrics.items()
        if isinstance(entry, Mapping) and "group" in entry
    }
    names = {"linear_decay": "linear_decay"}
    primary = [one[side] for one in metrics["report.primary"] for side in ("arm", "against")]
    in_order = [*(name for name in primary if name in arms), *arms]
    names |= {arms[name]["group"]: name for name in reversed(in_order)}
    clr, error = names.get("clr"), str(Quantity.ERROR)
    numbers: dict[str, float | None] = {}
    for title in ("baseline", "clr", "linear_decay"):
        if (name := names.get(title)) in arms:
            numbers[f"{title}_error_percent"] = arms[name][error].get("mean")
    for title in ("baseline", "linear_decay"):
        pair = f"{clr}_vs_{names.get(title)}"
        compared = metrics["comparisons"].get(pair, {}).get(error, {})
        numbers[f"clr_minus_{title}_percent"] = compared.get("mean")
        numbers[f"clr_minus_{title}_p"] = compared.get("p")
    numbers |= metrics.get("bounds", {})
    if arms:
        runs = (entry[error]["n"] + _failed(entry) for entry in arms.values())
        numbers["seeds"] = max(runs)
        numbers["diverged_runs"] = sum(entry["diverged"] for entry in arms.values())
    return {key: value for key, value in numbers.items() if value is not None}


def _failed(entry: Mapping[str, Any]) -> int:
    return int(entry["diverged"] + entry["guessed"])


def _judged(comparison: Comparison) -> dict[str, Any]:
    verdict, estimate = comparison.verdict, comparison.estimate
    entry: dict[str, Any] = {
        "family": comparison.family.value,
        "verdict": verdict.outcome.value,
        "reason": verdict.reason.value or None,
        "seeds": comparison.seeds,
        "n": len(comparison.differences),
        "p": verdict.p,
        # In the primary family p stays as it is, and the level is divided (Holm).
        "adjusted_p": None if comparison.family == Family.PRIMARY else verdict.adjusted_p,
        "level": verdict.level,
        "alone_level": verdict.alone,
    }
    if any(comparison.failed):
        entry |= dict(zip(("failed", "failed_against"), comparison.failed, strict=True))
    if estimate is not None:
        seeds, images = estimate.halves()
        entry |= {
            "mean": estimate.mean,
            "interval95": estimate.interval(),
            "interval_at_level": None
            if verdict.alone is None
            else estimate.interval(1 - verdict.alone),
            "seeds_half": seeds,
            "images_half": images,
            "median": estimate.median,
            "hodges_lehmann": estimate.hodges_lehmann,
        }
    if chance := comparison.chance:
        entry |= {"percent_better": chance.percent, "percent_better95": (chance.low, chance.high)}
    return _known(entry)


def _known(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null or not finite: JSON has no NaN, and a diff of null shows nothing."""
    return {
        key: value
        for key, value in entry.items()
        if value is not None and (not isinstance(value, float) or math.isfinite(value))
    }


def plot_tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Tabulate validation error, rate and test error by arm, every cell and every epoch.

    Also the seconds of epochs and steps that were measured alone, where there are some.
    """
    import pandas as pd

    validation, rates, errors, cells, epochs = [], [], [], [], []
    averages = evidence.averages.arms if evidence.averages else {}
    for name, arm in (evidence.arms | averages).items():
        by_epoch: dict[int, list[float]] = {}
        for seed, cell in arm.cells.items():
            cells.append([name, *(getattr(cell, key) for key in _CELL)])
            for entry in cell.history:
                epochs.append((name, seed, *(getattr(entry, key) for key in _EPOCH)))
                if cell.finished:
                    by_epoch.setdefault(entry.epoch, []).append(entry.validation_error_percent)
        for epoch, values in by_epoch.items():
            summary = summarise(values)
            validation.append((epoch, name, summary.mean, summary.sd, summary.n))
        errors += [(name, seed, error) for seed, error in arm.values(Quantity.ERROR).items()]
        if arm.average:  # its rates are those of the trained weights
            continue
        count = len(arm.rates)
        kept = np.unique(np.linspace(0, count - 1, min(count, _MOST_RATES)).round().astype(int))
        rates += [(int(index) + 1, name, arm.rates[index]) for index in kept]
    tables = {
        "validation_error": pd.DataFrame(
            validation, columns=["epoch", "arm", "validation_error_percent", "sd", "n"]
        ),
        "learning_rate": pd.DataFrame(rates, columns=["step", "arm", "lr"]),
        "test_error": pd.DataFrame(errors, columns=["arm", "seed", str(Quantity.ERROR)]),
        "cells": pd.DataFrame(cells, columns=["arm", *_CELL]),
        "epochs": pd.DataFrame(epochs, columns=["arm", "seed", *_EPOCH]),
    }
    if measured := _measured_seconds(evidence):
        columns = ["batch_size", "threads", "measured", "turn", "seconds"]
        tables["measured_seconds"] = pd.DataFrame(measured, columns=columns)
    return tables


def _measured_seconds(evidence: Evidence) -> list[tuple[Any, ...]]:
    """List the seconds behind the times of Keras and the price of a schedule."""
    return [
        (entry["batch_size"], entry["threads"], kind.removesuffix("_seconds"), turn, seconds)
        for entry in (evidence.of_stages.fit_epochs if evidence.of_stages else [])
        for kind in _MEASURED
        for turn, seconds in enumerate(entry[kind])
    ]
