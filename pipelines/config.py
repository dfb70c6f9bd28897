"""Stage `config`: is this configuration whole and right? Writes params.yaml from conf/."""

import os
import sys
from pathlib import Path
from typing import Any

from lrcycles import config, results, stage


def main(run: stage.Run) -> None:
    conf = config.compose(run.root / "conf")
    different = config.differences(run.values, conf)
    results.write_json(run.out / "differences.json", different)
    for key, values in different.items():
        print(f"differs from conf/: {key} is {values['used']}, conf/ has {values['conf']}")
    run.mlflow.log_artifacts(run.root / "params.yaml")
    run.mlflow.log_artifacts(run.out)


def load(root: Path) -> dict[str, Any]:
    """Compose params.yaml, but keep the one that DVC itself has just composed with `-S`."""
    path = root / "params.yaml"
    if os.environ.get("DVC_EXP_NAME") and path.exists():
        return config.read(path)
    values = config.compose(root / "conf")
    config.check(values)
    rendered = config.render(values)
    if not path.exists():
        print("params.yaml was not there: composed from conf/")
    elif path.read_text(encoding="utf-8") != rendered:
        replace(path, values, by_hand=config.edited_by_hand(root))
    results.write_text(path, rendered)
    return values


def replace(path: Path, values: dict[str, Any], *, by_hand: bool) -> None:
    """Say what changes in params.yaml; keep what somebody wrote into it."""
    if by_hand:
        kept = path.with_name("params.yaml.orig")
        results.write_text(kept, path.read_text(encoding="utf-8"))
        print(
            f"params.yaml was edited by hand: restored from conf/, the edit is in {kept.name}; "
            f"edit conf/ or use `dvc exp run -S` instead",
            file=sys.stderr,
        )
    word = "dropped" if by_hand else "changed"
    for key, change in config.differences(values, config.read(path)).items():
        print(f"{word}: {key}: {change['conf']} -> {change['used']}")


if __name__ == "__main__":
    stage.execute("config", main, load=load)
