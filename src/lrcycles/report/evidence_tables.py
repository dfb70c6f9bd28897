"""Which tables does the report open with, and which does an expert look for below?"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from scipy import stats

from lrcycles.evidence.arms import Arm, summarise
from lrcycles.evidence.chances import Chance, chance_better
from lrcycles.evidence.comparisons import ERROR, LOSS
from lrcycles.evidence.gather import Evidence, loss_differences
from lrcycles.report import formatting
from lrcycles.report.formatting import UNKNOWN, number, with_interval
from lrcycles.report.tables import Table, measured_alone, threads


def at_a_glance(evidence: Evidence, published: Mapping[str, Mapping[str, float]]) -> Table | None:
    """The published pair, its replay and the controlled pair: error and time, first and second."""
    replay = [evidence.arms[name] for name in evidence.replay]
    clr = [name for name, arm in evidence.arms.items() if arm.group == "clr"]
    if len(replay) != 2 or not clr:
        return None
    controlled = [evidence.arms[evidence.baseline], evidence.arms[clr[0]]]
    fits = [measured_alone(evidence, arm, "fit_seconds") for arm in replay]
    means = [fmean(fit.values()) for fit in fits if fit]
    rows = [
        [
            "test error (%), published, one run each",
            *(number(published[arm.name]["error_percent"]) for arm in replay),
            _change(published, replay, "error_percent"),
        ],
        ["test error (%), replayed here", *_errors(replay), _difference(evidence, replay)],
        [
            f"test error (%), controlled pair: {controlled[0].name}, {controlled[1].name}",
            *_errors(controlled),
            _difference(evidence, controlled),
        ],
        [
            "training time (s), published",
            *(number(published[arm.name]["seconds"], 1) for arm in replay),
            _change(published, replay, "seconds"),
        ],
        [
            "training time (s), replayed by plain Keras fit here",
            *(with_interval(fit, 1) + " epochs" if fit else "not measured" for fit in fits),
            UNKNOWN
            if len(means) < 2
            else f"{number(means[1] - means[0], 1)} ({means[1] / means[0]:.2f} times)",
        ],
        _controlled_seconds(evidence, controlled),
    ]
    return Table(["", "first", "second", "second minus first (95 % interval)"], rows)


def _errors(arms: list[Arm]) -> list[str]:
    return [with_interval(arm.values(ERROR)) for arm in arms]


def _change(published: Mapping[str, Mapping[str, float]], arms: list[Arm], key: str) -> str:
    first, second = (published[arm.name][key] for arm in arms)
    ratio = f" ({second / first:.2f} times)" if key == "seconds" else " (from single runs)"
    return number(second - first) + ratio


def _difference(evidence: Evidence, arms: list[Arm]) -> str:
    found = evidence.comparisons.get((arms[1].name, arms[0].name, ERROR))
    if found is None:
        return UNKNOWN
    return f"{number(found.paired.mean, 3)} ({formatting.interval(found)}); {found.verdict}"


def _controlled_seconds(evidence: Evidence, arms: list[Arm]) -> list[str]:
    """Pooled seconds of the controlled arms' steps: equal steps cost equal time."""
    row = [f"training time (s), controlled pair, compiled, on {threads(arms)}"]
    seconds = []
    for arm in arms:
        per_step = evidence.seconds_per_step.get(arm.name)
        seconds.append(None if per_step is None else per_step * arm.total_steps)
    spent = evidence.range_test_seconds.get(arms[1].name)
    counts = [arm.total_steps for arm in arms]
    note = "equal steps" if len(set(counts)) == 1 else f"{counts[0]:,} and {counts[1]:,} steps"
    note += f"; its range test took {number(spent, 1)} s more" if spent else ""
    return [*row, *(number(value, 1) for value in seconds), note]


def waterfall(evidence: Evidence) -> Table:
    """What each ingredient changes: every arm against the one that has all but that."""
    head = ["arm", "what comes in", "test error (%)", "change (95 % interval)", "p (Holm)"]
    head += ["verdict", "training time (s)", "updates"]
    before = dict(evidence.steps)
    rows = []
    for name, adds in evidence.waterfall.items():
        arm = evidence.arms[name]
        found = evidence.comparisons.get((name, before.get(name, ""), ERROR))
        change = [UNKNOWN, UNKNOWN, UNKNOWN]
        if found:
            change = [
                f"{number(found.paired.mean, 3)} ({formatting.interval(found)})",
                formatting.p_value(found.judged.holm_p).removeprefix("= "),
                found.verdict,
            ]
        seconds = formatting.mean_sd(arm.values("train_seconds"), 1)
        rows.append([name, adds, with_interval(arm.values(ERROR)), *change, seconds])
        rows[-1].append(f"{arm.total_steps:,}")
    return Table(head, rows)


