"""Trains cells in this process and interrupts them between two pieces of an epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells.cell import Cell, chains, teams
from lrcycles.cells.store import CellStore
from lrcycles.training import chain, checkpoints, compilation


class KilledError(Exception):
    """Stands for a kill."""


def train(
    cells: Sequence[Cell],
    data: Path,
    store: Path,
    *,
    pieces: int | None = None,
    every_seconds: float = 1e-9,
) -> list[str]:
    """Train the cells; return the messages to the user.

    Args:
        pieces: raise `KilledError` after so many compiled calls.
    """
    messages, done = [], 0

    def notify(event: str, text: str) -> None:
        nonlocal done
        done += event == "step"
        if event == "message":
            messages.append(text)
        if event == "step" and done == pieces:
            raise KilledError

    keys = [cell.key for cell in cells]
    setting = chain.Setting(data, CellStore(store), True, keys, every_seconds)
    for team in teams(chains(cells)):
        chain.train_team(team, setting, notify)
    return messages


def train_with_many_interruptions(cells: Sequence[Cell], data: Path, store: Path) -> list[str]:
    """Interrupt the training again and again, each time later; return the messages."""
    messages = []
    for turn in range(100):
        try:
            return messages + train(cells, data, store, pieces=4 + turn)
        except KilledError:
            messages.append("interrupted")
    raise AssertionError("the training makes no progress")


def content(store: Path, cell: Cell) -> dict[str, Any]:
    """Read all that a training left, without seconds."""
    import keras

    folder = store / cell.key
    result = json.loads((folder / "result.json").read_text())
    networks = [keras.models.load_model(path) for path in sorted(folder.glob("model*.keras"))]
    return {
        "result": {name: each for name, each in result.items() if "second" not in name},
        "steps": (folder / "steps.npy").read_bytes(),
        "correct": [path.read_bytes() for path in sorted(folder.glob("correct*.npy"))],
        "weights": [[array.tobytes() for array in one.get_weights()] for one in networks],
    }


def in_short_pieces(monkeypatch: Any) -> None:
    """Cut the epochs of the test's small networks, and write every checkpoint that is due."""
    monkeypatch.setattr(compilation, "PIECE_SECONDS", 0.006)
    monkeypatch.setattr(checkpoints, "_LEAST_PAUSE", 0)
    monkeypatch.setattr(chain, "_engines", {})


def compare_on_jax(values: Sequence[dict[str, Any]], data: str, folder: str) -> None:
    """Train with and without interruptions in a process of its own, and compare."""
    compilation.PIECE_SECONDS, checkpoints._LEAST_PAUSE = 0.006, 0
    cells = [Cell.from_dict(each) for each in values]
    train(cells, Path(data), Path(folder, "one"))
    messages = train_with_many_interruptions(cells, Path(data), Path(folder, "other"))
    assert messages.count("interrupted") > 1
    for cell in cells:
        assert content(Path(folder, "one"), cell) == content(Path(folder, "other"), cell)
    # Other pieces make the same steps.
    chain._engines.clear()
    compilation.PIECE_SECONDS = 2.0
    train(cells, Path(data), Path(folder, "whole"))
    for cell in cells:
        steps = [
            np.load(Path(folder, store, cell.key, "steps.npy"))["loss"]
            for store in ("one", "whole")
        ]
        np.testing.assert_array_equal(*steps)
