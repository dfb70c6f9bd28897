"""Shows the progress of trainings: a bar with the time left in a terminal, else a line per cell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from lrcycles.cells.cell import Cell


@contextmanager
def over(
    cells: Sequence[Cell], describe: Callable[[Cell], str]
) -> Iterator[Callable[[str, str], None]]:
    """Give the function `on_event(event, key)` that `train_all` calls.

    Args:
        cells: the cells that will be trained.
        describe: summarizes a finished cell's result in a few words.
    """
    from tqdm import tqdm

    waiting: Mapping[str, Cell] = {cell.key: cell for cell in cells}
    finished: set[str] = set()
    epochs = sum(cell.epochs for cell in waiting.values())
    terminal = sys.stderr.isatty()
    with tqdm(total=epochs, unit="epoch", disable=not terminal, smoothing=0.1) as bar:

        def on_event(event: str, key: str) -> None:
            if event == "message":
                tqdm.write(key, file=sys.stderr)
            cell = waiting.get(key)
            if cell is None:
                return
            if event == "epoch":
                bar.update()
                bar.set_postfix_str(f"{len(finished)}/{len(waiting)} cells", refresh=False)
            elif key not in finished:
                finished.add(key)
                line = f"[{len(finished)}/{len(waiting)}] {cell.arm} seed {cell.seed}"
                tqdm.write(f"{line}: {describe(cell)}", file=sys.stderr)

        yield on_event
