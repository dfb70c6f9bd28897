"""How does the evidence become report.html, report.md, metrics.json and the tables of DVC plots?"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import arm_plots, formatting, plots, report_tables, results, wording
from lrcycles.arms import summarise, wilson_percent
from lrcycles.evidence import ERROR, TIME, Comparison, Evidence, gather, metrics

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_POINTS = 200  # of a learning rate in DVC plots: enough for the eye


def build(
    *,
    artifacts: Path,
    out: Path,
    report_config: Mapping[str, Any],
    experiment: str,
    date: str,
) -> dict[str, Any]:
    """Write the report of the stages' files in `artifacts` into `out`; return its metrics.

    Args:
        report_config: margin_percent, published, published_source, as in conf/report.
        date: as it shall stand in the head; nothing else changes from one day to the next.
    """
    evidence = gather(artifacts, report_config)
    found = metrics(evidence)
    results.write_json(out / "metrics.json", found)
    for name, table in _plot_tables(evidence).items():
        results.write_text(out / f"plots/{name}.csv", table.to_csv(index=False))
    pictures = _pictures(evidence, report_config["published"])
    for name, picture in pictures.items():
        target = out / f"figures/{name}.png"
        if isinstance(picture.drawn, Path):
            with results.replacing(target) as beside:
                beside.write_bytes(picture.drawn.read_bytes())
        else:
            results.write_figure(target, picture.drawn)
    shown = {"experiment": experiment, "date": date, "source": report_config["published_source"]}
    shown |= _content(evidence, report_config["published"])
    alts = {name: picture.alt for name, picture in pictures.items()}
    relative = {name: {"src": f"figures/{name}.png", "alt": alt} for name, alt in alts.items()}
    inside = {
        name: {"src": _embedded(out / f"figures/{name}.png"), "alt": alts[name]} for name in alts
    }
    results.write_text(out / "report.md", _render("report.md.j2", pictures=relative, **shown))
    results.write_text(out / "report.html", _render("report.html.j2", pictures=inside, **shown))
    return found


def flat_metrics(found: Mapping[str, Any], above: str = "") -> dict[str, float]:
    """The numbers of nested metrics under dotted names, for MLflow; words are left out.

    >>> flat_metrics({"clr": {"mean": 1.5, "verdict": "better"}})
    {'clr.mean': 1.5}
    """
    flat: dict[str, float] = {}
    for key, value in found.items():
        if isinstance(value, Mapping):
            flat |= flat_metrics(value, f"{above}{key}.")
        elif isinstance(value, int | float):
            flat[f"{above}{key}"] = float(value)
    return flat


def _render(template: str, **shown: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrcycles"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_unbroken if template.endswith(".html.j2") else None,
    )
    environment.filters["cell"] = lambda text: text.replace("|", "\\|").replace("\n", " ")
    return environment.get_template(template).render(**shown)


def _unbroken(shown: Any) -> Any:
    """Keep a figure and its unit on one line."""
    if type(shown) is not str:  # not Markup, which is a macro's finished HTML
        return shown
    for text, kept in ((" %", "~%"), (" ± ", "~±~"), (" = ", "~=~")):
        shown = shown.replace(text, kept.replace("~", "\u00a0"))
    return shown


def _embedded(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")


def _content(evidence: Evidence, published: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """What both templates show, as text and tables of text."""
    names, replay = evidence.controlled, evidence.replay
    return {
        "seeds": sorted({len(arm.cells) for arm in evidence.arms.values()}),
        "summary": wording.summary(evidence),
        "headline": report_tables.headline(evidence),
        "warnings": wording.warnings(evidence),
        "replay": report_tables.replay(evidence, published) if replay else None,
        "replay_comparisons": report_tables.comparisons(evidence, ERROR, replay),
        "replay_seeds": report_tables.seeds(evidence, replay),
        "what_was_published": wording.what_was_published(evidence, published),
        "controlled": names,
        "errors": report_tables.errors(evidence, names),
        "error_comparisons": report_tables.comparisons(evidence, ERROR, names),
        "controlled_seeds": report_tables.seeds(evidence, names),
        "times": report_tables.times(evidence),
        "time_comparisons": report_tables.comparisons(evidence, TIME, names),
        "time_notes": wording.time_notes(evidence),
        "bounds": report_tables.bounds(evidence),
        "chosen": wording.chosen_bounds(evidence),
        "reasons": evidence.bounds["reasons"],
        "data": report_tables.data(evidence),
        "arms": report_tables.settings(evidence),
        "machine": report_tables.machine(evidence),
        "protocol": wording.protocol(evidence) if names else None,
        "rule": wording.rule(evidence),
    }


@dataclass(frozen=True)
class _Picture:
    """A figure, or the file of one that a stage has drawn, and what it shows in words."""

    drawn: Figure | Path
    alt: str


def _pictures(
    evidence: Evidence, published: Mapping[str, Mapping[str, float]]
) -> dict[str, _Picture]:
    found = {
        "bounds": _Picture(
            plots.bounds_on_curve(evidence.curves, evidence.bounds),
            "Loss and held-out accuracy against the learning rate of the range test; "
            + wording.chosen_bounds(evidence),
        ),
        "learning_rate": _Picture(
            arm_plots.rates_over_steps(
                {name: arm.rates for name, arm in evidence.arms.items()},
                {n: arm.settings["schedule"]["step_size"] for n, arm in evidence.arms.items()},
            ),
            "The learning rate of each arm at every step",
        ),
        "digits": _Picture(evidence.artifacts / "data/digits.png", "Ten images of every class"),
        "classes": _Picture(
            evidence.artifacts / "data/classes.png", "The share of every class in each split"
        ),
    }
    found |= _controlled_pictures(evidence)
    return found | (_replay_pictures(evidence, published) if evidence.replay else {})


def _controlled_pictures(evidence: Evidence) -> dict[str, _Picture]:
    names = [name for name in evidence.controlled if evidence.arms[name].finished]
    found = {}
    if names:
        found["errors"] = _errors_picture(evidence, names, {})
        found["validation"] = _validation_picture(evidence, names, "validation")
    controlled = [one for one in evidence.of(ERROR) if one.against == evidence.baseline]
    if controlled:
        found["differences"] = _Picture(
            arm_plots.paired_differences(
                {one.title: one.differences for one in controlled},
                intervals={one.title: _interval(one) for one in controlled},
                margin=evidence.margin_percent,
            ),
            "; ".join(f"{one.title}: {formatting.difference(one)}" for one in controlled),
        )
    reached = {name: times for name, times in evidence.reached.items() if times}
    if reached:
        found["times"] = _Picture(
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


def _replay_pictures(
    evidence: Evidence, published: Mapping[str, Mapping[str, float]]
) -> dict[str, _Picture]:
    images = int(evidence.data["counts"]["test"])
    names = [name for name in evidence.replay if evidence.arms[name].finished]
    if not names:
        return {}
    figures = {name: published[name]["error_percent"] for name in names}
    times: dict[str, dict[str, float]] = {}
    for name in names:
        arm = evidence.arms[name]
        fit = report_tables.fit_seconds(evidence, arm)
        times[name] = {"published": published[name]["seconds"]}
        times[name] |= {} if fit is None else {"plain Keras fit, here": fit}
        trained = summarise(arm.values("train_seconds").values()).mean
        times[name] |= {} if trained is None else {"compiled, here": trained}
    return {
        "replay_errors": _errors_picture(
            evidence, names, {name: (e, *wilson_percent(e, images)) for name, e in figures.items()}
        ),
        "replay_times": _Picture(arm_plots.run_times(times), "Training time of the replayed runs"),
        "replay_validation": _validation_picture(evidence, names, "test (used as validation)"),
    }


def _errors_picture(
    evidence: Evidence, names: Sequence[str], published: Mapping[str, tuple[float, float, float]]
) -> _Picture:
    errors = {name: evidence.arms[name].values(ERROR) for name in names}
    summaries = {name: summarise(errors[name].values()) for name in names}
    means = {n: (s.mean, s.low, s.high) for n, s in summaries.items() if s.mean is not None}
    told = "; ".join(f"{name}: {formatting.mean_sd(errors[name])} %" for name in names)
    figure = arm_plots.errors_by_arm(errors, means=means, published=published)
    return _Picture(figure, f"Test error of every seed. {told}")


def _validation_picture(evidence: Evidence, names: Sequence[str], held_out: str) -> _Picture:
    histories = {
        name: {seed: cell["history"] for seed, cell in evidence.arms[name].finished.items()}
        for name in names
    }
    target = evidence.target_percent if list(names) != evidence.replay else None
    return _Picture(
        arm_plots.validation_curves(histories, target=target, held_out=held_out),
        f"The {held_out} error after each epoch, every seed and the mean, by arm",
    )


def _interval(comparison: Comparison) -> tuple[float, float | None, float | None]:
    return (comparison.paired.mean, *(comparison.paired.interval95 or (None, None)))


def _plot_tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """What `dvc plots` draws: validation error, learning rate and test error, by arm."""
    import pandas as pd

    validation, rates, errors = [], [], []
    for name, arm in evidence.arms.items():
        by_epoch: dict[int, list[float]] = {}
        for cell in arm.finished.values():
            for entry in cell["history"]:
                by_epoch.setdefault(entry["epoch"], []).append(entry["validation_error_percent"])
        for epoch, values in by_epoch.items():
            found = summarise(values)
            validation.append((epoch, name, found.mean, found.sd, found.n))
        count = len(arm.rates)
        kept = np.unique(np.linspace(0, count - 1, min(count, _POINTS)).round().astype(int))
        rates += [(int(index) + 1, name, arm.rates[index]) for index in kept]
        errors += [(name, seed, error) for seed, error in arm.values(ERROR).items()]
    return {
        "validation_error": pd.DataFrame(
            validation, columns=["epoch", "arm", "validation_error_percent", "sd", "n"]
        ),
        "learning_rate": pd.DataFrame(rates, columns=["step", "arm", "lr"]),
        "test_error": pd.DataFrame(errors, columns=["arm", "seed", ERROR]),
    }
