"""Which pictures does the report show, and what do they say to somebody who cannot see them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles.bounds import plots
from lrcycles.config.schema import FEWEST_RATES
from lrcycles.evidence.arms import Summary, summarise, wilson_percent
from lrcycles.evidence.comparisons import ERROR, Comparison
from lrcycles.evidence.gather import Evidence
from lrcycles.evidence.tuned import constant_rates
from lrcycles.report import arm_plots, comparison_plots, formatting, tables, wording

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure, or the file of one that a stage has drawn, and what it shows in words."""

    drawn: Figure | Path
    alt: str


def pictures(
    evidence: Evidence, published: Mapping[str, Mapping[str, float]]
) -> dict[str, Picture]:
    """Every picture of the report, by name."""
    stages = evidence.stages
    found = {
        "bounds": Picture(
            plots.bounds_on_curve(stages.curves, stages.bounds),
            "Loss and held-out accuracy against the learning rate of the range test; "
            + wording.chosen_bounds(evidence),
        ),
        "digits": Picture(stages.artifacts / "data/digits.png", "Ten images of every class"),
        "classes": Picture(
            stages.artifacts / "data/classes.png", "The share of every class in each split"
        ),
    }
    found |= of_arms(evidence)
    if sensitivity := _sensitivity_picture(evidence):
        found["sensitivity"] = sensitivity
    if waterfall := _waterfall_picture(evidence, published):
        found["waterfall"] = waterfall
    return found | (_replay_pictures(evidence, published) if evidence.replay else {})


def of_arms(evidence: Evidence) -> dict[str, Picture]:
    """The pictures that every report has: of rates, errors, differences and times."""
    rates = arm_plots.rates_over_steps(
        {name: arm.rates for name, arm in evidence.arms.items()},
        {
            name: arm.settings["schedule"]["step_size"]
            for name, arm in evidence.arms.items()
            if arm.turned_share is not None and arm.turned_share < 1
        },
    )
    found = {"learning_rate": Picture(rates, "The learning rate of each arm at every step")}
    return found | _controlled_pictures(evidence)


def _controlled_pictures(evidence: Evidence) -> dict[str, Picture]:
    names = [name for name in evidence.controlled if evidence.arms[name].finished]
    found = {}
    if names:
        found["errors"] = _errors_picture(evidence, names, {})
        found["validation"] = _anytime_picture(evidence, names)
    controlled = evidence.asked(ERROR)
    if controlled:
        found["differences"] = Picture(
            comparison_plots.forest(
                {one.title: one.differences for one in controlled},
                intervals={one.title: _interval(one) for one in controlled},
                margin=evidence.margin_percent,
            ),
            "; ".join(f"{one.title}: {formatting.difference(one)}" for one in controlled),
        )
    reached = {name: times for name, times in evidence.reached.items() if times}
    if reached:
        found["times"] = Picture(
            arm_plots.times_to_target(
                {
                    name: {seed: (time.seconds, time.censored) for seed, time in times.items()}
                    for name, times in reached.items()
                },
                extra=evidence.extra_seconds,
            ),
            "Time of every seed to the baseline's median final validation error",
        )
    return found


def _anytime_picture(evidence: Evidence, names: Sequence[str]) -> Picture:
    return Picture(
        comparison_plots.anytime(
            _histories(evidence, names),
            cycle_ends={name: evidence.arms[name].cycle_ends_epochs for name in names},
            target=evidence.target_percent,
        ),
        f"The validation error after each epoch by arm, each beside {names[0]}",
    )


def _sensitivity_picture(evidence: Evidence) -> Picture | None:
    """Constant rates tell how much the rate matters, where there are three of them or more."""
    constant = {
        arm.name: arm
        for arm in constant_rates([evidence.arms[name] for name in evidence.controlled])
        if arm.finished
    }
    if len(constant) < FEWEST_RATES:
        return None
    clr = [name for name, arm in evidence.arms.items() if arm.group == "clr" and arm.finished]
    spread = evidence.stages.bounds["interval"]
    figure = comparison_plots.sensitivity(
        {name: arm.values(ERROR) for name, arm in constant.items()},
        rates={name: arm.rates[0] for name, arm in constant.items()},
        bounds={
            key: (evidence.stages.bounds[key], spread[key]["low"], spread[key]["high"])
            for key in ("base_lr", "max_lr")
        },
        clr=_ends(summarise(evidence.arms[clr[0]].values(ERROR).values())) if clr else None,
    )
    told = "; ".join(
        f"{formatting.rate(arm.rates[0])}: {formatting.mean_sd(arm.values(ERROR))} %"
        for arm in sorted(constant.values(), key=lambda arm: arm.rates[0])
    )
    return Picture(figure, f"Test error by constant learning rate. {told}")