def chances(evidence: Evidence) -> Table:
    """How often the first arm of a pair is better, in error and in test loss."""
    head = ["comparison", "P(fewer errors), %", "P(lower test loss), %", "test loss: difference"]
    rows = []
    losses = loss_differences(evidence)
    for found in evidence.of(ERROR):
        paired = losses[found.arm, found.against]
        low, high = paired.interval95 or (None, None)
        between = "" if low is None else f" ({number(low, 4)} to {number(high, 4)})"
        rows.append(
            [
                found.title,
                _chance(found.chance),
                _chance(chance_better(paired.differences)),
                number(paired.mean, 4) + between,
            ]
        )
    return Table(head, rows)


def _chance(chance: Chance) -> str:
    return f"{chance.percent:.0f} ({chance.low:.0f} to {chance.high:.0f})"


def reaching(evidence: Evidence) -> Table:
    """Steps and seconds until each of several errors, Kaplan-Meier's median of all runs."""
    head = ["arm", *(f"{number(target)} % error" for target in evidence.targets)]
    rows = []
    for name, found in evidence.reaching.items():
        arm = evidence.arms[name]
        per_step = evidence.seconds_per_step.get(name, 0.0)
        row = [arm.label]
        for one in found:
            told = f"{one.reached} of {one.runs}"
            if one.median_steps is not None:
                ends = (one.low_steps, one.high_steps)
                low, high = (UNKNOWN if end is None else f"{end:,.0f}" for end in ends)
                between = "" if ends == (None, None) else f" ({low} to {high})"
                seconds = one.median_steps * per_step + evidence.extra_seconds[name]
                told += f"; {one.median_steps:,.0f}{between} steps, {number(seconds)} s"
            row.append(told)
        rows.append(row)
    return Table(head, rows)


def reference(evidence: Evidence, rows_of_paper: Mapping[str, Mapping[str, Any]]) -> Table:
    """A paper's rows beside ours, and whether each reproduces."""
    head = [
        "arm",
        "paper: error (%)",
        "here: error (%)",
        "difference",
        "two combined sd",
        "p (Welch)",
        "verdict",
    ]
    rows = []
    for name, row in rows_of_paper.items():
        theirs = f"{number(row['error_percent'])} ± {number(row['sd_percent'])} (n = {row['runs']})"
        arm = evidence.arms.get(name)
        ours = summarise(arm.values(ERROR).values()) if arm else None
        if arm is None or ours is None or ours.mean is None:
            rows.append([name, theirs, "not run", *[UNKNOWN] * 4])
            continue
        difference = ours.mean - row["error_percent"]
        # One run tells nothing of its spread: the paper's stands for it.
        sd = row["sd_percent"] if ours.sd is None else ours.sd
        allowed = 2 * float((sd**2 + row["sd_percent"] ** 2) ** 0.5)
        verdict = "reproduced" if abs(difference) <= allowed else "not reproduced"
        shown = formatting.mean_sd(arm.values(ERROR))
        p = UNKNOWN
        if ours.sd is not None:
            printed = (row["error_percent"], row["sd_percent"], row["runs"])
            found = stats.ttest_ind_from_stats(
                ours.mean, ours.sd, ours.n, *printed, equal_var=False
            )
            p = formatting.p_value(float(found.pvalue)).removeprefix("= ")
        rows.append([name, theirs, shown, number(difference, 3), number(allowed, 3), p, verdict])
    return Table(head, rows)


def losses_and_errors(evidence: Evidence, names: list[str]) -> Table:
    """Every arm: error and loss on the test set, and where in a cycle they were read."""
    head = ["arm", "test error (%)", "test loss", "validation error (%)", "diverged", "read"]
    rows = []
    for name in names:
        arm = evidence.arms[name]
        told = [formatting.mean_sd(arm.values(ERROR), 3), formatting.mean_sd(arm.values(LOSS), 4)]
        told.append(formatting.mean_sd(arm.values("validation_error_percent"), 3))
        diverged = str(len(arm.diverged)) if arm.diverged else "none"
        share = arm.cut_share
        read = "at its end" if share is None else f"{share:.0%} into a cycle"
        rows.append([arm.label, *told, diverged, read])
    return Table(head, rows)
