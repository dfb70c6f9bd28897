"""Compares the arms in the time until they reach the target error."""

from __future__ import annotations

from lrcycles.evidence.comparisons import Quantity
from lrcycles.evidence.times import Reaching
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures.arms import times_to_target
from lrcycles.report.formatting import UNKNOWN, listed, mean_sd, number
from lrcycles.report.section import Block, Heading, Picture, Points, Section, Table, Text


def section(evidence: Evidence) -> Section:
    """Show the time to the target, its comparisons, and the steps to several errors."""
    blocks: list[Block] = []
    if picture := _times_drawn(evidence):
        blocks += [picture, _times(evidence)]
    if compared := evidence.of(Quantity.TIME):
        blocks.append(tables.comparisons(evidence, compared))
    blocks.append(Points(_notes(evidence)))
    if evidence.targets:
        blocks += [
            Heading("Steps and seconds to several errors"),
            Text(
                "Each cell gives how many runs reached the error. If at least half of them did, it "
                "also gives the Kaplan-Meier median of the steps with its 95 % interval, and the "
                "seconds of these steps with what was spent before training. The errors are "
                f"median validation errors of {next(iter(evidence.reached))} after several epochs. "
                "They are read at the ends of epochs, which rarely are ends of cycles."
            ),
            _reaching(evidence),
        ]
    about = "Seconds to an equal error, with the cost of the range test, and raw seconds."
    return Section("time", "Time", blocks, about=about)


def _times_drawn(evidence: Evidence) -> Picture | None:
    reached = {name: times for name, times in evidence.reached.items() if times}
    if not reached:
        return None
    by_seed = {
        name: {seed: (time.seconds, time.censored) for seed, time in times.items()}
        for name, times in reached.items()
    }
    return Picture(
        "times",
        times_to_target(by_seed, extra=evidence.extra_seconds),
        "Time of every seed to the target error.",
        "Seconds until the target error. The vertical line is the mean.",
    )


def _times(evidence: Evidence) -> Table:
    """Tabulate the time to the target per arm, and the raw seconds, which carry no verdict."""
    head = ["arm", "time to target (s)", "never reached it", "spent before training (s)"]
    head += ["ms per step", "whole training, measured (s)", "compilation, not included (s)"]
    digits, rows = verdicts.digits_of(Quantity.TIME, evidence), []
    for name, times in evidence.reached.items():
        arm = evidence.arms[name]
        per_step = evidence.seconds_per_step.get(name)
        rows.append(
            [
                arm.label,
                mean_sd({seed: time.seconds for seed, time in times.items()}, digits, count=False),
                f"{sum(time.censored for time in times.values())} of {len(times)}",
                number(evidence.extra_seconds[name], digits),
                number(None if per_step is None else 1000 * per_step, 3),
                mean_sd(arm.values("train_seconds"), 1, count=False),
                mean_sd(arm.values("compile_seconds"), 1, count=False),
            ]
        )
    return Table(head, rows)


def _notes(evidence: Evidence) -> list[str]:
    """Word how time is measured, with this run's figures."""
    if evidence.target_percent is None:
        if evidence.of_stages is None and not evidence.reaching:
            return ["There is no target, because the cost of no arm is known."]
        return ["There is no target, because no run of the first arm finished."]
    first = next(iter(evidence.reached))
    lines = [
        f"The target is a validation error of {number(evidence.target_percent)} %, the median "
        f"of the final errors of {first}. The time is the number of steps until the first epoch "
        "that ends at or below the target, times the median seconds of a step."
    ]
    if any(time.censored for times in evidence.reached.values() for time in times.values()):
        lines.append(
            "A run that never reaches the target counts with its full length in the mean of its "
            "arm. In a paired difference it may have arrived at any time from its own end to the "
            "end of the longest run of both arms. It counts with the time that makes the "
            "difference smallest, and the difference is then written with 'at least' or 'at most'."
        )
    if paying := [name for name, seconds in evidence.range_test_seconds.items() if seconds]:
        lines.append(
            f"The range test is charged to {listed(paying)}. Its seconds are the sum over its "
            "sweeps and include their evaluation on held-out images."
        )
    if continuing := [n for n in evidence.reached if evidence.arms[n].settings.continues]:
        lines.append(f"The trainings that they continue are charged to {listed(continuing)}.")
    lines.append(
        "The milliseconds per step are the median over all runs with the same network, batch size "
        "and machine. The column 'whole training, measured' is not compared, because a machine's "
        "speed drifts."
    )
    return lines


def _reaching(evidence: Evidence) -> Table:
    head = ["arm", *(f"{number(target)} % error" for target in evidence.targets)]
    rows = []
    for name, reaching in evidence.reaching.items():
        cells = [_reached(evidence, name, one) for one in reaching]
        rows.append([evidence.arms[name].label, *cells])
    return Table(head, rows)


def _reached(evidence: Evidence, name: str, one: Reaching) -> str:
    text = f"{one.reached} of {one.runs}"
    if one.median_steps is None:
        return text
    ends = (one.low_steps, one.high_steps)
    low, high = (UNKNOWN if end is None else f"{end:,.0f}" for end in ends)
    interval = "" if ends == (None, None) else f" ({low} to {high})"
    per_step = evidence.seconds_per_step.get(name, 0.0)
    seconds = one.median_steps * per_step + evidence.extra_seconds[name]
    digits = verdicts.digits_of(Quantity.TIME, evidence)
    return f"{text}; {one.median_steps:,.0f}{interval} steps, {number(seconds, digits)} s"
