"""The command `lrcycles`: what users do with results outside the pipeline."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lrcycles.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; 0 on success, 1 with one line on a user's mistake."""
    parser = argparse.ArgumentParser(prog="lrcycles", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("sync", help="mirror results in files to the MLflow store that lacks them")
    parser.parse_args(arguments)
    try:
        sync(Path.cwd())
    except InputError as error:
        print(f"lrcycles: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def sync(root: Path) -> None:
    """Give every cell under artifacts/ and outputs/ its run in the current MLflow store.

    Raises:
        InputError: there are no results here, or the store cannot be reached.
    """
    from lrcycles import config, results, tracking
    from lrcycles.cells import Store
    from lrcycles.groups import mirror
    from lrcycles.tracking_store import without_password

    found = [
        path.parent
        for top in ("artifacts/train", "outputs/train")
        for path in sorted((root / top).glob("[!.]*/**/result.json"))
    ]
    if not found:
        raise InputError(
            f"need results under artifacts/train or outputs/train, got none in {root.name}/: "
            f"run in the project's root, after `dvc repro`"
        )
    needed = [root / "params.yaml", root / "artifacts" / "data" / "data.json"]
    if missing := [path.name for path in needed if not path.exists()]:
        raise InputError(f"need {' and '.join(missing)}, not there: `dvc repro data` makes them")
    checked = config.check(config.read(needed[0]))
    data = results.read_json(needed[1])
    shared = Path(os.environ.get("DVC_ROOT", root))
    here = [f for f in found if results.read_json(f / "result.json")["data"] == data["digest"]]
    if len(here) < len(found):
        print(f"{len(found) - len(here)} cells are left out: trained on other data than is here")
    store = Store(shared / ".lrcycles" / "cells")
    with tracking.start(
        "sync", root=shared, config=config.flatten(checked), experiment=checked.experiment
    ) as run:
        for folder in here:
            mirror(folder, store=store, run=run, data=data, reused=True)
        for stage in ("range_test", "bounds", "report"):
            if (root / "artifacts" / stage).exists():
                run.log_artifacts(root / "artifacts" / stage, folder=stage)
    uri = without_password(run.store.uri)
    if run.lost:
        raise InputError(f"MLflow at {uri} was lost on the way: try `lrcycles sync` again")
    print(f"{len(here)} cells are in MLflow at {uri}")


if __name__ == "__main__":
    sys.exit(main())
