"""Sets the published figures beside their replay, and says what the published pair compares."""

from __future__ import annotations

from statistics import median

from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.costs import measured_alone
from lrcycles.evidence.paired import unpaired_interval, wilson_percent
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures import arms as figures
from lrcycles.report.figures.inputs import colours_of, errors_picture, histories
from lrcycles.report.formatting import (
    counted,
    listed,
    mean_sd,
    median_and_ends,
    number,
    rate,
    span,
    threads,
)
from lrcycles.report.section import Block, Folded, Heading, Picture, Points, Section, Table, Text
from lrcycles.report.sections import time

DEVIATIONS = (
    "Keras 3 trains instead of the Keras of 2018, on another backend and machine.",
    "Labels are whole numbers instead of one-hot vectors. The loss is the same.",
    "The second fit leaves out Adam's rate 0.1: the tutorial's callback replaced it before the "
    "first step.",
    "Initial weights and data order follow from the seed. The tutorial set no seed.",
    "This project's compiled loop trains the runs. The time of plain Keras fit is measured "
    "separately.",
)


def section(evidence: Evidence) -> Section | None:
    """Show the replay of the published runs; None without one."""
    if not evidence.replay:
        return None
    comparisons = evidence.of(Quantity.ERROR, Role.REPLAY)
    trained = [name for name in evidence.replay if evidence.arms[name].trained]
    blocks: list[Block] = [
        Text(
            f"Source: {evidence.report.published_source}. The replay repeats the published "
            "protocol. Its arms are not part of the controlled comparison."
        ),
        _figures(evidence),
        *_busy(evidence),
    ]
    if trained:
        blocks += [_errors(evidence, trained), _times(evidence, trained)]
    if comparisons:
        blocks.append(tables.comparisons(evidence, comparisons))
    if lines := time.published(evidence):
        blocks.append(Points(lines))
    if lines := _what_is_compared(evidence):
        blocks += [Heading("What the published comparison really compares"), Points(lines)]
    if trained:
        by_arm = {name: histories(evidence.arms[name]) for name in trained}
        blocks.append(
            Picture(
                "replay_validation",
                figures.validation_curves(
                    by_arm, held_out="test (used as validation)", colours=colours_of(evidence)
                ),
                "The test error after each epoch, of every seed and the mean, by arm.",
                "Error after each epoch, measured on the test set as in the publication.",
            )
        )
    blocks.append(
        Folded("Every seed of the replay", [tables.every_seed(evidence, evidence.replay)])
    )
    about = "The tutorial's results, our repetition of them, and what they compare."
    return Section("published", "The published figures and their replay", blocks, about=about)


def _figures(evidence: Evidence) -> Table:
    """Set the published figures beside what the replay measures on this machine."""
    images = int(evidence.stages.data["counts"]["test"])
    arms = [evidence.arms[name] for name in evidence.replay]
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    rows: list[list[str]] = [
        ["test error in the publication, one run (%)"],
        ["test error replayed (%), mean ± standard deviation over seeds"],
        ["training time in the publication (s)"],
        ["plain Keras fit here, alone on all cores (s): median (range) of the measured epochs"],
        ["compiled training here, alone on all cores (s): median (range) of the measured epochs"],
        [f"compiled training here, each run on {threads(arms)} (s): median (range over seeds)"],
    ]
    for arm in arms:
        figure = evidence.report.published[arm.name]
        low, high = wilson_percent(figure.error_percent, images)
        alone = [
            measured_alone(evidence, arm, kind) for kind in ("fit_seconds", "compiled_seconds")
        ]
        column = [
            f"{number(figure.error_percent)} (Wilson 95 %: {number(low)} to {number(high)})",
            mean_sd(arm.values(Quantity.ERROR), digits),
            number(figure.seconds),
            *(median_and_ends(one.values()) for one in alone),
            median_and_ends(arm.values("train_seconds").values()),
        ]
        for row, text in zip(rows, column, strict=True):
            row.append(text)
    return Table(["", *evidence.replay], rows)


def _busy(evidence: Evidence) -> list[Text]:
    """Warn of measured epochs that took longer on several threads than on fewer."""
    for name in evidence.replay:
        arm = evidence.arms[name]
        alone = measured_alone(evidence, arm, "compiled_seconds").values()
        runs = arm.values("train_seconds").values()
        used = max((entry["threads"] for entry in evidence.stages.fit_epochs), default=1)
        if alone and runs and used > arm.settings.threads and median(alone) > median(runs):
            return [
                Text(
                    f"Compiled training was slower on {counted(used, 'thread')} than on "
                    f"{threads([arm])}. The machine was probably busy with other work during the "
                    "measurement, so the measured epochs may be too slow."
                )
            ]
    return []


