"""Reads the arguments of a stage, and prints its help."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrcycles.config.schema import GROUPS
from lrcycles.errors import InputError

HELP = ("-h", "--help")


@dataclass(frozen=True)
class Description:
    """What the help of a stage says about it."""

    reads: str
    example: str
    leaves: str


STAGES = {
    "config": Description(
        "conf/", "experiment=quick", "params.yaml, differences.json, settings.json"
    ),
    "data": Description("conf/", "data=digits", "the images as arrays, data.json, digits.png"),
    "range_test": Description(
        "artifacts/data", "range_test.seeds=1", "curves.parquet, range_test.json, range_test.png"
    ),
    "bounds": Description("artifacts/range_test", "bounds=calibrated", "bounds.json, bounds.png"),
    "train": Description(
        "artifacts/data, and artifacts/bounds if group is clr or controls",
        "train.epochs=1",
        "cells.csv, and ARM/SEED/ with result.json, steps.parquet, model.keras",
    ),
    "report": Description(
        "the results of all other stages",
        "report.margin_percent=0.1",
        "report.html, report.md, headline.json, metrics.json, figures",
    ),
}


def read_arguments(stage: str, arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the group, if the stage has groups, and the overrides.

    Raises:
        InputError: an argument has another form than an override, or the group is missing.
    """
    group = None
    overrides = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if stage == "train" and key == "group" and equals:
            group = value
        elif is_override(argument):
            overrides.append(argument)
        else:
            raise InputError(
                _of_hydra(argument)
                or f"Arguments must have the form key=value. Received: {argument!r}. "
                f"Write for example train.epochs=3, or see `python -m pipelines.{stage} --help`."
            )
    if stage == "train" and group not in GROUPS:
        raise InputError(
            f"group must be one of {', '.join(GROUPS)}. Received: {group or 'none'}. "
            f"Write for example group={GROUPS[0]}."
        )
    if overrides and "DVC_STAGE" in os.environ:
        raise InputError(
            f"Commands in dvc.yaml must be without overrides. Received: {' '.join(overrides)}. "
            f"Use `dvc exp run -S {overrides[0]}`."
        )
    return group, overrides


def _of_hydra(argument: str) -> str | None:
    """Name what does here what an option of Hydra's own command line does elsewhere."""
    remedies = {
        ("-m", "--multirun"): "Train several values with `dvc exp run --queue -S 'KEY=1,2'` and "
        "`dvc exp run --run-all`",
        ("-c", "--cfg", "--resolve"): "Read all values in params.yaml after `python -m "
        "pipelines.config`, or in outputs/config/TIME/params.yaml if it has overrides",
    }
    for options, remedy in remedies.items():
        if argument.partition("=")[0] in options:
            return f"Options of Hydra must be left out. Received: {argument}. {remedy}."
    return None


def is_override(word: str) -> bool:
    """Return whether a word has the form key=value, +key=value, ++key=value or ~key."""
    return not word.startswith("-") and ("=" in word or (word.startswith("~") and len(word) > 1))


def help_text(stage: str, purpose: str, conf: Path) -> str:
    """Return what `python -m pipelines.STAGE --help` prints.

    Args:
        purpose: what the stage does, in a sentence.
        conf: the folder with the files that an override may choose.
    """
    described = STAGES[stage]
    group = " group=clr" if stage == "train" else ""
    lines = [
        f"usage: python -m pipelines.{stage}{' group=GROUP' if group else ''} [KEY=VALUE ...]",
        "",
        purpose,
        "",
        f"It reads {described.reads}.",
        f"It leaves {described.leaves}.",
        f"Without overrides the results go to artifacts/{stage}/, as in `dvc repro`.",
        f"With overrides they go to outputs/{stage}/TIME/, and params.yaml is left alone.",
        "",
        "arguments:",
        *([f"  group=GROUP   one of {', '.join(GROUPS)}"] if group else []),
        "  KEY=VALUE     sets a value of conf/, or chooses a file of a folder of conf/",
        "  +KEY=VALUE    adds a key that the files in conf/ leave out",
        "  ~KEY          removes a key",
        "  -h, --help    prints this",
        "",
        "folders to choose from:",
        *choices(conf),
        "",
        "examples:",
        f"  python -m pipelines.{stage}{group}",
        f"  python -m pipelines.{stage}{group} {described.example}",
        f"  python -m pipelines.{stage}{group} experiment=quick '+arm@arms.controls.cosine=cosine'",
        "",
        "Several values of a key: dvc exp run --queue -S 'train.batch_size=100,200', then",
        "dvc exp run --run-all. All keys: docs/pipeline.md, section Settings.",
    ]
    return "\n".join(lines)


def choices(conf: Path) -> list[str]:
    """List the folders of conf/ with the names of their files, except the many arms."""
    folders = {path.parent.name for path in conf.glob("*/*.yaml")} - {"arm", "replay"}
    return [
        f"  {folder}={'|'.join(sorted(path.stem for path in (conf / folder).glob('*.yaml')))}"
        for folder in sorted(folders)
    ]
