"""Reads the arguments of a stage, and prints its help."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
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
        "conf/",
        "experiment=quick",
        "params.yaml, differences.json, settings.json, advised_arms.json",
    ),
    "data": Description("conf/", "data=digits", "the images as arrays, data.json, digits.png"),
    "range_test": Description(
        "artifacts/data", "range_test.seeds=1", "curves.parquet, range_test.json, range_test.png"
    ),
    "bounds": Description("artifacts/range_test", "bounds=calibrated", "bounds.json, bounds.png"),
    "advise": Description(
        "artifacts/data", "advise.budget=0.75", "advice.json, advice.png, advice.txt"
    ),
    "train": Description(
        "artifacts/data, artifacts/bounds for clr and controls, artifacts/advise if an arm asks",
        "train.epochs=1",
        "cells.csv, and ARM/SEED/ with result.json, steps.parquet, correct.npy, model.keras",
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
    groups = []
    overrides = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "group" and equals:
            groups.append(value)
        elif is_override(argument):
            overrides.append(argument)
        else:
            raise InputError(
                _of_hydra(argument)
                or _only_a_group(stage, argument)
                or f"Arguments must have the form key=value. Received: {argument!r}. "
                f"Write for example train.epochs=3, or see `python -m pipelines.{stage} --help`."
            )
    group = _only_group(stage, groups, overrides)
    if overrides and "DVC_STAGE" in os.environ:
        raise InputError(
            f"Commands in dvc.yaml must be without overrides. Received: {' '.join(overrides)}. "
            f"Use `dvc exp run -S {overrides[0]}`."
        )
    return group, overrides


def _only_group(stage: str, groups: Sequence[str], overrides: Sequence[str]) -> str | None:
    """Return the group of stage `train`, and refuse a wrong, a second or a missing one."""
    if stage != "train":
        if groups:
            raise InputError(
                f"Only stage train may have a group. Received: group={groups[0]} for stage "
                f"{stage}. Leave it out."
            )
        return None
    if len(groups) == 1 and groups[0] in GROUPS:
        return groups[0]
    names = {word: word.lstrip("+~").partition("=") for word in overrides}
    misspelt = [word for word, parts in names.items() if _nearest(parts[0], ["group"])]
    received = [*(f"group={group}" for group in groups), *([] if groups else misspelt)]
    value = received[0].partition("=")[2] if received else ""
    remedy = (
        f"Did you mean group={near}?"
        if (near := _nearest(value, GROUPS))
        else (f"Write for example group={GROUPS[0]}.")
    )
    raise InputError(
        f"group must be one of {', '.join(GROUPS)}. Received: {' '.join(received) or 'none'}. "
        f"{remedy}"
    )


def _only_a_group(stage: str, word: str) -> str | None:
    """Say how to write a group whose key was left out."""
    near = _nearest(word, GROUPS) if stage == "train" else None
    if near is None:
        return None
    return f"The group must have the form group=GROUP. Received: {word}. Write group={near}."


def _nearest(word: str, names: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(word.lower(), names, 1)), None)


def unknown_stage(name: str) -> str:
    """Say that there is no such stage, and name the nearest one.

    >>> unknown_stage("trian")[-58:]
    'Received: trian. Did you mean `python -m pipelines.train`?'
    """
    near = _nearest(name, list(STAGES))
    remedy = f"Did you mean `python -m pipelines.{near}`?" if near else "Name one of them."
    return f"The stage must be one of {', '.join(STAGES)}. Received: {name}. {remedy}"


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
        *(
            ["If no arm asks for the advice, they go to outputs/advise/TIME/."]
            * (stage == "advise")
        ),
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
    lines = []
    for folder in sorted(folders):
        names = "| ".join(sorted(path.stem for path in (conf / folder).glob("*.yaml")))
        wrapped = textwrap.wrap(f"  {folder}={names}", 100, subsequent_indent=" " * 6)
        lines += [line.replace("| ", "|") for line in wrapped]
    return lines
