"""Stage `config`: writes params.yaml from conf/ and checks it."""

import os
import sys
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.config import compose, experiment, params_file, plain
from lrcycles.config.resolve import advised_arms
from lrcycles.errors import InputError
from lrcycles.stages import outlook
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import log_stage

MOST_LINES = 8  # that the terminal shows of the changes


def main(run: Run) -> None:
    """Write params.yaml, and what it changes in its experiment."""
    changed = experiment.changes(run.root / "conf", run.values)
    files.write_json(run.out / "differences.json", changed)
    settings = experiment.as_overrides(run.config.experiment, changed)
    files.write_json(run.out / "settings.json", {"settings": settings})
    files.write_json(run.out / "advised_arms.json", advised_arms(run.config))
    print_settings(run.config.experiment, changed)
    print(outlook.to_do(run.config))
    # Later stages compare with this copy, because a refused `dvc exp run` overwrites params.yaml.
    files.write_text(run.out / "params.yaml", params_file.render(run.values))
    if not run.overrides and not composed_by_dvc(run.root):
        update(run.root / "params.yaml", run.values)
    log_stage(run.mlflow, "config", run.out)


def print_settings(name: str, changed: experiment.Changes) -> None:
    """Print which experiment this is, and at most a handful of its changes."""
    if not changed:
        print(f"Experiment {name}, as it is in conf/.")
        return
    print(f"Experiment {name}. It differs from conf/ in these settings:")
    for key, values in list(changed.items())[:MOST_LINES]:
        if "used" not in values:
            print(f"  ~{key} (removed)")
            continue
        used, conf = experiment.side(values, "used"), experiment.side(values, "conf")
        print(f"  {key}: {used} instead of {conf}")
    if len(changed) > MOST_LINES:
        rest = len(changed) - MOST_LINES
        print(f"  and {rest} more, which artifacts/config/differences.json lists")


def load(root: Path) -> dict[str, Any]:
    """Compose conf/, or read the params.yaml that DVC has just composed with `-S`.

    This writes nothing: if the checks or MLflow fail afterwards, params.yaml must not look edited
    by hand in the next run.
    """
    if composed_by_dvc(root):
        return params_file.read(root / "params.yaml")
    return compose.compose(root / "conf")


def composed_by_dvc(root: Path) -> bool:
    """Return whether `dvc exp run` has just written params.yaml."""
    return bool(os.environ.get("DVC_EXP_NAME")) and (root / "params.yaml").exists()


def update(path: Path, values: dict[str, Any]) -> None:
    """Write params.yaml, print what changes in it, and keep an edit by hand in another file."""
    rendered = params_file.render(values)
    if not path.exists():
        print("params.yaml was missing. It is composed from conf/.")
    elif path.read_bytes() != rendered.encode():
        try:
            current = params_file.read(path)
        except InputError as error:
            cause = error.__cause__  # of the parser; none if the file is YAML without keys
            keep(path, plain.one_line(cause) if cause else "it holds no keys and values")
        else:
            by_hand = params_file.edited_by_hand(path.parent)
            if by_hand:
                keep(path)
            print_changes(params_file.differences(values, current), by_hand=by_hand)
    files.write_text(path, rendered)


def print_changes(changed: experiment.Changes, *, by_hand: bool) -> None:
    """Print what changes in params.yaml; where the experiment changes, print that alone."""
    if "experiment" in changed and not by_hand:
        changed = {"experiment": changed["experiment"]}
    for key, values in changed.items():
        before, after = experiment.side(values, "conf"), experiment.side(values, "used")
        print(f"{'dropped' if by_hand else 'changed'}: {key}: {before} -> {after}")


def keep(path: Path, damage: str | None = None) -> None:
    """Keep an edit by hand in params.yaml.orig, byte by byte.

    Args:
        damage: why the edit could not be read.
    """
    kept = path.with_name("params.yaml.orig")
    with files.replacing(kept) as temporary_path:
        temporary_path.write_bytes(path.read_bytes())
    print(
        f"params.yaml was edited by hand, or by an experiment that failed. It is restored from "
        f"conf/, and the edit is in {kept.name}. Edit conf/ or use `dvc exp run -S` instead."
        + (f" The edit could not be read: {damage}." if damage else ""),
        file=sys.stderr,
    )


if __name__ == "__main__":
    execute("config", main, load=load)
