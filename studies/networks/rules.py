"""Applies every rule to every range test, and reads its regret off the landscape of the task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import lrcycles
from lrcycles.bounds.peers import PEER_RULES
from lrcycles.bounds.select import DEFAULT, RULES
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves
from studies.networks.landscape import Landscape

# Of the rate that a rule gives.
USES = ("linear_decay", "warmup_decay", "cycles", "constant")
LEVEL = 0.05  # of the sign test


def regrets(
    landscape: Landscape, tests: Iterable[Curves], *, length: str, total_steps: int
) -> pd.DataFrame:
    """Return a row for every rule, range test and use of the rate.

    A rule without an answer has no ratio.
    """
    rows = [
        {
            "task": landscape.task,
            "length": length,
            "rule": rule,
            "repeat": repeat,
            "use": use,
            "max_lr": max_lr,
            "ratio": np.nan if max_lr is None else landscape.ratio(use, max_lr),
        }
        for repeat, curves in enumerate(tests)
        for rule in RULES
        for max_lr in [_max_lr(curves, rule, total_steps)]
        for use in USES
    ]
    return pd.DataFrame(rows)


def _max_lr(curves: Curves, rule: str, total_steps: int) -> float | None:
    try:
        return lrcycles.select_bounds(curves, rule=rule, total_steps=total_steps).max_lr
    except InputError:
        return None


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each rule's regret over the tasks: of each task the geometric mean over its tests.

    `wins` and `p` compare it with the default rule by a sign test over the tasks, where each rule
    is used in the way that suits it best.
    """
    logs = rows.assign(log=np.log(rows["ratio"]))
    tasks = logs.groupby(["rule", "use", "task"])["log"].agg(
        mean="mean", answered=lambda column: column.notna().mean()
    )
    out: list[dict[str, Any]] = []
    ours = tasks.loc[DEFAULT]
    best_use = ours["mean"].groupby("use").mean().idxmin()
    reference = ours.loc[best_use, "mean"]
    for (rule, use), values in tasks.groupby(level=["rule", "use"]):
        mean = values["mean"].droplevel(["rule", "use"])
        known = mean.dropna()
        differ = (mean.fillna(np.inf) - reference).round(12)
        wins, losses = int((differ > 0).sum()), int((differ < 0).sum())
        test = stats.binomtest(wins, wins + losses) if wins + losses else None
        out.append(
            {
                "rule": rule,
                "use": use,
                "peer": rule in PEER_RULES,
                "geometric_percent": 100 * np.expm1(known.mean()),
                "median_percent": 100 * np.expm1(known.median()),
                "worst_percent": 100 * np.expm1(known.max()),
                "answered_percent": 100 * values["answered"].mean(),
                "default_wins": wins,
                "tasks": len(mean),
                "p": test.pvalue if test else np.nan,
            }
        )
    return pd.DataFrame(out).sort_values("geometric_percent", ignore_index=True)


def beaten(rows: pd.DataFrame) -> str:
    """Say which rules of other tools the default rule beats, by the sign test over the tasks.

    Each is used in the way that suits it best.
    """
    table = summary(rows)
    peers = table[table["peer"]].drop_duplicates("rule")  # the best use comes first
    shown = (peers["p"] < LEVEL) & (2 * peers["default_wins"] > peers["tasks"])
    better, open_ = (list(peers.loc[where, "rule"]) for where in (shown, ~shown))
    parts = [f"better than {', '.join(better)} (p < {LEVEL})"] if better else []
    if open_:
        parts.append(f"not shown to be better than {', '.join(open_)}")
    return f"By the sign test it is {', and '.join(parts)}."