def _waterfall_picture(
    evidence: Evidence, published: Mapping[str, Mapping[str, float]]
) -> Picture | None:
    names = [name for name in evidence.waterfall if evidence.arms[name].finished]
    if len(names) < 2:
        return None
    label = {name: f"{evidence.waterfall[name]}\n({name})" for name in names}
    changes = {
        name: evidence.comparisons[name, before, ERROR]
        for name, before in evidence.steps
        if (name, before, ERROR) in evidence.comparisons
    }
    figure = comparison_plots.waterfall(
        {
            label[name]: _ends(summarise(evidence.arms[name].values(ERROR).values()))
            for name in names
        },
        {label[name]: _interval(one) for name, one in changes.items()},
        published={
            label[name]: published[name]["error_percent"] for name in names if name in published
        },
        quantity="test error (%)",
    )
    told = "; ".join(
        f"{evidence.waterfall[name]}: {formatting.difference(one)}" for name, one in changes.items()
    )
    return Picture(figure, f"What each ingredient changes in test error. {told}")


def _ends(found: Summary) -> tuple[float, float | None, float | None]:
    assert found.mean is not None
    return found.mean, found.low, found.high


def _replay_pictures(
    evidence: Evidence, published: Mapping[str, Mapping[str, float]]
) -> dict[str, Picture]:
    images = int(evidence.stages.data["counts"]["test"])
    names = [name for name in evidence.replay if evidence.arms[name].finished]
    if not names:
        return {}
    figures = {name: published[name]["error_percent"] for name in names}
    times: dict[str, dict[str, float]] = {}
    for name in names:
        arm = evidence.arms[name]
        fit = summarise(tables.measured_alone(evidence, arm, "fit_seconds").values()).mean
        times[name] = {"published": published[name]["seconds"]}
        times[name] |= {} if fit is None else {"plain Keras fit, here": fit}
        trained = summarise(arm.values("train_seconds").values()).mean
        times[name] |= {} if trained is None else {"compiled, here": trained}
    return {
        "replay_errors": _errors_picture(
            evidence, names, {name: (e, *wilson_percent(e, images)) for name, e in figures.items()}
        ),
        "replay_times": Picture(arm_plots.run_times(times), "Training time of the replayed runs"),
        "replay_validation": _validation_picture(evidence, names, "test (used as validation)"),
    }


def _errors_picture(
    evidence: Evidence, names: Sequence[str], published: Mapping[str, tuple[float, float, float]]
) -> Picture:
    errors = {name: evidence.arms[name].values(ERROR) for name in names}
    summaries = {name: summarise(errors[name].values()) for name in names}
    means = {n: (s.mean, s.low, s.high) for n, s in summaries.items() if s.mean is not None}
    told = "; ".join(f"{name}: {formatting.mean_sd(errors[name])} %" for name in names)
    figure = arm_plots.errors_by_arm(errors, means=means, published=published)
    return Picture(figure, f"Test error of every seed. {told}")


def _validation_picture(evidence: Evidence, names: Sequence[str], held_out: str) -> Picture:
    return Picture(
        arm_plots.validation_curves(_histories(evidence, names), held_out=held_out),
        f"The {held_out} error after each epoch, every seed and the mean, by arm",
    )


def _histories(evidence: Evidence, names: Sequence[str]) -> dict[str, dict[int, Any]]:
    return {
        name: {seed: cell["history"] for seed, cell in evidence.arms[name].finished.items()}
        for name in names
    }


def _interval(comparison: Comparison) -> tuple[float, float | None, float | None]:
    return (comparison.paired.mean, *(comparison.paired.interval95 or (None, None)))
