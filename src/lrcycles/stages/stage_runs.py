"""Mirrors the files of a stage to its run in MLflow: few metrics, and a description in Markdown."""

from __future__ import annotations

import csv
import hashlib
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles import files
from lrcycles.config.resolve import all_arms, asks_for_peak
from lrcycles.config.schema import Config
from lrcycles.stages.peaks import trial_name

if TYPE_CHECKING:
    from lrcycles.tracking.runs import StageRun

_LOGGED = {
    "data": ["data.json", "digits.png", "classes.png"],
    "train": ["cells.csv", "tuning.csv", "peaks.json"],  # the trainings have runs of their own
}
_BOUNDS = ("base_lr", "max_lr", "step_size")


def log_stage(
    run: StageRun, stage: str, folder: Path, *, data: Mapping[str, Any] | None = None
) -> None:
    """Log the files that a stage wrote, its few metrics and a description.

    Args:
        stage: without the group of `train`.
        folder: the stage's results.
        data: the content of data.json, if the stage reads the images.
    """
    text, metrics = _DESCRIBED[stage](folder)
    run.log_metrics(metrics)
    if data is not None:
        run.log_dataset(data)
    for path in _logged(stage, folder):
        run.log_artifacts(path)
    run.describe(text)
    run.name_results(results_digest(stage, folder))
    if stage == "report":
        run.describe_pipeline(text, metrics, folder / "report.html")


def arm_names(config: Config) -> list[str]:
    """List the arms of all groups, and the names of the trainings that choose their peaks."""
    names = [name for _, name, _ in all_arms(config)]
    asking = [name for _, name, arm in all_arms(config) if asks_for_peak(arm)]
    return names + [trial_name(name, peak) for name in asking for peak in config.train.peaks]


def add_cells(run: StageRun, artifacts: Path) -> None:
    """Count the cells of all groups among those of the run's pipeline.

    DVC skips a group whose arms did not change. Its cells still stand in the report.
    """
    for path in sorted(artifacts.glob("train/*/cells.csv")):
        tuning = path.with_name("tuning.csv")
        for row in [*_rows(path), *(_rows(tuning) if tuning.exists() else [])]:
            arm = trial_name(row["arm"], float(row["peak"])) if "peak" in row else row["arm"]
            run.use_cell(key=row["key"], group=path.parent.name, arm=arm)


def results_digest(stage: str, folder: Path) -> str:
    """Digest the files of a stage that its run holds, without what depends on MLflow or on reuse.

    The manifest is not among them: it is written after the run.

    Args:
        stage: without the group of `train`.
    """
    digest = hashlib.sha256(stage.encode())
    for path in _logged(stage, folder):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.name != files.MANIFEST:
                digest.update(file.relative_to(folder).as_posix().encode())
                digest.update(_content(file))
    return digest.hexdigest()[:32]


def _logged(stage: str, folder: Path) -> list[Path]:
    paths = [folder / name for name in _LOGGED.get(stage, ["."])]
    return [path for path in paths if path.exists()]


def _content(file: Path) -> bytes:
    if file.name not in ("cells.csv", "tuning.csv"):
        return file.read_bytes()
    rows = [{k: v for k, v in row.items() if k not in ("run_id", "reused")} for row in _rows(file)]
    return json.dumps(rows).encode()


def _config(folder: Path) -> tuple[str, dict[str, Any]]:
    settings = files.read_json(folder / "settings.json")["settings"]
    text = (
        f"The configuration `{settings}`, composed from conf/ and checked. All keys are in "
        "params.yaml, and as parameters in the tab Overview."
    )
    return text, {}


def _data(folder: Path) -> tuple[str, dict[str, Any]]:
    data = files.read_json(folder / "data.json")
    counts = data["counts"]
    shape = " x ".join(map(str, data["image_shape"]))
    text = (
        f"The data set {data['name']}, from {data['source']}, checked and split: "
        f"{counts['train']:,} training, {counts['validation']:,} validation and "
        f"{counts['test']:,} test images of {shape} pixels in {len(data['classes'])} classes."
    )
    return text, {f"{part}_images": count for part, count in counts.items()}


def _range_test(folder: Path) -> tuple[str, dict[str, Any]]:
    summary = files.read_json(folder / "range_test.json")
    text = (
        "The learning-rate range test: the learning rate rises in every step, from "
        f"{summary['min_lr']:g} to {summary['max_lr']:g} ({summary['ramp']}) in "
        f"{summary['steps']} steps, with {len(summary['seeds'])} seeds. See range_test.png."
    )
    return text, {key: summary[key] for key in ("train_seconds", "compile_seconds")}


def _bounds(folder: Path) -> tuple[str, dict[str, Any]]:
    bounds = files.read_json(folder / "bounds.json")
    lines = [
        f"The bounds of the learning rate by rule {bounds['rule']}: base_lr = "
        f"{bounds['base_lr']:g}, max_lr = {bounds['max_lr']:g}. Half a cycle has "
        f"{bounds['step_size']:,} steps. See bounds.png.\n",
        *(f"- {sentence}" for sentence in [*bounds["warnings"], *bounds["reasons"]]),
    ]
    return "\n".join(lines), {key: bounds[key] for key in _BOUNDS}


def _advise(folder: Path) -> tuple[str, dict[str, Any]]:
    advice = files.read_json(folder / "advice.json")
    if not advice["asked"]:
        return "No arm of this experiment asks for advice.", {}
    text = (folder / "advice.txt").read_text(encoding="utf-8")
    numbers = {key: advice[key] for key in ("peak_lr", "expected_loss")}
    return f"```\n{text}```", {key: n for key, n in numbers.items() if n is not None}


def _train(folder: Path) -> tuple[str, dict[str, Any]]:
    by_arm: dict[str, list[float]] = {}
    for row in _rows(folder / "cells.csv"):
        errors = by_arm.setdefault(row["arm"], [])
        if row["test_error_percent"]:
            errors.append(float(row["test_error_percent"]))
    means = {arm: statistics.fmean(errors) for arm, errors in by_arm.items() if errors}
    lines = ["The trainings of this group: one run per arm and seed.\n"]
    if by_arm:
        lines += ["| arm | trainings that finished | mean test error (%) |", "| --- | --- | --- |"]
    for arm, errors in by_arm.items():
        mean = f"{means[arm]:.3f}" if errors else "-"
        lines.append(f"| {arm} | {len(errors)} | {mean} |")
    if (folder / "peaks.json").exists():
        chosen = files.read_json(folder / "peaks.json")
        lines.append("\nPeak rates, chosen on the validation images (tuning.csv):\n")
        lines += [f"- {arm}: {choice['peak']:g}" for arm, choice in chosen.items()]
    return "\n".join(lines), {f"{arm}_error_percent": mean for arm, mean in means.items()}


def _report(folder: Path) -> tuple[str, dict[str, Any]]:
    headline = files.read_json(folder / "headline.json")
    return short_answer((folder / "report.md").read_text(encoding="utf-8")), headline


def short_answer(report: str) -> str:
    """Cut the text and tables of a report's first section, up to its first figure or fold.

    >>> short_answer("# Title\\n\\n## In short\\n\\n| a |\\n\\n<details>\\n\\n## Next")
    '| a |'
    """
    section = report.partition("\n## ")[2].partition("\n## ")[0].partition("\n")[2]
    kept: list[str] = []
    for line in section.splitlines():
        if line.startswith(("!", "<")):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


_DESCRIBED = {
    "config": _config,
    "data": _data,
    "range_test": _range_test,
    "bounds": _bounds,
    "advise": _advise,
    "train": _train,
    "report": _report,
}
