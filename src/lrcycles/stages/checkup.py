"""Checks the files of DVC and the results of all stages after `dvc repro`.

python -m lrcycles.stages.checkup
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from lrcycles.errors import InputError
from lrcycles.stages import inputs

_STAGES = ("config", "data", "range_test", "bounds", "advise", "report")


def problems(root: Path) -> Iterator[str]:
    """Word every file that a full disk, a kill or a damaged cache has left unusable."""
    yield from _files_of_dvc(root)
    names = [*_STAGES, *(f"train@{path.name}" for path in (root / "artifacts/train").glob("[!.]*"))]
    for stage in names:
        if (root / "artifacts" / stage.replace("@", "/")).exists():
            try:
                inputs.checked(root, stage)
            except InputError as error:
                yield str(error)


def _files_of_dvc(root: Path) -> Iterator[str]:
    import yaml

    path = root / ".dvc" / "tmp" / "rwlock"
    try:
        json.loads(path.read_text(encoding="utf-8") if path.exists() else "{}")
    except ValueError:
        yield (
            ".dvc/tmp/rwlock must be JSON. Received: a damaged file, as a full disk leaves it. "
            "While no dvc command runs here, type `rm .dvc/tmp/rwlock`, then repeat the command; "
            "finished trainings are kept."
        )
    path = root / "dvc.lock"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        whole = isinstance(content, dict) and (not content or isinstance(content["stages"], dict))
    except (ValueError, KeyError, yaml.YAMLError):
        whole = False
    if not whole:
        yield (
            "dvc.lock must be whole. Received: a damaged file. Type `git checkout dvc.lock` if git "
            "has it, or else `rm dvc.lock`, then repeat the command; finished trainings are kept."
        )


if __name__ == "__main__":
    found = list(problems(Path.cwd()))
    for line in found:
        print(f"lrcycles: {line}", file=sys.stderr)
    sys.exit(1 if found else 0)
