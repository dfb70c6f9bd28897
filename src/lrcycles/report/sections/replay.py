"""Sets the published figures beside their replay, and says what the published pair compares."""

from __future__ import annotations

from statistics import fmean

from lrcycles.evidence.arms import Arm, summarise
from lrcycles.evidence.comparisons import Quantity, Role
from lrcycles.evidence.costs import measured_alone
from lrcycles.evidence.estimates import wilson_percent
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures import arms as figures
from lrcycles.report.figures.inputs import errors_picture, histories
from lrcycles.report.formatting import listed, mean_sd, number, rate, span, threads
from lrcycles.report.section import Block, Folded, Heading, Picture, Points, Section, Table, Text
from lrcycles.report.sections import time

DEVIATIONS = (
    "Keras 3 trains instead of the Keras of 2018, on another backend and machine.",
    "Labels are whole numbers instead of one-hot vectors. The loss is the same.",
    "The second fit leaves out Adam(0.1): its callback replaced that rate before the first step.",
    "Initial weights and data order follow from the seed. The tutorial set no seed.",
    "Our compiled loop makes the steps. Plain Keras fit is measured beside it for the time.",
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
                figures.validation_curves(by_arm, held_out="test (used as validation)"),
                "The test error after each epoch, of every seed and the mean, by arm.",
                "Error after each epoch, measured on the test set as in the publication.",
            )
        )
    blocks.append(
        Folded("Every seed of the replay", [tables.every_seed(evidence, evidence.replay)])
    )
    about = "What the tutorial printed, what its settings give here, and what its pair compares."
    return Section("published", "The published figures and their replay", blocks, about=about)


def _figures(evidence: Evidence) -> Table:
    """Set the published figures beside what the replay measures on this machine."""
    images = int(evidence.stages.data["counts"]["test"])
    arms = [evidence.arms[name] for name in evidence.replay]
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    rows: list[list[str]] = [
        ["test error in the publication, one run (%)"],
        ["test error replayed (%)"],
        ["training time in the publication (s)"],
        ["plain Keras fit here, alone on all cores (s): mean of the measured epochs"],
        ["compiled training here, alone on all cores (s): mean of the measured epochs"],
        [f"compiled training here, each run on {threads(arms)} (s)"],
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
            number(figure.seconds, 1),
            *(_mean_and_ends(list(one.values())) for one in alone),
            mean_sd(arm.values("train_seconds"), 1),
        ]
        for row, text in zip(rows, column, strict=True):
            row.append(text)
    return Table(["", *evidence.replay], rows)


def _mean_and_ends(seconds: list[float]) -> str:
    """Write a mean with the smallest and largest value: a few epochs in a row give no interval."""
    if not seconds:
        return "not measured"
    return f"{number(fmean(seconds), 1)} ({span(min(seconds), max(seconds), 1)})"


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
        fit = summarise(measured_alone(evidence, arm, "fit_seconds").values()).mean
        trained = summarise(arm.values("train_seconds").values()).mean
        for way, seconds in (("plain Keras fit, here", fit), ("compiled, here", trained)):
            if seconds is not None:
                times[name][way] = seconds
    return Picture(
        "replay_times",
        figures.run_times(times),
        "Training time of the replayed runs.",
        "Training time of one run, without evaluation and compilation. Plain Keras fit: seconds of "
        "a measured epoch times the number of epochs, alone on all cores. Compiled: each run on "
        f"{threads([evidence.arms[name] for name in names])}, others beside it.",
    )


def _what_is_compared(evidence: Evidence) -> list[str]:
    """Word what the published comparison really compares, from the settings of its replay."""
    lines = []
    for one in evidence.of(Quantity.ERROR, Role.REPLAY):
        arm, first = evidence.arms[one.arm], evidence.arms[one.against]
        lines += [*_no_evidence(arm, first), *_settings(arm, first)]
    if len(evidence.replay) > 1:
        images = int(evidence.stages.data["counts"]["test"])
        ends = [
            wilson_percent(evidence.report.published[name].error_percent, images)
            for name in evidence.replay
        ]
        overlap = max(low for low, _ in ends) <= min(high for _, high in ends)
        lines.append(
            "Each published figure comes from one run. Their Wilson intervals "
            + ("overlap." if overlap else "do not overlap.")
        )
    return lines


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
