"""What do the ingredients, the paper's rows and the tutorial's side claims come to, in words?"""

from __future__ import annotations

import numpy as np
from scipy import stats

from lrcycles.evidence.comparisons import ERROR, Comparison
from lrcycles.evidence.gather import Evidence
from lrcycles.evidence.tuned import Tuned
from lrcycles.report.formatting import interval, number, rate, with_interval
from lrcycles.report.tables import threads

WINDOWS = ("welch", "hann")  # what the tutorial calls equivalent to the triangle


def ingredients(evidence: Evidence) -> list[str]:
    """How much of the replayed gain each ingredient between the two published runs explains."""
    if len(evidence.replay) != 2:
        return []
    first, last = evidence.replay
    whole = evidence.comparisons.get((last, first, ERROR))
    order = list(evidence.waterfall)
    if whole is None or first not in order or last not in order:
        return []
    told = []
    between = evidence.steps[order.index(first) : order.index(last)]
    if not between:  # the waterfall has the two the other way round
        return []
    for name, before in between:
        found = evidence.comparisons.get((name, before, ERROR))
        if found is None:
            return []
        told.append(f"{evidence.waterfall[name]} {number(found.paired.mean, 3)} ({interval(found)}")
        if whole.paired.mean:
            share = 100 * found.paired.mean / whole.paired.mean
            told[-1] += f"; {number(share, 0)}% of it"
        told[-1] += ")"
    said = [
        f"Of the replayed change of {number(whole.paired.mean, 3)} percentage points: "
        f"{'; '.join(told)}."
    ]
    return [*said, *_time_ingredients(evidence, between)]


def _time_ingredients(evidence: Evidence, steps: list[tuple[str, str]]) -> list[str]:
    """Which ingredient changes the time of the second run: that of its steps times their number."""

    def seconds(name: str) -> float:
        return evidence.arms[name].total_steps * evidence.seconds_per_step[name]

    try:
        changes = {name: seconds(name) - seconds(before) for name, before in steps}
        start, end = seconds(steps[0][1]), seconds(steps[-1][0])
    except KeyError:  # no run of that kind finished
        return []
    told = "; ".join(
        f"{evidence.waterfall[name]} {number(change, 1)} s" for name, change in changes.items()
    )
    return [
        f"Of the two training times, {number(start, 1)} s and {number(end, 1)} s here (compiled, "
        f"{threads(evidence.arms[name] for pair in steps for name in pair)}): {told}."
    ]


def side_claims(evidence: Evidence) -> list[str]:
    """The tutorial's claims beside its figures: equivalent windows, no additional computation."""
    told = []
    windows = [
        found
        for found in evidence.of(ERROR)
        if found.arm in WINDOWS and evidence.arms[found.against].group == "clr"
    ]
    told += [f"Window {found.arm}: {_against(found)}" for found in windows]
    cost = _cost_of_a_schedule(evidence)
    if cost:
        told.append(cost)
    return told


def _against(found: Comparison) -> str:
    word = "to" if found.verdict == "equivalent" else "beside"
    return (
        f"{found.verdict} {word} the triangle, {number(found.paired.mean, 3)} percentage points "
        f"({interval(found)})."
    )


def _cost_of_a_schedule(evidence: Evidence) -> str | None:
    """Steps of Keras with a cyclical schedule against those at a constant rate.

    They alternate in one process: trainings of different moments would compare the moments. The
    median, for a disturbed step takes several times as long as its neighbour.
    """
    told = []
    for entry in evidence.stages.fit_epochs:
        cyclical, constant = (np.log(entry[f"{kind}step_seconds"]) for kind in ("scheduled_", ""))
        # The order turns from pair to pair: two together are free of its effect.
        extra = 100 * np.expm1((cyclical - constant).reshape(-1, 2).mean(axis=1))
        low, high = stats.quantile_test(extra, p=0.5).confidence_interval(0.95)
        told.append(
            f"{number(float(np.median(extra)), 1)} % at batch {entry['batch_size']} (95 % interval "
            f"{number(float(low), 1)} to {number(float(high), 1)} %, {2 * len(extra)} pairs)"
        )
    if not told:
        return None
    return (
        "Additional computation: a triangular schedule changes the time of a step of Keras by "
        f"{' and '.join(told)}; the median of steps that alternate with those at a constant rate."
    )


def tuning(evidence: Evidence) -> str | None:
    """What the arm `tuned` is."""
    tuned = evidence.tuned
    if tuned is None:
        return None
    counts = {name: list(tuned.chosen.values()).count(name) for name in tuned.candidates}
    shown = ", ".join(
        f"{rate(evidence.arms[name].rates[0])} ({count} seeds)" for name, count in counts.items()
    )
    epochs = "epoch" if tuned.epochs == 1 else "epochs"
    return (
        f"tuned is made of the constant rates: for each seed the one with the lowest validation "
        f"error after {tuned.epochs} {epochs}, the least that takes as many steps as the range "
        f"test, or the whole training. It is charged the {tuned.tried_steps:,} steps of the rates "
        f"that were dropped. Chosen: {shown}.{_tuned_at_length(evidence, tuned)}"
    )


def _tuned_at_length(evidence: Evidence, tuned: Tuned) -> str:
    """What the same choice after whole trainings would have come to."""
    arms = [evidence.arms[name] for name in tuned.candidates]
    errors = {}
    for seed in tuned.chosen:
        finished = [arm.finished[seed] for arm in arms if seed in arm.finished]
        if finished:
            best = min(finished, key=lambda cell: cell["validation_error_percent"])
            errors[seed] = float(best[ERROR])
    if not errors:
        return ""
    return (
        f" Chosen among whole trainings instead, at {len(arms)} times the price of one, its test "
        f"error in percent would have been {with_interval(errors)}."
    )


def reproduced(table_rows: list[list[str]], source: str) -> str:
    """How many of a paper's rows came out as printed."""
    run = [row for row in table_rows if row[-1] in ("reproduced", "not reproduced")]
    good = sum(row[-1] == "reproduced" for row in run)
    return (
        f"{good} of the {len(run)} rows that were trained again reproduce within two combined "
        f"standard deviations; {len(table_rows) - len(run)} were not run. Source: {source}."
    )
