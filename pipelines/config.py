"""Stage `config`: writes params.yaml from conf/ and checks it."""

import os
import sys
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.config import compose, params_file, plain
from lrcycles.errors import InputError
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import log_stage


def main(run: Run) -> None:
    """Write params.yaml and its differences from conf/."""
    conf = compose.compose(run.root / "conf")
    different = params_file.differences(run.values, conf)
    files.write_json(run.out / "differences.json", different)
    for key, values in different.items():
        print(f"params.yaml differs from conf/: {key} is {values['used']}, not {values['conf']}")
    params = (run.out if run.overrides else run.root) / "params.yaml"
    if run.overrides:
        files.write_text(params, params_file.render(run.values))
    elif not composed_by_dvc(run.root):
        update(params, run.values)
    if not run.overrides:  # otherwise it is in run.out
        run.mlflow.log_artifacts(params)
    log_stage(run.mlflow, "config", run.out)


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
            word = "dropped" if by_hand else "changed"
            for key, change in params_file.differences(values, current).items():
                print(f"{word}: {key}: {change['conf']} -> {change['used']}")
    files.write_text(path, rendered)


def keep(path: Path, damage: str | None = None) -> None:
    """Keep an edit by hand in params.yaml.orig, byte by byte.

    Args:
        damage: why the edit could not be read.
    """
    kept = path.with_name("params.yaml.orig")
    with files.replacing(kept) as temporary_path:
        temporary_path.write_bytes(path.read_bytes())
    print(
        f"params.yaml was edited by hand. It is restored from conf/, and the edit is in "
        f"{kept.name}. Edit conf/ or use `dvc exp run -S` instead."
        + (f" The edit could not be read: {damage}." if damage else ""),
        file=sys.stderr,
    )


if __name__ == "__main__":
    execute("config", main, load=load)