def _errors(evidence: Evidence, names: list[str]) -> Picture:
    images = int(evidence.stages.data["counts"]["test"])
    errors = {name: evidence.report.published[name].error_percent for name in names}
    published = {name: (error, *wilson_percent(error, images)) for name, error in errors.items()}
    caption = (
        "Test error of every seed of the replay, and the error in the publication. A grey line "
        "joins the two runs of one seed."
    )
    return errors_picture("replay_errors", evidence, names, published, caption)


def _times(evidence: Evidence, names: list[str]) -> Picture:
    times: dict[str, dict[str, float]] = {}
    for name in names:
        arm = evidence.arms[name]
        times[name] = {"in the publication": evidence.report.published[name].seconds}
        fit = measured_alone(evidence, arm, "fit_seconds").values()
        trained = arm.values("train_seconds").values()
        for way, seconds in (("plain Keras fit, here", fit), ("compiled, here", trained)):
            if seconds:
                times[name][way] = median(seconds)
    return Picture(
        "replay_times",
        figures.run_times(times),
        "Training time of the replayed runs.",
        "Training time of one run, without evaluation and compilation. Plain Keras fit: median "
        "seconds of the measured epochs times the number of epochs, alone on all cores. Compiled: "
        f"median over the seeds, each run on {threads([evidence.arms[name] for name in names])}, "
        "other runs may run at the same time.",
    )


def _what_is_compared(evidence: Evidence) -> list[str]:
    """Word what the published comparison really compares, from the settings of its replay."""
    lines = []
    for one in evidence.of(Quantity.ERROR, Role.REPLAY):
        arm, first = evidence.arms[one.arm], evidence.arms[one.against]
        lines += [*_no_evidence(arm, first), *_settings(arm, first)]
    return [*lines, *_published_difference(evidence)]


def _published_difference(evidence: Evidence) -> list[str]:
    """Word what two single runs show, of which nobody knows the wrong images."""
    if len(evidence.replay) != 2:
        return []
    images = int(evidence.stages.data["counts"]["test"])
    first, second = (evidence.report.published[name].error_percent for name in evidence.replay)
    low, high = unpaired_interval(first, second, images)
    meaning = "excludes 0, but it does not cover other seeds"
    if low <= 0 <= high:
        meaning = "contains 0, so the choice of test images alone could explain the difference"
    return [
        "Each published figure comes from one run. The publication does not name the wrong images.",
        f"The second published error minus the first is {number(second - first)} points.",
        f"The unpaired 95 % interval of this difference is {span(low, high)} points.",
        f"This interval {meaning}.",
    ]


def _no_evidence(arm: Arm, first: Arm) -> list[str]:
    """Word why a pair is no evidence about cycling; nothing if it changes only the rate."""
    reasons = []
    if arm.settings.continues:
        reasons.append("continued training")
    if arm.settings.batch_size != first.settings.batch_size:
        reasons.append("another batch size")
    if arm.never_turns:
        reasons.append("a rate that never completes its rise")
    if not reasons:
        return []
    pair = f"The pair {arm.name} and {first.name}"
    return [f"{pair} is no evidence about cycling, because it mixes {listed(reasons)}."]


def _settings(arm: Arm, first: Arm) -> list[str]:
    lines = []
    own, other = arm.settings, first.settings
    if own.continues == first.name:
        lines.append(
            f"{arm.name} starts from the final weights of {first.name}. Its error is the error of "
            f"a model trained for {own.epochs + other.epochs} epochs, not {own.epochs}."
        )
    if own.batch_size != other.batch_size:
        lines.append(
            f"{arm.name} has a batch size of {own.batch_size:,} instead of {other.batch_size:,}."
        )
        lines.append(
            f"{arm.name} makes {arm.total_steps:,} updates instead of {first.total_steps:,}."
        )
    if arm.never_turns and own.schedule.step_size and arm.turned_share is not None:
        lines.append(
            f"The rate of {arm.name} climbs from {rate(arm.rates[0])} to {rate(arm.rates[-1])} and "
            f"never falls. No cycle is completed"
            f"{'' if own.uses_bounds else ', and no range test was run'}."
        )
        lines.append(
            f"The run of {arm.name} has {arm.total_steps:,} of the {own.schedule.step_size:,} "
            f"steps of one half-cycle ({100 * arm.turned_share:.0f} %)."
        )
    if own.training_set == "all":
        both = other.training_set == "all"
        names = f"{first.name} and {arm.name} both train" if both else f"{arm.name} trains"
        lines.append(f"{names} on all {own.images:,} images, with the test set as validation set.")
    return lines
