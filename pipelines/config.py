"""Stage `config`: is this configuration whole and right? Writes params.yaml from conf/."""

import os
import sys
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.config import compose, params_file
from lrcycles.errors import InputError
from lrcycles.stages.run import Run, execute


def main(run: Run) -> None:
    conf = compose.compose(run.root / "conf")
    different = params_file.differences(run.values, conf)
    files.write_json(run.out / "differences.json", different)
    for key, values in different.items():
        print(f"differs from conf/: {key} is {values['used']}, conf/ has {values['conf']}")
    params = (run.out if run.overrides else run.root) / "params.yaml"
    if run.overrides:
        files.write_text(params, params_file.render(run.values))
    elif not composed_by_dvc(run.root):
        update(params, run.values)
    if not run.overrides:  # with overrides it is one of the results
        run.mlflow.log_artifacts(params)
    run.mlflow.log_artifacts(run.out)


def load(root: Path) -> dict[str, Any]:
    """Compose conf/, but keep the params.yaml that DVC itself has just composed with `-S`.

    Nothing is written yet: a configuration that fails, or an MLflow that does not answer, must not
    leave a params.yaml that looks edited by hand the next time.
    """
    if composed_by_dvc(root):
        return params_file.read(root / "params.yaml")
    return compose.compose(root / "conf")


def composed_by_dvc(root: Path) -> bool:
    return bool(os.environ.get("DVC_EXP_NAME")) and (root / "params.yaml").exists()


def update(path: Path, values: dict[str, Any]) -> None:
    """Write params.yaml; say what changes in it and keep what somebody wrote into it."""
    rendered = params_file.render(values)
    if not path.exists():
        print("params.yaml was not there: composed from conf/")
    elif path.read_bytes() != rendered.encode():
        try:
            found = params_file.read(path)
        except InputError as error:
            print(error, file=sys.stderr)
            keep(path)
        else:
            by_hand = params_file.edited_by_hand(path.parent)
            if by_hand:
                keep(path)
            word = "dropped" if by_hand else "changed"
            for key, change in params_file.differences(values, found).items():
                print(f"{word}: {key}: {change['conf']} -> {change['used']}")
    files.write_text(path, rendered)


def keep(path: Path) -> None:
    """Put a hand edit aside, byte by byte."""
    kept = path.with_name("params.yaml.orig")
    with files.replacing(kept) as beside:
        beside.write_bytes(path.read_bytes())
    print(
        f"params.yaml was edited by hand: restored from conf/, the edit is in {kept.name}; "
        f"edit conf/ or use `dvc exp run -S` instead",
        file=sys.stderr,
    )


if __name__ == "__main__":
    execute("config", main, load=load)
