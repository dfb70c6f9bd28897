"""Trains the cells of a plain file on a machine without DVC, Hydra or MLflow.

python -m lrcycles.training CELLS.json OUT/

CELLS.json is {"data": FOLDER, "cells": [...], "models": [keys of networks to keep]}, such as the
plan.json that stage `train` writes. OUT/ becomes a cell store; copy its folders into
.lrcycles/cells.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lrcycles.errors import InputError, Interruption, interruptions

if __name__ == "__main__":  # before the slow imports
    interruptions.handle("lrcycles training")

from lrcycles.cells.cell import Cell, chains
from lrcycles.cells.store import CellStore
from lrcycles.files import read_json
from lrcycles.training.checkpoints import EVERY_SECONDS
from lrcycles.training.run import train_all


def main(arguments: list[str]) -> int:
    """Train the cells and return the exit status; a user's mistake is one line."""
    if len(arguments) != 2:
        print("usage: python -m lrcycles.training CELLS.json OUT/", file=sys.stderr)
        return 2
    interruptions.raised = True
    try:
        plan = read_json(Path(arguments[0]))
        cells = [Cell.from_dict(values) for values in plan["cells"]]
        train_all(
            chains(cells),
            data=Path(plan["data"]),
            store=CellStore(Path(arguments[1])),
            workers="auto",
            reuse=True,
            models=plan["models"],
            on_event=_print,
            checkpoint_seconds=plan.get("checkpoint_every_seconds", EVERY_SECONDS),
        )
    except (InputError, OSError) as error:
        print(f"lrcycles training: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError) as error:
        print(
            f"lrcycles training: {arguments[0]} must hold data, cells and models. "
            f"Received: a file with another content ({error}). Use the plan.json of stage `train`.",
            file=sys.stderr,
        )
        return 1
    except Interruption as error:
        interruptions.end(error.status)
    return 0


def _print(event: str, key: str) -> None:
    print(*([key] if event == "message" else [event, key[:12]]), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
