"""Sets the published figures beside their replay, and says what the published pair compares."""

from __future__ import annotations

from statistics import fmean

from lrcycles.evidence.arms import Arm, summarise
from lrcycles.evidence.estimates import wilson_percent
from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.costs import measured_alone
from lrcycles.evidence.paired import Outcome
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures import arms as figures
from lrcycles.report.figures.inputs import errors_picture, histories
from lrcycles.report.formatting import listed, mean_sd, number, rate, threads
from lrcycles.report.formatting import with_interval as mean_with_interval
from lrcycles.report.section import Block, Folded, Heading, Picture, Points, Section, Table, Text

_OUTCOME = {
    Outcome.BETTER: "{arm} makes fewer errors than {against}.",
    Outcome.WORSE: "{arm} makes more errors than {against}.",
    Outcome.EQUIVALENT: "{arm} and {against} are equivalent.",
    Outcome.UNDECIDED: "It is undecided whether {arm} or {against} makes fewer errors.",
}
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
    finished = [name for name in evidence.replay if evidence.arms[name].finished]
    blocks: list[Block] = [
        Text(
            f"Source: {evidence.report.published_source}. The replay repeats the published "
            "protocol. Its arms are not part of the controlled comparison."
        ),
        _figures(evidence),
    ]
    if finished:
        blocks += [_errors(evidence, finished), _times(evidence, finished)]
    blocks.append(tables.comparisons(evidence, comparisons))
    if lines := _what_is_compared(evidence):
        blocks += [Heading("What the published comparison really compares"), Points(lines)]
    if finished:
        by_arm = {name: histories(evidence.arms[name]) for name in finished}
        blocks.append(
            Picture(
                "replay_validation",
                figures.validation_curves(by_arm, held_out="test (used as validation)"),
                "The test error after each epoch, of every seed and the mean, by arm.",
                "Error after each epoch, measured on the test set as in the publication.",
            )
        )
    blocks.append(Folded("Every seed of the replay", tables.every_seed(evidence, evidence.replay)))
    about = "What the tutorial printed, what its settings give here, and what its pair compares."
    return Section("published", "The published figures and their replay", blocks, about=about)


def sentences(evidence: Evidence) -> list[str]:
    """Word how the published pair came out here."""
    return [_sentence(one, evidence) for one in evidence.of(Quantity.ERROR, Role.REPLAY)]


def _sentence(comparison: Comparison, evidence: Evidence) -> str:
    arm, first = evidence.arms[comparison.arm], evidence.arms[comparison.against]
    errors = [one.values(Quantity.ERROR) for one in (first, arm)]
    # Over the pairs alone, so that the means differ by the mean difference.
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    means = [number(fmean(one[seed] for seed in comparison.differences), digits) for one in errors]
    difference = verdicts.bracketed(comparison, evidence)
    return (
        f"The published pair, replayed: the test error goes from {means[0]} % to {means[1]} %, a "
        f"difference of {difference}. {conclusion(comparison, evidence)}"
    )


def conclusion(comparison: Comparison, evidence: Evidence) -> str:
    """Word the verdict on the replayed pair, and why it says nothing about cycling."""
    arm, first = evidence.arms[comparison.arm], evidence.arms[comparison.against]
    text = _OUTCOME[comparison.outcome].format(arm=arm.name, against=first.name)
    reasons = []
    if arm.settings.continues:
        reasons.append("continued training")
    if arm.settings.batch_size != first.settings.batch_size:
        reasons.append("another batch size")
    if arm.never_turns:
        reasons.append("a rate that never completes its rise")
    if reasons:
        text += f" This is no evidence about cycling, because the pair mixes {listed(reasons)}."
    return text


def _figures(evidence: Evidence) -> Table:
    """Set the published figures beside what the replay measures on this machine."""
    images = int(evidence.stages.data["counts"]["test"])
    arms = [evidence.arms[name] for name in evidence.replay]
    digits = verdicts.digits_of(Quantity.ERROR, evidence)
    rows: list[list[str]] = [
        ["test error in the publication, one run (%)"],
        ["test error replayed (%)"],
        ["training time in the publication (s)"],
        ["plain Keras fit here, alone on all cores, from measured epochs (s)"],
        ["compiled training here, alone on all cores, from measured epochs (s)"],
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
            *(mean_with_interval(one, 1) if one else "not measured" for one in alone),
            mean_sd(arm.values("train_seconds"), 1),
        ]
        for row, text in zip(rows, column, strict=True):
            row.append(text)
    return Table(["", *evidence.replay], rows)


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
        lines += _settings(evidence.arms[one.arm], evidence.arms[one.against])
    if len(evidence.replay) > 1:
        images = int(evidence.stages.data["counts"]["test"])
        ends = [
            wilson_percent(evidence.report.published[name].error_percent, images)
            for name in evidence.replay
        ]
        overlap = max(low for low, _ in ends) <= min(high for _, high in ends)
        intervals = " and ".join(f"{number(low)} to {number(high)} %" for low, high in ends)
        lines.append(
            f"Each published figure comes from one run. Their 95 % Wilson intervals, {intervals}, "
            + ("overlap." if overlap else "do not overlap.")
        )
    return lines


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
            f"{arm.name} has a batch size of {own.batch_size:,} instead of {other.batch_size:,}. "
            f"It makes {arm.total_steps:,} updates instead of {first.total_steps:,}."
        )
    if arm.never_turns and own.schedule.step_size and arm.turned_share is not None:
        lines.append(
            f"The rate of {arm.name} climbs from {rate(arm.rates[0])} to {rate(arm.rates[-1])} and "
            f"never falls: the run has {arm.total_steps:,} of the {own.schedule.step_size:,} steps "
            f"of one half-cycle ({100 * arm.turned_share:.0f} %). No cycle is completed"
            f"{'' if own.uses_bounds else ', and no range test was run'}."
        )
    if own.training_set == "all":
        both = other.training_set == "all"
        names = f"{first.name} and {arm.name} both train" if both else f"{arm.name} trains"
        lines.append(f"{names} on all {own.images:,} images, with the test set as validation set.")
    return lines
